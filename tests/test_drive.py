"""Recordings of OpenFace and py-feat: read, repaired, or refused with line and column."""

import logging
from pathlib import Path

import numpy as np
import pytest
from refusal import refusal

from duchenne import facs
from duchenne.errors import InputError
from duchenne.motion import drive
from duchenne.motion.drive import Drive, read_recording
from duchenne.reading import tables

UNITS = [u.number for u in facs.ACTION_UNITS if u.code != "AU43"]
AU12 = facs.INDEX["AU12"]
RAW = Drive(baseline=None)


def openface(tmp_path, times, au12, *, confidence=None, success=None, face=None, name="of.csv"):
    """A table as OpenFace 2 writes it: spaces after the commas in the header, other AUs too."""
    header = ["frame", "face_id", "timestamp", "confidence", "success", "pose_Tx"]
    header += [f"AU{n:02d}_r" for n in [*UNITS, 45]] + ["AU12_c"]
    lines = [", ".join(header)]
    for i, (time, value) in enumerate(zip(times, au12, strict=True)):
        conf = 0.98 if confidence is None else confidence[i]
        good = 1 if success is None else success[i]
        who = 0 if face is None else face[i]
        units = [value if n == 12 else 0 for n in UNITS]
        lines.append(",".join(map(str, [i + 1, who, time, conf, good, 3.5, *units, 0.2, 1])))
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def pyfeat(tmp_path, frames, au12, *, extra=None, name="feat.csv"):
    extra = extra or {}
    header = ["FaceRectX", "FaceScore", *[f"AU{n:02d}" for n in UNITS], "AU43", "input", "frame"]
    lines = [",".join([*header, "approx_time", *extra])]
    for i, (frame, value) in enumerate(zip(frames, au12, strict=True)):
        units = [value if n == 12 else 0 for n in UNITS]
        more = [v[i] for v in extra.values()]
        cells = [11.5, 0.99, *units, 0.1, "clip.mp4", frame, "00:00", *more]
        lines.append(",".join(map(str, cells)))
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def curve(recording):
    return recording.timeline.intensities[:, AU12]


# ---------------------------------------------------------------- reading


def test_openface_scale_time_and_rate(tmp_path):
    path = openface(tmp_path, [0, 0.1, 0.2, 0.3, 0.4], [0, 1, 2, 3, 5])
    recording = read_recording(path, Drive(fps=10, baseline=None))
    assert curve(recording) == pytest.approx([0, 0.2, 0.4, 0.6, 1.0])
    assert recording.timeline.fps == 10
    assert recording.notes == ()
    moved = recording.timeline.intensities.max(axis=0)
    assert moved[facs.INDEX["AU43"]] == pytest.approx(0.2 / 5)  # a blink is a closing in time
    assert moved.sum() == pytest.approx(1.04)


def test_resampled_from_an_uneven_rate(tmp_path):
    times = [5.0, 5.01, 5.2, 5.25, 5.6, 5.9, 6.0]  # does not start at 0 either
    path = openface(tmp_path, times, [(t - 5) * 5 for t in times])
    line = read_recording(path, Drive(fps=20, baseline=None)).timeline
    inside = line.times <= 1.0
    assert line.intensities[inside, AU12] == pytest.approx(line.times[inside])
    assert line.intensities[-1, AU12] == pytest.approx(1.0)


@pytest.mark.parametrize(("fps", "count"), [(24, 48), (23.976, 48), (30, 60), (10, 20)])
def test_exact_frame_counts(tmp_path, fps, count):
    times = [round(i / 30, 3) for i in range(60)]  # OpenFace writes milliseconds
    path = openface(tmp_path, times, [1.0] * 60)
    assert len(read_recording(path, Drive(fps=fps)).timeline) == count


def test_pyfeat(tmp_path):
    path = pyfeat(tmp_path, [0, 1, 2, 3], [0.0, 0.2, 0.4, 1.0])
    recording = read_recording(path, Drive(fps=25, source_fps=25, baseline=None))
    assert curve(recording) == pytest.approx([0, 0.2, 0.4, 1.0])
    assert recording.notes == ("frame numbers taken as 25 frames a second (source_fps)",)
    skipped = pyfeat(tmp_path, ["0.0", "12.0", "24.0"], [0, 0.5, 1])
    assert len(read_recording(skipped, Drive(fps=24, source_fps=24)).timeline) == 36


