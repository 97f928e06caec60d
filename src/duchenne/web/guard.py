"""What a request must be before anything else looks at it, and what every answer carries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import quoted
from .settings import Access

# A page of another site can make a browser send a request here, but not with this header, nor with
# a token: that takes a permission (CORS) which nobody gets.
HEADER = "x-duchenne-studio"
# The version of what programs may rely on; docs/openapi.yaml has it, docs/http.md what it promises.
API_HEADER, API_VERSION = "x-duchenne-api", "1"
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
    API_HEADER: API_VERSION,
}


class Refused(Exception):
    """The answer to a refused request: an HTTP status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refusal(status: int, message: str) -> JSONResponse:
    # Half a character pair, as JSON can hold one, cannot be sent back.
    return JSONResponse({"error": message.encode(errors="replace").decode()}, status)


# ---------------------------------------------------------------- who asks


_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


def name_of(host: str) -> str:
    """The name or address in a Host header, without the port and IPv6 brackets; "" if malformed."""
    parts = _HOST.fullmatch(host)
    return "" if parts is None else (parts[1] or parts[2]).lower()


def known_host(host: str, access: Access) -> bool:
    """Whether a Host header names this server.

    DNS rebinding needs a name that the attacker's own DNS answers; an address cannot be rebound. So
    addresses are fine, and of names only localhost and those that the user gave.
    """
    name = name_of(host)
    if not name:
        return False
    if name in ("localhost", access.host.lower(), *_given(access)):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _given(access: Access) -> list[str]:
    return [name.lower() for name in access.names]


def bearer_of(request: Request) -> str | None:
    """The token of a program, `Authorization: Bearer TOKEN`; None without one.

    Other schemes are a proxy's business. Two such headers are a wrong token.
    """
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        return ""
    scheme, _, token = (given or [""])[0].partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def same_site(request: Request, access: Access) -> bool:
    """Whether a request that changes something, or fetches data, comes from this page or a program.

    An origin is a scheme, a name and a port. A proxy that adds TLS shows browsers https where we
    see http; it has a name of its own (`Access.names`).
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if request.method in SAFE:
        return site in (None, "same-origin", "none")
    host = headers.get("host", "").lower()
    own = [f"{request.scope['scheme']}://{host}"]
    if name_of(host) in _given(access):
        own.append(f"https://{host}")
    origin = headers.get("origin")
    marked = HEADER in headers or bearer_of(request) is not None
    return origin in (None, *own) and site in (None, "same-origin") and marked


def whose(request: Request) -> str:
    """Whose share a request takes: see `client_of`."""
    return client_of(request.client.host if request.client else "")


def client_of(address: str) -> str:
    """Who counts as one client: an IPv4 address, or the network of an IPv6 one."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        known = known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False).network_address
    return str(known)


class Guard:
    """ASGI middleware: checks the host, the origin, and who asks; adds the headers."""

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
        host, path = request.headers.get("host", ""), request.scope["path"]
        if not path.startswith("/"):
            return refusal(400, "the path of a request begins with /")
        if {"content-length", "transfer-encoding"} <= {*request.headers.keys()}:
            # A proxy may see another request in the rest than this server does.
            answer = refusal(400, "a body has one length: content-length or transfer-encoding")
            answer.headers["connection"] = "close"
            return answer
        if not known_host(host, self._access):
            name = name_of(host) or "what the Host header says"
            return refusal(421, f"this server is not {name[:80]}; see --allow-host")
        page = path in ("/", "/login")  # where links of other sites may lead
        if not (page and request.method in SAFE) and not same_site(request, self._access):
            return refusal(403, "only this server's own page and programs may ask this")
        wanted = request.headers.getlist(API_HEADER) or [API_VERSION]
        if wanted != [API_VERSION]:
            asked = quoted(", ".join(wanted), most=20, bare=True)
            return refusal(400, f"{API_HEADER}: this server speaks {API_VERSION}, not {asked}")
        token = bearer_of(request)
        if path in OPEN_PATHS or self._passes.knows(token, request.cookies.get(PASS_COOKIE)):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        answer = refusal(401, "log in first" if token is None else "that is not the server's token")
        answer.headers["www-authenticate"] = "Bearer"  # browsers ask nobody for such a one
        return answer


class Passes:
    """The password, the cookies of those who knew it, and the token of programs."""

    def __init__(self, password: str | None, token: str | None = None) -> None:
        self.needed = password is not None or token is not None
        self._digest = None if password is None else _digest(password)
        self._token = None if token is None else _digest(token)
        self._until: dict[str, float] = {}
        self._one_at_a_time = asyncio.Lock()

    def knows(self, token: str | None, cookie: str | None) -> bool:
        """Whether one may come in: by the token if there is one, else by the cookie."""
        if not self.needed:
            return True
        if token is not None:
            known = self._token is not None
            return known and hmac.compare_digest(_digest(token), self._token or "")
        return cookie is not None and self._until.get(_digest(cookie), 0.0) > time.monotonic()

    async def admit(self, password: str) -> str | None:
        """A new cookie for the right password, after a pause None for a wrong one."""
        async with self._one_at_a_time:
            known = self._digest is not None
            if not (known and hmac.compare_digest(_digest(password), self._digest or "")):
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
