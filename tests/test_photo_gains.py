"""Photos move farther than their look-alikes: the gains, where they act, and how they are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.editing.boundaries import slot_intensities
from duchenne.errors import InputError
from duchenne.faces.regions import SLOTS
from duchenne.fit import photos
from duchenne.fit.photos import GAINS, MOST, WANTED, of_responses

COUNT = len(facs.CODES)
BOUNDS = replace(boundaries.built_in(), photo_gain=np.linspace(1, 2, COUNT).astype(np.float32))


def test_a_mask_gets_the_mean_gain_of_what_acts_in_it() -> None:
    gain = dict(zip(facs.CODES, BOUNDS.photo_gain, strict=True))
    gains = BOUNDS.gains(slot_intensities({"AU12L": 0.6, "AU25": 0.2, "AU4": -0.3}))
    by_slot = dict(zip(SLOTS, gains, strict=True))
    assert by_slot["mouthR"] == pytest.approx(gain["AU25"])
    assert by_slot["mouthL"] == pytest.approx(0.75 * gain["AU12"] + 0.25 * gain["AU25"])
    assert by_slot["browsL"] == pytest.approx(gain["AU4"])
    assert by_slot["eyesL"] == 1


def test_boundaries_without_gains_move_photos_as_far_as_pictures(tmp_path: Path) -> None:
    plain = replace(BOUNDS, photo_gain=None)
    assert (plain.gains(slot_intensities({"AU12": 1.0})) == 1).all()
    boundaries.save_boundaries(plain, tmp_path / "plain.safetensors")
    assert boundaries.load_boundaries(tmp_path / "plain.safetensors").photo_gain is None


def test_gains_are_kept_in_the_file(tmp_path: Path) -> None:
    boundaries.save_boundaries(BOUNDS, tmp_path / "b.safetensors")
    kept = boundaries.load_boundaries(tmp_path / "b.safetensors").photo_gain
    assert kept is not None
    np.testing.assert_array_equal(kept, BOUNDS.photo_gain)
    short = replace(BOUNDS, photo_gain=np.ones(3, np.float32))
    boundaries.save_boundaries(short, tmp_path / "short.safetensors")
    with pytest.raises(InputError, match="shape"):
        boundaries.load_boundaries(tmp_path / "short.safetensors")


def test_the_built_in_ones_were_found_by_this_rule() -> None:
    found = boundaries.built_in()
    assert found.photo_gain is not None
    told = []
    for record in found.provenance["photos"]:
        assert (record["wanted"], record["most"], record["tried"]) == (WANTED, MOST, list(GAINS))
        for code, row in zip(record["units"], record["change"], strict=True):
            changes = np.full((1, COUNT, len(GAINS)), np.nan)
            changes[0, facs.INDEX[code]] = row
            rule = of_responses(np.zeros((1, COUNT)), changes).gains[facs.INDEX[code]]
            if code not in facs.MOVED and record["people"][record["units"].index(code)] >= 3:
                assert found.photo_gain[facs.INDEX[code]] == pytest.approx(rule, abs=0.01)
        told += record["units"]
    assert set(facs.CODES) - set(told) <= set(facs.MOVED)
    assert len(told) == len(set(told))


def test_only_some_gains_are_found_anew() -> None:
    rests, changes = np.zeros((1, COUNT)), np.full((1, COUNT, len(GAINS)), np.nan)
    changes[0, facs.INDEX["AU7"]] = np.array(GAINS) * 0.6
    found = replace(of_responses(rests, changes), units=("AU7",))
    gains = found.added_to(BOUNDS.photo_gain)
    assert gains[facs.INDEX["AU7"]] == pytest.approx(1.5, abs=1e-3)
    others = np.arange(COUNT) != facs.INDEX["AU7"]
    assert BOUNDS.photo_gain is not None
    np.testing.assert_array_equal(gains[others], BOUNDS.photo_gain[others])
    told = found.provenance(["a"])
    assert (told["units"], told["people"], len(told["change"])) == (["AU7"], [1], 1)
    both = {**told, "units": ["AU7", "AU9"], "people": [1, 2], "change": [[1], [2]]}
    left = photos.without(both, ["AU7"])
    assert (left["units"], left["people"], left["change"]) == (["AU9"], [2], [[2]])


def test_the_smallest_gain_that_serves() -> None:
    rests = np.zeros((2, COUNT))
    changes = np.full((2, COUNT, len(GAINS)), np.nan)
    changes[:] = np.array(GAINS) * 0.6  # 0.9 is reached at 1.5
    changes[:, 0] = 0.95  # enough at once
    changes[:, 1] = np.array(GAINS) * 0.3  # never
    changes[:, 6] = 0.1 + np.array(GAINS) * 0.1  # never, and more hardly brings more
    changes[:, 7] = [0.3, 0.6, 0.62]  # not beyond where it stops to rise
    changes[0, 2], changes[1, 2] = np.nan, np.array(GAINS) * 0.9  # one of two faces was seen
    rests[0, 3], changes[0, 3] = 0.9, 0.0  # shows it already: does not count
    rests[:, 4], changes[:, 4] = 0.9, 0.2  # nobody has room: nothing is known
    found = of_responses(rests, changes)
    assert found.gains[0] == 1
    assert found.gains[1] == MOST
    np.testing.assert_allclose(found.gains[[2, 3, 5]], [1, 1.5, 1.5], atol=1e-3)
    assert found.gains[4] == found.gains[6] == 1
    assert found.gains[7] == pytest.approx(1.6)
    assert list(found.people[:6]) == [2, 2, 1, 1, 0, 2]


def test_people_are_photographed_the_same_each_time() -> None:
    class Drawn:
        def edit(self, descriptor: dict[str, float]) -> np.ndarray:
            x = np.arange(64, dtype=np.uint8)
            return np.stack([np.add.outer(x, x)] * 3, axis=-1)

    class Studio:
        def sample(self, seed: int, *, truncation: float) -> Drawn:
            assert seed >= photos.FIRST_SEED
            assert truncation == photos.TRUNCATION
            return Drawn()

    first, second = photos.generated_people(Studio(), 2)  # type: ignore[arg-type]
    assert first.shape == (64, 64, 3)
    assert np.array_equal(first, second)


def test_what_too_few_show_and_what_is_moved_in_the_picture_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rest, change = np.zeros(COUNT), np.tile(np.array(GAINS) * 0.3, (COUNT, 1))
    full = rest.copy()
    full[facs.INDEX["AU10"]] = 0.9  # no room
    seen = iter([(rest, change), (full, change), (rest, change)])
    monkeypatch.setattr(photos, "responses", lambda subject, units: next(seen))

    class Studio:
        def face(self, source: object) -> None:
            return None

    found = photos.fit(Studio(), [None] * 3)  # type: ignore[arg-type, list-item]
    alone = {code for code, gain in zip(facs.CODES, found.gains, strict=True) if gain == 1}
    assert alone == {"AU10", *facs.MOVED}
