"""Which frames of a film are worked out, and what lies between them."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.moving import between
from duchenne.moving.between import STEP, STRAIGHT, Place, fields_of, places
from duchenne.moving.change import SIDE
from duchenne.moving.moved import Fields


def tables(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, float)[:, :, None]  # [k, 2 Action Units, 1 mask]


def fields(level: float) -> Fields:
    def flat(*more: int) -> np.ndarray:
        return np.full((SIDE, SIDE, *more), level, np.float32)

    return Fields(flat(2), flat(), flat(), flat(3), flat())


def test_a_straight_ramp_needs_few_frames() -> None:
    ramp = np.linspace(0, 1, 97)[:, None, None] * np.array([1.0, 0.5])[:, None]
    where = places(ramp)
    worked_out = {p.before for p in where} | {p.after for p in where}
    assert len(where) == 97
    assert len(worked_out) <= 2 + 1 / STEP
    flat = ramp.reshape(97, -1)
    for frame, place in enumerate(where):
        there = flat[place.before] + place.share * (flat[place.after] - flat[place.before])
        np.testing.assert_allclose(there, flat[frame], atol=1e-9)


def test_easing_bends_and_turns_are_followed() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 0.02, (200, 3, 2)), axis=0)
    for frame, place in enumerate(places(walk)):
        assert place.before <= frame <= place.after
        there = walk[place.before] + place.share * (walk[place.after] - walk[place.before])
        assert np.abs(there - walk[frame]).max() <= STRAIGHT + 1e-9


def test_the_first_and_last_frame_are_worked_out() -> None:
    assert places(tables((0, 0))) == [Place(0, 0, 0.0)]
    assert places(tables((0, 0), (1, 0))) == [Place(0, 0, 0.0), Place(1, 1, 0.0)]
    assert places(tables((0.5, 0), (0.52, 0), (0.54, 0)))[-1] == Place(2, 2, 0.0)
    assert places(tables(*[(0.5, 0)] * 5))[3].before == 0  # a hold


def test_fields_are_asked_for_in_order_and_once() -> None:
    ramp = np.linspace(0, 1, 33)[:, None, None]
    asked: list[int] = []

    def work_out(frame: int) -> Fields | None:
        asked.append(frame)
        return fields(float(ramp[frame, 0, 0])) if frame else None

    drawn = list(fields_of(ramp, work_out))
    assert asked == sorted(set(asked))
    assert len(asked) <= 2 + 1 / STEP
    assert drawn[0] is None
    for level, field in zip(ramp[1:, 0, 0], drawn[1:], strict=True):
        assert field is not None
        assert field.motion[0, 0, 0] == pytest.approx(level, abs=1e-6)
        assert field.shading[5, 5] == pytest.approx(level, abs=1e-6)


def test_towards_nothing_what_is_new_stays() -> None:
    half = between.mixed(fields(8), None, 0.5)
    assert half is not None
    assert half.motion[0, 0, 0] == 4
    assert half.new[0, 0, 0] == 8
    assert between.mixed(None, None, 0.5) is None
