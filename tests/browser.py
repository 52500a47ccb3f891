"""A headless Chromium, driven over its debugging pipe: pages are opened, read, clicked and drawn, and what they say is kept."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (found := shutil.which(name))), None)


class Browser:
    """One browser with one page. `said` has the console's errors and warnings, `asked` the addresses requested, since the last open."""

    def __init__(self, write: Any, read: Any) -> None:
        self.write, self.read = write, read
        self.count = 0
        self.session = ""
        self.said: list[str] = []
        self.asked: list[str] = []
        self.rest = b""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.write.write(json.dumps(message).encode() + b"\0")
        self.write.flush()
        while True:
            found = self.message()
            if found.get("id") == number:
                assert "error" not in found, found
                return found["result"]

    def message(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            more = os.read(self.read.fileno(), 1 << 16)
            assert more, "the browser has gone"
            self.rest += more
        head, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(head)
        self.note(found.get("method", ""), found.get("params", {}))
        return found

    def note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.said.append(" ".join(str(a.get("value", a.get("description", ""))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.said.append(params["exceptionDetails"].get("exception", {}).get("description", params["exceptionDetails"]["text"]))
        elif method == "Log.entryAdded":
            self.said.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])

    def open(self, path: Path, width: int = 1200, height: int = 900, dark: bool = False, at: str = "") -> None:
        """Open a file and wait until its formulas are drawn."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.said, self.asked = [], []
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=path.resolve().as_uri() + at)
        self.run(
            "new Promise(done => { const look = () => document.documentElement?.dataset.ready && document.readyState === 'complete'"
            " ? done(true) : setTimeout(look, 5); look(); })"
        )

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for."""
        found = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the block."""
    assert CHROMIUM is not None
    from_us, to_it = os.pipe()
    from_it, to_us = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        words += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        # The browser reads descriptor 3 and writes descriptor 4.
        script = f'exec 3<&{from_us} 4>&{to_us}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *words, f"--user-data-dir={profile}"],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        with os.fdopen(to_it, "wb") as write, os.fdopen(from_it, "rb") as read:
            try:
                found = Browser(write, read)
                yield found
                found.session = ""
                found.send("Browser.close")
            finally:
                process.kill()
                process.wait()
