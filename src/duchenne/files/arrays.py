"""What the numbers of a file must be before anything is worked out with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


@dataclass(frozen=True)
class Expected:
    """One array of a file.

    shape: a number for each axis; a letter stands for any length from 1 to `longest`, the same one
    wherever the letter occurs. low, high: the plausible range, both included: far beyond what any
    file that this program wrote holds, near enough that no number in it makes an edit nothing, its
    opposite, or an overflow. kind: "f" floating point, "i" whole numbers. needed: a file without it
    is refused.
    """

    shape: tuple[int | str, ...]
    low: float = -math.inf
    high: float = math.inf
    kind: str = "f"
    needed: bool = True
    longest: int = 10_000


def check(
    tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, Expected], path: Path, what: str
) -> None:
    """InputError, naming file and array, for the first one that is not as expected.

    what: what the file should be, for the message. Arrays that are not expected are not looked at.
    """
    lengths: dict[str, int] = {}
    for name, wanted in expected.items():
        if name not in tensors:
            if wanted.needed:
                raise InputError(f"{path}: expected {what}, but `{name}` is missing")
            continue
        array = tensors[name]
        if not _fits(array.shape, wanted, lengths):
            shown = ", ".join(str(lengths.get(str(n), n)) for n in wanted.shape)
            raise InputError(
                f"{path}: expected {what}, but `{name}` has the shape {list(array.shape)[:8]}, not "
                f"[{shown}]"
            )
        if array.dtype.kind not in (wanted.kind, "u" if wanted.kind == "i" else wanted.kind):
            words = "floating-point" if wanted.kind == "f" else "whole"
            raise InputError(
                f"{path}: expected {what}, but `{name}` holds {array.dtype}, not {words} numbers"
            )
        if array.size and not (array.min() >= wanted.low and array.max() <= wanted.high):  # NaN
            seen = f"{float(array.min()):g} to {float(array.max()):g}"
            finite = bool(np.isfinite(array.astype(np.float64)).all())
            raise InputError(
                f"{path}: expected {what}, but `{name}` holds "
                f"{seen if finite else 'numbers that are not finite'}; it lies between "
                f"{wanted.low:g} and {wanted.high:g}"
            )


def _fits(shape: tuple[int, ...], wanted: Expected, lengths: dict[str, int]) -> bool:
    if len(shape) != len(wanted.shape):
        return False
    for length, known in zip(shape, wanted.shape, strict=True):
        if isinstance(known, str):
            known = lengths.setdefault(known, length) if 1 <= length <= wanted.longest else -1
        if length != known:
            return False
    return True
