"""The closed loop on faces that are made-up functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from duchenne import facs
from duchenne.errors import DescriptorError
from duchenne.measuring import likeness, target


def face(start: float, gain: float, code: str = "AU12"):  # type: ignore[no-untyped-def]
    """A face that shows `start` of an AU and answers an offset with `gain` times as much."""
    calls: list[Mapping[str, float]] = []

    def respond(offsets: Mapping[str, float]) -> np.ndarray:
        calls.append(dict(offsets))
        measured = np.zeros((len(facs.CODES), 3))
        left, right = facs.to_sides(offsets)[facs.INDEX[code]]
        shown = start + gain * np.array([(left + right) / 2, left, right])
        measured[facs.INDEX[code]] = shown
        return measured

    return respond, calls


@pytest.mark.parametrize(("start", "gain"), [(0.0, 1.0), (0.0, 0.6), (0.2, 1.5), (0.9, 0.8)])
def test_reaches_the_target(start: float, gain: float) -> None:
    respond, calls = face(start, gain)
    reached = target.reach({"AU12": 0.5}, respond)
    assert reached.measured["AU12"] == pytest.approx(0.5, abs=target.TOLERANCE)
    assert len(calls) == reached.renders <= target.RENDERS


def test_a_smile_can_be_taken_to_neutral() -> None:
    respond, _ = face(0.9, 1.0)
    reached = target.reach({"AU12": 0.0}, respond)
    assert reached.offsets["AU12"] == pytest.approx(-0.9, abs=0.05)


def test_a_smile_beyond_the_full_action_can_be_taken_to_neutral() -> None:
    respond, _ = face(1.4, 1.0)
    reached = target.reach({"AU12": 0.0}, respond)
    assert reached.offsets["AU12"] == pytest.approx(-1.4, abs=0.05)


def test_a_face_that_is_there_already_costs_one_picture() -> None:
    respond, calls = face(0.5, 1.0)
    assert target.reach({"AU12": 0.5}, respond).offsets == {"AU12": 0.0}
    assert len(calls) == 1


def test_a_face_that_cannot_go_so_far_goes_as_far_as_it_can() -> None:
    respond, _ = face(0.0, 0.3)
    reached = target.reach({"AU12": 1.0}, respond)
    assert reached.offsets["AU12"] == pytest.approx(1.0)
    assert reached.measured["AU12"] == pytest.approx(0.3)


def test_two_units_at_once() -> None:
    def respond(offsets: Mapping[str, float]) -> np.ndarray:
        measured = np.zeros((len(facs.CODES), 3))
        one, other = offsets.get("AU1", 0.0), offsets.get("AU12", 0.0)
        measured[facs.INDEX["AU1"]] = 0.9 * one + 0.1 * other
        measured[facs.INDEX["AU12"]] = 0.1 * one + 1.2 * other
        return measured

    reached = target.reach({"AU1": 0.4, "AU12": 0.6}, respond)
    assert reached.measured["AU1"] == pytest.approx(0.4, abs=0.05)
    assert reached.measured["AU12"] == pytest.approx(0.6, abs=0.05)


def test_each_side_has_its_own_target() -> None:
    respond, _ = face(0.2, 0.8)
    reached = target.reach({"AU12L": 0.7, "AU12R": 0.1}, respond)
    assert dict(reached.measured) == pytest.approx({"AU12L": 0.7, "AU12R": 0.1}, abs=0.03)
    assert reached.offsets["AU12L"] > 0 > reached.offsets["AU12R"]


def test_a_unit_of_the_midline_has_no_sides() -> None:
    respond, calls = face(0.0, 1.0)
    with pytest.raises(DescriptorError, match=r"AU25L.*whole"):
        target.reach({"AU25L": 0.5}, respond)
    assert not calls


def tied(slopes: np.ndarray, codes: list[str]):  # type: ignore[no-untyped-def]
    """A face whose units move one another's measures: slopes [n, n]."""

    def respond(offsets: Mapping[str, float]) -> np.ndarray:
        measured = np.zeros((len(facs.CODES), 3))
        given = np.array([offsets.get(code, 0.0) for code in codes])
        measured[[facs.INDEX[code] for code in codes]] = (slopes @ given)[:, None]
        return measured

    return respond


