# SPDX-License-Identifier: GPL-2.0-only
"""Files from Debian's archive, verified, without installing anything: for the guest's image and for QEMU.

``find_archive`` says where the archive is (from this machine's own apt configuration), ``fetch`` downloads a set of
packages with their dependencies as one tar file, ``unpack`` takes the wanted files out of it, libraries included.
"""

from __future__ import annotations

from harness.debian.archive import Archive, find_archive
from harness.debian.bootstrap import Fetched, fetch
from harness.debian.manifest import Manifest, load
from harness.debian.select import unpack

__all__ = ["Archive", "Fetched", "Manifest", "fetch", "find_archive", "load", "unpack"]
