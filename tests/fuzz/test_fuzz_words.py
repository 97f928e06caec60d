"""What is written on a command line: Action Units, expressions, numbers, rates, times."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from fuzzed import cases, number_texts, numbers, odd, odd_texts, short_texts, taken
from hypothesis import given
from hypothesis import strategies as st

from duchenne import facs
from duchenne.errors import InputError
from duchenne.motion.easing import find_easing
from duchenne.motion.timeline import MAX_FPS, as_seconds, frame_rate, from_descriptor
from duchenne.reading import numbers as strict
from duchenne.reading import texts

names = st.sampled_from((*facs.CODES, "AU12L", "AU46R", "12", "au6", *facs.EXPRESSIONS)) | odd_texts
joints = st.sampled_from((",", "=", ":", "+", " ", ";", "", "/"))
phrases = st.lists(st.tuples(names | number_texts | short_texts, joints), max_size=6).map(
    lambda parts: "".join(a + b for a, b in parts)
)
READERS = (facs.parse, facs.parse_vector, facs.expression, facs.named, facs.units)


@cases(600)
@given(st.sampled_from(READERS), phrases | odd_texts)
def test_expressions(read: Any, text: str) -> None:
    descriptor = taken(read, text)
    if descriptor is None or read is facs.units:
        return
    for code, value in descriptor.items():
        assert facs.split_side(code)[0] in facs.CODES
        assert 0 <= value <= 1


@cases(150)
@given(st.lists(st.tuples(names, number_texts, number_texts, number_texts), max_size=3))
def test_sweeps(parts: list[tuple[str, ...]]) -> None:
    found = taken(facs.sweep, ",".join(f"{a}={b}:{c}:{d}" for a, b, c, d in parts))
    if found is not None:
        assert 2 <= found[2] <= facs.MOST_STEPS + 1


@cases(300)
@given(odd | number_texts | numbers, st.floats(-10, 10), st.floats(-10, 10))
def test_numbers(value: Any, low: float, high: float) -> None:
    found = taken(strict.number, "x", value, low, high)
    assert found is None or (low <= found <= high and math.isfinite(found))
    count = taken(strict.whole, "x", value)
    assert count is None or 0 <= count <= strict.MOST_WHOLE
    rate = taken(frame_rate, value)
    assert rate is None or (isinstance(rate, Fraction) and 0 < rate <= MAX_FPS)
    seconds = taken(as_seconds, "x", value)
    assert seconds is None or 0 <= seconds <= 86_400
    taken(find_easing, value)


@cases(100)
@given(odd | st.integers(-3, 200), odd | number_texts, odd | st.sampled_from(("linear", "natural")))
def test_ramps(frames: Any, fps: Any, easing: Any) -> None:
    if not isinstance(frames, int) or isinstance(frames, bool):
        frames = 2
    found = taken(from_descriptor, {"AU12": 1.0}, frames=frames, fps=fps, easing=easing)
    assert found is None or len(found) == frames


@cases(150)
@given(st.text(max_size=200) | st.text("[]{}\"'=.,#0123456789abnult-_ \n", max_size=200))
def test_syntax(text: str) -> None:
    assert isinstance(taken(texts.parse_toml, text, "x"), dict | None)
    taken(texts.parse_json, text, "x")
    try:
        for _ in texts.csv_cells(text.splitlines(keepends=True), "x"):
            pass
    except InputError:
        pass
