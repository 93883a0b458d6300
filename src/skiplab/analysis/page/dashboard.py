"""`skiplab dashboard`: serves the page of a running study to this machine only."""

import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_ADDRESS = "127.0.0.1"
_PORT_OF_HTTP = 80
_SECONDS_TO_END = 1.0  # that answers under way have when the server is stopped
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page's own policy says the rest
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def dashboard_command(
    study_name: str,
    runs_dir: Path,
    claims_path: Path | None,
    port: int,
    progress: Callable[[], str],
    *,
    selection: Selection = NO_SELECTION,
    open_browser: bool = False,
    console: Console | None = None,
) -> None:
    """Serve a study's page until a signal stops the server.

    Args:
        study_name: the study to show.
        runs_dir: the folder of its records.
        claims_path: a claims file, which is registered for the study; None: the registered one, if any.
        port: of this machine; 0: any free one.
        progress: says in one line how many trials are done, running, failed and left.
        selection: what the page compares.
        open_browser: whether to open the page in a browser.
        console: receives the address; None: the terminal.

    Raises:
        SkiplabError: if the study or the claims file can't be read, the port is taken, or aiohttp is missing.
    """
    try:
        from aiohttp import web
    except ImportError:
        raise SkiplabError("the dashboard needs the package aiohttp; install it with: pip install aiohttp") from None
    page = ServedPage(study_name, runs_dir, claims_path, progress, selection)
    with local_socket(port) as bound:
        port = bound.getsockname()[1]
        address = f"http://{_ADDRESS}:{port}/"
        text = f"study {printable(study_name)} at {address} until Ctrl-C"
        (console or terminal.console()).print(text, markup=False, highlight=False, soft_wrap=True)
        if open_browser:
            webbrowser.open(address)
        server = application(page, port)
        web.run_app(server, sock=bound, print=None, access_log=None, shutdown_timeout=_SECONDS_TO_END)


def application(page: ServedPage, port: int) -> Any:
    """The server: `/` is the page, `/version` its version and the study's progress.

    Requests that name another host are refused, so that a foreign page can't read this one (DNS rebinding).
    """
    from aiohttp import web

    hosts = {f"{name}:{port}" for name in (_ADDRESS, "localhost")}
    if port == _PORT_OF_HTTP:  # which browsers leave out
        hosts |= {_ADDRESS, "localhost"}

    @web.middleware
    async def only_for_us(request: Any, handler: Any) -> Any:
        if request.host not in hosts:
            raise web.HTTPForbidden(text=f"this server answers to {_ADDRESS}:{port} only\n")
        return await handler(request)

    async def add_headers(_: Any, response: Any) -> None:
        response.headers.update(_HEADERS)

    async def show(_: Any) -> Any:
        page.look_soon()
        return web.Response(text=page.shown.html, content_type="text/html")

    async def tell_version(_: Any) -> Any:
        page.look_soon()
        return web.json_response({"version": page.shown.version, "progress": page.progress})

    server = web.Application(middlewares=[only_for_us])
    server.on_response_prepare.append(add_headers)
    server.router.add_get("/", show, allow_head=False)
    server.router.add_get("/version", tell_version, allow_head=False)
    return server


def local_socket(port: int) -> socket.socket:
    """A socket that listens at a port of this machine; other machines can't reach it.

    Raises:
        SkiplabError: if the port isn't available.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just let go is free
    try:
        bound.bind((_ADDRESS, port))
        bound.listen()  # who reads the address may ask at once
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        raise SkiplabError(
            f"can't serve at port {port}: {reason}; choose another one with --port, or a free one with --port 0"
        ) from None
    return bound
