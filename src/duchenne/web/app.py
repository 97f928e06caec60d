"""The web page as an ASGI application, and the server that runs it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from ..animate import Studio
from ..encoding.cache import EncodeCache
from ..encoding.settings import EncodeSettings
from ..errors import DuchenneError, InputError
from .connections import Crowd
from .guard import Guard, Passes, Refused, refusal
from .jobs import Busy, Job, Queue
from .routes import Routes
from .service import Service, Superseded
from .settings import Access, Limits
from .visitors import Visitors

log = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0


def create_app(
    studio: Studio | None = None,
    access: Access | None = None,
    limits: Limits | None = None,
    *,
    settings: EncodeSettings | None = None,
    warm: bool = True,
) -> Starlette:
    """The page around one `duchenne.Studio`.

    studio: None makes one with `settings`; it keeps codes in the library's cache, or, where others
        can connect, in a folder that is deleted when the server stops.
    warm: load and compile everything at the start.
    """
    access, limits = access or Access(), limits or Limits()
    visitors = Visitors(limits.visitors, limits.idle_seconds, share=limits.visitors_per_address)
    if studio is None:
        # A code is a portrait of sorts: those of strangers are not kept.
        cache = None if access.local else EncodeCache(visitors.root / "codes")
        studio = Studio(settings=settings, cache=cache)
    service = Service(studio, limits)
    queue = Queue(
        limits.waiting,
        partial(_without_paths, visitors.root),
        share=limits.waiting_per_address,
    )
    passes = Passes(access.password, access.token)
    routes = Routes(service, queue, visitors, passes, limits)
    app = Starlette(
        routes=routes.table(),
        middleware=[Middleware(Guard, access=access, passes=passes)],
        exception_handlers=_handlers(visitors.root),
        lifespan=partial(_lifespan, service, queue, visitors, warm),
    )
    app.router.redirect_slashes = False  # what is not there leads nowhere else
    app.state.visitors, app.state.service, app.state.limits = visitors, service, limits
    return app


@contextlib.asynccontextmanager
async def _lifespan(
    service: Service, queue: Queue, visitors: Visitors, warm: bool, app: Starlette
) -> AsyncIterator[None]:
    """The queue and the sweeping run as long as the server; all files go with it."""
    queue.start()
    if warm:

        def warm_up(job: Job) -> dict[str, Any]:
            job.enter("warming up")
            service.warm_up()
            return {}

        queue.submit(Job("warm-up", warm_up))
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_sweep, visitors)
            yield
            tasks.cancel_scope.cancel()
    finally:
        visitors.close()
        queue.close()


async def _sweep(visitors: Visitors) -> None:
    while True:
        await anyio.sleep(SWEEP_SECONDS)
        await anyio.to_thread.run_sync(visitors.sweep)


def _without_paths(root: Path, error: Exception) -> str:
    """A message of the library without the server's folders in it."""
    text = str(error)
    for folder in (*root.glob("*/"), root):
        text = text.replace(f"{folder}{os.sep}", "")
    return text


def _handlers(root: Path) -> dict[Any, Callable[[Request, Any], Response]]:
    """How each kind of error is answered: always as JSON, always one line."""

    def refused(request: Request, error: Refused) -> Response:
        return refusal(error.status, str(error))

    def busy(request: Request, error: Busy) -> Response:
        return refusal(429, str(error))

    def superseded(request: Request, error: Superseded) -> Response:
        return Response(status_code=204)

    def user(request: Request, error: DuchenneError) -> Response:
        return refusal(422, _without_paths(root, error))

    def http(request: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, error.detail)

    def bug(request: Request, error: Exception) -> Response:
        return refusal(500, "something went wrong here; it is in the server's log")

    return {
        Refused: refused,
        Busy: busy,
        Superseded: superseded,
        DuchenneError: user,
        HTTPException: http,
        Exception: bug,
    }


def listen(app: Starlette, access: Access) -> tuple[uvicorn.Server, socket.socket]:
    """A server, not yet running, and the socket it listens on (port 0 takes a free one).

    Raises InputError if the address cannot be used.
    """
    limits: Limits = app.state.limits
    config = uvicorn.Config(
        app,
        http=Crowd(limits).protocol,  # type: ignore[arg-type]  # what makes one will do
        host=access.host,
        port=access.port,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(limits.pause_seconds),
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=16_384,
    )
    try:
        listening = config.bind_socket()
    except SystemExit:  # what uvicorn does where an address is taken
        raise InputError(
            f"{access.host}:{access.port} cannot be used; is it running there already? "
            "Another --port may be free"
        ) from None
    listening.listen(config.backlog)  # who comes before the server runs waits, and is not refused
    return uvicorn.Server(config), listening


def serve(app: Starlette, access: Access, ready: Callable[[int], None]) -> None:
    """Run until interrupted. ready: called with the port once it listens. Errors: see `listen`."""
    server, listening = listen(app, access)
    with listening:
        ready(listening.getsockname()[1])
        server.run(sockets=[listening])
