"""The boundary file, and intensities as latent distances."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from refusal import refusal
from safetensors.numpy import save_file

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.editing.boundaries import (
    Boundaries,
    Stretch,
    load_boundaries,
    save_boundaries,
    slot_intensities,
)
from duchenne.errors import DescriptorError, InputError, SpaceMismatch
from duchenne.faces.regions import SLOTS
from duchenne.files import codes

COUNT = len(facs.CODES)
LENGTHS = np.array([3.0, 5.0, 9.0, 20.0], np.float32)  # of intensities 1/4, 1/2, 3/4, 1
SCALE = np.linspace(1, 10, COUNT, dtype=np.float32)  # of the Action Units, one after another


@pytest.fixture
def limits() -> Boundaries:
    plain = tiny.boundaries(tiny.GENERATOR)
    scale = SCALE[:, None]
    return Boundaries(
        normals=plain.normals,
        biases=scale[:, 0] / 10,
        lengths=LENGTHS * scale,
        generator=plain.generator,
        provenance={"seed": 3},
    )


def test_boundaries_come_back(limits: Boundaries, tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    save_boundaries(limits, path)
    read = load_boundaries(path)
    norms = np.linalg.norm(read.normals.reshape(COUNT, -1).astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)
    np.testing.assert_allclose(read.normals, limits.normals, atol=2e-4)  # kept as float16
    cosines = (read.normals * limits.normals).sum(axis=(1, 2))
    assert cosines.min() > 0.999999
    np.testing.assert_array_equal(read.biases, limits.biases)
    np.testing.assert_array_equal(read.lengths, limits.lengths)
    assert read.normals.dtype == read.lengths.dtype == np.float32
    assert (read.generator, read.provenance) == (limits.generator, {"seed": 3})
    assert json.loads((tmp_path / "b.json").read_text()) == {"seed": 3}


@pytest.mark.parametrize("regional", [True, False])
def test_a_file_says_whether_it_acts_in_regions(
    limits: Boundaries, tmp_path: Path, regional: bool
) -> None:
    save_boundaries(dataclasses.replace(limits, regional=regional), tmp_path / "b.safetensors")
    assert load_boundaries(tmp_path / "b.safetensors").regional is regional


def test_rows_that_are_not_edited_stay_zero(limits: Boundaries, tmp_path: Path) -> None:
    save_boundaries(limits, tmp_path / "b.safetensors")
    unedited = ~limits.normals.any(axis=(0, 2))
    assert unedited.any()
    assert not load_boundaries(tmp_path / "b.safetensors").normals[:, unedited].any()


def test_a_second_round_trip_changes_nothing(limits: Boundaries, tmp_path: Path) -> None:
    save_boundaries(limits, tmp_path / "a.safetensors")
    save_boundaries(load_boundaries(tmp_path / "a.safetensors"), tmp_path / "b.safetensors")
    one, two = (load_boundaries(tmp_path / f"{n}.safetensors").normals for n in "ab")
    np.testing.assert_allclose(one, two, atol=2e-5)


# Files that are something else


def tensors_of(limits: Boundaries) -> dict[str, np.ndarray]:
    return {"normals": limits.normals, "biases": limits.biases, "lengths": limits.lengths}


HEADER = {
    "format": boundaries.FORMAT,
    "generator": "tiny-0",
    "action_units": ",".join(facs.CODES),
    "regional": True,
    "provenance": {},
}


def refused(tmp_path: Path, tensors: dict[str, Any], header: dict[str, Any], match: str) -> None:
    path = tmp_path / "b.safetensors"
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    save_file(whole, path, {codes.HEADER: json.dumps(header)})
    message = refusal(InputError, load_boundaries, path)
    assert re.search(match, message)
    assert "b.safetensors" in message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; expected boundaries"):
        load_boundaries(tmp_path / "b.safetensors")


@pytest.mark.parametrize("keep", [0, 9, 500, -1])
def test_a_truncated_file(limits: Boundaries, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "b.safetensors"
    save_boundaries(limits, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="expected boundaries"):
        load_boundaries(path)


def test_text_and_other_formats(limits: Boundaries, tmp_path: Path) -> None:
    (tmp_path / "b.safetensors").write_text("AU12 = 3\n" * 20)
    with pytest.raises(InputError, match="expected boundaries"):
        load_boundaries(tmp_path / "b.safetensors")
    tensors = tensors_of(limits)
    refused(tmp_path, tensors, HEADER | {"format": "duchenne-code-1"}, "its format is")
    refused(tmp_path, tensors, HEADER | {"action_units": "AU1,AU99"}, "some of the Action Units")
    twice = ",".join(["AU1", *facs.CODES[:-1]])
    refused(tmp_path, tensors, HEADER | {"action_units": twice}, "each once")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("normals", (11, 6, 512)), ("normals", (COUNT, 6, 511)), ("normals", (COUNT, 3072))),
        *(("biases", (11,)), ("biases", (COUNT, 1))),
        *(("lengths", (11, 4)), ("lengths", (COUNT,)), ("lengths", (COUNT, 0))),
    ],
)
def test_tensors_of_other_shapes(
    limits: Boundaries, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    wrong = np.ones(shape, np.float32)
    refused(tmp_path, tensors_of(limits) | {name: wrong}, HEADER, "shapes")


@pytest.mark.parametrize("name", ["normals", "biases", "lengths"])
def test_missing_tensors_and_nan(limits: Boundaries, tmp_path: Path, name: str) -> None:
    tensors = tensors_of(limits)
    damaged = tensors[name].copy()
    damaged.flat[5] = np.nan
    refused(tmp_path, tensors | {name: damaged}, HEADER, "expected boundaries")
    del tensors[name]
    refused(tmp_path, tensors, HEADER, "expected boundaries")


def test_normals_that_are_not_of_unit_length(limits: Boundaries, tmp_path: Path) -> None:
    normals = limits.normals.copy()
    normals[3] *= 1.5
    refused(tmp_path, tensors_of(limits) | {"normals": normals}, HEADER, "unit length")
    normals[3] = 0
    refused(tmp_path, tensors_of(limits) | {"normals": normals}, HEADER, "unit length")


def test_a_file_from_before_a_unit_was_known(limits: Boundaries, tmp_path: Path) -> None:
    """Its units keep their values under another order; the others are missing."""
    some = ["AU12", "AU1", "AU26"]
    rows = [facs.INDEX[code] for code in some]
    gain = np.array([1.5, 1.25, 2.0], np.float32)
    tensors = {name: tensor[rows] for name, tensor in tensors_of(limits).items()}
    path = tmp_path / "b.safetensors"
    header = HEADER | {"action_units": ",".join(some)}
    save_file(tensors | {"photo_gain": gain}, path, {"duchenne": json.dumps(header)})
    read = load_boundaries(path)
    assert read.missing == tuple(code for code in facs.CODES if code not in some)
    np.testing.assert_allclose(read.normals[rows], limits.normals[rows], atol=2e-4)
    np.testing.assert_array_equal(read.lengths[rows], limits.lengths[rows])
    assert read.photo_gain is not None
    np.testing.assert_array_equal(read.photo_gain[rows], gain)
    asked = np.zeros(COUNT)
    asked[facs.INDEX["AU2"]] = 0.5
    with pytest.raises(DescriptorError, match="AU2: these boundaries have none"):
        read.distances(asked)


@pytest.mark.parametrize("provenance", ["text", [1], None])
def test_a_broken_provenance(limits: Boundaries, tmp_path: Path, provenance: object) -> None:
    header = HEADER | {"provenance": provenance}
    refused(tmp_path, tensors_of(limits), header, "provenance")


def test_another_generators_boundaries_are_not_mixed_in(limits: Boundaries) -> None:
    limits.require_space("tiny-0")
    with pytest.raises(SpaceMismatch, match="boundaries belong to tiny-0, the code to tiny-1"):
        limits.require_space("tiny-1")


# Intensities


def test_distances_go_through_the_measured_knots(limits: Boundaries) -> None:
    asked = np.tile([0, 0.125, 0.25, 0.375, 0.5, 0.75, 0.9, 1], (COUNT, 1))
    found = limits.distances(asked)
    by_hand = np.array([0, 1.5, 3, 4, 5, 9, 9 + 0.6 * 11, 20])
    np.testing.assert_allclose(found, by_hand * SCALE[:, None], rtol=1e-6)
    assert found.dtype == np.float32


def test_distances_are_odd(limits: Boundaries) -> None:
    asked = np.random.default_rng(0).uniform(-1, 1, (COUNT, 8))
    np.testing.assert_array_equal(limits.distances(-asked), -limits.distances(asked))
    assert not limits.distances(np.zeros((COUNT, 8))).any()


def test_beyond_one_it_goes_on_in_a_straight_line(limits: Boundaries) -> None:
    full, more = (limits.distances(np.full(COUNT, -size)) for size in (1.0, 1.5))
    np.testing.assert_allclose(more, 1.5 * full, rtol=1e-6)


def test_one_length_is_a_straight_line() -> None:
    plain = tiny.boundaries(tiny.GENERATOR)
    asked = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(
        plain.distances(np.tile(asked, (COUNT, 1)))[4], 20 * asked, rtol=1e-6
    )


# Faces far from the average


def stretched(limits: Boundaries, radius: float = 2.0, power: float = 0.5) -> Boundaries:
    centre = np.linspace(-1, 1, 512, dtype=np.float32)
    return dataclasses.replace(limits, stretch=Stretch(centre, radius, power))


def test_farther_faces_get_longer_edits(limits: Boundaries) -> None:
    """Rows at 6 from the centre where 2 is typical: 3 ** 0.5, but no more than twice the radius."""
    far = stretched(limits)
    assert far.stretch is not None
    step = np.zeros(512, np.float32)
    step[0] = 1
    rows = far.stretch.centre + np.array([[3.0], [4.0]], np.float32) * step  # 5 in the mean square
    assert far.stretch.of(rows) == pytest.approx((np.sqrt(12.5) / 2) ** 0.5, rel=1e-6)
    assert far.stretch.of(far.stretch.centre + 9 * step[None]) == pytest.approx(2**0.5)
    assert far.stretch.of(far.stretch.centre[None]) == pytest.approx(0.5**0.5)


def test_only_edited_rows_tell_how_far_a_face_is(limits: Boundaries) -> None:
    far = stretched(limits)
    assert far.stretch is not None
    edited = far.normals.any(axis=(0, 2))
    w = np.full((tiny.GENERATOR.rows, 512), 100, np.float32)
    w[edited] = far.stretch.centre
    w[edited, 0] += 2  # typical
    asked = np.tile([0.25, 1.0], (COUNT, 1))
    np.testing.assert_allclose(far.distances(asked, w), far.distances(asked), rtol=1e-6)
    w[edited, 0] += 1
    np.testing.assert_allclose(
        far.distances(asked, w), 1.5**0.5 * limits.distances(asked), rtol=1e-6
    )
    np.testing.assert_array_equal(limits.distances(asked, w), limits.distances(asked))


def test_the_stretch_comes_back(limits: Boundaries, tmp_path: Path) -> None:
    far = stretched(limits)
    save_boundaries(far, tmp_path / "b.safetensors")
    read = load_boundaries(tmp_path / "b.safetensors").stretch
    assert read is not None
    assert far.stretch is not None
    np.testing.assert_array_equal(read.centre, far.stretch.centre)
    assert (read.radius, read.power) == (2.0, 0.5)
    save_boundaries(limits, tmp_path / "b.safetensors")
    assert load_boundaries(tmp_path / "b.safetensors").stretch is None


def test_a_radius_of_nothing_is_refused(limits: Boundaries, tmp_path: Path) -> None:
    save_boundaries(stretched(limits, radius=0.0), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="radius of a typical face is 0"):
        load_boundaries(tmp_path / "b.safetensors")


def test_the_built_in_boundaries() -> None:
    built_in = boundaries.built_in()
    assert built_in.normals.shape == (COUNT, 16, 512)
    assert set(built_in.missing) <= set(facs.MOVED)
    assert built_in.generator.startswith("mobilestylegan-ffhq-")
    assert built_in.provenance
    norms = np.linalg.norm(built_in.normals.reshape(COUNT, -1).astype(np.float64), axis=1)
    there = ~np.isin(facs.CODES, built_in.missing)
    np.testing.assert_allclose(norms[there], 1, atol=1e-6)
    edited = built_in.normals.any(axis=(0, 2))
    assert not edited[[0, *range(7, 16)]].any()  # pose; colour and texture
    assert (built_in.lengths[there] > 0).all()
    assert (np.diff(built_in.lengths[there], axis=1) > 0).all()  # more intensity is further out
    normals = built_in.normals[there]
    products = np.einsum("ird,jrd->ij", normals, normals) - np.eye(len(normals))
    assert np.abs(products).max() < 0.95  # different directions


# Which mask an Action Unit edits


def used(descriptor: dict[str, float]) -> dict[str, float]:
    """slot -> intensity of the only Action Unit that is asked for."""
    table = slot_intensities(descriptor)
    assert table.shape == (COUNT, len(SLOTS))
    (unit,) = {facs.INDEX[facs.split_side(code)[0]] for code in descriptor}
    assert not np.delete(table, unit, axis=0).any()
    return {slot: value for slot, value in zip(SLOTS, table[unit], strict=True) if value}


def test_a_unit_acts_on_both_halves_of_its_region() -> None:
    assert used({"AU12": 0.8}) == {"mouthR": 0.8, "mouthL": 0.8}
    assert used({"AU4": -0.5}) == {"browsR": -0.5, "browsL": -0.5}
    assert used({"AU9": 1.0}) == {"noseR": 1.0, "noseL": 1.0}
    assert used({"AU6": 1.0}) == {"eyesR": 1.0, "eyesL": 1.0}


def test_a_side_acts_on_its_half() -> None:
    assert used({"AU12L": 0.8}) == {"mouthL": 0.8}
    assert used({"AU12L": 0.8, "AU12R": 0.2}) == {"mouthL": 0.8, "mouthR": 0.2}


def test_every_unit_has_two_masks_and_several_units_share_them() -> None:
    table = slot_intensities(dict.fromkeys(facs.CODES, 1.0))
    assert (table.sum(axis=1) == 2).all()
    assert table.sum(axis=0)[SLOTS.index("mouthL")] == sum(
        unit.area == "mouth" for unit in facs.ACTION_UNITS
    )


def test_nothing_asked_is_nothing() -> None:
    assert not slot_intensities({}).any()
    assert not slot_intensities({"AU12": 0.0}).any()
