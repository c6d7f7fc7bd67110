# SPDX-License-Identifier: GPL-2.0-only
"""Migrations of the history's database, for alembic; ``versions`` has a file each."""
