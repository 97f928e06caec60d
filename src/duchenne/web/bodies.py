"""What is sent to the page: read whole, within limits of size and of time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request

from .guard import Refused
from .settings import Limits

PART = 1_000_000  # bytes that are written at once


async def body_of(request: Request, most: int, limits: Limits) -> bytes:
    """The body of a request, refused as soon as it is known to be too long or too slow."""
    parts: list[bytes] = []

    async def take(part: bytes) -> None:
        parts.append(part)

    await _receive(request, most, limits, take)
    return b"".join(parts)


async def save_body(request: Request, path: Path, most: int, limits: Limits) -> None:
    """Write a request's body to a file part by part, in a thread: a disk may be slow.

    Memory holds one part. See `body_of`.
    """
    waiting = bytearray()
    file = await anyio.to_thread.run_sync(path.open, "xb")

    async def take(part: bytes) -> None:
        waiting.extend(part)
        if len(waiting) >= PART:
            await write()

    async def write() -> None:
        content = bytes(waiting)
        waiting.clear()
        await anyio.to_thread.run_sync(file.write, content)

    try:
        try:
            await _receive(request, most, limits, take)
            await write()
        finally:
            file.close()
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def _receive(
    request: Request, most: int, limits: Limits, take: Callable[[bytes], Awaitable[None]]
) -> None:
    told = request.headers.get("content-length", "0")
    length = int(told) if told.isascii() and told.isdigit() and len(told) <= 20 else None
    if length is None or length > most:
        raise Refused(413, f"too large: {_size(length)}, at most {_size(most)}")
    size, start = 0, time.monotonic()
    parts = request.stream()
    while True:
        # Whoever sends steadily has all the time; who stalls is let go after the patience.
        allowed = min(limits.upload_seconds, limits.patience + size / limits.slowest_body)
        try:
            async with asyncio.timeout(start + allowed - time.monotonic()):
                part = await anext(parts, None)
        except TimeoutError:
            raise Refused(
                408, f"too slow: {size} bytes in {time.monotonic() - start:.0f} s"
            ) from None
        except ClientDisconnect:
            raise Refused(400, "the request broke off") from None
        if part is None:
            return
        size += len(part)
        if size > most:
            raise Refused(413, f"too large: at most {_size(most)}")
        await take(part)


def _size(count: int | None) -> str:
    return "unknown size" if count is None else f"{count / 1e6:.1f} MB"


async def json_of(request: Request, limits: Limits) -> dict[str, Any]:
    """The JSON object in a request's body."""
    body = await body_of(request, limits.json_bytes, limits)
    try:
        content = json.loads(body or b"{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Refused(400, "not JSON") from None
    if not isinstance(content, dict):
        raise Refused(400, "expected a JSON object")
    return content


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
