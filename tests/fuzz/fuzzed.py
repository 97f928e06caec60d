"""What the fuzzing tests share: how often, hostile values, files with something wrong in them."""

from __future__ import annotations

import json
import math
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from refusal import one_line

from duchenne.errors import DuchenneError

PLANNED = 5_800  # the sum of all `cases`, at most
USUAL = 3_500
WANTED = int(os.environ.get("DUCHENNE_FUZZ", USUAL))

SLOWEST = 10  # seconds of a case
LONG = 100_000
ODD_TEXTS = (
    "", " ", "\0", "\n", "\r\n", ",", ";", '"', "'", "=", "[", "{", "}", "%s", "-", "--", "nan",
    "NaN", "inf", "-inf", "1e999", "1e999999999", "-1e-999999999", "1_0", "1_0e-1", "١٢", "0x10",
    "½", "²", "1,5", "0,5", "1/0", "30000/1001", "9" * 20, "9" * 400, "9" * 5_000, "1" * 65,
    "-1", "0", "1", "2", "1e-300", "AU12", "au12", "AU12=0,5", "AU12=1,AU6L=0.5", "AU99", "AU46",
    "{identity.foo}", "{identity:>300000000}", "{0}", "../..", "/", "a/b", ".", "..", "~", "CON",
    "\ud800", "\u202e", "\x1b[31m", "é" * 300, "\U0001f600" * 62, "a" * LONG, "[" * 5_000,
    "[NaN]", "[1, 2", f"[[{'9' * 400}]]", "[[[]]]", "{}", "[[0.1, 0.2]]", "00:00:01:10.5",
    "True", "WAHR", "null", "hold", "natural", "zzz", "linear", "happiness", "anger:0.6",
)  # fmt: skip
ODD_NUMBERS = (
    0, 1, -1, 2, 24, 255, 256, 0.5, -0.0, 1e-300, 1e30, 3.4e38, 1e300, 2**31, 2**63 - 1, 2**63,
    2**70, 10**400, -(2**63), math.nan, math.inf, -math.inf, 86_400, 1e6,
)  # fmt: skip

odd_texts = st.integers(0, len(ODD_TEXTS) - 1).map(lambda i: ODD_TEXTS[i])  # a short repr
odd_numbers = st.sampled_from(ODD_NUMBERS)
short_texts = st.text(max_size=20)
numbers = st.floats() | st.integers(-(10**20), 10**20)
plain = st.none() | st.booleans() | odd_numbers | numbers | odd_texts | short_texts
odd = plain | st.lists(plain, max_size=4) | st.dictionaries(short_texts, plain, max_size=3)
number_texts = odd_texts | odd_numbers.filter(lambda n: n < 10**300 or n != n).map(str)
number_texts |= st.floats(0, 1).map(str) | st.text("0123456789.,eE+-_ /:", max_size=12)


def cases(count: int) -> Callable[[Any], Any]:
    """This share of the cases of all tests, which are `WANTED` together."""
    return settings(max_examples=math.ceil(count * WANTED / PLANNED))


@contextmanager
def bounded() -> Iterator[None]:
    """No hang: at most `SLOWEST` seconds of computing in all threads, on any busy machine."""
    start = time.process_time()
    yield
    assert time.process_time() - start < SLOWEST


def taken(call: Callable[..., Any], *given: Any, **more: Any) -> Any | None:
    """What the call gives; None where it refuses, in one line, what was given."""
    with bounded():
        try:
            return call(*given, **more)
        except DuchenneError as error:
            one_line(str(error))
            return None


# ---------------------------------------------------------------- bytes


@st.composite
def changed(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """The content with something wrong: bytes that differ, are gone, come twice, or are numbers."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 6)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                data[at : at + 4] = struct.pack(
                    draw(st.sampled_from(("<I", ">I"))),
                    draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 65_536))),
                )
            case 2:
                del data[at : at + draw(st.integers(1, 64))]
            case 3:
                data[at:at] = draw(st.binary(max_size=16))
            case 4:
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case 5:
                del data[at:]
            case 6:
                data[at : at + 8] = bytes(8)
    return bytes(data)


# ---------------------------------------------------------------- trees: JSON, TOML


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a tree of dictionaries and lists."""
    found = [path] if path else []
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            found += places(value, (*path, key))
    return found


@st.composite
def wrong(draw: st.DrawFn, tree: Any, values: st.SearchStrategy[Any] = odd, most: int = 2) -> Any:
    """A copy of the tree with other values, missing ones, or ones under other names."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, most))):
        known = places(tree)
        if not known:
            break
        *above, last = draw(st.sampled_from(known))
        parent = tree
        for key in above:
            parent = parent[key]
        match draw(st.integers(0, 5)):
            case 0:
                del parent[last]
            case 1 if isinstance(parent, dict):
                parent[draw(odd_texts | short_texts)] = parent[last]
            case _:
                parent[last] = draw(values)
    return tree


def toml(tree: dict[str, Any]) -> str:
    """A table as TOML, each entry on a line of its own."""
    return "".join(f"{_text(key)} = {_value(value)}\n" for key, value in tree.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return hex(value) if value > 2**64 else str(value)
    return '""' if value is None else repr(value)


def _text(text: str) -> str:
    return json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )


# ---------------------------------------------------------------- tables


@st.composite
def tables(draw: st.DrawFn, header: list[str], rows: list[list[str]]) -> bytes:
    """A table with other cells, names, separators and encodings, as bytes."""
    names, cells = list(header), [list(row) for row in rows]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from([names, *cells]))
        if row:
            place = draw(st.integers(0, len(row) - 1))
            match draw(st.integers(0, 5)):
                case 0:
                    del row[place]
                case 1:
                    row.insert(place, draw(number_texts))
                case 2:
                    row[place] = draw(st.sampled_from(header))
                case _:
                    row[place] = draw(number_texts | short_texts)
    separator = draw(st.sampled_from((",", ",", ",", ";", "\t")))
    end = draw(st.sampled_from(("\n", "\n", "\r\n", "\r", "\n\n")))
    quoted = draw(st.booleans())
    lines = [
        separator.join(f'"{c}"' if quoted or separator in c else c for c in row)
        for row in [names, *cells]
    ]
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")))
    content = end.join([*lines, ""]).encode(encoding, "replace")
    return draw(changed(content)) if draw(st.integers(0, 4)) == 0 else content
