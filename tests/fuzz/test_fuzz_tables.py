"""Tables and lists of keys: of a batch, keyframes as CSV and TOML, recordings of every tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fuzzed import cases, changed, number_texts, tables, taken, toml, wrong
from hypothesis import given
from hypothesis import strategies as st

from duchenne import facs
from duchenne.motion.drive import Drive, open_recording
from duchenne.motion.keyframes import from_keyframes
from duchenne.motion.timeline import MAX_FPS, MAX_FRAMES, Timeline
from duchenne.stimuli import batch

BATCH = (
    ["file", "au", "expression", "face", "keep"],
    [["a.jpg", "AU12=1", "", "0", ""], ["b.jpg", "", "anger:0.5", "", "mask.png"]],
)
KEYS = (
    ["au", "time", "value", "easing"],
    [["AU12", "0", "0", ""], ["AU12", "1.5", "1", "natural"], ["AU6L", "0.5", "0.25", "linear"]],
)
RECORDINGS = {
    "openface": (
        ["frame", "face_id", "timestamp", "confidence", "success", "AU12_r", "AU06_r", "AU45_c"],
        [[str(i + 1), "0", f"{i / 10:.1f}", "0.98", "1", f"{i / 2}", "1", "0"] for i in range(5)],
    ),
    "openface3": (
        ["timestamp", "video_path", "frame_index", "face_id", "face_detection", "action_units"],
        [
            ["1", "f.mp4", str(i), "0", "[1, 2, 3, 4, 0.9]", "[[0.1, 0, 0, 0, 0, 0, 0, 0.5]]"]
            for i in range(4)
        ],
    ),
    "pyfeat": (
        ["frame", "AU01", "AU12", "FaceScore"],
        [[str(i), "0.1", f"{i / 5}", "0.9"] for i in range(5)],
    ),
    "arkit": (
        ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "JawOpen", "MouthSmileLeft"],
        [[f"00:00:00:{i:02d}.0", "61", "0.5", "0.2", f"{i / 5}"] for i in range(5)],
    ),
    "film": (
        ["frame", "time", *(f"{code}" for code in facs.CODES)],
        [[str(i), f"{i / 24:.4f}", *["0.5"] * len(facs.CODES)] for i in range(4)],
    ),
}
TOML = {
    "fps": 25, "easing": "smooth", "AU12": [[0.0, 0.0], [0.6, 1.0, "natural"], [1.5, 1.0]],
    "AU6L": [[0.2, 0.0], [0.8, 0.7]],
}  # fmt: skip


def check(timeline: Timeline | None) -> None:
    if timeline is not None:
        assert 1 <= len(timeline) <= MAX_FRAMES
        assert 0 < timeline.fps <= MAX_FPS
        assert timeline.sides.min() >= facs.LOWEST
        assert timeline.sides.max() <= 1


@cases(250)
@given(content=tables(*BATCH))
def test_batches(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    path.write_bytes(content)
    for row in taken(batch.find_inputs, str(path), {"AU12": 1.0}) or ():
        assert row.name
        assert row.face is None or row.face >= 0
        assert all(0 <= value <= 1 for value in row.descriptor.values())
        assert ".." not in Path(row.stem).parts
        assert not Path(row.stem).is_absolute()


@cases(250)
@given(content=tables(*KEYS), fps=st.none() | number_texts)
def test_keys_in_tables(content: bytes, fps: str | None, tmp_path: Path) -> None:
    path = tmp_path / "keys.csv"
    path.write_bytes(content)
    check(taken(from_keyframes, path, fps))


@cases(250)
@given(tree=wrong(TOML), data=st.data())
def test_keys_in_toml(tree: dict[str, Any], data: st.DataObject, tmp_path: Path) -> None:
    content = toml(tree).encode()
    if data.draw(st.integers(0, 5)) == 0:
        content = data.draw(changed(content))
    path = tmp_path / "keys.toml"
    path.write_bytes(content)
    check(taken(from_keyframes, path))


@pytest.mark.parametrize("name", RECORDINGS)
@cases(75)
@given(data=st.data())
def test_recordings(name: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "drive.csv"
    path.write_bytes(data.draw(tables(*RECORDINGS[name])))
    rates = st.sampled_from((None, None, "24", "240", "1/7", 12, 29.97, 0.5, 60, "1/1001"))
    settings = taken(
        Drive, fps=data.draw(rates), source_fps=data.draw(rates),
        smooth=data.draw(st.sampled_from((0.0, 0.1, 60.0))),
    )  # fmt: skip
    found = None if settings is None else taken(open_recording, path, settings)
    check(None if found is None else found.timeline)
