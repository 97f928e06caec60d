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


def test_the_papers_vector_is_twelve_of_the_units_in_its_order() -> None:
    assert tuple(f"AU{n}" for n in PAPER_ORDER) == facs.PAPER
    assert set(facs.PAPER) < set(facs.CODES)
    numbers = [unit.number for unit in facs.ACTION_UNITS]
    assert numbers == sorted(set(numbers))


ANOTHER = """    ActionUnit(
        13, "Sharp Lip Puller", "levator anguli oris", "mouth",
        evidence={"mouthSmile": 1.0}, tied=("lip_corner",), kin=("AU12",), reach=6.0,
        drawing="<path/>", read_at_rest=True,
    ),
"""


def test_another_unit_is_one_record(tmp_path: Path) -> None:
    """In a copy of the package that has one more record and is otherwise the same."""
    package = tmp_path / "duchenne"
    shutil.copytree(Path(duchenne.__file__).parent, package)
    table = package / "facs" / "units.py"
    before, next_one, after = table.read_text().partition("    ActionUnit(\n        14,")
    table.write_text(before + ANOTHER + next_one + after)
    tests = Path(__file__).parent
    subprocess.run(
        [sys.executable, tests / "another_unit.py"],
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


# Letters, other numbers, mixtures


def test_letters_are_facs_intensities() -> None:
    assert facs.parse("AU12=C,AU6=e,4=A") == {"AU12": 0.6, "AU6": 1.0, "AU4": 0.2}
    with pytest.raises(DescriptorError, match="'F' is not a number"):
        facs.parse("AU12=F")


def test_a_blink_is_closed_eyes_and_a_wink_one_of_them() -> None:
    assert facs.parse("AU45=0.5") == {"AU43": 0.5}
    assert facs.parse("46L") == {"AU43L": 1.0}
    with pytest.raises(DescriptorError, match="AU46L or AU46R"):
        facs.parse("AU46=1")
    with pytest.raises(DescriptorError, match="twice"):
        facs.parse("AU45=0.5,AU43=1")
    assert facs.also_known_as("AU43") == (45,)
    assert facs.also_known_as("AU12") == ()


@pytest.mark.parametrize("text", ["AU12=0,5", "AU6=1,AU12=0,50", "12=0,7"])
def test_a_decimal_comma_is_no_second_unit(text: str) -> None:
    with pytest.raises(DescriptorError, match="with a point"):
        facs.parse(text)


def test_every_variant_is_a_valid_descriptor() -> None:
    for name, descriptor in facs.VARIANTS.items():
        assert facs.check(descriptor) == descriptor
        assert facs.expression(name) == descriptor
        assert name.partition("/")[0] in {*facs.EXPRESSIONS, "neutral", "pain"}


def test_expressions_mix() -> None:
    mixed = facs.expression("Anger:0.5 + surprise")
    assert mixed["AU4"] == 0.5
    assert mixed["AU5"] == 1.0  # 0.3 and 0.8, to 1 at most
    assert mixed["AU26"] == 1.0
    assert facs.expression("contempt/smirk:0.5+happiness/social:0.5") == {
        "AU12L": 0.8,
        "AU12R": 0.4,
    }
    assert facs.expression("happiness:0") == {}
    for text in ("anger:1.2", "anger:-1", "anger:nan"):
        with pytest.raises(DescriptorError, match="between 0 and 1"):
            facs.expression(text)
    with pytest.raises(DescriptorError, match="unknown expression ''"):
        facs.expression("anger+")


def test_a_name_or_a_list() -> None:
    assert facs.named("au12=0.5") == {"AU12": 0.5}
    assert facs.named("surprise") == facs.EXPRESSIONS["surprise"]
    assert facs.named("neutral") == {}


def test_a_sweep_has_one_step_for_each_intensity() -> None:
    assert facs.sweep("AU12=0:1:0.1") == ({"AU12": 0.0}, {"AU12": 1.0}, 11)
    first, last, count = facs.sweep("12L=-0.5:0.5:0.25, AU6=1:0:0.25")
    assert (first, last, count) == ({"AU12L": -0.5, "AU6": 1.0}, {"AU12L": 0.5, "AU6": 0.0}, 5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AU12=0:1", "first:last:step"),
        ("AU12", "first:last:step|not a number"),
        ("AU12=0:1:0", "first:last:step"),
        ("AU12=0:1:nan", "first:last:step"),
        ("AU12=0:1:-0.1", "first:last:step"),
        ("AU12=0:1:0.3", "3.333 steps"),
        ("AU12=0:1:1e-9", "1 to 1000"),
        ("AU12=1:1:0.1", "0 steps"),
        ("AU12=0:2:0.5", "between -1.5 and 1"),
        ("AU12=0:1:0.5,AU6=0:1:0.25", "equally many"),
        ("AU12=0:1:0.5,AU12=0:1:0.5", "twice"),
        ("AU99=0:1:0.5", "unknown Action Unit"),
        ("", "equally many"),
    ],
)
def test_a_sweep_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(DescriptorError, match=reason):
        facs.sweep(text)


def test_units_alone() -> None:
    assert facs.units("AU10, 7") == ("AU7", "AU10")
    for text in ("AU7L", "AU7=0.5"):
        with pytest.raises(DescriptorError, match="Action Units alone"):
            facs.units(text)


def test_sides_and_back() -> None:
    for descriptor in ({"AU12L": 0.4, "AU6": 1.0}, {"AU12": 0.5}, {}):
        assert facs.from_sides(facs.to_sides(descriptor)) == descriptor


@pytest.mark.parametrize("step", ["5e-324", "1e-300", "1e300", "0", "nan"])
def test_sweeps_of_any_step_end(step: str) -> None:
    with pytest.raises(DescriptorError, match=r"steps|first:last:step"):
        facs.sweep(f"AU1=0:1:{step}")
