"""The dashboard of a study, served by this process while a test asks it."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from skiplab.analysis.page.dashboard import application, local_socket
from skiplab.analysis.page.served_page import ServedPage


class Served:
    """What a server answers at its port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), answer.headers
        connection.close()
        return found

    @property
    def version(self) -> str:
        return json.loads(self.ask("/version")[1])["version"]

    def page_after(self, version: str) -> str:
        """The page that follows a version."""
        for _ in range(600):
            if self.version != version:
                return self.ask("/")[1]
            time.sleep(0.1)
        raise TimeoutError("the page never changed")


@contextmanager
def served(
    runs_dir: Path,
    claims: Path | None = None,
    progress: Callable[[], str] = lambda: "half of it is done",
    known_port: int | None = None,
) -> Iterator[Served]:
    """The study 's' of a runs folder, looked at many times a second.

    known_port: the port that the server takes for its own; None for the one that it has.
    """
    page = ServedPage("s", runs_dir, claims, progress, look_every_seconds=0.05)
    loop, bound = asyncio.new_event_loop(), local_socket(0)
    port = bound.getsockname()[1]
    runner = web.AppRunner(application(page, known_port or port))

    async def begin() -> None:
        await runner.setup()
        await web.SockSite(runner, bound).start()

    loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Served(port)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()
