"""The experiments on groups, on other people's figures and on sets of people; and skin."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne import facs
from duchenne.errors import WeightsError
from duchenne.evaluate.harness import LEVELS, Measured
from duchenne.faces import align
from duchenne.measuring import complexion
from duchenne.measuring.apparent import AgeAndGender
from duchenne.measuring.identity import JUDGES
from duchenne.measuring.patches import SHADED
from duchenne.types import Photo
from experiments import comparable, groups, seeds

KEYS = [judge.key for judge in JUDGES.values()]


# Skin


def cheeks(colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture of one colour, and a mesh whose patches all lie in it."""
    picture = np.full((80, 80, 3), colour, np.uint8)
    mesh = np.zeros((468, 3))
    for quad in (quad for quads in SHADED.values() for quad in quads):
        mesh[list(quad), :2] = [[20, 20], [60, 20], [60, 60], [20, 60]]
    return picture, mesh


@pytest.mark.parametrize(
    ("colour", "angle", "tone"),
    [
        # From scikit-image's L* and b* (D65): 84.64, 15.31; 67.24, 21.35; 35.58, 16.44.
        ((241, 204, 183), 66.15, "light"),
        ((198, 155, 126), 38.93, "intermediate"),
        ((110, 76, 58), -41.26, "brown and dark"),
    ],
)
def test_the_typology_angle(colour: tuple[int, int, int], angle: float, tone: str) -> None:
    found = complexion.ita(*cheeks(colour))
    assert found == pytest.approx(angle, abs=0.5)
    assert complexion.tone(found) == tone


def test_every_angle_has_a_tone() -> None:
    assert {complexion.tone(angle) for angle in range(-90, 91)} == set(complexion.TONES)
    assert complexion.ita(*cheeks((200, 210, 255))) == 90  # bluish light


# Apparent age and gender


@pytest.mark.weights
def test_a_known_face_looks_its_age(astronaut: np.ndarray) -> None:
    try:
        networks = AgeAndGender()
    except WeightsError as error:
        pytest.skip(str(error))
    face = align.align(Photo(astronaut, "photo"), size=512).pixels
    years, female = networks.look(face)
    assert 25 < years < 50  # Eileen Collins, about forty
    assert female > 0.9
    assert networks.look(np.ascontiguousarray(face[:, ::-1])) == pytest.approx(
        (years, female), abs=0.5
    )


# Groups


def person(age: float = 25, change: float = 4.0, identity: float = 0.2) -> dict[str, object]:
    rows = np.zeros((len(groups.UNITS), len(facs.CODES)))
    rows[range(len(groups.UNITS)), [facs.INDEX[code] for code in groups.UNITS]] = change
    edits = [identity] * len(groups.UNITS)
    return {
        "age": age,
        "female": 0.9,
        "ita": 50.0,
        "glasses": False,
        "change": rows.tolist(),
        "found": [True] * len(groups.UNITS),
        **dict.fromkeys(KEYS, edits),
    }


def test_a_group_that_is_served_worse_is_called_so() -> None:
    rng = np.random.default_rng(5)
    young = [person(25, 4 + rng.normal(0, 0.1)) for _ in range(20)]
    old = [person(60, 3 + rng.normal(0, 0.1)) for _ in range(10)]
    found = groups.summary([*young, *old])["by"]["apparent age"]
    assert found["45 and above"]["people"] == 10
    assert found["45 and above"]["change"][0] == pytest.approx(3, abs=0.1)
    assert found["45 and above"]["change"][2]
    assert not found["18 to 29"]["change"][2]  # better is not worse
    assert not found["45 and above"]["spilt"][2]
    few = groups.summary([*young, *old[:3]])["by"]["apparent age"]["45 and above"]
    assert not few["change"][2]  # too few to say


def test_the_groups_on_the_page() -> None:
    record = {
        "units": list(groups.UNITS),
        "size": groups.SIZE,
        "truncation": groups.TRUNCATION,
        "generated": groups.summary([person()] * 8 + [person(70)]),
    }
    text = groups.section({"groups": record})
    assert "| apparent age: 18 to 29 | 8 |" in text
    assert "45 and above" not in text


# Figures that others report


def measured_person(gain: float) -> dict[str, object]:
    """Every AU rises from 1 by gain x the asked intensity; nothing else moves."""
    units = len(facs.PAPER)
    scores = np.ones((units, len(comparable.LEVELS), units))
    for i in range(units):
        scores[i, :, i] += gain * facs.FULL * np.array(comparable.LEVELS)
    edit = {**dict.fromkeys(KEYS, 0.9), "background": 2.0, "turned": 0.5}
    seen = {"seen": {"one": list(comparable.LEVELS)}, **dict.fromkeys(KEYS, 1.0)}
    return {
        "scores": scores.tolist(),
        "last": [edit] * units,
        "expressions": dict.fromkeys(comparable.EXPRESSIONS, seen),
    }


def test_figures_by_hand() -> None:
    exact = comparable.of_person(measured_person(1.0))
    assert exact["error"] == exact["own error"] == 0
    assert exact["r"] == exact["r by one"] == pytest.approx(1)
    # Asked up to 6, but a coder's scale ends at 5: 1, 2, 3, 4, 4 above the start.
    assert exact["error of no edit"] == pytest.approx((1 + 4 + 9 + 16 + 16) / 5 / 12)
    assert exact["balance of units, identity"] == pytest.approx(2 * 0.9 / 1.9)
    assert exact["balance of expressions, identity"] == pytest.approx(1)
    half = comparable.of_person(measured_person(0.5))
    # 1.5 against 2, 2 against 3, 2.5 against 4, 3 against 5, 3.5 against 5.
    assert half["own error"] == pytest.approx((0.25 + 1 + 2.25 + 4 + 2.25) / 5)
    assert half["error"] == pytest.approx(half["own error"] / 12)
    assert half["balance of units, identity"] == pytest.approx(2 * 0.45 / 1.4)
    still = comparable.of_person(measured_person(0.0))
    assert still["error"] == still["error of no edit"]
    assert still["r"] == still["balance of units, identity"] == 0


def test_mean_and_standard_error_over_people() -> None:
    found = comparable.summary([{"r": 0.8}, {"r": 1.0}])
    assert found == {"people": 2, "figures": {"r": {"mean": 0.9, "error": 0.1}}}
    assert comparable.summary([{"r": 0.8}])["figures"]["r"]["error"] is None


def test_the_figures_on_the_page() -> None:
    people = [comparable.of_person(measured_person(gain)) for gain in (0.9, 1.0)]
    record = {"levels": list(comparable.LEVELS), "generated": comparable.summary(people)}
    text = comparable.section({"comparable": record})
    assert "2 generated people" in text
    assert "MagicFace" in text
    assert "PixelSmile" in text


# Sets of people


def test_three_sets_side_by_side() -> None:
    def faces(rise: float) -> Measured:
        units = len(facs.CODES)
        scores = np.zeros((2, units, len(LEVELS), units))
        for i in range(units):
            scores[:, i, :, i] = rise * np.array(LEVELS)
        zeros = np.zeros((2, units))
        return Measured(scores, dict.fromkeys((*KEYS, "outside", "background", "turned"), zeros))

    record = {"people": 2, **seeds.summary([faces(4), faces(4), faces(0.1)])}
    text = seeds.section({"seeds": record})
    assert (
        "worst AU1: 100% | worst AU1: 100% | worst AU1: 0% | 1.000 | **fails in 1 of 3** |" in text
    )
    assert "| AU12 | 1.00 / 1.00 / 0.00 (1.00) |" in text
