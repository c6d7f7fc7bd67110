# SPDX-License-Identifier: GPL-2.0-only
"""The history's database: opened, brought to this version's schema, its errors told in the user's terms.

SQLite is in WAL mode, so that readers and a writer do not wait for each other; writers wait for each other, in one
``BEGIN IMMEDIATE`` each (sqlite.org/wal.html, sqlite.org/lang_transaction.html). On PostgreSQL every wait is bounded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from harness.errors import EnvironmentFailure, HarnessError, UserError
from harness.history.place import FILE, Place, hidden
from harness.history.schema import REVISIONS
from harness.paths import make_folder
from harness.store import disk_failure

BUSY_SECONDS = 10.0
"""How long a writer waits for others."""

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 60
_MIGRATION_LOCK = 0x6E707276  # of our own in PostgreSQL's space of advisory locks
_WRITES = "harness_writes"
_MIGRATIONS = Path(__file__).parent / "migrations"


class History:
    """An open history. Leaving the ``with`` block closes it."""

    def __init__(self, place: Place, *, busy: float = BUSY_SECONDS) -> None:
        """Open it, making or upgrading the tables where needed.

        ``busy`` is how many seconds to wait for other writers. Raises :class:`UserError` where a newer harness made it
        and :class:`EnvironmentFailure` where it cannot be used.
        """
        self.place = place
        self._busy = busy
        with self._told("opening"):
            self._engine = self._make_engine()
            self._ensure_schema()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *exc: object) -> None:
        self._engine.dispose()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.place.file is not None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads: one state throughout."""
        with self._told("reading"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes: all of it is there afterwards, or (any exception) nothing."""
        with self._told("writing"), self._writer().begin() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that leaves out rows that are there already."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return sqlite_insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table).on_conflict_do_nothing()

    def _writer(self) -> sa.Engine:
        return self._engine.execution_options(**{_WRITES: True})

    def _make_engine(self) -> sa.Engine:
        file = self.place.file
        if file is None:
            url = _url(self.place)
            options = f"-c lock_timeout={int(self._busy * 1000)} -c statement_timeout={_STATEMENT_SECONDS * 1000}"
            arguments = {
                "connect_timeout": _CONNECT_SECONDS,
                "options": options,
                "keepalives_idle": 5,
                "tcp_user_timeout": 15000,
                "application_name": "harness",
            }
            return sa.create_engine(url, poolclass=NullPool, connect_args=arguments)
        make_folder(file.parent)
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(file)), poolclass=NullPool, connect_args={"timeout": self._busy}
        )
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine

    def _ensure_schema(self) -> None:
        with self._engine.connect() as connection, connection.begin():
            if self._is_current(connection):
                return
        with self._alone(), self._writer().begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if not self._is_current(connection):  # another may have been quicker
                upgrade(connection)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """For SQLite: nobody else makes or upgrades the file meanwhile, which is put into WAL mode before."""
        if self.place.file is None:
            yield
            return
        lock = self.place.file.with_name(f".{self.place.file.name}.lock")
        try:
            with filelock.FileLock(lock, timeout=self._busy):
                with self._engine.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
                yield
        except filelock.Timeout:
            raise EnvironmentFailure(f"the history {self.place} is being made by another process") from None

    def _is_current(self, connection: sa.Connection) -> bool:
        """Whether the database is at the last migration; raises :class:`UserError` where it is beyond it."""
        if not sa.inspect(connection).has_table("alembic_version"):
            return False
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        if found is not None and found not in REVISIONS:
            raise UserError(
                f"the history {self.place} is of a newer harness (its version is {found}, this one knows"
                f" up to {REVISIONS[-1]})",
                hint="update the harness, or use another history (--history, HARNESS_HISTORY)",
            )
        return bool(found == REVISIONS[-1])

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except HarnessError:
            raise
        except OSError as reason:
            raise disk_failure(reason, f"while {doing} the history {self.place}") from reason
        except ImportError as reason:
            raise EnvironmentFailure(
                f"the history {self.place} needs a driver: {reason}", hint="run ci/bootstrap"
            ) from None
        except SQLAlchemyError as reason:
            raise _failure(reason, self.place, doing) from reason


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Bring the database of a connection to a revision, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, revision)


def _url(place: Place) -> sa.URL:
    try:
        return sa.make_url(place.url).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError) as reason:
        raise UserError(f"the history {place} is no database URL: {hidden(str(reason))}") from None


def _on_sqlite_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin when we say so, not when the driver thinks
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode: whole after a power cut, if without the last runs
    cursor.close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _failure(reason: SQLAlchemyError, place: Place, doing: str) -> HarnessError:
    """The error of a database in the user's terms."""
    original = reason.orig if isinstance(reason, DBAPIError) and reason.orig is not None else reason
    lines = str(original).strip().splitlines() or [type(original).__name__]
    said = hidden(" ".join(line.strip() for line in lines))
    lowered = said.lower()
    if "is locked" in lowered or "lock timeout" in lowered:
        return EnvironmentFailure(
            f"the history {place} is locked by another process", hint="try again when it has ended"
        )
    if "disk is full" in lowered or "disk full" in lowered or "no space left" in lowered:
        return EnvironmentFailure(f"the disk is full while {doing} the history {place}", hint="free some space")
    damaged = ("not a database", "malformed", "encrypted", "corrupt")
    if place.file is not None and isinstance(reason, DatabaseError) and any(word in lowered for word in damaged):
        return EnvironmentFailure(
            f"the history {place} is damaged: {said}",
            hint=f"move it away ({FILE} and what begins so); the run folders make it again: harness history import",
        )
    return EnvironmentFailure(
        f"cannot use the history {place} ({doing}): {said}",
        hint="is the place right, and may you use it? (--history, HARNESS_HISTORY)",
    )
