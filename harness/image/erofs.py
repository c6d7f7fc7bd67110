# SPDX-License-Identifier: GPL-2.0-only
"""Pack a folder as an erofs image, the same bytes for the same files."""

from __future__ import annotations

import uuid
from pathlib import Path

from harness import process
from harness.errors import EnvironmentFailure
from harness.store import file_digest

# No times, no owners, no extended attributes.
OPTIONS = ("-T0", "--all-root", "-x-1")
# lz4 is what every kernel with EROFS_FS_ZIP reads. Decompressing costs a guest under TCG about 0.07 s of CPU from init
# to the first command over SSH (of 1.8 s), so that only what would be too big otherwise is compressed.
COMPRESSION = ("-zlz4hc", "-C65536")

_DEADLINE_SECONDS = 300.0
_NAMESPACE = uuid.UUID("6f1c5f0e-6a55-5d2b-9b5e-3d6f0b1f7c11")


def pack(folder: Path, image: Path, *, name: str, compress: bool = False) -> str:
    """Write ``folder`` as the erofs ``image``; returns its SHA-256. ``name`` decides the file system's UUID.

    Raises :class:`EnvironmentFailure` when it does not succeed; a full disk is named as such.
    """
    options = (*OPTIONS, *(COMPRESSION if compress else ()))
    argv = ("mkfs.erofs", *options, f"-U{uuid.uuid5(_NAMESPACE, name)}", str(image), str(folder))
    try:
        process.run(argv, deadline=_DEADLINE_SECONDS, failure="the image cannot be packed")
    except EnvironmentFailure as failure:
        image.unlink(missing_ok=True)
        if any("No space left on device" in line for line in failure.details):
            raise EnvironmentFailure(
                "the disk is full while packing an image", hint="free some space, or `harness cache prune`",
                command=failure.command, details=failure.details,
            ) from failure  # fmt: skip
        raise
    return file_digest(image)
