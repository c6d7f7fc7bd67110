# SPDX-License-Identifier: GPL-2.0-only
"""A guest as a fabric connection, for tests and tasks written in Python (``run``, ``put``, ``get``, ``cd`` …)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_CONNECT_SECONDS = 30


def connect(*, port: int, key_file: Path, known_hosts: Path) -> Any:
    """A ``fabric.Connection`` to a guest on this machine, as root; the caller closes it (``with`` does).

    The guest must show the key that was made for it: fabric's own default accepts any, this refuses an unknown one.
    No agent, no other key and no file of the user's SSH configuration takes part; commands have no standard input.
    """
    import fabric  # type: ignore[import-untyped]
    import paramiko  # type: ignore[import-untyped]

    connection = fabric.Connection(
        "127.0.0.1",
        user="root",
        port=port,
        config=fabric.Config(lazy=True, overrides={"load_ssh_configs": False, "run": {"in_stream": False}}),
        connect_timeout=_CONNECT_SECONDS,
        connect_kwargs={"key_filename": str(key_file), "allow_agent": False, "look_for_keys": False},
    )
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    connection.client.load_host_keys(str(known_hosts))
    return connection
