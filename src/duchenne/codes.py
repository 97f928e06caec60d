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

from . import pixels
from .errors import InputError
from .types import LatentCode

FORMAT = "duchenne-code-1"
SUFFIX = ".safetensors"
HEADER = "duchenne"


def write_code(code: LatentCode, path: Path) -> None:
    """Save a code; the provenance travels in the file's own header. Atomic."""
    pixels.check_writable(path, (SUFFIX,))
    metadata = {"format": FORMAT, "generator": code.generator}
    write_tensors({"w": np.ascontiguousarray(code.w)}, metadata, code.provenance, path)


def read_code(path: Path) -> LatentCode:
    """Load a code written by `write_code`; InputError names what is wrong with another file."""
    tensors, metadata = read_tensors(path, FORMAT, "a latent code from `encode` or `sample`")
    w = tensors.get("w")
    if w is None or w.ndim != 2 or w.shape[1] != 512 or not np.isfinite(w).all():
        raise InputError(f"{path}: expected finite numbers `w` of shape [L, 512]")
    if "generator" not in metadata:
        raise InputError(f"{path}: the file does not say which generator its code belongs to")
    provenance = metadata.get("provenance", {})
    return LatentCode(w.astype(np.float32), metadata["generator"], provenance)


def read_tensors(
    path: Path, file_format: str, expected: str
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Tensors and header of a safetensors file whose header names `file_format`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            found = metadata.get("format", "none")
            if found != file_format:
                raise InputError(f"{path}: expected {expected}, but its format is {found!r}")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: expected {expected}, but cannot read it ({error})") from error


def write_tensors(
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str],
    provenance: Mapping[str, Any],
    path: Path,
) -> None:
    """Safetensors with metadata and provenance in the header. Atomic; same content, same bytes."""
    header = {**metadata, "provenance": dict(provenance)}
    # One entry: safetensors writes several in a random order.
    packed = {HEADER: json.dumps(header, sort_keys=True)}
    write_atomically(save(dict(tensors), packed), path)


def write_atomically(content: bytes, path: Path) -> None:
    """The whole new file or the old one, never half of either."""
    with pixels.replacing(path) as temporary, pixels.reporting_disk_errors(path):
        temporary.write_bytes(content)
