"""A headless Chromium, driven by its DevTools protocol: what a page shows, asks for, complains of.

It listens on 127.0.0.1 only. Each page has a profile of its own: none knows another's choices.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE = 60.0  # seconds


class Page:
    """One page, opened in a window of its own."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._last = 0
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call the protocol; its answer.

        Raises:
            AssertionError: the browser refused.
        """
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(timeout=_PATIENCE))
            if said.get("id") == self._last:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]
            self._events.append(said)

    def js(self, expression: str) -> Any:
        """The value of an expression, evaluated under the page's own policy.

        Raises:
            AssertionError: it threw.
        """
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True,
            allowUnsafeEvalBlockedByCSP=False,
        )  # fmt: skip
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until its charts are drawn."""
        # To go to the address that is shown would only be a jump within the page.
        self.call("Page.navigate", url="about:blank")
        self._events.clear()
        self.call("Page.navigate", url=path.as_uri() + (f"#{fragment}" if fragment else ""))
        self.wait("document.documentElement?.dataset.drawn ?? ''")

    def wait(self, expression: str) -> Any:
        """Wait until an expression is true; its value."""
        end = time.monotonic() + _PATIENCE
        while not (value := self.js(expression)):
            assert time.monotonic() < end, f"{expression} did not come true. {self.complaints()}"
            time.sleep(0.03)
        return value

    def choose(self, period: str, scope: str) -> None:
        """Choose a period and an account by the page's own lists, and wait for its charts."""
        self.js(
            "delete document.documentElement.dataset.drawn;"
            f"document.getElementById('period').value = {json.dumps(period)};"
            f"document.getElementById('account').value = {json.dumps(scope)};"
            "document.getElementById('account').dispatchEvent(new Event('change'))"
        )
        drawn = self.wait("document.documentElement.dataset.drawn ?? ''")
        assert drawn == f"{period} {scope}"

    def texts(self, selector: str) -> list[str]:
        """The text of each element, spaces as plain ones."""
        found = self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)"
        )
        return [" ".join(text.split()) for text in found]

    def text(self, selector: str) -> str:
        """The text of the only such element."""
        (found,) = self.texts(selector)
        return found

    def rows(self, selector: str) -> list[list[str]]:
        """The cells of the body of a table."""
        rows = self.js(
            f"[...document.querySelectorAll({json.dumps(selector + ' tbody tr')})]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent))"
        )
        return [[" ".join(cell.split()) for cell in row] for row in rows]

    def size(self, width: int, height: int) -> None:
        """Make the window another size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip

    def prefer(self, scheme: str, medium: str = "") -> None:
        """Have the system prefer a light or dark scheme, on the screen or another medium."""
        self.call(
            "Emulation.setEmulatedMedia",
            media=medium,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def picture(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """Everything the console has: errors, warnings, what the policy blocked."""
        self.js("0")  # what was said until now has come by then
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self._events if event["method"] in kinds]

    def requests(self) -> list[str]:
        """Every address asked for."""
        self.js("0")
        return [
            event["params"]["request"]["url"]
            for event in self._events
            if event["method"] == "Network.requestWillBeSent"
        ]


class Browser:
    """A running Chromium."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._host = address.split("/devtools/")[0]

    @contextmanager
    def page(self, width: int = 1280, height: int = 800) -> Iterator[Page]:
        """A new page in a profile of its own."""
        with connect(self._address, max_size=None) as socket:
            call = _caller(socket)
            context = call("Target.createBrowserContext")["browserContextId"]
            target = call("Target.createTarget", url="about:blank", browserContextId=context)
            address = f"{self._host}/devtools/page/{target['targetId']}"
            with connect(address, max_size=None) as own:
                page = Page(own)
                page.size(width, height)
                yield page
            call("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; it ends with the block."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port, path = _address_in(Path(profile) / "DevToolsActivePort", process)
            yield Browser(f"ws://127.0.0.1:{port}{path}")
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _caller(socket: Connection) -> Callable[..., dict[str, Any]]:
    def call(method: str, **parameters: Any) -> dict[str, Any]:
        socket.send(json.dumps({"id": 1, "method": method, "params": parameters}))
        while True:
            said = json.loads(socket.recv(timeout=_PATIENCE))
            if said.get("id") == 1:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]

    return call


def _address_in(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """The port and path Chromium writes once it listens."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, "Chromium did not start."
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise AssertionError("Chromium does not listen.")
