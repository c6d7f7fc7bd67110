# SPDX-License-Identifier: GPL-2.0-only
"""The kernel build: out of tree, reproducible, incremental in a lasting folder, kept by content."""

from harness.build.kernel import build, find, module_folder
from harness.build.make import kernel_key
from harness.build.modules import guest_modules
from harness.build.parts import Parts, parts
from harness.build.plan import default_jobs

__all__ = ["Parts", "build", "default_jobs", "find", "guest_modules", "kernel_key", "module_folder", "parts"]
