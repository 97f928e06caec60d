"""What comes from outside: numbers of one strict form, texts within bounds, quoted in part."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import refusal

from duchenne import errors, facs
from duchenne.errors import DescriptorError, InputError
from duchenne.motion.timeline import frame_rate
from duchenne.reading import numbers, texts

NO_NUMBERS = [
    "",
    " ",
    "١٢",
    "1_0e-1",
    "1_0",
    "0x10",
    "1e9999",
    "1,5",
    "½",
    "²",
    "1e",
    "--1",
    "1 0",
    "1" * 65,
    None,
    True,
    [1],
    {},
    1j,
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.5", 0.5),
        (" 12 ", 12.0),
        ("-1e-3", -0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1", 1.0),
        (3, 3.0),
        (0.25, 0.25),
        (np.float32(0.5), 0.5),
        (Fraction(1, 4), 0.25),
        ("1e999", math.inf),
        ("inf", math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_numbers_of_the_strict_form(given: Any, expected: float) -> None:
    assert numbers.decimal(given) == expected


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_what_is_no_number(given: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        numbers.decimal(given)
    with pytest.raises(ValueError, match="number"):
        numbers.fraction(given)
    assert "frame rate" in refusal(InputError, frame_rate, given)
    assert "is not a number" in refusal(InputError, numbers.number, "x", given, 0, 1)
    assert "is not a whole number" in refusal(InputError, numbers.whole, "x", given)
    assert "is not a number" in refusal(DescriptorError, facs.check, {"AU12": given})


@pytest.mark.parametrize("given", ["nan", math.nan, "inf", "1e999", 1.5, -0.1, 10**400, "9" * 60])
def test_numbers_outside_their_bounds(given: Any) -> None:
    assert "must lie between 0 and 1" in refusal(InputError, numbers.number, "x", given, 0, 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("23.976", Fraction(23976, 1000)),
        ("30000/1001", Fraction(30000, 1001)),
        (0.5, Fraction(1, 2)),
        (24, Fraction(24)),
        ("1e1", Fraction(10)),
    ],
)
def test_exact_fractions(given: Any, expected: Fraction) -> None:
    assert numbers.fraction(given) == expected


@pytest.mark.parametrize("given", ["8.0", 8.0, "nan", math.nan, "1e3", np.float64(3)])
def test_whole_numbers_have_no_point(given: Any) -> None:
    assert "is not a whole number" in refusal(InputError, numbers.whole, "x", given)


def test_whole_numbers() -> None:
    assert numbers.whole("x", "12", 0, 12) == numbers.whole("x", np.int64(12), 0, 12) == 12
    for given in (13, "-1", 2**70, 10**5000):
        assert "must lie between 0 and 12" in refusal(InputError, numbers.whole, "x", given, 0, 12)


def test_a_frame_rate_with_a_billion_digits_is_refused_at_once() -> None:
    for given in ("1e999999999", "1e-999999999", "9" * 5000, 10**5000, "1/" + "9" * 5000):
        begun = time.perf_counter()
        message = refusal(InputError, frame_rate, given)
        assert time.perf_counter() - begun < 0.1
        assert len(message) < 200


def test_what_is_quoted_is_short_and_on_one_line() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for given in (
        "a" * 200_000,
        "\x00" * 200_000,
        nested,
        10**5000,
        ["b" * 9999] * 9999,
        {1: {2: {3: 4}}},
        b"c" * 9999,
        "d\ne",
        math.nan,
        None,
    ):
        for shown in (errors.quoted(given), errors.quoted(given, bare=True)):
            assert len(shown) < 130
            assert shown.isprintable()
    assert errors.quoted("AU12") == "'AU12'"
    assert errors.quoted(1.5) == "1.5"
    assert errors.quoted("x" * 61) == f"'{'x' * 60}'..."


def test_no_message_is_long_and_its_end_stays() -> None:
    message = str(InputError(f"{'a' * 100_000}: give another"))
    assert len(message) == errors.MOST_MESSAGE
    assert message.endswith("a: give another")
    assert str(InputError(Path("x"))) == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" + ".a" * 100_000 + " = 1", "a key of more than 50 parts"),
        ("a = " + "[" * 100_000, "nested too deep"),
        ("a = " + "9" * 5000, "Exceeds the limit"),
        ("a = 2026-02-31", "not valid TOML"),
        ("#" * 1_000_001, "larger than 1 MB"),
        ('"' * 100_000, "not valid TOML"),
    ],
)
def test_toml_that_would_stop_the_program(text: str, expected: str) -> None:
    begun = time.perf_counter()
    message = refusal(InputError, texts.parse_toml, text, "design.toml")
    assert expected in message
    assert len(message) < 250
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a": ', b"\xff"])
def test_json_that_would_stop_the_program(text: str | bytes) -> None:
    assert "x.json: not valid JSON" in refusal(InputError, texts.parse_json, text, "x.json")


def test_text_files_have_limits_that_the_message_names(tmp_path: Path) -> None:
    path = tmp_path / "sparse.toml"
    with path.open("wb") as file:
        file.truncate(6 << 30)
    message = refusal(InputError, texts.read_text, path, "a design in TOML")
    assert "larger than 4 MB; expected a design in TOML" in message
    path.write_bytes(b"\xff\xfe\x00")
    assert "not a text file" in refusal(InputError, texts.read_text, path, "a design")
    assert "no such file" in refusal(InputError, texts.read_text, tmp_path / "none", "a design")
    assert "directory" in refusal(InputError, texts.read_text, tmp_path, "a design")
    for device in ("/dev/zero", "a" * 5000, "a\0b"):
        assert "a design" in refusal(InputError, texts.read_text, Path(device), "a design")


def test_cells_have_a_limit() -> None:
    with pytest.raises(InputError, match=r"keys\.csv line 1: not a CSV"):
        list(texts.csv_cells(["a" * 200_000], "keys.csv"))
