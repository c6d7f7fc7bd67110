# SPDX-License-Identifier: GPL-2.0-only
"""The N_PRIVATE harness: builds kernels with a patch series and judges them on emulated CXL hardware."""

from __future__ import annotations

__version__ = "0.1.0"
