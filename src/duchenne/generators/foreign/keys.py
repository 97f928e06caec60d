"""What may be a key of a dictionary, or a member of a set, in a file from outside."""

from __future__ import annotations

from typing import Any

from ...errors import WeightsError

PLAIN = (str, int, float, bool, bytes, type(None))  # their hashes run no code
LARGEST = 1 << 60
"""Of a whole number. Python's hash of it is the number modulo 2^61 - 1: larger ones can all share
one hash, and a dictionary of them takes time that grows with their square."""


def plain_key(key: Any) -> Any:
    """The key; WeightsError for what is no number or text, or too large a number."""
    if not isinstance(key, PLAIN):
        raise WeightsError(f"a {type(key).__name__} as a dictionary key or set member")
    if isinstance(key, int) and not -LARGEST < key < LARGEST:
        raise WeightsError("a whole number above 2^60 as a dictionary key or set member")
    return key
