"""An expression is where a face ends: what it shows and the expression lacks is taken out."""

from pathlib import Path

import numpy as np
import pytest

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.measuring import score
from duchenne.measuring.ending import MOST, ROUNDS, ending

ANGER = facs.expression("anger")
FEAR = facs.expression("fear")


class Face:
    """Shows what it shows at rest, and of every offset a part; some units move others."""

    def __init__(self, rest=None, answers=1.0, crosstalk=()):
        self.rest = facs.by_unit(rest or {})
        self.answers, self.crosstalk, self.asked = answers, crosstalk, []

    def __call__(self, offsets):
        self.asked.append(dict(offsets))
        sides = np.array(facs.to_sides(offsets)) * self.answers
        for mover, moved, share in self.crosstalk:
            sides[facs.INDEX[moved]] += share * sides[facs.INDEX[mover]]
        sides += np.array(list(self.rest.values()))[:, None]
        return np.concatenate([sides.mean(axis=1, keepdims=True), sides], axis=1)


def test_a_smile_is_taken_out_of_anger() -> None:
    face = Face({"AU6": 0.6, "AU12": 0.9, "AU25": 0.8})
    offsets = ending(ANGER, face)
    assert offsets["AU12"] == pytest.approx(-0.9)
    assert offsets["AU6"] == pytest.approx(-0.6)
    assert offsets["AU4"] == 1
    assert len(face.asked) <= 1 + ROUNDS


def test_what_a_smile_moves_besides_is_not_taken_out_twice() -> None:
    offsets = ending(ANGER, Face({"AU12": 1.0, "AU20": 0.7}, crosstalk=[("AU12", "AU20", 0.7)]))
    assert offsets["AU12"] == pytest.approx(-1)
    assert "AU20" not in offsets


def test_a_smile_is_not_added_to_a_smile() -> None:
    offsets = ending({"AU12": 1.0}, Face({"AU12": 0.7}))
    assert offsets == {"AU12": pytest.approx(0.3)}


def test_nothing_is_taken_out_of_a_face_at_rest() -> None:
    assert ending(ANGER, Face()) == ANGER
    assert ending(ANGER, Face({"AU12": 0.15, "AU4": 0.4, "AU15": 0.9})) == ANGER


def test_neutral_takes_the_smile_out_and_no_more() -> None:
    offsets = ending({}, Face({"AU12": 0.9, "AU1": 0.4, "AU17": 0.5}))
    assert offsets == {"AU12": pytest.approx(-0.9)}


def test_what_comes_out_too_weak_is_made_stronger_within_bounds() -> None:
    weak = ending({"AU4": 1.0}, Face(answers=0.8))
    assert weak["AU4"] == pytest.approx(1.2)
    assert ending({"AU4": 1.0}, Face(answers=0.3))["AU4"] == facs.HIGHEST
    assert ending({"AU12": 1.0}, Face(answers=0.5))["AU12"] == 1  # smiles answer well enough


def test_corners_that_stretched_lips_lift_come_down() -> None:
    offsets = ending(FEAR, Face(crosstalk=[("AU20", "AU12", 0.8)]))
    assert offsets["AU12"] < -0.4
    assert offsets["AU20"] == FEAR["AU20"]


def test_a_picture_that_is_worse_is_not_kept() -> None:
    """A face that answers to less smile with more: the first picture stays the best."""
    face = Face({"AU12": 0.5}, crosstalk=[("AU12", "AU12", -2.0)])
    assert ending(ANGER, face)["AU12"] == pytest.approx(-0.5)


def test_one_side_is_measured_on_that_side() -> None:
    offsets = np.array(facs.to_sides(ending({"AU12L": 0.8}, Face({"AU12": 0.8}))))
    assert offsets[facs.INDEX["AU12"]] == pytest.approx([0.0, -0.8])


def test_offsets_are_bounded_and_units_that_cannot_be_drawn_left_out() -> None:
    offsets = ending(ANGER, Face({"AU12": 3.0, "AU25": 0.9}), units={*facs.CODES} - {"AU25"})
    assert offsets["AU12"] == MOST
    assert "AU25" not in offsets


def test_the_first_boundaries_are_had_by_name() -> None:
    first, now = (
        boundaries.load_boundaries(Path(boundaries.path_of("first"))),
        boundaries.built_in(),
    )
    assert np.array_equal(first.normals, now.normals)
    i = facs.INDEX["AU15"]
    times = now.provenance["times_the_first_lengths"]["AU15"]
    asked = np.zeros(len(facs.CODES))
    asked[i] = 1
    assert now.distances(asked)[i] == pytest.approx(first.distances(asked * times)[i], rel=1e-5)
    assert (first.scale, now.scale) == ("first", "")
    full = score.built_in_scale().full[i] / score.built_in_scale(first.scale).full[i]
    assert full == pytest.approx(times)
    assert boundaries.path_of("other.safetensors") == "other.safetensors"
