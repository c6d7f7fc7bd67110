# SPDX-License-Identifier: GPL-2.0-only
"""The migrations make what the models say, from nothing and from each version before, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from harness.errors import UserError
from harness.history import database, schema
from harness.history.database import History
from harness.history.place import Place
from harness.history.record import record
from tests.unit.history.conftest import Past, rerun_of


def test_every_migration_is_known_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert [one.revision for one in reversed(list(scripts.walk_revisions()))] == list(schema.REVISIONS)


def test_the_migrations_make_what_the_models_say(place: Place) -> None:
    with History(place) as history, history.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


@pytest.mark.parametrize("before", schema.REVISIONS[:-1])
def test_an_older_history_is_upgraded_and_keeps_what_it_has(
    place: Place, past: Past, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade, rows = database.upgrade, past.rows({"a/b:c": "FAIL"})
    later = ("payload", "rootfs", "guest")  # columns that came with 0003
    with monkeypatch.context() as patch:
        known = schema.REVISIONS[: schema.REVISIONS.index(before) + 1]
        patch.setattr(database, "REVISIONS", known)
        patch.setattr(database, "upgrade", lambda connection: upgrade(connection, before))
        old = replace(rows, run={name: value for name, value in rows.run.items() if name not in later})
        with History(place) as history:
            record(history, [old])
            with history.reading() as connection:
                assert sa.inspect(connection).has_table("rerun") == (before != "0001")
    with History(place) as history:
        record(history, [past.rows({"a/b:c": "FAIL"}, reruns=(rerun_of("a/b:c", "PASS"),))])
        with history.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(schema.outcome)).scalar() == 2


def test_a_history_of_a_newer_harness_is_refused_and_left_alone(place: Place, past: Past) -> None:
    with History(place) as history:
        record(history, [past.rows({"a/b:c": "PASS"})])
        with history.writing() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(UserError, match=r"newer harness \(its version is 0999, this one knows up to 0003\)"):
        History(place)
