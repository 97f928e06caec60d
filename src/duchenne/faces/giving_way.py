"""Long searches let others go first, if whoever began them has said how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_REST: ContextVar[Callable[[], None] | None] = ContextVar("_REST", default=None)


def give_way() -> None:
    """Called between the steps of long work on faces."""
    rest = _REST.get()
    if rest is not None:
        rest()


@contextmanager
def giving_way(rest: Callable[[], None]) -> Iterator[None]:
    """`rest` is called between the steps of what is done in the block by this thread."""
    token = _REST.set(rest)
    try:
        yield
    finally:
        _REST.reset(token)
