# SPDX-License-Identifier: GPL-2.0-only
"""What alembic runs: the migrations, in the transaction of the connection that the harness gives it."""

from __future__ import annotations

from alembic import context

from harness.history.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
