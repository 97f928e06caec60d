"""What a request must be before anything else looks at it, and what every answer carries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Access

# A page of another site can make a browser send a request here, but not with this header: that
# takes a permission (CORS) which nobody gets.
HEADER = "x-duchenne-studio"
SAFE = ("GET", "HEAD")
PASS_COOKIE = "duchenne_pass"
PASS_SECONDS = 12 * 3600
WRONG_PASSWORD_SECONDS = 1.0  # each wrong password holds up the next attempt of anyone
OPEN_PATHS = ("/login", "/page/studio.css", "/page/login.js", "/page/icon.svg")

ANSWER_HEADERS = {
    # Everything comes from here; nothing is inline; nobody may frame the page.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Refused(Exception):
    """The answer to a refused request: an HTTP status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


# ---------------------------------------------------------------- who asks


def name_of(host: str) -> str:
    """The name or address in a Host header, without the port and IPv6 brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def known_host(host: str, access: Access) -> bool:
    """Whether a Host header names this server.

    DNS rebinding needs a name that the attacker's own DNS answers; an address cannot be rebound. So
    addresses are fine, and of names only localhost and those that the user gave.
    """
    name = name_of(host)
    if name in ("localhost", access.host.lower(), *(n.lower() for n in access.names)):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_site(headers: Headers, method: str) -> bool:
    """Whether a request that changes something, or fetches data, comes from this page."""
    site = headers.get("sec-fetch-site")
    if method in SAFE:
        return site in (None, "same-origin", "none")
    origin = headers.get("origin")
    own = origin is None or origin.partition("://")[2] == headers.get("host")
    return own and site in (None, "same-origin") and HEADER in headers


class Guard:
    """ASGI middleware: checks the host, the origin and the password; adds the headers."""

    def __init__(self, app: ASGIApp, access: Access, passes: Passes) -> None:
        self._app, self._access, self._passes = app, access, passes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refuse(Request(scope)) or self._app
        await answer(scope, receive, send_guarded)

    def _refuse(self, request: Request) -> Response | None:
        """The answer to a request that goes no further; None for the others."""
        host, path = request.headers.get("host", ""), request.url.path
        if not known_host(host, self._access):
            return refusal(421, f"this server is not {name_of(host)[:80]}; see --allow-host")
        page = path in ("/", "/login")  # where links of other sites may lead
        if not (page and request.method in SAFE) and not same_site(request.headers, request.method):
            return refusal(403, "only this server's own page may ask this")
        if path in OPEN_PATHS or self._passes.valid(request.cookies.get(PASS_COOKIE)):
            return None
        return RedirectResponse("/login", 303) if path == "/" else refusal(401, "log in first")


class Passes:
    """The password, and the cookies of those who knew it."""

    def __init__(self, password: str | None) -> None:
        self.needed = password is not None
        self._digest = _digest(password or "")
        self._until: dict[str, float] = {}
        self._one_at_a_time = asyncio.Lock()

    def valid(self, cookie: str | None) -> bool:
        if not self.needed:
            return True
        return cookie is not None and self._until.get(_digest(cookie), 0.0) > time.monotonic()

    async def admit(self, password: str) -> str | None:
        """A new cookie for the right password, after a pause None for a wrong one."""
        async with self._one_at_a_time:
            if not (self.needed and hmac.compare_digest(_digest(password), self._digest)):
                await asyncio.sleep(WRONG_PASSWORD_SECONDS)
                return None
        now = time.monotonic()
        self._until = {key: until for key, until in self._until.items() if until > now}
        cookie = secrets.token_urlsafe(32)
        # By digest: finding it takes no longer the more of it was guessed.
        self._until[_digest(cookie)] = now + PASS_SECONDS
        return cookie


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


# ---------------------------------------------------------------- what is sent


async def body_of(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, refused as soon as it is known to be too long or too slow."""
    parts: list[bytes] = []
    await _receive(request, most, seconds, parts.append)
    return b"".join(parts)


async def save_body(request: Request, path: Path, most: int, seconds: float) -> None:
    """Write a request's body to a file part by part; memory holds one part. See `body_of`."""
    with path.open("xb") as file:
        try:
            await _receive(request, most, seconds, file.write)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


async def _receive(request: Request, most: int, seconds: float, take: Any) -> None:
    told = request.headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()) or int(told) > most:
        raise Refused(413, f"too large: {_size(told)}, at most {_size(str(most))}")
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refused(413, f"too large: at most {_size(str(most))}")
                take(part)
    except TimeoutError:
        raise Refused(408, f"too slow: nothing complete came within {seconds:g} s") from None


def _size(count: str) -> str:
    return f"{int(count) / 1e6:.1f} MB" if count.isascii() and count.isdigit() else "unknown size"


async def json_of(request: Request, most: int, seconds: float) -> dict[str, Any]:
    """The JSON object in a request's body."""
    body = await body_of(request, most, seconds)
    try:
        content = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "not JSON") from None
    if not isinstance(content, dict):
        raise Refused(400, "expected a JSON object")
    return content
