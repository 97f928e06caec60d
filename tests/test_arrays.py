"""Every number of a file has a type, a shape and a plausible range, checked where it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from refusal import refusal
from safetensors import safe_open
from safetensors.numpy import save_file

from duchenne.editing import boundaries
from duchenne.errors import InputError, SpaceMismatch
from duchenne.files import codes
from duchenne.measuring import score
from duchenne.types import LatentCode

Change = Callable[[np.ndarray], np.ndarray]


def broken(path: Path, name: str, change: Change) -> Path:
    """The file with one array changed."""
    with safe_open(path, framework="numpy") as file:
        tensors: dict[str, Any] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, path, header)
    return path


def first(value: float) -> Change:
    """Puts `value` in the place of the first number."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[0] = value
        return array

    return change


SHARED: list[Change] = [
    first(np.nan), first(np.inf), first(3e4), lambda a: a[:-1], lambda a: a[..., None],
    lambda a: np.zeros_like(a, np.int64), lambda a: np.ones_like(a, bool), lambda a: a[:0],
]  # fmt: skip


@pytest.mark.parametrize("change", [*SHARED[:3], *SHARED[4:], first(3.4e38), lambda a: a[:, :-1]])
def test_codes(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "code.safetensors"
    codes.write_code(LatentCode(np.zeros((16, 512), np.float32), "g"), path)
    assert "code.safetensors: expected " in refusal(
        InputError, codes.read_code, broken(path, "w", change)
    )


def test_a_code_of_other_rows_is_another_generators() -> None:
    studio = tiny.TinyStudio()
    code = LatentCode(np.zeros((3, 512), np.float32), studio.generator.fingerprint)
    assert "shape [3, 512]" in refusal(SpaceMismatch, studio.renderer.require_space, code)


@pytest.mark.parametrize(
    "name", ["normals", "lengths", "biases", "centre", "stretch", "photo_gain"]
)
@pytest.mark.parametrize("change", SHARED)
def test_boundaries(tmp_path: Path, name: str, change: Change) -> None:
    path = tmp_path / "b.safetensors"
    boundaries.save_boundaries(boundaries.built_in(), path)
    assert "b.safetensors: " in refusal(
        InputError, boundaries.load_boundaries, broken(path, name, change)
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lengths", lambda a: -a),
        ("lengths", lambda a: a * 0),
        ("stretch", lambda a: np.array([6.5, 1e30], np.float32)),
        ("stretch", lambda a: np.array([6.5, -5], np.float32)),
        ("stretch", lambda a: np.array([1e-30, 0.7], np.float32)),
        ("centre", lambda a: a + 1e6),
        ("photo_gain", lambda a: -a),
        ("photo_gain", lambda a: a * 0),
    ],
)
def test_boundaries_that_would_edit_nothing_or_the_opposite(
    tmp_path: Path, name: str, change: Change
) -> None:
    test_boundaries(tmp_path, name, change)


@pytest.mark.parametrize("name", ["template", "neutral", "rise", "fall", "full"])
@pytest.mark.parametrize("change", [*SHARED, first(-11), lambda a: a * np.nan])
def test_scales(tmp_path: Path, name: str, change: Change) -> None:
    path = tmp_path / "s.safetensors"
    score.save_scale(score.built_in_scale(), path, {})
    assert "s.safetensors: expected a score scale" in refusal(
        InputError, score.load_scale, broken(path, name, change)
    )


@pytest.mark.parametrize("name", ["rise", "fall", "full"])
def test_a_scale_whose_spans_are_nothing(tmp_path: Path, name: str) -> None:
    test_scales(tmp_path, name, lambda a: a * 0)


def test_files_have_a_size_that_the_message_names(tmp_path: Path) -> None:
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.truncate(6 << 30)
    assert "larger than 512 MB" in refusal(InputError, codes.read_code, path)
