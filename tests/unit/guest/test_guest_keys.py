# SPDX-License-Identifier: GPL-2.0-only
"""Keys of a run: both formats, and files that are private from the first moment."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from harness.guest.keys import dropbear_key, make_keys, write_private


def test_login_key_is_openssh_and_matches_authorized_keys() -> None:
    keys = make_keys()
    private = serialization.load_ssh_private_key(keys.login_private, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    public = serialization.load_ssh_public_key(keys.authorized_keys.encode())
    assert isinstance(public, Ed25519PublicKey)
    assert private.public_key().public_bytes_raw() == public.public_bytes_raw()


def test_host_key_is_dropbears_format_and_matches_known_hosts() -> None:
    keys = make_keys()
    (length,) = struct.unpack_from(">I", keys.host_private)
    assert keys.host_private[4 : 4 + length] == b"ssh-ed25519"
    rest = keys.host_private[4 + length :]
    assert struct.unpack_from(">I", rest) == (64,)
    seed, public = rest[4:36], rest[36:]
    derived = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert derived == public
    known = serialization.load_ssh_public_key(keys.host_public.encode())
    assert isinstance(known, Ed25519PublicKey) and known.public_bytes_raw() == public


def test_the_known_form_of_dropbears_file() -> None:
    assert dropbear_key(b"s" * 32, b"p" * 32) == b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + b"s" * 32 + b"p" * 32


def test_every_run_has_its_own() -> None:
    assert make_keys() != make_keys()


def test_keys_do_not_show_in_logs() -> None:
    assert "PRIVATE" not in repr(make_keys())


def test_private_files(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        file = write_private(tmp_path / "key", b"secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_private(file, b"another")
    (tmp_path / "trap").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "trap", b"secret")
