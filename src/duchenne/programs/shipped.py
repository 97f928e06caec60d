"""Networks that come with the package as OpenVINO programs, without their weights.

`python -m experiments.trace_programs` traces them once with PyTorch. What a file holds is the
program's graph and, of every large constant, the name of the array that it is. The arrays are taken
from where the weights lie, when the program is read; so weights exist once, and no PyTorch is
needed to run what is shipped.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ..errors import WeightsError
from ..files import codes

FORMAT = "duchenne-program-1"
FOLDER = "data/programs"
SMALL = 1024  # bytes: constants up to this size stay in the file
TURNED = ".T"  # behind the name of an array whose transpose is meant
Arrays = Mapping[str, NDArray[Any]]


def load(name: str, weights: Arrays) -> ov.Model:
    """One of the package's programs with its weights.

    weights: at least the arrays that the program names. Raises WeightsError where they do not fit.
    """
    with resources.as_file(resources.files("duchenne") / FOLDER / f"{name}{codes.SUFFIX}") as path:
        parts, facts = codes.read_tensors(path, FORMAT, "a program of the package")
    buffer = np.zeros(facts["bytes"], np.uint8)
    rest, taken = parts["rest"], 0
    for offset, size, array in facts["constants"]:
        if array:
            content = _bytes(_named(weights, array, name))
        else:
            content, taken = rest[taken : taken + size], taken + size
        if len(content) != size:
            raise WeightsError(
                f"{array}: {len(content)} bytes, expected {size} for the program {name}"
            )
        buffer[offset : offset + size] = content
    graph = zlib.decompress(parts["graph"].tobytes())
    return ov.Core().read_model(graph, ov.Tensor(buffer))


def digest(name: str) -> str:
    """sha256 of a program's file; its weights are not part of it."""
    file = resources.files("duchenne") / FOLDER / f"{name}{codes.SUFFIX}"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def save(model: ov.Model, weights: Arrays, path: Path, provenance: Mapping[str, Any]) -> int:
    """Write a program as `load` reads it. Returns the bytes that no array stands for.

    weights: all arrays that its constants may be, by name.
    """
    with tempfile.TemporaryDirectory() as folder:
        ov.serialize(model, f"{folder}/graph.xml", f"{folder}/graph.bin")
        graph = Path(folder, "graph.xml").read_bytes()
        content = Path(folder, "graph.bin").read_bytes()
    names = {_hash(_bytes(array)): name for name, array in weights.items()}
    names |= {_hash(_bytes(a.T)): name + TURNED for name, a in weights.items() if a.ndim == 2}
    places = re.findall(rb'offset="(\d+)" size="(\d+)"', graph)
    table, rest = [], []
    for offset, size in sorted({(int(o), int(s)) for o, s in places}):
        part = np.frombuffer(content[offset : offset + size], np.uint8)
        array = names.get(_hash(part), "") if size > SMALL else ""
        table.append([offset, size, array])
        if not array:
            rest.append(part)
    joined = np.concatenate([np.zeros(0, np.uint8), *rest])
    packed = np.frombuffer(zlib.compress(graph, 9), np.uint8)
    codes.write_tensors(
        {"graph": packed, "rest": joined},
        {"format": FORMAT, "bytes": len(content), "constants": table},
        provenance,
        path,
    )
    return len(joined)


def _named(weights: Arrays, array: str, program: str) -> NDArray[Any]:
    name = array.removesuffix(TURNED)
    if name not in weights:
        raise WeightsError(f"the program {program} needs the array {name}, which is not there")
    return weights[name].T if array.endswith(TURNED) else weights[name]


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)


def _hash(content: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(content.tobytes()).digest()