def test_a_single_row(tmp_path):
    recording = read_recording(openface(tmp_path, [0], [2.5]), RAW)
    assert curve(recording).tolist() == [0.5]


# ---------------------------------------------------------------- repairs


def test_untrusted_frames_are_bridged(tmp_path, caplog):
    path = openface(
        tmp_path,
        [0, 0.1, 0.2, 0.3, 0.4],
        [1, 0, 5, "nan", 3],
        confidence=[0.9, 0.3, 0.9, 0.9, 0.9],
        success=[1, 1, 0, 1, 1],
    )
    with caplog.at_level(logging.WARNING):
        recording = read_recording(path, Drive(fps=10, baseline=None))
    assert curve(recording) == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])
    assert recording.notes == ("3 of 5 frames not trusted: bridged",)
    assert "3 of 5" in caplog.text


def test_untrusted_ends_keep_the_nearest_value(tmp_path):
    path = openface(
        tmp_path, [0, 0.1, 0.2, 0.3], [5, 1, 2, 5], confidence=[0, 1, 1, 0], name="e.csv"
    )
    assert curve(read_recording(path, Drive(fps=10, baseline=None))) == pytest.approx(
        [0.2, 0.2, 0.4, 0.4]
    )


def test_long_gaps_are_reported(tmp_path):
    times = [i / 10 for i in range(40)]
    path = openface(tmp_path, times, [1] * 40, success=[int(not 10 <= i < 22) for i in range(40)])
    (bridged, gap) = read_recording(path, Drive(fps=10)).notes
    assert bridged == "12 of 40 frames not trusted: bridged"
    assert gap == (
        "1 gap(s) longer than 0.5 s, the longest 1.30 s from 0.90 s: the motion there is a guess"
    )
    assert len(read_recording(path, Drive(fps=10, max_gap=2)).notes) == 1
    cut = openface(tmp_path, [0, 0.1, 0.2, 3.0, 3.1], [1] * 5)  # rows that are not there at all
    assert "longest 2.80 s from 0.20 s" in read_recording(cut).notes[0]


def test_baseline_and_gain(tmp_path):
    au12 = [1.0] * 18 + [3.0, 5.0]
    path = openface(tmp_path, [i / 10 for i in range(20)], au12)
    plain = read_recording(path, Drive(fps=10))
    assert curve(plain)[:18] == pytest.approx(np.zeros(18))
    assert curve(plain)[18:] == pytest.approx([0.4, 0.8])
    strong = read_recording(path, Drive(fps=10, gain=2))
    assert curve(strong)[18:] == pytest.approx([0.8, 1.0])  # clipped


def test_smoothing_keeps_the_sum_and_lowers_the_peak(tmp_path):
    au12 = [0.0] * 20 + [5.0] + [0.0] * 20
    path = openface(tmp_path, [i / 10 for i in range(41)], au12)
    rough = curve(read_recording(path, Drive(fps=10, baseline=None)))
    soft = curve(read_recording(path, Drive(fps=10, baseline=None, smooth=0.2)))
    assert soft.sum() == pytest.approx(rough.sum())
    assert soft.argmax() == 20
    assert soft[20] == pytest.approx(1 / (2 * np.sqrt(2 * np.pi)), abs=0.005)  # sigma 2 frames
    assert soft == pytest.approx(soft[::-1])
    flat = openface(tmp_path, [0, 0.1, 0.2], [2.5] * 3)
    assert curve(read_recording(flat, Drive(baseline=None, smooth=1))) == pytest.approx(0.5)


def test_several_faces(tmp_path):
    times = [0, 0, 0.1, 0.1, 0.2, 0.2]
    path = openface(
        tmp_path,
        times,
        [1, 5, 2, 5, 3, 5],
        face=[3, 7, 3, 7, 3, 7],
        success=[1, 1, 1, 0, 1, 1],
    )
    settings = Drive(fps=10, baseline=None)
    recording = read_recording(path, settings)
    assert curve(recording) == pytest.approx([0.2, 0.4, 0.6])
    assert recording.notes == ("2 faces (3, 7): following 3, in 100 % of the frames",)
    other = read_recording(path, Drive(fps=10, baseline=None, face="7"))
    assert curve(other) == pytest.approx([1, 1, 1])
    with pytest.raises(InputError, match="no face '9'; in the file: 3, 7"):
        read_recording(path, Drive(face="9"))


