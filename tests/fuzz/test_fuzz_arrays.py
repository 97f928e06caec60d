"""Codes, boundaries and score scales with other headers, shapes, types, numbers, bytes."""

from __future__ import annotations

import functools
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from fuzzed import cases, changed, odd, odd_numbers, taken, wrong
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from duchenne.editing import boundaries
from duchenne.editing.boundaries import Boundaries
from duchenne.files import codes
from duchenne.measuring import score
from duchenne.types import LatentCode

KINDS = ("float32", "float16", "float64", "int64", "int8", "uint8", "bool")


def _code_is_plausible(code: LatentCode) -> None:
    assert code.w.dtype == np.float32
    assert code.w.ndim == 2
    assert np.abs(code.w).max() <= codes.MOST_LATENT


def _boundaries_are_plausible(found: Boundaries) -> None:
    for array in (found.normals, found.biases, found.lengths):
        assert np.isfinite(array).all()
    assert np.abs(found.normals).max() <= 1.01
    assert found.lengths.min() >= 0


def _scale_is_plausible(scale: score.Scale) -> None:
    for array in (scale.template, scale.neutral, scale.rise, scale.fall, scale.full):
        assert np.isfinite(array).all()


def _write_code(path: Path) -> None:
    codes.write_code(LatentCode(np.zeros((6, 512), np.float32), "g", {"made_by": "tests"}), path)


def _write_boundaries(path: Path) -> None:
    boundaries.save_boundaries(tiny.boundaries(tiny.GENERATOR), path)


def _write_scale(path: Path) -> None:
    score.save_scale(score.built_in_scale(), path, {})


FORMATS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any], Callable[[Any], None]]] = {
    "code": (_write_code, codes.read_code, _code_is_plausible),
    "boundaries": (_write_boundaries, boundaries.load_boundaries, _boundaries_are_plausible),
    "scale": (_write_scale, score.load_scale, _scale_is_plausible),
}


@functools.cache
def whole(name: str) -> bytes:
    """What the program itself writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        FORMATS[name][0](path)
        return path.read_bytes()


def check(name: str, content: bytes, folder: Path) -> None:
    path = folder / "given.safetensors"
    path.write_bytes(content)
    _, read, plausible = FORMATS[name]
    found = taken(read, path)
    if found is not None:
        plausible(found)


def packed(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode(errors="replace")
    return struct.pack("<Q", len(text)) + text + rest


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


@pytest.mark.parametrize("name", FORMATS)
@cases(80)
@given(data=st.data())
def test_headers(name: str, data: st.DataObject, tmp_path: Path) -> None:
    header, rest = unpacked(whole(name))
    kind = st.sampled_from(("F16", "BF16", "I64", "F8_E4M3", "BOOL", "U64", "F32"))
    check(name, packed(data.draw(wrong(header, odd | kind)), rest), tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@cases(60)
@given(data=st.data())
def test_own_headers(name: str, data: st.DataObject, tmp_path: Path) -> None:
    """The text of JSON inside of the file's own header."""
    header, rest = unpacked(whole(name))
    own = json.loads(header["__metadata__"][codes.HEADER])
    text = json.dumps(data.draw(wrong(own))).encode(errors="replace").decode()
    header["__metadata__"][codes.HEADER] = data.draw(
        st.sampled_from((text, text, text[:-2], "[" * 5000))
    )
    check(name, packed(header, rest), tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@cases(80)
@given(data=st.data())
def test_numbers(name: str, data: st.DataObject, tmp_path: Path) -> None:
    header, _ = unpacked(whole(name))
    arrays = load(whole(name))
    which = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[which].copy()
    with np.errstate(all="ignore"):
        match data.draw(st.integers(0, 4)):
            case 0:
                value = float(data.draw(odd_numbers.filter(lambda n: n < 10**300 or n != n)))
                if array.dtype.kind == "i":
                    value = np.clip(np.nan_to_num(value), -(2**31), 2**31 - 1)
                array.flat[data.draw(st.integers(0, array.size - 1))] = value
            case 1:
                array = array * data.draw(st.sampled_from((0, -1, 1e-30, 1e4, 1e30)))
            case 2:
                array = array.astype(data.draw(st.sampled_from(KINDS)))
            case 3:
                array = data.draw(
                    st.sampled_from((array[:-1], array[..., None], array.ravel(), array[:0]))
                )
            case 4:
                array = np.concatenate([array, array])
    if data.draw(st.integers(0, 9)) == 0:
        del arrays[which]
    else:
        arrays[which] = np.ascontiguousarray(array)
    check(name, save(arrays, header["__metadata__"]), tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@cases(40)
@given(data=st.data())
def test_bytes(name: str, data: st.DataObject, tmp_path: Path) -> None:
    start = whole(name)[:2000]
    check(name, data.draw(changed(start)) + whole(name)[2000:], tmp_path)
