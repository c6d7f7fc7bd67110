# SPDX-License-Identifier: GPL-2.0-only
"""Failed cases that were run again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "rerun",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("case_id", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(12), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "case_id", "attempt", name="pk_rerun"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE", name="fk_rerun_run_id"),
        sa.ForeignKeyConstraint(["case_id"], ["test_case.id"], name="fk_rerun_case_id"),
    )
