# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the history. A change here needs a migration (``migrations/versions``); a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISIONS = ("0001", "0002", "0003")
"""The migrations, oldest first; a database at one that is not among them was made by a newer harness."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One finished run. `uid` is the same wherever its folder is imported; `decides` the digest of what it ran (two runs
# with one digest ran the same thing); `cell` that of what is followed over time: source, series by name, fragments,
# topology, accelerator. `started` is in seconds since the epoch. Durations are in seconds.
run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(32), nullable=False),
    Column("name", String(80), nullable=False),
    Column("started", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("guest_seconds", Float, nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("failure", Text, nullable=False),
    Column("fingerprint", String(12), nullable=False),
    Column("decides", String(64), nullable=False),
    Column("cell", String(12), nullable=False),
    Column("host", Text, nullable=False),
    Column("harness", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("base", String(64), nullable=False),
    Column("series", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("series_digest", String(64), nullable=False),
    Column("patches", Integer, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("fragments", Text, nullable=False),
    Column("config", String(64), nullable=False),
    Column("kernel", String(64), nullable=False),
    Column("toolchain", Text, nullable=False),
    Column("topology", Text, nullable=False),
    Column("accel", String(8), nullable=False),
    Column("qemu", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("folder", Text, nullable=False),
    Column("payload", String(64), nullable=False, server_default=""),
    Column("rootfs", String(64), nullable=False, server_default=""),
    Column("guest", Text, nullable=False, server_default=""),
    UniqueConstraint("uid"),
    Index(None, "name"),
    Index(None, "started"),
    Index(None, "decides"),
    Index(None, "cell", "started"),
)

# A case by its full name, suite/program:case.
case = Table(
    "test_case",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("name"),
)

# What became of a case in a run; `position` is its place in the run's order, from 0.
outcome = Table(
    "outcome",
    metadata,
    Column("run_id", ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("case_id", ForeignKey("test_case.id"), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", String(12), nullable=False),
    Index(None, "case_id", "run_id"),
)

# A failed case run again on a fresh guest, after the run; `attempt` counts from 1.
rerun = Table(
    "rerun",
    metadata,
    Column("run_id", ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("case_id", ForeignKey("test_case.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", String(12), nullable=False),
)
