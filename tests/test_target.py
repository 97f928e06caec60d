"""The closed loop on faces that are made-up functions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from duchenne import facs
from duchenne.errors import DescriptorError
from duchenne.measuring import target


def face(start: float, gain: float, code: str = "AU12"):  # type: ignore[no-untyped-def]
    """A face that shows `start` of an AU and answers an offset with `gain` times as much."""
    calls: list[Mapping[str, float]] = []

    def respond(offsets: Mapping[str, float]) -> np.ndarray:
        calls.append(dict(offsets))
        measured = np.zeros(len(facs.CODES))
        measured[facs.INDEX[code]] = start + gain * offsets.get(code, 0.0)
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
        measured = np.zeros(len(facs.CODES))
        one, other = offsets.get("AU1", 0.0), offsets.get("AU12", 0.0)
        measured[facs.INDEX["AU1"]] = 0.9 * one + 0.1 * other
        measured[facs.INDEX["AU12"]] = 0.1 * one + 1.2 * other
        return measured

    reached = target.reach({"AU1": 0.4, "AU12": 0.6}, respond)
    assert reached.measured["AU1"] == pytest.approx(0.4, abs=0.05)
    assert reached.measured["AU12"] == pytest.approx(0.6, abs=0.05)


def test_one_side_cannot_be_measured() -> None:
    respond, calls = face(0.0, 1.0)
    with pytest.raises(DescriptorError, match=r"AU12L.*whole"):
        target.reach({"AU12L": 0.5}, respond)
    assert not calls
