"""Connections that cannot be kept from others: time limits, and a share for each address.

A client that says nothing, half a request, or a body byte by byte costs nothing but its place. So
places have time limits, and when an address has its share of them, or all are taken, the least
promising one is closed for the next client. Whoever is being answered is left alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .guard import client_of, refusal
from .settings import Limits

LINGER_SECONDS = 2.0  # for the rest of a body whose answer does not wait for it


class Crowd:
    """All connections of one server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[Connection] = set()

    def protocol(self, **given: Any) -> Connection:
        """What uvicorn makes for each connection."""
        return Connection(self, **given)

    def enter(self, fresh: Connection) -> bool:
        """Take a connection in, perhaps instead of another; False if there is no room."""
        share = Counter(other.address for other in self._open)
        near = [other for other in self._open if other.address == fresh.address]
        room = True
        if len(near) >= self.limits.connections_per_address:
            room = self._close_one(near)
        elif len(self._open) >= self.limits.connections:
            largest = max(share.values())
            room = self._close_one([c for c in self._open if share[c.address] == largest])
        if room:
            self._open.add(fresh)
        return room

    def leave(self, gone: Connection) -> None:
        self._open.discard(gone)

    def _close_one(self, among: list[Connection]) -> bool:
        ranked = [(rank, i) for i, c in enumerate(among) if (rank := c.expendable()) is not None]
        if not ranked:
            return False
        worst = among[min(ranked)[1]]
        self.leave(worst)
        worst.transport.abort()
        return True


class Connection(H11Protocol):
    """Uvicorn's, with time limits for a request's head, a pause, and an answer nobody takes."""

    def __init__(self, crowd: Crowd, **given: Any) -> None:
        super().__init__(**given)
        self._crowd, self._limits = crowd, crowd.limits
        self.address = ""
        self._since = time.monotonic()  # the present request, or the pause before it, began
        self._received = self._answered = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def expendable(self) -> tuple[int, float] | None:
        """How little is lost with this connection, the least first; None if too much.

        First those that have not made one request, then those in a pause, the longest first; then
        bodies, the slowest first.
        """
        if not self._busy:
            return (int(self._answered > 0), self._since)
        if self.cycle.more_body:
            return (2, self._received / max(1e-3, time.monotonic() - self._since))
        return None

    # What the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = client_of(self.client[0] if self.client else "")
        if self._crowd.enter(self):
            self._arm(self._limits.head_seconds)
        else:
            self._answer(503, "too many connections; come back in a moment")

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self)
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._busy and self._deadline is None:  # a pause ends
            self._begin(self._limits.head_seconds)
        self._received += len(data)
        super().data_received(data)
        if self._busy:
            self._disarm()

    def on_response_complete(self) -> None:
        self._answered += 1
        rest = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if self.transport.is_closing() or self._busy:
            return
        self._disarm()
        self._since, self._received = time.monotonic(), 0
        if rest:
            self._begin(LINGER_SECONDS)

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        self.flow.resume_writing()

    # Time limits

    def _begin(self, seconds: float) -> None:
        self._since, self._received = time.monotonic(), 0
        self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._received and self.conn.our_state is h11.IDLE:
            self._answer(408, "too slow: the request did not come")
        else:
            self.transport.close()

    # Answers to what is no request

    def send_400_response(self, msg: str) -> None:
        self._answer(400, "not an HTTP request")

    def _answer(self, status: int, message: str) -> None:
        """One line to a client whose request the page never sees."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._busy:
            body = bytes(refusal(status, message).body)
            head = f"HTTP/1.1 {status} {message.partition(':')[0]}\r\nconnection: close\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()
