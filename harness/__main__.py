# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness`` and the ``harness`` command."""

from __future__ import annotations

from harness.cli.main import main

if __name__ == "__main__":
    main()
