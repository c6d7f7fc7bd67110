# SPDX-License-Identifier: GPL-2.0-only
"""Every finished run in a database: SQLite in the data folder, or PostgreSQL by URL for a team.

::

    run folder ─→ rows ─→ record ─→ database ─→ query, compare, classify

The run folder stays the truth: what the database could not take is taken at the next occasion, and a database that is
lost is made again by ``harness history import``. Modules that import SQLAlchemy (0.2 s) are imported when they are
needed, which ``place`` and this one are not.
"""
