# SPDX-License-Identifier: GPL-2.0-only
"""Fetches one file over HTTP, going on where an interrupted fetch stopped.

What has come is kept as ``<cache>/downloads/<key>.part`` with the server's name for that version of the file (its
ETag or date) beside it; a fetch goes on only while the server still has that version (RFC 9110, If-Range).
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from harness import __version__
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths, make_folder
from harness.progress import Progress
from harness.store import disk_failure

_ATTEMPTS = 5
_QUIET_SECONDS = 60.0
_CHUNK = 1 << 20
_LARGEST = 20 << 30


def fetch(url: str, paths: Paths, *, progress: Progress, pause: Callable[[float], None] = time.sleep) -> Path:
    """The file behind a URL, complete, under ``<cache>/downloads``; the caller removes it.

    Raises :class:`UserError` where the server has no such file and :class:`EnvironmentFailure` where it cannot be
    reached after several attempts; what has come by then is kept for the next call.
    """
    folder = make_folder(paths.cache / "downloads")
    part = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:24]}.part"
    reason: Exception | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(min(30.0, 2.0**attempt))
            progress.update(f"fetching {url}: again, from where it stopped ({reason})")
        before = part.stat().st_size if part.exists() else 0
        try:
            if _attempt(url, part, progress):
                whole = part.with_suffix(".whole")
                return part.replace(whole)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and before:  # what is there cannot be a part of the file any more
                part.unlink(missing_ok=True)
            elif 400 <= error.code < 500 and error.code not in (408, 425, 429):
                raise UserError(f"{url}: the server says {error.code} {error.reason}", hint="check the URL") from error
            reason = error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error
        except OSError as error:
            raise disk_failure(error, f"while fetching {url}") from error
        else:
            reason = EOFError("the connection ended early")
    raise EnvironmentFailure(
        f"{url} could not be fetched: {reason}", hint="check the network; the next try goes on where this one stopped"
    )


def _attempt(url: str, part: Path, progress: Progress) -> bool:
    """One request; whether the file is complete now."""
    version_file = part.with_suffix(".version")
    have = part.stat().st_size if part.exists() and version_file.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"n_private-harness/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", version_file.read_text())
    with urllib.request.urlopen(request, timeout=_QUIET_SECONDS) as answer:
        resumed = answer.status == 206
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if total is not None and total > _LARGEST:
            raise UserError(f"{url} has {total >> 30} GiB: that is no kernel source")
        if not resumed:
            _note_version(version_file, answer.headers.get("ETag") or answer.headers.get("Last-Modified"))
        with open(part, "ab" if resumed else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                have += len(chunk)
                if have > _LARGEST:
                    raise UserError(f"{url} does not end: stopped after {have >> 30} GiB")
                progress.update(f"fetching {url}", done=have >> 20, total=(total >> 20) if total else None)
    if total is not None and have < total:
        return False
    version_file.unlink(missing_ok=True)
    return True


def _note_version(version_file: Path, version: str | None) -> None:
    """Weak ETags say nothing about bytes (RFC 9110, 8.8.1): without a strong one a new fetch starts over."""
    if version is None or version.startswith("W/"):
        version_file.unlink(missing_ok=True)
    else:
        version_file.write_text(version)
