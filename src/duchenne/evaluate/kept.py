"""Results of long work, kept as JSON and found again by what went into them.

A run that was interrupted goes on where it stopped. A result made with other boundaries, another
scale or other settings is never taken for this one: its inputs have another hash.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..editing.boundaries import Boundaries
from ..errors import OutputError
from ..files import codes, writing
from ..measuring import score
from ..moving import lips
from ..types import LatentCode, Pixels

log = logging.getLogger(__name__)

DIGITS = 16  # of the hash in a file's name; the whole inputs are compared as well


class Kept:
    """A folder of results; where it cannot be written, nothing is kept, with a logged warning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, inputs: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """The result of `make()`, computed only if it is not here yet.

        inputs: JSON-ready, everything that the result depends on. The result is JSON-ready too, and
        comes back as JSON gives it (lists for tuples), fresh or kept.
        """
        result = self.find(name, inputs)
        if result is None:
            record = {"inputs": inputs, "result": make()}
            text = json.dumps(record)
            try:
                with writing.reporting_disk_errors(self.folder):
                    self.folder.mkdir(parents=True, exist_ok=True)
                codes.write_atomically(text.encode(), self.path(name, inputs))
            except OutputError as error:
                log.warning("%s; this result is not kept for the next time", error)
            result = json.loads(text)["result"]
        return result

    def find(self, name: str, inputs: Mapping[str, Any]) -> Any | None:
        """The kept result, or None; a damaged or locked file counts as none."""
        try:
            record = json.loads(self.path(name, inputs).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError, OSError):
            return None
        same = isinstance(record, dict) and record.get("inputs") == json.loads(json.dumps(inputs))
        return record.get("result") if same else None

    def path(self, name: str, inputs: Mapping[str, Any], suffix: str = ".json") -> Path:
        """Where a result with these inputs lies."""
        text = json.dumps(inputs, sort_keys=True)
        return self.folder / f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}{suffix}"


def of_boundaries(boundaries: Boundaries) -> str:
    """A short hash of what is drawn with them; where they came from does not count.

    Of the lips that are moved in the picture instead, how far they go counts.
    """
    arrays = [boundaries.normals, boundaries.biases, boundaries.lengths, lips.AT_1]
    if boundaries.stretch:
        arrays += [boundaries.stretch.centre, np.array(boundaries.stretch.radius)]
        arrays.append(np.array(boundaries.stretch.power))
    return f"{_hash(*arrays)}-{'regional' if boundaries.regional else 'whole'}"


def of_scale(scale: score.Scale) -> str:
    """A short hash of the scale that scores hang on."""
    return _hash(scale.template, scale.neutral, scale.rise, scale.fall, scale.full)


def of_code(code: LatentCode) -> str:
    """A short hash of a face."""
    return _hash(code.w)


def of_pixels(picture: Pixels) -> str:
    """A short hash of a picture."""
    return _hash(picture)


def _hash(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, np.float32).tobytes())
    return digest.hexdigest()[:DIGITS]
