"""Tables as AU coders and face trackers write them by themselves, and as spreadsheets save them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import done, run
from refusal import refusal

from duchenne import facs
from duchenne.errors import InputError
from duchenne.files.films import write_sidecar
from duchenne.motion import coders
from duchenne.motion.drive import Drive, Recording, open_recording
from duchenne.motion.layouts import OPENFACE3_UNITS
from duchenne.motion.timeline import from_descriptor

AU12 = facs.INDEX["AU12"]
RAW = Drive(baseline=None)


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """Writes a table: a header and rows, or text, or bytes."""

    def write(header: str, rows: Iterable[Sequence[object]] = (), name: str = "t.csv") -> Path:
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def curve(recording: Recording) -> list[float]:
    return np.asarray(recording.timeline.intensities[:, AU12]).tolist()


def noted(recording: Recording, words: str) -> bool:
    return any(words in note for note in recording.notes)


# ---------------------------------------------------------------- who wrote it


def test_pyfaceau_writes_yes_and_no_in_words(table: Any) -> None:
    rows = [(i, i / 10, i != 2, "" if i == 2 else i) for i in range(5)]
    for yes, no in (("True", "False"), ("TRUE", "FALSE"), ("wahr", "falsch"), ("1.0", "0")):
        told = [(f, t, yes if good else no, v) for f, t, good, v in rows]
        recording = open_recording(table("frame,timestamp,success,AU12_r", told), RAW)
        assert curve(recording) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])  # the bad one is bridged
        assert noted(recording, "1 of 5 frames not trusted: bridged")
    bad = table("frame,timestamp,success,AU12_r", [(0, 0, "perhaps", 1)])
    assert "line 2, column success: 'perhaps' is neither yes nor no" in refusal(
        InputError, open_recording, bad
    )


def test_libreface(table: Any) -> None:
    header = "frame_idx,frame_time_in_ms,pitch,au_7,au_1_intensity,au_12_intensity"
    rows = [(i, i * 40.0, 0.1, 1, 0, i) for i in range(5)]
    recording = open_recording(table(header, rows), RAW)
    assert recording.tool == "LibreFace"
    assert curve(recording) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert recording.timeline.fps == 25
    assert recording.notes[-1] == (
        "recorded but not drawn: AU7 (only whether it is there: in 5 frames)"
    )


@pytest.mark.parametrize("value", ["9" * 400, "NaN", "1e999", '"1_0"', "true", "[1]"])
def test_a_list_with_something_that_is_no_number(value: str, table: Any) -> None:
    """Such a row counts as one without a face."""

    def row(i: int, first: str = "0.1") -> list[str]:
        return ["1", "f.mp4", str(i), "0", '"[1, 2, 30, 40, 0.9, 1, 2]"', f'"[[{first}{REST}]]"']

    header = "timestamp,video_path,frame_index,face_id,face_detection,action_units"
    rows = [row(0), row(1, value.replace('"', '""')), row(2)]
    recording = open_recording(table(header, rows), Drive(baseline=None, source_fps=25))
    assert len(recording.timeline) == 3
    assert np.isfinite(recording.timeline.sides).all()


REST = ", 0.2" * (len(OPENFACE3_UNITS) - 1)


def test_numbers_in_names_and_timecodes_are_ascii(table: Any) -> None:
    header = "frame,timestamp,confidence,success,AU١٢_r"
    assert "expected columns" in refusal(
        InputError, open_recording, table(header, [(1, 0, 1, 1, 2)])
    )
    rows = [("٠٠:00:00:00.0", 61, 0.5), ("00:00:00:01.0", 61, 0.5)]
    assert "timecode" in refusal(
        InputError, open_recording, table("Timecode,BlendShapeCount,JawOpen", rows)
    )


def test_openface_3_lists_eight_values(table: Any) -> None:
    def row(i: int) -> list[str]:
        values = [0.0] * 8
        values[OPENFACE3_UNITS.index(12)] = i / 10
        box = [100, 80, 200, 220, 0.99, 1, 2]
        return ["2025-11-14 10:00:00", "f.mp4", str(i), "0", f'"{box}"', f'"{[values]}"']

    header = "timestamp,video_path,frame_index,face_id,face_detection,action_units"
    lost = ["2025-11-14 10:00:00", "f.mp4", "3", "", "", ""]
    path = table(header, [row(0), row(1), row(2), lost, row(4)])
    recording = open_recording(path, Drive(baseline=None, source_fps=25))
    assert recording.tool == "OpenFace 3"
    assert curve(recording) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert noted(recording, "taken as AU1, AU2, AU4, AU6, AU9, AU12, AU25, AU26")
    image = table("image_path,face_id,face_detection,action_units",
                  [("a.png", 0, '"[0,0,9,9,0.9]"', f'"{[[0.5] * 8]}"')])  # fmt: skip
    assert coders.read_scores(image).by_stem()["a"][AU12] == pytest.approx(2.5)


def test_the_outputs_of_a_network_are_no_units(table: Any) -> None:
    header = "frame," + ",".join(f"AU{n:02d}_r" for n in range(1, 9))
    message = refusal(InputError, open_recording, table(header, [range(9)]))
    assert "AU01_r to AU08_r count the outputs" in message
    assert "AU01_r, AU02_r, AU04_r, AU06_r, AU09_r, AU12_r, AU25_r, AU26_r" in message


def test_pyfeat_2_names_45_and_writes_no_face_as_zero_score(table: Any) -> None:
    rows = [(i, "f.mp4", s, v, 0.4, 0.3) for i, (s, v) in enumerate([(0.9, 0), (0, 9), (0.9, 0.4)])]
    recording = open_recording(table("frame,input,FaceScore,AU12,AU45,AU11", rows), RAW)
    assert curve(recording) == pytest.approx([0, 0.2, 0.4])
    assert recording.timeline.intensities[0, facs.INDEX["AU43"]] == pytest.approx(0.4)
    assert recording.notes[-1] == "recorded but not drawn: AU11 (up to 0.3)"


def test_a_film_measured_or_made_here_drives_with_its_sides(table: Any) -> None:
    measured = table("frame,timestamp,success,AU12_r,AU12L_r,AU12R_r", [(1, 0, 1, 2, 4, 0)])
    assert open_recording(measured, RAW).timeline.sides[0, AU12].tolist() == [0.8, 0.0]
    made = table("frame,time,AU1,AU12,AU12L,AU12R",
                 [(i, i / 10, -0.5, 0.2, 0.4, 0) for i in (1, 2, 3)])  # fmt: skip
    timeline = open_recording(made).timeline  # no baseline is taken off
    assert timeline.sides[:, AU12].tolist() == [[0.4, 0.0]] * 3
    assert timeline.intensities[0, facs.INDEX["AU1"]] == -0.5
    assert timeline.fps == 10


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("frame,timestamp,AU12_c", "1,0,1", "says only whether Action Units are there (AU12_c)"),
        ("frame,timestamp,AU12_r", "1,0,245", "AU12 is 245, and OpenFace's scale goes from 0 to 5"),
        ("frame,AU12", "1,3.2", "py-feat's scale goes from 0 to 1; for intensities from 0 to 5"),
        ("frame,AU12_r", "1,-9999", "AU12 is -9999"),
        ("face,confidence,AU12_r", "0,0.98,1", "intensities of one picture with --au"),
        ("frame,AU12_r,au12_r", "1,1,2", "AU12 is there twice, as AU12_r and au12_r"),
        ("frame,AU1,AU01", "1,1,1", "AU1 is there twice, as AU1 and AU01"),
        ("frame,timestamp,Timestamp,AU12_r", "1,0,0,1", "column timestamp is there 2 times"),
        ("frame,AU12_r", '1,"0,5"', "with decimal commas, cells are separated by semicolons"),
        ("frame,AU12_r", "1,1_0", "'1_0' is not a number"),
        ("frame,action_units", '1,"[0.1, 0.2]"', "2 values; OpenFace 3 writes 8"),
    ],
)
def test_refused_with_the_cause(table: Any, header: str, row: str, words: str) -> None:
    path = table(header, [[row]])
    message = refusal(InputError, open_recording, path)
    assert message.startswith(str(path))
    assert words in message


# ---------------------------------------------------------------- ARKit


def test_live_link_face_has_sides_and_timecodes(table: Any) -> None:
    header = "Timecode,BlendShapeCount,EyeBlinkLeft,EyeBlinkRight,JawOpen,MouthClose," \
             "MouthSmileLeft,MouthSmileRight,CheekPuff,EyeLookUpLeft,HeadYaw"  # fmt: skip
    rows = [
        (f"12:59:59:{i:02d}.250" if i < 60 else f"13:00:00:{i - 60:02d}.250",
         61, 0, 1, 0.6, 0.2, 0.8, 0.1, 0.3, 0.5, 30)
        for i in range(0, 90, 2)
    ]  # fmt: skip
    recording = open_recording(table(header, rows), RAW)
    assert recording.tool == "ARKit"
    timeline = recording.timeline
    assert (len(timeline), timeline.fps) == (45, 30)  # every second frame of 60
    units = {code: timeline.sides[20, facs.INDEX[code]].tolist() for code in facs.CODES}
    assert units["AU43"] == [0, 1]
    assert units["AU12"] == [0.8, 0.1]
    assert units["AU26"] == [0.6, 0.6]
    assert units["AU25"] == pytest.approx([0.4, 0.4])
    assert recording.notes[-1] == "recorded but not drawn: cheekPuff (up to 0.3), gaze (up to 0.5)"
    message = refusal(InputError, open_recording, table(header, rows), Drive(source_fps=30))
    assert "timecodes count frames up to 58" in message
    short = table(header, [(f"12:00:00:{i:02d}.000", *rows[0][1:]) for i in range(24)])
    assert open_recording(short).timeline.duration == Fraction(24, 60)  # said in a note
    assert open_recording(short, Drive(source_fps=24)).timeline.duration == 1


def test_arkit_names_in_every_spelling(table: Any) -> None:
    rows = [(i, 0.9, 0.2, 0.6) for i in range(3)]
    for left, right in (("mouthSmileLeft", "mouthSmileRight"), ("mouthSmile_L", "mouthSmile_R"),
                        ("MouthSmileLeft", "MOUTHSMILERIGHT")):  # fmt: skip
        recording = open_recording(table(f"frame,FaceScore,{left},{right}", rows), RAW)
        assert recording.timeline.sides[0, AU12].tolist() == [0.2, 0.6]
    bad = table("Timecode,jawOpen", [("12:00", 1)])
    assert "'12:00' is no timecode like" in refusal(InputError, open_recording, bad)


def test_curves_come_back_as_the_motion(tmp_path: Path) -> None:
    asked = "AU1=0.5,AU6L=0.4,AU12L=0.8,AU17=0.3,AU25=0.2,AU26=0.6,AU28=0.4,AU43R=1,AU23=0.5"
    out = tmp_path / "arkit.csv"
    result = done("curves", "--au", asked, "--frames", "36", "--fps", "24", "-o", out)
    assert "ARKit has no coefficient for AU23" in result.stderr
    lines = out.read_text().splitlines()
    assert len(lines) == 37
    assert len(lines[0].split(",")) == 63
    assert lines[25].startswith("00:00:01:00.000,61,")
    timeline = open_recording(out, RAW).timeline
    wanted = np.array(facs.to_sides(facs.parse(asked)))
    wanted[facs.INDEX["AU23"]] = 0
    assert (len(timeline), timeline.fps) == (36, 24)
    np.testing.assert_allclose(timeline.sides[-1], wanted, atol=1e-5)
    np.testing.assert_allclose(timeline.sides[18], wanted * 18 / 35, atol=1e-5)


def test_a_films_table_becomes_curves(tmp_path: Path) -> None:
    film = tmp_path / "film.csv"
    write_sidecar(film, from_descriptor({"AU12L": 0.8, "AU27": 1.0}, frames=60, fps=30))
    out = tmp_path / "arkit.csv"
    done("curves", "--drive", film, "-o", out)
    *_, last = csv.DictReader(out.read_text().splitlines())
    assert float(last["MouthSmileLeft"]) == pytest.approx(0.8)
    assert float(last["MouthSmileRight"]) == 0
    assert float(last["JawOpen"]) == float(last["MouthClose"]) == 1  # AU25 was not asked for
    refused = run("curves", "--drive", film, "-o", film)
    assert refused.exit_code == 6


# ---------------------------------------------------------------- spreadsheets


PLAIN = "frame,timestamp,confidence,success,AU12_r\n" + "".join(
    f"{i + 1},{i / 10},0.98,1,{i / 2}\n" for i in range(5)
)
GERMAN = PLAIN.replace(",", ";").replace(".", ",").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        GERMAN.encode(),
        GERMAN.encode("utf-16"),
        GERMAN.replace(";", "\t").encode("utf-16"),
        GERMAN.replace(";", "\t").encode("utf-16-le"),
        b"sep=;\r\n" + GERMAN.encode(),
        (GERMAN + ";;;;\r\n;;;;\r\n").encode(),
        PLAIN.replace("frame,timestamp", '"frame", "Timestamp "').encode(),
        PLAIN.replace("\n", ",\n").encode(),
        PLAIN.replace("AU12_r\n", "AU12_r,,\n").encode(),
    ],
)
def test_a_spreadsheet_saved_it_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    recording = open_recording(path, RAW)
    assert curve(recording) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert recording.timeline.fps == 10


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + b"\0" * 30, "is a workbook (.xlsx, .ods), not a text table; save"),
        ("größe;AU12_r\n1;2\n".encode("latin-1"), "not a CSV text file in UTF-8: byte 0xf6"),
        (b"frame;AU12_r\n1;0,5\n2;0.5\n", "'0.5' is not a number; other cells of this table"),
    ],
)
def test_a_spreadsheet_spoiled_it(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert words in refusal(InputError, open_recording, path)


# ---------------------------------------------------------------- when


def test_a_folder_of_pictures_has_no_times(table: Any) -> None:
    rows = [(i + 1, 0, 0, 0.98, 1, i % 5) for i in range(48)]
    path = table("frame,face_id,timestamp,confidence,success,AU12_r", rows)
    recording = open_recording(path, RAW)
    assert (len(recording.timeline), recording.timeline.fps) == (48, 30)
    assert noted(recording, "frame numbers taken as 30 frames a second, for all times are equal")
    told = open_recording(path, Drive(baseline=None, source_fps="23.976"))
    assert told.timeline.fps == Fraction(24000, 1001)
    assert curve(told) == pytest.approx(curve(recording))


def test_times_that_are_rounded_until_some_are_equal(table: Any) -> None:
    rows = [(i + 1, round(i / 25, 1), 1 + i % 3) for i in range(50)]
    with_frames = open_recording(table("frame,timestamp,AU12_r", rows), RAW)
    assert (len(with_frames.timeline), with_frames.timeline.fps) == (50, 25)
    assert noted(with_frames, "times are rounded until some are equal")
    assert curve(with_frames) == pytest.approx([(1 + i % 3) / 5 for i in range(50)])
    without = open_recording(table("timestamp,AU12_r", [row[1:] for row in rows]), RAW)
    assert (len(without.timeline), without.timeline.fps) == (50, 25)


def test_the_drivers_rate_can_be_told(table: Any) -> None:
    path = table("frame,input,AU12", [(i, "f.mp4", i % 2 / 2) for i in range(120)])
    assert open_recording(path).timeline.duration == 4  # nothing says otherwise
    told = open_recording(path, Drive(source_fps=60)).timeline
    assert (told.duration, told.fps, len(told)) == (2, 60, 120)


@pytest.mark.parametrize(
    "rate", [10, 24, 25, 30, 50, 60, 120, "23.976", "29.97", "59.94", "12.5", 15]
)
def test_the_film_has_the_recordings_rate(table: Any, rate: Any) -> None:
    exact = Drive(fps=rate).fps
    seconds = 1 / float(Fraction(str(exact)))
    seconds = {"23.976": 1001 / 24000, "29.97": 1001 / 30000, "59.94": 1001 / 60000}.get(
        str(rate), seconds
    )
    rows = [(i + 1, f"{i * seconds:.3f}", 1) for i in range(200)]
    for header, cells in (("frame,timestamp,AU12_r", rows),
                          ("timestamp,AU12_r", [row[1:] for row in rows])):  # fmt: skip
        timeline = open_recording(table(header, cells)).timeline
        assert float(timeline.fps) == pytest.approx(1 / seconds, rel=1e-9)
        assert len(timeline) == 200


def test_rows_out_of_order_and_frames_that_are_not_there(table: Any) -> None:
    rows = [(1, 0.0, 0), (3, 0.2, 2), (2, 0.1, 1), (5, 0.4, 4)]
    recording = open_recording(table("frame,timestamp,AU12_r", rows), RAW)
    assert curve(recording) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert noted(recording, "rows were not in the order of time: sorted")
    again = [(f, name, 0.5) for name in ("a.mp4", "b.mp4") for f in range(3)]
    message = refusal(InputError, open_recording, table("frame,input,AU12", again))
    assert "line 5: the frames start again; the table holds more than one recording" in message
    assert "a.mp4, b.mp4" in message


# ---------------------------------------------------------------- who


def test_two_rows_for_one_frame(table: Any) -> None:
    header = "frame,FaceScore,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,AU12"
    box, far = (100, 100, 50, 50), (400, 100, 50, 50)
    rows = [(0, 0.9, *box, 0), (24, 0.8, *far, 0.9), (24, 0.95, *box, 0.2), (48, 0.9, *box, 0.4)]
    settings = Drive(fps=1, source_fps=24, baseline=None)
    recording = open_recording(table(header, rows), settings)
    assert curve(recording) == pytest.approx([0, 0.2, 0.4])
    assert noted(recording, "1 of 4 rows dropped")
    equal = [(0, 0.9, *box, 0), (24, 0.9, *far, 0.9), (24, 0.9, *box, 0.2), (48, 0.9, *box, 0.4)]
    assert curve(open_recording(table(header, equal), settings)) == pytest.approx([0, 0.2, 0.4])


def test_two_people_without_names_are_told_apart_by_place(table: Any) -> None:
    header = "frame,FaceScore,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,AU12"
    one = [(i, 0.97 + 0.02 * (i % 2), 100 + i, 100, 50, 50, 0.1) for i in range(10)]
    two = [(i, 0.98, 400 - i, 100, 50, 50, 0.9) for i in range(10)]
    rows = [row for pair in zip(one, two, strict=True) for row in pair]
    recording = open_recording(table(header, rows), RAW)
    assert curve(recording) == pytest.approx([0.9] * 10)
    assert noted(recording, "several faces without names in 10 of 10 frames")


def test_one_person_under_two_labels(table: Any) -> None:
    rows = [(i, f"Person_{int(i >= 32)}", 0.9, i / 100) for i in range(60)]
    path = table("frame,Identity,FaceScore,AU12", rows)
    recording = open_recording(path, RAW)
    assert curve(recording) == pytest.approx([i / 100 for i in range(60)])
    assert noted(
        recording,
        "following Person_0 and Person_1, which are never in one frame and taken for one face, "
        "in 100 % of the frames",
    )
    alone = open_recording(path, Drive(baseline=None, face="Person_0"))
    assert len(alone.timeline) == 60
    assert noted(alone, "following Person_0, in 53 % of the frames")
    assert noted(alone, "28 of 60 frames not trusted")
    both = [(i, who, 0.9, 0.1) for i in range(60) for who in ("A", "B") if who == "A" or i < 10]
    together = open_recording(table("frame,Identity,FaceScore,AU12", both))
    assert noted(together, "following A, in 100 % of the frames")


def test_a_face_that_jumps(table: Any) -> None:
    rows = [(i + 1, i / 30, 0.98, 1, -200 if i < 30 else 200, 0, 600, 1) for i in range(60)]
    header = "frame,timestamp,confidence,success,pose_Tx,pose_Ty,pose_Tz,AU12_r"
    recording = open_recording(table(header, rows))
    assert noted(recording, "the face jumps at 1.00 s (line 32): it may be another person")
    still = [(*row[:4], row[0] * 5, *row[5:]) for row in rows]  # 15 cm a second
    assert not noted(open_recording(table(header, still)), "jumps")


# ---------------------------------------------------------------- what


def test_what_is_recorded_and_not_drawn(table: Any) -> None:
    rows = [(i, i / 10, 1, i, 5 if i == 2 else 0, 3, 1, 0) for i in range(5)]
    header = "frame,timestamp,success,AU12_r,AU38_r,AU10_r,AU28_c,AU31_r"
    recording = open_recording(table(header, rows), RAW)
    assert recording.notes[-1] == (
        "recorded but not drawn: AU38 (up to 5.0), AU28 (only whether it is there: in 5 frames)"
    )
    older = recording.drawn_with([code for code in facs.CODES if code != "AU10"])
    assert older.notes[-1].startswith("recorded but not drawn: AU10 (up to 3.0), AU38 (up to 5.0)")
    assert older.timeline.intensities[:, facs.INDEX["AU10"]].max() == 0
    assert curve(older) == curve(recording)


@pytest.mark.usefixtures("tiny_studio")
def test_options_and_the_record(folder: Path) -> None:
    rows = [f"{i},{who},{0.6 if i == 1 else 0.9},{i / 10},{0.5}"
            for i in range(4) for who in ("a", "b")]  # fmt: skip
    text = "\n".join(["frame,Identity,FaceScore,AU12,AU38", *rows]) + "\n"
    (folder / "feat.csv").write_text(text)
    result = done(
        "animate", "photo.jpg", "--drive", "feat.csv", "--source-fps", "12", "--follow", "b",
        "--confidence", "0.5", "--baseline", "0", "--crop", "-o", "a.webp", "--json", "a.json",
    )  # fmt: skip
    record = json.loads((folder / "a.json").read_text())
    assert record["film"]["frames"] == 4
    assert record["film"]["fps"] == "12"
    assert record["drive"]["undrawn"] == {"AU38": "up to 0.5"}
    assert record["drive"]["faces"] == ["a", "b"]
    assert "recorded but not drawn: AU38 (up to 0.5)" in result.stderr
    assert not any("not trusted" in note for note in record["drive"]["notes"])
    for option in ("--source-fps", "--follow", "--confidence"):
        wrong = run("animate", "photo.jpg", "--au", "AU12", option, "1", "-o", "b.webp")
        assert wrong.exit_code == 2
        assert f"{option}: only with --drive" in wrong.stderr


# ---------------------------------------------------------------- scores of single pictures


def test_scores_of_a_film_are_not_taken_for_pictures(table: Any) -> None:
    film = table("input,frame,FaceScore,AU12", [("clip.mp4", i, 0.9, 0.5) for i in range(9)])
    message = refusal(InputError, coders.read_scores, film)
    assert "is the table of a film (clip.mp4, 9 frames); --drive reads it" in message


def test_scores_follow_the_confidence_limit(table: Any, tmp_path: Path) -> None:
    path = table("input,FaceScore,AU12", [("a.png", 0.6, 0.5), ("b.png", 0.9, 0.5)])
    out = tmp_path / "scores.csv"
    done("score", "--import", path, "-o", out)
    assert [line.split(",")[0] for line in out.read_text().splitlines()] == ["image", "b.png"]
    done("score", "--import", path, "--confidence", "0.5", "-o", out)
    assert len(out.read_text().splitlines()) == 3
    libreface = table("yaw,au_12_intensity", [(0, 2.5)], name="anna.csv")
    assert coders.read_scores(libreface).by_stem()["anna"][AU12] == pytest.approx(2.5)
