"""The import into Blender, as far as it needs no Blender: names, keyframes, sequences."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import done

import duchenne
from duchenne.motion import arkit

FOLDER = Path(__file__).parents[1] / "integrations" / "blender"


@pytest.fixture
def blender(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("import_duchenne")
    sys.modules.pop("import_duchenne")


def test_names_are_found_however_they_are_spelt(blender: Any) -> None:
    spelt = (
        "mouthSmileLeft",
        "MouthSmileLeft",
        "mouthSmile_L",
        "Mouth Smile Left",
        "mouth_smile_l",
    )
    assert {blender.plain(name) for name in spelt} == {"mouthsmileleft"}
    plain = [blender.plain(name) for name in arkit.ORDER]
    assert len(set(plain)) == len(arkit.ORDER) == 52


def test_curves_become_keys_where_they_change(blender: Any) -> None:
    done("curves", "--au", "AU12L=1,AU26=0.5", "--frames", "5", "--fps", "10", "-o", "c.csv")
    names, rows = blender.read_curves("c.csv")
    assert (len(rows), len(names)) == (5, 52 + len(arkit.ROTATIONS))
    found = blender.keys_of(names, rows, ["Basis", "mouthSmile_L", "jaw_open", "cheekPuff"])
    assert set(found) == {"mouthSmile_L", "jaw_open", "cheekPuff"}
    timeline = duchenne.from_descriptor({"AU12L": 1.0, "AU26": 0.5}, frames=5)
    expected = arkit.from_units(timeline.sides)["mouthSmileLeft"]
    assert [frame for frame, _ in found["mouthSmile_L"]] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([value for _, value in found["mouthSmile_L"]], expected, atol=1e-5)
    assert found["cheekPuff"] == [(0, 0.0), (4, 0.0)]  # nothing happens between


def test_what_is_no_table_is_refused(blender: Any) -> None:
    Path("c.csv").write_text("frame,AU12\n0,1\n")
    with pytest.raises(ValueError, match="no table of Live Link Face"):
        blender.read_curves("c.csv")
    Path("c.csv").write_text("Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1\n")
    with pytest.raises(ValueError, match="line 2: 2 cells where the header has 3"):
        blender.read_curves("c.csv")


def test_a_sequence_is_whole_or_refused(blender: Any) -> None:
    frames = (np.full((8, 8, 3), i, np.uint8) for i in range(3))
    duchenne.write_frames(frames, "film/", fps=24)
    assert [path.name for path in blender.frames_in("film")] == [
        "frame_00001.png", "frame_00002.png", "frame_00003.png",
    ]  # fmt: skip
    Path("film/frame_00002.png").unlink()
    with pytest.raises(ValueError, match=r"expected frame_00001.png and on"):
        blender.frames_in("film")
