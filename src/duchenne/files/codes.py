"""Latent codes as files: safetensors with their provenance, and a cache keyed by content."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import InputError, quoted
from ..reading import places, texts
from ..types import WIDTH, LatentCode
from . import arrays, pictures, writing
from .arrays import Expected

log = logging.getLogger(__name__)

FORMAT = "duchenne-code-1"
SUFFIX = ".safetensors"
HEADER = "duchenne"
TUNING = "tuning."  # before the names of the generator's parameters
MOST_BYTES = 512_000_000  # of a file that is given; the largest we write, an encoder, has 25 MB
MOST_LATENT = 100.0  # of a number in W+: the farthest codes of photos have some 10
MOST_ROWS = 64  # of W+; 18 at 1024 px
LONGEST_NAME = 200  # characters of a generator's fingerprint


def write_code(code: LatentCode, path: Path) -> None:
    """Save a code with its tuning; the provenance travels in the file's own header. Atomic."""
    pictures.check_writable(path, (SUFFIX,))
    metadata = {"format": FORMAT, "generator": code.generator}
    delta = {f"{TUNING}{name}": array for name, array in (code.tuning or {}).items()}
    write_tensors({"w": code.w, **delta}, metadata, code.provenance, path)


def read_code(path: Path) -> LatentCode:
    """Load a code written by `write_code`; InputError names what is wrong with another file."""
    expected = "a latent code from `encode` or `sample`"
    tensors, metadata = read_tensors(path, FORMAT, expected, command=f"encode PHOTO -o {path.name}")
    w = Expected(("L", WIDTH), -MOST_LATENT, MOST_LATENT, longest=MOST_ROWS)
    arrays.check(tensors, {"w": w}, path, f"finite numbers `w` of shape [L, {WIDTH}], {expected}")
    if "generator" not in metadata:
        raise InputError(f"{path}: the file does not say which generator its code belongs to")
    delta = {k.removeprefix(TUNING): v for k, v in tensors.items() if k.startswith(TUNING)}
    for name, array in delta.items():
        if not np.isfinite(array.astype(np.float64)).all():
            raise InputError(f"{path}: the tuning holds numbers that are not finite; encode again")
        change = Expected(array.shape, -MOST_LATENT, MOST_LATENT)
        arrays.check(tensors, {f"{TUNING}{name}": change}, path, expected)
    return LatentCode(
        tensors["w"].astype(np.float32),
        metadata["generator"],
        metadata["provenance"],
        delta or None,
    )


def read_tensors(
    path: Path,
    file_format: str,
    expected: str,
    most: int | None = MOST_BYTES,
    only: Collection[str] | None = None,
    command: str = "",
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Tensors and header of a safetensors file whose header names `file_format`.

    most: bytes of the file; a larger one is not read. only: the tensors to read, None for all.
    command: of duchenne, which makes such a file anew; told about one of an older format. What the
    tensors must be is for `arrays`.
    """
    if not places.is_file(path):
        raise InputError(f"{path}: no such file; expected {expected}")
    if most is not None and path.stat().st_size > most:
        raise InputError(f"{path}: larger than {most / 1e6:g} MB; expected {expected}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(HEADER, "{}")
            metadata = texts.parse_json(header, f"expected {expected}, but its header is")
            named = metadata.get("format", "none") if isinstance(metadata, dict) else "none"
            if named != file_format:
                other = _other_format(named, file_format, command)
                raise InputError(f"expected {expected}, but {other}")
            if not isinstance(metadata.setdefault("provenance", {}), dict):
                raise InputError(f"expected {expected}, but its provenance is no table")
            generator = metadata.get("generator", "")
            if not isinstance(generator, str) or len(generator) > LONGEST_NAME:
                raise InputError(f"expected {expected}, but its generator is no name")
            names = [n for n in file.keys() if only is None or n in only]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}, metadata
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    # TypeError and its like: a number format that numpy lacks.
    except (SafetensorError, OSError, TypeError, ValueError, LookupError, AttributeError) as error:
        reason = quoted(str(error), bare=True, most=160)
        raise InputError(f"{path}: expected {expected}, but cannot read it ({reason})") from error


def _other_format(named: object, wanted: str, command: str) -> str:
    """What a file is instead. Formats end in a number; a file of another one is not converted.

    >>> _other_format("duchenne-scores-2", "duchenne-scores-3", "fit boundaries")
    'it is of an older version (duchenne-scores-2, now -3); make it anew: duchenne fit boundaries'
    """
    kind, _, number = wanted.rpartition("-")
    before, _, other = named.rpartition("-") if isinstance(named, str) else ("", "", "")
    if before != kind or not (other.isascii() and other.isdigit()) or len(other) > 9:
        return f"its format is {quoted(named)}"
    if int(other) > int(number):
        return f"it is of a newer version ({named}, here -{number}); update duchenne"
    anew = f"make it anew: duchenne {command}" if command else "make it anew"
    return f"it is of an older version ({named}, now -{number}); {anew}"


def read_kept(
    path: Path, file_format: str, expected: str, generator: str | None = None
) -> tuple[dict[str, Any], Mapping[str, Any]] | None:
    """`read_tensors` of what an earlier run may have left; None if it is missing or damaged, or if
    it is another generator's than the one with this fingerprint. What is there and cannot be taken
    is logged, since it is made again."""
    if not places.is_file(path):
        return None
    try:
        tensors, metadata = read_tensors(path, file_format, expected, most=None)
    except InputError as error:
        log.info("%s; made again", error)
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