def test_pyfeat_identities_and_frames_without_a_face(tmp_path):
    path = pyfeat(
        tmp_path,
        [0, 1, 1, 2, 3],
        [0.1, 0.2, 0.9, "", 0.4],
        extra={"Identity": ["Person_0", "Person_0", "Person_1", "", "Person_0"]},
    )
    recording = read_recording(path, Drive(fps=30, baseline=None))
    assert curve(recording) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert "following Person_0" in recording.notes[0]


def test_units_that_are_not_there_stay_0(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("timestamp,AU12_r,AU01_r\n0,1,\n0.1,2,\n")
    recording = read_recording(path, Drive(fps=10, baseline=None))
    assert curve(recording) == pytest.approx([0.2, 0.4])
    assert recording.notes[0].startswith("no values for AU1, AU2, AU4")


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected columns such as AU12_r (OpenFace), "),
        ("a,b,c\n1,2,3\n", "found 'a, b, c'"),
        ("confidence,AU12_r\n1,2\n", "neither a timestamp nor a frame column"),
        ("timestamp,AU12_r\n", "no rows"),
        ("timestamp,AU12_r\n0,\n0.1,nan\n", "every intensity is empty or NaN"),
        ("timestamp,AU12_r\n0,1\n0.1,x\n", "line 3, column AU12_r: 'x' is not a number"),
        ("timestamp,AU12_r\n0,inf\n", "line 2, column AU12_r: 'inf' is not a number"),
        ("timestamp,AU12_r\n,1\n", "line 2, column timestamp: the time is missing"),
        ("timestamp,AU12_r\n0,1\n0.1\n", "line 3: 1 cells where the header has 2"),
        ("timestamp,success,AU12_r\n0,0,1\n0.1,0,1\n", "none of 2 frames"),
        ("timestamp,confidence,AU12_r\n0,0.1,1\n", "confidence 0.7 or more"),
        ("timestamp,AU12_r\n0,1\n99999,1\n", "at most 250000"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    message = refusal(InputError, read_recording, path)
    assert message.startswith(str(path))
    assert words in message


def test_unreadable_tables(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_recording(tmp_path / "none.csv")
    with pytest.raises(InputError, match="directory"):
        read_recording(tmp_path)
    (tmp_path / "photo.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(InputError, match="not a CSV text file"):
        read_recording(tmp_path / "photo.csv")


@pytest.mark.parametrize(
    "wrong",
    [
        {"fps": 0},
        {"source_fps": -1},
        {"gain": -1},
        {"gain": float("nan")},
        {"smooth": -0.1},
        {"baseline": 101},
        {"min_confidence": 2},
        {"max_gap": -1},
    ],
)
def test_bad_settings(wrong):
    with pytest.raises(InputError):
        Drive(**wrong)


def test_layouts_know_all_units():
    names = tuple(drive.OPENFACE.unit.format(unit.number) for unit in facs.ACTION_UNITS)
    header = tables.Header(Path("of.csv"), names)
    found = drive.OPENFACE.found(header)
    assert [f"AU{number}" for number, _ in found] == list(facs.CODES)


def test_values_above_the_scale_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,AU12_r\n0,0\n0.1,5.5\n0.2,6\n")
    recording = read_recording(path, Drive(baseline=None))
    assert "2 values of AU12 above 5, up to 6: taken as 5" in recording.notes
    assert recording.timeline.sides.max() == 1.0


def test_a_minute_of_smoothing_takes_seconds_and_keeps_what_is_still(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,AU12_r,AU4_r\n" + "".join(f"{i},{i % 2},2\n" for i in range(600)))
    motion = read_recording(path, Drive(fps=240, smooth=60, baseline=None)).timeline
    assert np.allclose(motion.table()["AU4"], 0.4, atol=0)
    inside = motion.table()["AU12"][240 * 240 : -240 * 240]
    assert np.allclose(inside, 0.1, atol=1e-3)
