"""What is begun before it is needed: found once, used once, and failing where it is asked for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from duchenne import animate, cores
from duchenne.editing import moved_face
from duchenne.editing.moved_face import MovedFace
from duchenne.editing.passes import ShippedPasses
from duchenne.generators.built_in import BuiltIn
from duchenne.moving.covering import Covering

NOTHING = Covering(np.zeros((4, 4), bool), 0.0, ())


def face(search: Future[Covering] | None = None) -> MovedFace:
    stand_in: Any = None  # nothing is drawn here
    return MovedFace(stand_in, stand_in, stand_in, search=search)


def test_work_goes_on_beside_and_its_fault_comes_where_it_is_asked_for() -> None:
    go = threading.Event()

    def fail() -> None:
        assert go.wait(60)
        raise ValueError("late")

    begun = cores.soon(fail)
    assert not begun.done()
    go.set()
    with pytest.raises(ValueError, match="late"):
        begun.result(60)


def test_what_covers_a_face_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        moved_face.covering, "find", lambda aligned: seen.append(aligned) or NOTHING
    )
    begun: Future[Covering] = Future()
    begun.set_result(NOTHING)
    assert face(begun).covering is NOTHING
    assert seen == []
    alone = face()
    assert alone.covering is alone.covering is NOTHING
    assert len(seen) == 1


@pytest.mark.weights
def test_a_recording_that_was_begun_is_the_same_and_serves_once() -> None:
    passes = ShippedPasses(BuiltIn(), threads=2)
    studio = animate.Studio()
    w = studio.sample(3).code.w
    plain = passes.record(w)
    passes.begin()
    passes.begin()  # one is enough
    begun = passes.record(w)
    assert passes._begun is None
    np.testing.assert_array_equal(begun.image, plain.image)
    for layer, features in plain.features.items():
        np.testing.assert_array_equal(begun.features[layer], features)
