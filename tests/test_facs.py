"""Action Units: what may be written, what it means, and what is refused."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import duchenne
from duchenne import facs
from duchenne.errors import DescriptorError
from duchenne.faces.regions import ZONES

PAPER_ORDER = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def test_the_twelve_units_are_the_papers_in_its_order() -> None:
    assert tuple(unit.number for unit in facs.ACTION_UNITS) == PAPER_ORDER
    assert [facs.INDEX[f"AU{n}"] for n in PAPER_ORDER] == list(range(12))
    assert facs.PAPER == facs.CODES


THIRTEENTH = """    ActionUnit(
        7, "Lid Tightener", "orbicularis oculi, pars palpebralis", "eyes",
        evidence={"eyeSquint": 1.0}, tied=("lower_lid",), kin=("AU6",), reach=6.0,
        drawing="<path/>", read_at_rest=True,
    ),
"""


def test_a_thirteenth_unit_is_one_record(tmp_path: Path) -> None:
    """In a copy of the package that has one more record and is otherwise the same."""
    package = tmp_path / "duchenne"
    shutil.copytree(Path(duchenne.__file__).parent, package)
    table = package / "facs" / "units.py"
    before, ninth, after = table.read_text().partition("    ActionUnit(\n        9,")
    table.write_text(before + THIRTEENTH + ninth + after)
    tests = Path(__file__).parent
    subprocess.run(
        [sys.executable, tests / "thirteenth_unit.py"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tests}"},
        check=True,
    )


def test_kin_and_what_opposes_are_other_units() -> None:
    for unit in facs.ACTION_UNITS:
        assert {*unit.kin, *unit.opposes} <= set(facs.CODES) - {unit.code}
        assert unit.area in ZONES


@pytest.mark.parametrize(
    "text",
    [
        *("AU3=1", "AU=1", "=1", "AU12X=1", "smile=1", "AU-1=1", "AUAU12", "AU1.0=1", "AU12 L=1"),
        *("AU¹=1", "AU१=1", "L", "AUL", "12LR", "AU" + "9" * 20),
    ],
)
def test_an_unknown_unit_is_refused_and_the_known_ones_are_named(text: str) -> None:
    with pytest.raises(DescriptorError, match=r"unknown Action Unit.*AU1, AU2.*AU26"):
        facs.parse(text)


def test_a_number_too_long_for_an_integer_is_an_unknown_unit() -> None:
    with pytest.raises(DescriptorError, match="unknown Action Unit"):
        facs.parse("AU" + "9" * 5000)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1.01", "-0.01", "1e400"])
def test_an_intensity_outside_0_to_1_is_refused(value: str) -> None:
    with pytest.raises(DescriptorError, match=r"AU12=.*between 0 and 1"):
        facs.parse(f"AU12={value}")
    with pytest.raises(DescriptorError, match="between 0 and 1"):
        facs.parse_vector(",".join(["0"] * 11 + [value]))


@pytest.mark.parametrize("value", ["x", "0.5.5", "--1", "0.5 0.6", "1="])
def test_an_intensity_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(DescriptorError):
        facs.parse(f"AU12={value}")


def test_an_equals_sign_without_a_number_is_refused() -> None:
    with pytest.raises(DescriptorError, match="number"):
        facs.parse("AU12=")


@pytest.mark.parametrize(
    "text",
    ["AU12,12", "AU12=1,au12=1", "AU12L,AU12L", "AU12L,AU12", "AU12,AU12R", "12R,12L,12"],
)
def test_a_unit_given_twice_is_refused(text: str) -> None:
    with pytest.raises(DescriptorError, match="twice"):
        facs.parse(text)
    with pytest.raises(DescriptorError, match="twice"):
        facs.check(dict.fromkeys(("12", "AU12"), 1.0))


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_no_unit_at_all_is_refused(text: str) -> None:
    with pytest.raises(DescriptorError, match="no Action Unit"):
        facs.parse(text)


@pytest.mark.parametrize("text", ["", "1", "0," * 10 + "0", "0," * 12 + "0", "[]"])
def test_a_vector_has_twelve_numbers(text: str) -> None:
    with pytest.raises(DescriptorError, match="12 numbers"):
        facs.parse_vector(text)
    with pytest.raises(DescriptorError, match="12 numbers, not 11"):
        facs.from_vector([0.0] * 11)


def test_a_vector_of_words_is_refused() -> None:
    with pytest.raises(DescriptorError, match="'a' is not a number"):
        facs.parse_vector("a" + ",0" * 11)


def test_check_takes_other_limits_but_no_nan() -> None:
    assert facs.check({"AU12": -1.0}, low=-1.0) == {"AU12": -1.0}
    assert facs.check({"AU12": 5.0}, high=5.0) == {"AU12": 5.0}
    with pytest.raises(DescriptorError, match="between -1 and 1"):
        facs.check({"AU12": math.nan}, low=-1.0)


@pytest.mark.parametrize(
    ("text", "descriptor"),
    [
        ("AU12", {"AU12": 1.0}),
        ("12", {"AU12": 1.0}),
        (" au12 = 0.5 , AU6=0.8 ,", {"AU12": 0.5, "AU6": 0.8}),
        ("au12l=0.25,12R=0", {"AU12L": 0.25, "AU12R": 0.0}),
        ("AU1,AU12", {"AU1": 1.0, "AU12": 1.0}),
    ],
)
def test_parse(text: str, descriptor: dict[str, float]) -> None:
    assert facs.parse(text) == descriptor


def test_the_papers_vector_for_happiness() -> None:
    written = facs.parse_vector("[0,0,0,0,1,0,1,0,0,0,1,0]")
    assert written == {"AU6": 1.0, "AU12": 1.0, "AU25": 1.0} == facs.expression("Happiness")


def test_vectors_round_trip() -> None:
    values = [i / 16 for i in range(12)]
    assert facs.to_vector(facs.from_vector(values)) == values
    assert "AU1" not in facs.from_vector(values)


def test_one_side_counts_half_in_a_vector() -> None:
    assert facs.to_vector({"AU12L": 0.5})[6] == 0.25
    assert facs.to_vector({"AU12L": 0.5, "AU12R": 0.5}) == facs.to_vector({"AU12": 0.5})


def test_every_preset_is_a_valid_descriptor_and_a_copy() -> None:
    assert set(facs.EXPRESSIONS) == {
        *("happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt")
    }
    for name, descriptor in facs.EXPRESSIONS.items():
        assert facs.check(descriptor) == descriptor
        mine = facs.expression(name)
        assert isinstance(mine, dict)
        mine["AU1"] = 0.123
        assert facs.expression(name) == descriptor


def test_an_unknown_expression_names_the_known_ones() -> None:
    with pytest.raises(DescriptorError, match=r"unknown expression 'joy'.*happiness.*contempt"):
        facs.expression("joy")


@pytest.mark.parametrize(
    ("code", "parts"), [("AU12L", ("AU12", "L")), ("AU12", ("AU12", "")), ("", ("", ""))]
)
def test_split_side(code: str, parts: tuple[str, str]) -> None:
    assert facs.split_side(code) == parts
