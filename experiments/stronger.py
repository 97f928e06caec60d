"""Full intensity made visible: what 1 stands for, of the Action Units that were hardly seen at 1.

    python -m experiments.stronger

reads the boundaries and the scale that shipped first and writes those of the package. An intensity
of 1 then goes TIMES as far as before, and counts as a score of five; the normals stay to the bit.
How far was judged by eye, on four free photos and five generated people at 1, 1.3 and 1.6 times the
first length: FACS calls E the most that a person can do.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.files import codes
from duchenne.measuring import score

TIMES = {"AU1": 1.25, "AU2": 1.15, "AU4": 1.4, "AU6": 1.3, "AU15": 1.6, "AU17": 1.5}


def main() -> None:
    """Write both files."""
    with resources.as_file(resources.files("duchenne") / "data") as data:
        _lengthen(data)
        _rescale(data)


def _lengthen(data: Path) -> None:
    first = data / boundaries.FIRST
    tensors, header = codes.read_tensors(first, boundaries.FORMAT, "boundaries")
    metadata = dict(header)
    lengths = boundaries.load_boundaries(first)
    steps = lengths.lengths.shape[1]
    asked = np.zeros((len(facs.CODES), steps))
    for code in facs.CODES:
        asked[facs.INDEX[code]] = TIMES.get(code, 1.0) * np.arange(1, steps + 1) / steps
    units = str(metadata["action_units"]).split(",")
    drawn = np.array([code not in lengths.missing for code in facs.CODES])
    asked[~drawn] = 0
    longer = lengths.distances(asked)[[facs.INDEX[code] for code in units]]
    unchanged = [code not in TIMES for code in units]
    longer[unchanged] = tensors["lengths"][unchanged]
    metadata.pop("scale")
    provenance = {**metadata.pop("provenance"), "times_the_first_lengths": TIMES}
    path = data / boundaries.BUILT_IN
    codes.write_tensors({**tensors, "lengths": longer}, metadata, provenance, path)
    readable = json.dumps(provenance, sort_keys=True, indent=1) + "\n"
    codes.write_atomically(readable.encode(), path.with_suffix(".json"))


def _rescale(data: Path) -> None:
    tensors, header = codes.read_tensors(data / score.FIRST, score.SCALE_FORMAT, "a scale")
    metadata = dict(header)
    units = str(metadata["action_units"]).split(",")
    times = np.array([TIMES.get(code, 1.0) for code in units], np.float32)
    provenance = {**metadata.pop("provenance"), "times_the_first_full_action": TIMES}
    codes.write_tensors(
        {**tensors, "full": tensors["full"] * times}, metadata, provenance, data / score.SCALE_FILE
    )


if __name__ == "__main__":
    main()
