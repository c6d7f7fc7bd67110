# SPDX-License-Identifier: GPL-2.0-only
"""What else two runs may differ in: the guest tests, the image, what was asked of the guest. Unknown of older runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("run", sa.Column("payload", sa.String(64), nullable=False, server_default=""))
    op.add_column("run", sa.Column("rootfs", sa.String(64), nullable=False, server_default=""))
    op.add_column("run", sa.Column("guest", sa.Text, nullable=False, server_default=""))
