# SPDX-License-Identifier: GPL-2.0-only
"""What a hostile series would like to reach: a home with a secret, an agent, a service on the host's loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.build.conftest import Bench, bench

__all__ = ["bench"]


@dataclass
class Host:
    """A home folder with a key in it, and a listener that counts who connects."""

    home: Path
    port: int
    callers: list[object] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.home / ".ssh" / "id_ed25519"

    @property
    def start_file(self) -> Path:
        return self.home / ".bashrc"

    @property
    def untouched(self) -> bool:
        return self.start_file.read_text() == "# mine\n" and not self.callers


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Host(home=tmp_path / "home", port=listener.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    caller, address = listener.accept()
                except OSError:
                    return
                made.callers.append(address)
                caller.close()

        made.key.parent.mkdir(parents=True)
        made.key.write_text("the private key\n")
        made.start_file.write_text("# mine\n")
        monkeypatch.setenv("HOME", str(made.home))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(made.home / "agent"))
        monkeypatch.setenv("https_proxy", "http://user:password@proxy")
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def hostile(bench: Bench, script: str) -> dict[str, str | None]:
    """Changes of the stub tree by which every make runs a shell script; its first word is the output folder."""
    makefile = (Path(bench.folder) / "work" / "Makefile").read_text()
    return {"Makefile": f"{makefile}\n$(shell sh $(srctree)/scripts/attack.sh $(O) >&2)\n", "scripts/attack.sh": script}
