"""Latent codes as files: what was written comes back, and nothing else is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from duchenne.errors import InputError, OutputError
from duchenne.files import codes
from duchenne.types import LatentCode


@pytest.fixture
def code() -> LatentCode:
    w = np.random.default_rng(0).standard_normal((16, 512)).astype(np.float32)
    return LatentCode(w, "net-1", {"made_by": "sample", "seed": 7, "name": "Zoë", "n": [1, 2.5]})


GOOD = {"format": codes.FORMAT, "generator": "net-1", "provenance": {}}
W = np.zeros((16, 512), np.float32)


def written(tmp_path: Path, tensors: dict[str, np.ndarray], header: Any) -> Path:
    """A file that somebody else wrote. header: a string is taken as it is."""
    path = tmp_path / "code.safetensors"
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors, path, {codes.HEADER: text})
    return path


def test_a_code_comes_back_to_the_bit(code: LatentCode, tmp_path: Path) -> None:
    path = tmp_path / "code.safetensors"
    codes.write_code(code, path)
    read = codes.read_code(path)
    assert read.w.tobytes() == code.w.tobytes()
    assert read.w.dtype == np.float32
    assert (read.generator, read.provenance) == (code.generator, code.provenance)


def test_a_view_of_a_larger_array_is_written_as_what_it_shows(tmp_path: Path) -> None:
    w = (np.arange(16 * 1024, dtype=np.float32) / 1000).reshape(16, 1024)[:, ::2]
    codes.write_code(LatentCode(w, "net-1"), tmp_path / "c.safetensors")
    np.testing.assert_array_equal(codes.read_code(tmp_path / "c.safetensors").w, w)


@pytest.mark.parametrize("order", ["C", "F"])
def test_tensors_come_back_whatever_their_order_in_memory(tmp_path: Path, order: str) -> None:
    matrix = np.asarray(np.arange(12, dtype=np.float32).reshape(4, 3), order=order)
    tensors = {"m": matrix, "every_other": np.arange(10.0)[::2]}
    codes.write_tensors(tensors, {"format": "x"}, {}, tmp_path / "t.safetensors")
    read, _ = codes.read_tensors(tmp_path / "t.safetensors", "x", "a matrix")
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)


def test_the_same_code_gives_the_same_file(code: LatentCode, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.safetensors" for i in range(8)]
    for path in files:
        codes.write_code(code, path)
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.parametrize("name", ["code.pt", "code", "missing/code.safetensors"])
def test_a_place_that_cannot_hold_a_code(code: LatentCode, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        codes.write_code(code, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        codes.read_code(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 60, 200, -1])
def test_a_truncated_file_is_refused(code: LatentCode, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "code.safetensors"
    codes.write_code(code, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"code\.safetensors: expected a latent code"):
        codes.read_code(path)


@pytest.mark.parametrize(
    "content",
    [
        b"hello, this is text and no tensor at all\n",
        b"\xff" * 64,  # a header of 2^64 bytes
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        (3).to_bytes(8, "little") + b"\xff\xfe{",
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "code.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a latent code"):
        codes.read_code(path)


@pytest.mark.parametrize("header", [{}, {"format": "duchenne-boundaries-1"}, {"format": 3}])
def test_tensors_of_another_format_are_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="its format is"):
        codes.read_code(written(tmp_path, {"w": W}, header))


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    for number, header in enumerate((None, {"format": "pt"})):
        path = tmp_path / f"{number}.safetensors"
        save_file({"w": W}, path, header)
        with pytest.raises(InputError, match="its format is 'none'"):
            codes.read_code(path)


@pytest.mark.parametrize("header", ["{", "nonsense", "[1]", "3", "null", ""])
def test_a_broken_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match=r"code\.safetensors: expected a latent code"):
        codes.read_code(written(tmp_path, {"w": W}, header))


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"v": W},
        {"w": W[0]},
        {"w": W[None]},
        {"w": W[:0]},
        {"w": np.where(np.arange(512) == 3, np.nan, W).astype(np.float32)},
        {"w": np.where(np.arange(512) == 3, np.inf, W).astype(np.float32)},
        {"w": np.full((16, 512), 1e300)},  # infinite as float32
    ],
    ids=["none", "name", "1d", "3d", "rows", "nan", "inf", "overflow"],
)
def test_other_tensors_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"finite numbers `w` of shape \[L, 512\]"):
        codes.read_code(written(tmp_path, tensors, GOOD))


def test_numbers_that_numpy_lacks_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    path = tmp_path / "code.safetensors"
    save_torch(
        {"w": torch.zeros(16, 512, dtype=torch.bfloat16)}, path, {codes.HEADER: json.dumps(GOOD)}
    )
    with pytest.raises(InputError, match=r"code\.safetensors"):
        codes.read_code(path)


def test_a_code_without_its_generator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which generator"):
        codes.read_code(written(tmp_path, {"w": W}, {"format": codes.FORMAT}))


@pytest.mark.parametrize("provenance", ["text", [1], 3, None])
def test_a_broken_provenance_is_refused(tmp_path: Path, provenance: object) -> None:
    with pytest.raises(InputError, match="provenance"):
        codes.read_code(written(tmp_path, {"w": W}, {**GOOD, "provenance": provenance}))


def test_a_code_without_provenance_is_read(tmp_path: Path) -> None:
    header = {"format": codes.FORMAT, "generator": "net-1"}
    assert codes.read_code(written(tmp_path, {"w": W}, header)).provenance == {}


def test_provenance_is_readable_without_the_library(code: LatentCode, tmp_path: Path) -> None:
    path = tmp_path / "code.safetensors"
    codes.write_code(code, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])["__metadata__"]
    assert json.loads(header[codes.HEADER])["provenance"] == code.provenance


# A tuning beside the code


@pytest.fixture
def tuned(code: LatentCode) -> LatentCode:
    rng = np.random.default_rng(1)
    tuning = {
        "blocks.3.conv1.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float16),
        "rgb.bias": np.array([1e-7, -60.0, 0.0], np.float16),
    }
    return LatentCode(code.w, code.generator, code.provenance, tuning)


def test_a_tuning_comes_back_to_the_bit(tuned: LatentCode, tmp_path: Path) -> None:
    path = tmp_path / "code.safetensors"
    codes.write_code(tuned, path)
    read = codes.read_code(path)
    assert read.tuning is not None
    assert tuned.tuning is not None
    assert set(read.tuning) == set(tuned.tuning)
    for name, array in tuned.tuning.items():
        assert read.tuning[name].dtype == np.float16
        assert read.tuning[name].shape == array.shape
        assert read.tuning[name].tobytes() == array.tobytes()
    assert read.w.tobytes() == tuned.w.tobytes()
    assert read.provenance == tuned.provenance


def test_a_code_without_a_tuning_has_none(code: LatentCode, tmp_path: Path) -> None:
    codes.write_code(code, tmp_path / "a.safetensors")
    assert codes.read_code(tmp_path / "a.safetensors").tuning is None
    empty = LatentCode(code.w, code.generator, code.provenance, {})
    codes.write_code(empty, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_tuning_of_no_numbers_is_refused(
    tuned: LatentCode, tmp_path: Path, number: float
) -> None:
    delta = {f"{codes.TUNING}rgb.bias": np.array([0.0, number], np.float16)}
    with pytest.raises(InputError, match="the tuning holds numbers that are not finite"):
        codes.read_code(written(tmp_path, {"w": W, **delta}, GOOD))


def test_other_tensors_beside_a_code_are_no_tuning(tmp_path: Path) -> None:
    path = written(tmp_path, {"w": W, "tuningx": W, "v": W}, GOOD)
    assert codes.read_code(path).tuning is None


def test_a_large_tuning_is_stored_at_two_bytes_a_number(tuned: LatentCode, tmp_path: Path) -> None:
    delta = {"a": np.ones((64, 64, 3, 3), np.float16)}
    for name, tuning in (("plain", None), ("tuned", delta)):
        code = LatentCode(tuned.w, tuned.generator, {}, tuning)
        codes.write_code(code, tmp_path / f"{name}.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("tuned", "plain")]
    assert 0 <= sizes[0] - sizes[1] - 2 * delta["a"].size < 200
