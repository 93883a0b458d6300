"""A Chromium without a window, driven through its DevTools protocol."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SECONDS = 60  # to wait for an answer


class Browser:
    """One tab. complaints: what went to its console as an error, and what its pages threw."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop, self._socket, self._number, self._session = loop, socket, 0, None
        self.complaints: list[str] = []
        self._loaded = False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        session = {"sessionId": self._session} if self._session else {}
        self._loop.run_until_complete(self._socket.send_json(message | session))
        return self._until(lambda heard: heard.get("id") == self._number)["result"]

    def open(self, address: str) -> None:
        """Load a page, and wait until it has been."""
        self._loaded = False
        self.ask("Page.navigate", url=address)
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Wait until the page that is coming has been loaded."""
        if not self._loaded:
            self._until(lambda heard: heard.get("method") == "Page.loadEventFired")
        self._loaded = False

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, script: str) -> None:
        """Wait until an expression is true of the page, which may be loaded anew meanwhile."""
        for _ in range(_SECONDS * 10):
            with suppress(AssertionError):  # between two pages there is nothing to ask
                if self.run(script):
                    return
            time.sleep(0.1)
        raise TimeoutError(script)

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        named = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes[key]}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **named)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        box = f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()"
        found = self.run(f"(document.querySelector({selector!r}).scrollIntoViewIfNeeded(), {box})")
        place = {"x": found["x"] + found["width"] / 2, "y": found["y"] + found["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def look(self, *, width: int = 1280, height: int = 800, scheme: str = "light") -> None:
        """Set the size of the window and what the reader prefers."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def _until(self, wanted: Any) -> dict[str, Any]:
        while True:
            heard = self._loop.run_until_complete(asyncio.wait_for(self._socket.receive_json(), _SECONDS))
            self._note(heard)
            if wanted(heard):
                assert "error" not in heard, heard
                return heard

    def _note(self, heard: dict[str, Any]) -> None:
        said = heard.get("params", {})
        match heard.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "assert"):
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"a dialog: {said['message']}")


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that ends with the context; `profile` is a folder for it alone."""
    assert PROGRAM
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    options += ["--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        address = _address(profile / "DevToolsActivePort", process)
        session, socket = loop.run_until_complete(_connect(address))
        try:
            yield Browser(loop, socket)
        finally:
            loop.run_until_complete(_disconnect(session, socket))
    finally:
        loop.close()
        process.terminate()
        process.wait(_SECONDS)


def _address(path: Path, process: subprocess.Popen[bytes]) -> str:
    for _ in range(_SECONDS * 10):
        if path.exists() and len(lines := path.read_text().splitlines()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        assert process.poll() is None, "the browser ended at once"
        time.sleep(0.1)
    raise TimeoutError("the browser opened no port")


async def _connect(address: str) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    return session, await session.ws_connect(address, max_msg_size=0)


async def _disconnect(session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()
    await session.close()
