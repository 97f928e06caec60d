"""Files as earlier versions wrote them are read, or refused in one line with the command to run.

Headers and columns are those of the versions; the arrays are small ones of the same form.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import done
from PIL import Image
from refusal import refusal
from safetensors.numpy import save_file

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.encoding import encoder
from duchenne.engine.folder import OutputFolder
from duchenne.errors import DescriptorError, InputError, OutputError, WeightsError
from duchenne.files import codes
from duchenne.generators import checkpoints
from duchenne.measuring import score
from duchenne.motion.drive import read_recording
from duchenne.study import material

OURS = "mobilestylegan-ffhq-02714cd5d3bf"
TWELVE = facs.PAPER


def written(path: Path, tensors: dict[str, np.ndarray], header: dict[str, Any]) -> Path:
    """A file with this header and nothing else."""
    save_file(tensors, path, {codes.HEADER: json.dumps(header)})
    return path


def old_boundaries(path: Path, **header: Any) -> Path:
    """As 0.1.0 began: twelve Action Units, lengths of four steps, nothing about far faces."""
    normals = np.zeros((12, 16, 512), np.float16)
    normals[:, 3, 7] = 1
    lengths = np.tile(np.arange(1, 5, dtype=np.float32), (12, 1))
    given = {"action_units": ",".join(TWELVE), "format": "duchenne-boundaries-1"}
    given |= {"generator": OURS, "provenance": {"faces": 96}, "regional": "true"}
    tensors = {"normals": normals, "biases": np.zeros(12, np.float32), "lengths": lengths}
    return written(path, tensors, given | header)


@pytest.mark.parametrize(
    ("regional", "read"), [("true", True), ("false", False), (True, True), (False, False)]
)
def test_the_first_boundaries_are_read(tmp_path: Path, regional: object, read: bool) -> None:
    old = boundaries.load_boundaries(old_boundaries(tmp_path / "b.safetensors", regional=regional))
    assert old.regional is read
    assert (old.stretch, old.photo_gain, old.scale) == (None, None, "")
    assert set(old.missing) == set(facs.CODES) - set(TWELVE)
    asked = np.zeros(len(facs.CODES))
    asked[facs.INDEX["AU12"]] = 0.5
    assert old.distances(asked)[facs.INDEX["AU12"]] == 2
    asked[facs.INDEX["AU10"]] = 0.5
    said = refusal(DescriptorError, old.distances, asked)
    assert "AU10: these boundaries have none" in said
    assert "duchenne fit boundaries --boundaries THESE --units AU10 -o MORE.safetensors" in said


def test_a_word_that_no_version_wrote_is_refused(tmp_path: Path) -> None:
    path = old_boundaries(tmp_path / "b.safetensors", regional="yes")
    assert "`regional` is not true or false" in refusal(
        InputError, boundaries.load_boundaries, path
    )


@pytest.mark.parametrize("version", [1, 2])
def test_older_score_scales_say_what_to_run(tmp_path: Path, version: int) -> None:
    header = {"format": f"duchenne-scores-{version}", "measures": "jawOpen,chin", "provenance": {}}
    path = written(tmp_path / "s.safetensors", {"neutral": np.zeros(2, np.float32)}, header)
    said = refusal(InputError, score.load_scale, path)
    assert said.startswith(f"{path}: expected a score scale from")
    assert f"it is of an older version (duchenne-scores-{version}, now -3)" in said
    assert said.endswith("duchenne fit boundaries -o BOUNDARIES.safetensors --scale s.safetensors")


def test_the_first_codes_are_read(tmp_path: Path) -> None:
    """They had no version of the encoding, and a trace of its losses."""
    w = np.full((16, 512), 0.5, np.float32)
    provenance = {"made_by": "encode", "loss": 0.4, "start": "mean", "trace": [[0, 0.9], [1, 0.4]]}
    header = {"format": "duchenne-code-1", "generator": OURS, "provenance": provenance}
    code = codes.read_code(written(tmp_path / "c.safetensors", {"w": w}, header))
    assert (code.w == w).all()
    assert (code.generator, dict(code.provenance), code.tuning) == (OURS, provenance, None)


@pytest.mark.parametrize(
    ("read", "kind", "command"),
    [
        (codes.read_code, "code", "duchenne encode PHOTO -o x.safetensors"),
        (boundaries.load_boundaries, "boundaries", "duchenne fit boundaries -o x.safetensors"),
        (encoder.load_encoder, "initial-code", "duchenne fit encoder -o x.safetensors"),
    ],
)
def test_what_another_version_wrote_says_what_to_run(
    tmp_path: Path, read: Any, kind: str, command: str
) -> None:
    x = {"x": np.zeros(1, np.float32)}
    path = written(tmp_path / "x.safetensors", x, {"format": f"duchenne-{kind}-0"})
    assert refusal(InputError, read, path).endswith(f"now -1); make it anew: {command}")
    path = written(tmp_path / "x.safetensors", x, {"format": f"duchenne-{kind}-2"})  # to come
    assert refusal(InputError, read, path).endswith("here -1); update duchenne")


def test_a_generator_converted_by_another_version(tmp_path: Path) -> None:
    told = {"__metadata__": {"format": checkpoints.FORMAT, "version": "0"}}
    header = json.dumps(told).encode()
    path = tmp_path / "g.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    said = refusal(WeightsError, checkpoints.load_generator, path)
    assert "g.safetensors" in said
    assert said.endswith("duchenne generator convert ORIGINAL -o NEW.safetensors")


def test_a_set_of_another_version_stays_and_is_not_mixed(tmp_path: Path) -> None:
    with OutputFolder(tmp_path, {"output": {"size": 512}, "version": "0.0.9"}) as out:
        out.record("a", {"file": "a.png"}, b"a")
    settings = {"output": {"size": 512, "generated": False}, "version": "0.1.0"}
    said = refusal(OutputError, OutputFolder(tmp_path, settings).__enter__)
    assert said.startswith(f"{tmp_path}: was begun by another version of duchenne (output, version")
    assert said.endswith("run the same command into a new folder")
    assert (tmp_path / "a.png").read_bytes() == b"a"


@pytest.mark.parametrize(
    "journal",
    ['{"format": "duchenne-journal-0"}', '{"format": "duchenne-journal-1"}', '["duchenne"]']
    + [f'{{"format": "duchenne-journal-1", "settings": {{}}}}\n{row}' for row in ("{}", "[1]")],
)  # fmt: skip
def test_a_journal_that_this_version_did_not_write(tmp_path: Path, journal: str) -> None:
    with OutputFolder(tmp_path, {}):
        pass
    (tmp_path / ".duchenne" / "journal").write_text(journal + "\n")
    said = refusal(OutputError, OutputFolder(tmp_path, {}).__enter__)
    assert "is no journal of this version" in said
    assert "into a new folder" in said


def test_the_first_sets_can_be_rated(tmp_path: Path) -> None:
    """Of today's columns their manifest lacked those of the Action Units that came later."""
    first = "file,identity,source,seed,truncation,condition,side,intensity,kind,descriptor,sha256"
    row = "a_1.00.png,a,synthetic,7,0.7,happiness,both,1.0,still,AU12=1,0f"
    (tmp_path / "manifest.csv").write_text(f"{first},outlier,error\n{row},,\n")
    Image.new("RGB", (64, 64)).save(tmp_path / "a_1.00.png")
    (picture,) = material.read(tmp_path).pictures
    assert (picture.condition, picture.asked, picture.film) == ("happiness", 1.0, False)


def test_the_first_films_tables_drive_a_face(tmp_path: Path) -> None:
    """frame, time and twelve Action Units from 0 to 1, without sides."""
    lines = [",".join(["frame", "time", *TWELVE])]
    lines += [f"{i + 1},{i / 24:.6f}," + ",".join([f"{i / 4:g}"] * 12) for i in range(5)]
    (tmp_path / "film.csv").write_text("\n".join(lines) + "\n")
    recording = read_recording(tmp_path / "film.csv")
    assert recording.timeline.intensities[-1][facs.INDEX["AU12"]] == pytest.approx(1, abs=1e-5)


def test_the_first_tables_of_scores_are_imported(tmp_path: Path) -> None:
    """`duchenne score *.png -o scores.csv` wrote image and twelve scores from 0 to 5."""
    rows = ["image," + ",".join(TWELVE), "a.png," + ",".join(["1.5"] * 12)]
    (tmp_path / "scores.csv").write_text("\n".join(rows) + "\n")
    said = done("score", "--import", str(tmp_path / "scores.csv"))
    assert "1.5" in said.output
