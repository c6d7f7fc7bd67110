# SPDX-License-Identifier: GPL-2.0-only
"""A real headless Chromium, driven over its own pipe (--remote-debugging-pipe): no driver, no port, no package.

The protocol is JSON, each message ended by a NUL, on descriptors 3 (to it) and 4 (from it):
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60.0
PHONE = (390, 844)
SCREEN = (1280, 900)


def program() -> str | None:
    """The browser of this machine."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One browser with one page. Leaving the ``with`` block ends it and removes what it kept."""

    def __init__(self, executable: str) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()
        words = [
            "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--hide-scrollbars", f"--user-data-dir={self._home.name}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
        ]  # fmt: skip
        script = f'exec 3<&{to_read} 4>&{from_write}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "browser", executable, *words], pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_read)
        os.close(from_write)
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = next(one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        answer = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._session = ""
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            pass
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, 9)
            self._process.wait()
            os.close(self._to)
            os.close(self._from)
            self._home.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask something of the browser; its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _SECONDS
        while True:
            answer = self._next(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._from, 1 << 16)
            assert chunk, "the browser ended"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def open(self, file: Path, fragment: str = "") -> float:
        """Open a page from disk; the milliseconds from navigation to the end of its load event."""
        self.events.clear()
        self.call("Page.navigate", url=file.absolute().as_uri() + fragment)
        until = time.monotonic() + _SECONDS
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self._next(until))
        asked = "(() => { const n = performance.getEntriesByType('navigation')[0]; return n ? n.loadEventEnd : 0 })()"
        while not (took := float(self.js(asked))):
            assert time.monotonic() < until
        return took

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settled(self, condition: str) -> None:
        """Wait until an expression in the page is true (a page that is left has no answer for a moment)."""
        until = time.monotonic() + _SECONDS
        while True:
            try:
                if self.js(condition):
                    return
            except AssertionError:
                pass
            assert time.monotonic() < until, condition
            time.sleep(0.02)

    def html(self) -> str:
        """The page as it stands, also where scripts are off."""
        node = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        return str(self.call("DOM.getOuterHTML", nodeId=node)["outerHTML"])

    def key(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else ({"text": "\r"} if key == "Enter" else {})
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, ord(key.upper()) if len(key) == 1 else 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def look(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """The size of the screen in CSS pixels, and whether the system is dark."""
        phone = size[0] < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=phone
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, file: Path) -> None:
        """A screenshot of what is seen."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    @property
    def complaints(self) -> list[str]:
        """Errors of the page since it was opened: scripts, what a policy refused, what could not be loaded."""
        found = []
        for one in self.events:
            told = one.get("params", {})
            if one.get("method") == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"].get("text")))
            elif one.get("method") == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(str(told["entry"]["text"]))
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        return [
            one["params"]["request"]["url"] for one in self.events if one.get("method") == "Network.requestWillBeSent"
        ]