def test_an_expression_of_tied_units_is_approached() -> None:
    codes = ["AU25", "AU26", "AU27"]
    respond = tied(np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.8], [0.4, 0.8, 1.0]]), codes)
    wanted = dict(zip(codes, (0.6, 0.6, 0.6), strict=True))
    reached = target.approach(wanted, respond)
    assert np.abs(np.array(list(reached.measured.values())) - 0.6).max() < 0.25
    assert sum(reached.offsets.values()) < 1.2  # not each by itself


def test_what_does_not_answer_is_hardly_pushed() -> None:
    respond = tied(np.diag([1.0, 0.0]), ["AU12", "AU14"])
    reached = target.approach({"AU12": 0.7, "AU14": 0.7}, respond)
    assert 0.4 < reached.measured["AU12"] < 0.7
    assert abs(reached.offsets["AU14"]) < 0.4


def test_what_is_not_there_is_not_lessened() -> None:
    respond, _ = face(-0.5, 1.0)
    assert target.approach({"AU12": 0.0}, respond).offsets["AU12"] == pytest.approx(0, abs=0.01)
    respond, _ = face(0.2, 0.1)
    assert target.approach({"AU12": 0.0}, respond).offsets["AU12"] >= -0.2


# Like another face


def shown(**units: tuple[float, float, float]) -> np.ndarray:
    """[U, 3]: the given units on the whole face, on the left, on the right."""
    table = np.zeros((len(facs.CODES), 3))
    for code, values in units.items():
        table[facs.INDEX[code]] = values
    return table


def test_only_what_differs_is_asked_for() -> None:
    rest = shown(AU12=(0.6, 0.6, 0.6), AU1=(0.3, 0.3, 0.3))
    wanted = shown(AU4=(0.5, 0.5, 0.5), AU1=(0.55, 0.55, 0.55), AU2=(1.3, 1.3, 1.3))
    assert likeness.targets(rest, wanted) == {"AU2": 1.0, "AU4": 0.5, "AU12": 0.0}


def test_an_uneven_unit_is_asked_for_on_each_side() -> None:
    rest, wanted = shown(), shown(AU12=(0.4, 0.7, 0.1), AU25=(0.4, 0.7, 0.1))
    assert likeness.targets(rest, wanted) == {"AU12L": 0.7, "AU12R": 0.1, "AU25": 0.4}


def test_a_lopsided_face_is_made_even() -> None:
    rest, wanted = shown(AU12=(0.4, 0.7, 0.1)), shown(AU12=(0.4, 0.4, 0.4))
    assert likeness.targets(rest, wanted) == {"AU12L": 0.4, "AU12R": 0.4}


@pytest.mark.parametrize("find", [target.reach, target.approach])
def test_an_eye_is_not_asked_to_look_two_ways(find: Callable[..., target.Reached]) -> None:
    """A face that looks up measures less than nothing of looking down; that is not to be added."""

    def respond(offsets: Mapping[str, float]) -> np.ndarray:
        facs.offsets(offsets)  # raises where both are asked for
        table = np.zeros((len(facs.CODES), 3))
        for code in ("AU63", "AU64"):
            table[facs.INDEX[code]] = offsets.get(code, 0.0)
        table[facs.INDEX["AU64"]] -= 0.4
        return table

    found = find({"AU63": 0.6, "AU64": 0.0}, respond).offsets
    assert found["AU63"] > 0
    assert found["AU64"] <= 0


def test_of_two_opposite_ways_the_weaker_is_no_target() -> None:
    asked = {"AU12": 0.4, "AU63": 0.2, "AU64": 0.5, "AU61L": 0.3, "AU62R": 0.2}
    assert likeness.possible(asked) == {**asked, "AU63": 0.0}
    assert sorted(likeness.possible({"AU63": 0.3, "AU64": 0.3}).values()) == [0.0, 0.3]
    facs.check(likeness.possible(asked))
