# SPDX-License-Identifier: GPL-2.0-only
"""The keys of one run: ours for logging in, and the guest's own, so that each side knows the other.

Both are Ed25519 and live as long as the guest. The guest's key is handed to it in the format in which dropbear keeps
host keys: an SSH string ``ssh-ed25519``, then an SSH string of the 32-byte seed and the 32-byte public key (dropbear's
src/ed25519.c, ``buf_put_ed25519_priv_key``).
"""

from __future__ import annotations

import base64
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

_TYPE = b"ssh-ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKeys:
    """Keys of one guest. ``login_private`` is OpenSSH's PEM, ``authorized_keys`` and ``host_public`` are text lines."""

    login_private: bytes = field(repr=False)
    authorized_keys: str
    host_private: bytes = field(repr=False)
    host_public_blob: bytes

    @property
    def host_public(self) -> str:
        """The guest's public key as ``known_hosts`` has it after the host's name."""
        return f"{_TYPE.decode()} {base64.b64encode(self.host_public_blob).decode()}"


def make_keys() -> RunKeys:
    """Two fresh key pairs."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    login = Ed25519PrivateKey.generate()
    host = Ed25519PrivateKey.generate()
    login_private = login.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    host_public = host.public_key().public_bytes_raw()
    login_blob = _public_blob(login.public_key().public_bytes_raw())
    return RunKeys(
        login_private=login_private,
        authorized_keys=f"{_TYPE.decode()} {base64.b64encode(login_blob).decode()} harness\n",
        host_private=dropbear_key(host.private_bytes_raw(), host_public),
        host_public_blob=_public_blob(host_public),
    )


def dropbear_key(seed: bytes, public: bytes) -> bytes:
    """An Ed25519 private key as dropbear keeps it in a file."""
    return _string(_TYPE) + _string(seed + public)


def write_private(path: Path, content: bytes) -> Path:
    """Create a file that only this user can read (mode 0600 from its first moment)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
    return path


def _public_blob(public: bytes) -> bytes:
    """A public key on the wire (RFC 8709, section 4)."""
    return _string(_TYPE) + _string(public)


def _string(value: bytes) -> bytes:
    """An SSH string (RFC 4251, section 5)."""
    return struct.pack(">I", len(value)) + value
