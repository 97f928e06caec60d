"""What requests say, checked: nothing of a request is used before it went through here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from .. import facs
from ..errors import InputError
from .guard import Refused
from .service import SIZES, Shape
from .visitors import Sitter, Visitor

MAX_SHOWN_NAME = 80


def sitter_of(visitor: Visitor) -> Sitter:
    if visitor.sitter is None:
        raise Refused(409, "there is no face yet; choose a photo or draw a person")
    return visitor.sitter


def name_of(request: Request, default: str) -> str:
    """The name of an uploaded file, for messages, recipes and downloads; never opened."""
    last = re.split(r"[/\\]", request.query_params.get("name", ""))[-1]
    name = "".join(c for c in last if c.isprintable())[-MAX_SHOWN_NAME:].strip()
    return name if name.strip(".") else default


def descriptor_of(asked: Mapping[str, Any]) -> facs.Descriptor:
    """The Action Units of a request, checked by the library."""
    given = asked.get("au", {})
    if not isinstance(given, dict) or len(given) > 2 * len(facs.CODES):
        raise InputError("au: expected an object like {AU12: 0.8}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in given.values()):
        raise InputError("au: intensities are numbers")
    return facs.check(given)


def flag(asked: Mapping[str, Any], key: str) -> bool:
    """True or false; false where it is not said."""
    value = asked.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{key}: expected true or false")
    return value


def shape_of(asked: Mapping[str, Any], sitter: Sitter) -> Shape:
    paste = flag(asked, "paste")
    if paste and sitter.photo is None:
        raise InputError("only a face from a photo can be put back into one; choose the crop")
    return Shape(paste, one_of({"longest": 0, **asked}, "longest", SIZES))


def whole(asked: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = asked.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{key}: expected a whole number from {low} to {high}")
    return value


def one_of(asked: Mapping[str, Any], key: str, known: Any) -> Any:
    value = asked.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value not in known:
        raise InputError(f"{key}: expected one of {', '.join(map(str, known))}")
    return value
