"""Latent codes as files: safetensors with their provenance, and a cache keyed by content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import InputError
from ..types import LatentCode
from . import pictures, writing

FORMAT = "duchenne-code-1"
SUFFIX = ".safetensors"
HEADER = "duchenne"
TUNING = "tuning."  # before the names of the generator's parameters


def write_code(code: LatentCode, path: Path) -> None:
    """Save a code with its tuning; the provenance travels in the file's own header. Atomic."""
    pictures.check_writable(path, (SUFFIX,))
    metadata = {"format": FORMAT, "generator": code.generator}
    delta = {f"{TUNING}{name}": array for name, array in (code.tuning or {}).items()}
    write_tensors({"w": code.w, **delta}, metadata, code.provenance, path)


def read_code(path: Path) -> LatentCode:
    """Load a code written by `write_code`; InputError names what is wrong with another file."""
    tensors, metadata = read_tensors(path, FORMAT, "a latent code from `encode` or `sample`")
    w = tensors.get("w")
    if w is None or w.ndim != 2 or 0 in w.shape or not _is_finite(w):
        raise InputError(f"{path}: expected finite numbers `w` of shape [L, 512]")
    if "generator" not in metadata:
        raise InputError(f"{path}: the file does not say which generator its code belongs to")
    delta = {k.removeprefix(TUNING): v for k, v in tensors.items() if k.startswith(TUNING)}
    if not all(_is_finite(array) for array in delta.values()):
        raise InputError(f"{path}: the tuning holds numbers that are not finite; encode again")
    return LatentCode(
        w.astype(np.float32), metadata["generator"], metadata["provenance"], delta or None
    )


def _is_finite(array: NDArray[Any]) -> bool:
    """Whether every number is one in float32 too."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(np.float32)).all())


def read_tensors(
    path: Path, file_format: str, expected: str
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Tensors and header of a safetensors file whose header names `file_format`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            named = metadata.get("format", "none") if isinstance(metadata, dict) else "none"
            if named != file_format:
                raise InputError(f"{path}: expected {expected}, but its format is {named!r}")
            if not isinstance(metadata.setdefault("provenance", {}), dict):
                raise InputError(f"{path}: expected {expected}, but its provenance is no table")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    # TypeError: a number format that numpy lacks.
    except (SafetensorError, OSError, json.JSONDecodeError, TypeError) as error:
        raise InputError(f"{path}: expected {expected}, but cannot read it ({error})") from error


def read_kept(
    path: Path, file_format: str, expected: str, generator: str | None = None
) -> tuple[dict[str, Any], Mapping[str, Any]] | None:
    """`read_tensors` of what an earlier run may have left; None if it is missing or damaged, or if
    it is another generator's than the one with this fingerprint."""
    try:
        tensors, metadata = read_tensors(path, file_format, expected)
    except InputError:
        return None
    return (tensors, metadata) if generator in (None, metadata.get("generator")) else None


def write_tensors(
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any],
    provenance: Mapping[str, Any],
    path: Path,
) -> None:
    """Safetensors with metadata and provenance in the header. Atomic; same content, same bytes."""
    header = {**metadata, "provenance": dict(provenance)}
    # One entry: safetensors writes several in a random order.
    packed = {HEADER: json.dumps(header, sort_keys=True)}
    # safetensors writes an array's memory as it lies, whatever its strides say.
    plain = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_atomically(save(plain, packed), path)


def write_atomically(content: bytes, path: Path) -> None:
    """The whole new file or the old one, never half of either."""
    with writing.replacing(path) as temporary, writing.reporting_disk_errors(path):
        temporary.write_bytes(content)
