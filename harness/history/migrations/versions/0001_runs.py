# SPDX-License-Identifier: GPL-2.0-only
"""Runs, cases and what became of each case in each run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("guest_seconds", sa.Float, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("interrupted", sa.Boolean, nullable=False),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(12), nullable=False),
        sa.Column("decides", sa.String(64), nullable=False),
        sa.Column("cell", sa.String(12), nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("harness", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("base", sa.String(64), nullable=False),
        sa.Column("series", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("series_digest", sa.String(64), nullable=False),
        sa.Column("patches", sa.Integer, nullable=False),
        sa.Column("commit", sa.String(64), nullable=False),
        sa.Column("fragments", sa.Text, nullable=False),
        sa.Column("config", sa.String(64), nullable=False),
        sa.Column("kernel", sa.String(64), nullable=False),
        sa.Column("toolchain", sa.Text, nullable=False),
        sa.Column("topology", sa.Text, nullable=False),
        sa.Column("accel", sa.String(8), nullable=False),
        sa.Column("qemu", sa.Text, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("uid", name="uq_run_uid"),
    )
    for columns in (["name"], ["started"], ["decides"], ["cell", "started"]):
        op.create_index(f"ix_run_{'_'.join(columns)}", "run", columns)
    op.create_table(
        "test_case",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_test_case"),
        sa.UniqueConstraint("name", name="uq_test_case_name"),
    )
    op.create_table(
        "outcome",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("case_id", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(12), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_outcome"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE", name="fk_outcome_run_id"),
        sa.ForeignKeyConstraint(["case_id"], ["test_case.id"], name="fk_outcome_case_id"),
    )
    op.create_index("ix_outcome_case_id_run_id", "outcome", ["case_id", "run_id"])
