"""Films and folders measured frame by frame: the table, what is followed, what is resumed."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import done, run
from PIL import Image

from duchenne import facs
from duchenne.cli import scoring_films
from duchenne.cli.run import Run
from duchenne.errors import InputError, OutputError
from duchenne.faces import following, landmarks
from duchenne.faces.following import EVERY, Follower
from duchenne.files import films, sequences
from duchenne.files.kept_rows import KeptRows
from duchenne.measuring import film_table, likeness
from duchenne.measuring.live import RESTING, Live
from duchenne.measuring.score import Scorer
from duchenne.motion.drive import Drive, read_recording
from duchenne.types import Face

FACE = Path(__file__).parent / "data" / "generated_face_21.jpg"

# FeatureExtraction of OpenFace 2.2.0 with -pose -aus -gaze, without its landmarks.
OPENFACE = [
    "frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "gaze_0_y", "gaze_0_z",
    "gaze_1_x", "gaze_1_y", "gaze_1_z", "gaze_angle_x", "gaze_angle_y", "pose_Tx", "pose_Ty",
    "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz", "AU01_r", "AU02_r", "AU04_r", "AU05_r", "AU06_r",
    "AU07_r", "AU09_r", "AU10_r", "AU12_r", "AU14_r", "AU15_r", "AU17_r", "AU20_r", "AU23_r",
    "AU25_r", "AU26_r", "AU45_r", "AU01_c", "AU02_c", "AU04_c", "AU05_c", "AU06_c", "AU07_c",
    "AU09_c", "AU10_c", "AU12_c", "AU14_c", "AU15_c", "AU17_c", "AU20_c", "AU23_c", "AU25_c",
    "AU26_c", "AU28_c", "AU45_c",
]  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A face of a size that the network needs no more of: uint8 [300, 400, 3]."""
    canvas = np.full((300, 400, 3), 90, np.uint8)
    with Image.open(FACE) as image:
        canvas[40:260, 60:280] = np.asarray(image.resize((220, 220)))
    return canvas


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """Twelve frames at 10 a second: the face moves to the right, and is gone in two of them."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    frames = [np.roll(picture, 4 * i, axis=1) for i in range(12)]
    frames[4:6] = [np.full_like(picture, 90)] * 2
    films.write_frames(frames, path, fps=10)
    return path


@pytest.fixture(scope="module")
def table(film: Path) -> Path:
    """The film, measured in one go."""
    path = film.with_name("whole.csv")
    try:
        done("score", film, "-o", path, "--json", path.with_suffix(".json"))
    finally:
        assert not list(film.parent.glob(".whole*"))
    return path


# ---------------------------------------------------------------- the columns


def test_openface_scripts_find_their_columns_in_their_order() -> None:
    names = film_table.columns(folder=False)
    assert [name for name in names if name in OPENFACE] == OPENFACE
    assert len(set(names)) == len(names)
    assert film_table.columns(folder=True) == [*names, "image"]


# ---------------------------------------------------------------- a person's rest


def test_scores_count_from_the_rest_of_the_film() -> None:
    names = film_table.columns(folder=False)
    rest = film_table.Rest()
    rows = []
    for i in range(41):
        row = ["1" if name == "success" else "0" for name in names]
        row[names.index("AU12_r")] = f"{-1 + 0.05 * i:.3f}"  # -1 to 1
        row[names.index("AU06L_r")] = "6.5" if i == 40 else "1.234"
        rows.append(row)
    for row in [*rows, ["0"] * len(names)]:
        rest.learn(row)
    assert rest.above(rows[0])[names.index("AU12_r")] == "0.000"
    assert rest.above(rows[39])[names.index("AU12_r")] == "0.950"
    rest.take(25)  # the eleventh of 41, which is -0.5
    assert rest.frames == 41
    assert rest.levels()["AU12"] == pytest.approx(-0.5, abs=0.011)
    told = rest.above(rows[40])
    assert float(told[names.index("AU12_r")]) == pytest.approx(1.5, abs=0.011)
    assert told[names.index("AU12_c")] == "1"
    assert float(told[names.index("AU06L_r")]) == 5
    assert rest.above(rows[5])[names.index("AU06L_r")] == "0.004"
    assert rest.above(rows[9])[names.index("AU12_r")] == "0.000"
    nobody = ["0"] * len(names)
    assert rest.above(nobody) == nobody


# ---------------------------------------------------------------- frames


def test_frames_have_the_times_of_the_film(film: Path) -> None:
    frames = list(sequences.frames_of(film))
    assert [frame.number for frame in frames] == list(range(1, 13))
    assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(12)])
    assert frames[0].pixels.shape == (300, 400, 3)
    assert sequences.count_of(film) == 12


@pytest.mark.parametrize(("seconds", "number"), [(0, 1), (0.1, 2), (0.19, 2), (1.1, 12), (1.2, 12)])
def test_the_frame_that_is_shown_at_a_time(film: Path, seconds: float, number: int) -> None:
    assert sequences.frame_at(film, seconds).number == number


@pytest.mark.parametrize("seconds", [-1, 60])
def test_no_frame_outside_of_the_film(film: Path, seconds: float) -> None:
    with pytest.raises(InputError, match=f"{seconds} s"):
        sequences.frame_at(film, seconds)


def test_a_place_names_a_photo_or_a_moment(film: Path, tmp_path: Path, picture: np.ndarray) -> None:
    moment = likeness.picture_at(f"{film}@0.1s")
    np.testing.assert_array_equal(moment.pixels, sequences.frame_at(film, 0.1).pixels)
    assert likeness.source_of(f"{film}@0.1s") == str(film)
    Image.fromarray(picture).save(tmp_path / "b@2.png")
    photo = likeness.picture_at(str(tmp_path / "b@2.png"))
    np.testing.assert_array_equal(photo.pixels, picture)
    for wrong, said in ((film, "which moment"), (f"{film}@soon", "not a number")):
        with pytest.raises(InputError, match=said):
            likeness.picture_at(str(wrong))


def test_a_cut_file_is_refused(film: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film.read_bytes()[:-1000])
    result = run("score", cut, "-o", tmp_path / "au.csv")
    assert result.exit_code == InputError.exit_code
    assert "cut.mp4: breaks off" in result.stderr
    assert "give a whole film" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".csv"] == []


# ---------------------------------------------------------------- following, without networks


class Stage:
    """Faces that come and go: `seen` are the centres that the next search or look finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[float] = []
        self.searches = 0
        monkeypatch.setattr(landmarks, "find_faces", self.find)
        monkeypatch.setattr(landmarks, "fit_mesh", self.fit)

    def mesh(self, centre: float) -> landmarks.Mesh:
        return np.tile(np.float32([centre, 50, 0]), (468, 1)) + np.random.default_rng(1).normal(
            0, 1, (468, 3)
        ).astype(np.float32)

    def find(self, pixels: np.ndarray) -> list[Face]:
        self.searches += 1
        return [Face((0, 0, 1, 1), 1.0, self.mesh(x)) for x in self.seen]

    def fit(self, pixels: np.ndarray, region: landmarks.Region, passes: int) -> object:
        near = [x for x in self.seen if abs(x - region.centre[0]) < 10]
        return (self.mesh(near[0]), 0.9) if near else (self.mesh(0), 0.1)


def where(found: following.Found | None) -> float | None:
    return None if found is None else round(float(found.mesh[:, 0].mean()))


GREY, WHITE = np.full((90, 160, 3), 100, np.uint8), np.full((90, 160, 3), 250, np.uint8)


def test_a_face_is_followed_and_found_again_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, follow = Stage(monkeypatch), Follower(1)
    stage.seen = [100, 30]
    assert where(follow(GREY)) == 30
    stage.seen = [33, 100]
    assert where(follow(GREY)) == 33
    assert stage.searches == 1
    stage.seen = []
    assert [follow(GREY) for _ in range(2 * EVERY)] == [None] * 2 * EVERY
    assert stage.searches == 3
    stage.seen = [100, 48]
    assert where(follow(GREY)) == 48
    assert follow.cuts == 0


def test_after_a_cut_the_asked_face_is_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, follow = Stage(monkeypatch), Follower(0)
    stage.seen = [30, 100]
    assert where(follow(GREY)) == 30
    stage.seen = [100, 30]
    assert where(follow(WHITE)) == 100
    assert follow.cuts == 1


def test_a_follower_goes_on_from_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, one, other = Stage(monkeypatch), Follower(0), Follower(0)
    stage.seen = [30]
    one(GREY)
    other.pass_over(GREY)
    other.restore(one.state())
    stage.seen = [36, 200]
    assert where(other(GREY)) == where(one(GREY)) == 36
    assert stage.searches == 1


# ---------------------------------------------------------------- what is kept


def test_rows_are_kept_until_the_settings_change(tmp_path: Path) -> None:
    output = tmp_path / "au.csv"
    with KeptRows(output, {"face": 0}) as kept:
        kept.add([1])
        kept.add([2])
    with kept.path.open("ab") as file:
        file.write(b"[3")  # a kill in the middle of a line
    with KeptRows(output, {"face": 0}) as kept:
        assert (kept.count, kept.last) == (2, [2])
        kept.add([4])
        assert list(kept) == [[1], [2], [4]]
    with KeptRows(output, {"face": 1}) as kept:
        assert (kept.count, kept.last, list(kept)) == (0, None, [])
        kept.remove()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_table_are_refused(tmp_path: Path) -> None:
    with KeptRows(tmp_path / "au.csv", {}), pytest.raises(OutputError, match="another duchenne"):
        KeptRows(tmp_path / "au.csv", {}).__enter__()


# ---------------------------------------------------------------- with the networks


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_face_before_the_camera(picture: np.ndarray) -> None:
    """What rests shows nothing, or nearly so: the mesh settles while the face is followed."""
    live = Live(Scorer(), facs.CODES)
    assert live.look(np.full_like(picture, 90)) is None
    assert [live.look(picture) for _ in range(RESTING)] == [{}] * RESTING
    assert live.knows_rest
    for again in (picture, np.roll(picture - picture // 8, 4, axis=1)):
        seen = live.look(again)
        assert seen is not None
        assert max(seen.values(), default=0) < 0.2


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_the_table_of_a_film(table: Path) -> None:
    rows = read(table)
    assert list(rows[0]) == film_table.columns(folder=False)
    assert [row["frame"] for row in rows] == [str(i) for i in range(1, 13)]
    assert [float(row["timestamp"]) for row in rows] == pytest.approx([i / 10 for i in range(12)])
    gone = [i for i, row in enumerate(rows) if row["success"] == "0"]
    assert gone[:2] == [4, 5]
    assert len(gone) < 10  # found again within the next search
    assert all(float(rows[4][name]) == 0 for name in OPENFACE[3:])
    # The face moves to the right, and nothing else changes.
    place = [float(row["pose_Tx"]) for row in rows if row["success"] == "1"]
    assert place == sorted(place)
    smile = [float(row["AU12_r"]) for row in rows if row["success"] == "1"]
    assert max(smile) - min(smile) < 0.6


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_an_interrupted_film_goes_on(
    film: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the stretch without a face, and finished: the same bytes."""
    output = tmp_path / "au.csv"
    monkeypatch.setattr(scoring_films, "BLOCK", 3)
    real = film_table.row

    def stop_at_six(observed: object, *more: object) -> list[str]:
        if observed.number == 6:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return real(observed, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(film_table, "row", stop_at_six)
        result = run("score", film, "-o", output)
    assert result.exit_code == 130
    assert "5 frames are kept" in result.stderr
    assert not output.exists()
    result = done("score", film, "-o", output)
    assert "going on after frame 5" in result.stderr
    assert output.read_bytes() == table.read_bytes()
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_film_that_ends_damaged_is_measured_up_to_there(
    film: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sequences.frames_of

    def three(path: Path) -> Iterator[sequences.Shown]:
        yield from itertools.islice(real(path), 3)
        raise InputError(f"{path}: cannot be decoded after frame 3 (damaged); give a whole film")

    monkeypatch.setattr("duchenne.measuring.film.frames_of", three)
    result = done("score", film, "-o", tmp_path / "au.csv")
    assert "after frame 3" in result.stderr
    assert (tmp_path / "au.csv").read_text().splitlines() == table.read_text().splitlines()[:4]


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_measured_film_drives(table: Path) -> None:
    """What is written is what the reader of coders' tables reads."""
    recording = read_recording(table)
    assert len(recording.timeline) == round(1.2 * float(recording.timeline.fps))
    assert any("not trusted" in note for note in recording.notes)


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_film_drives_by_its_table_which_is_made_once(
    film: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scoring_films.table_of(Run("animate", {}), str(film), 30.0)
    assert Path(made).read_bytes() == table.read_bytes()
    monkeypatch.setattr(scoring_films, "write_table", None)
    assert scoring_films.table_of(Run("animate", {}), str(film), 30.0) == made
    assert scoring_films.table_of(Run("animate", {}), "openface.csv", 5.0) == "openface.csv"


def test_both_sides_of_a_measured_film_drive(tmp_path: Path) -> None:
    names = film_table.columns(folder=False)
    rows = [["0"] * len(names) for _ in range(3)]
    for i, row in enumerate(rows):
        for name, value in (("frame", i + 1), ("timestamp", i), ("confidence", 1), ("success", 1),
                            ("AU12_r", i), ("AU12L_r", 2 * i)):  # fmt: skip
            row[names.index(name)] = str(value)
    path = tmp_path / "au.csv"
    path.write_text("\n".join(map(",".join, [names, *rows])))
    timeline = read_recording(path, Drive(fps=1, baseline=None)).timeline
    np.testing.assert_allclose(timeline.sides[:, facs.INDEX["AU12"]], [[0, 0], [0.4, 0], [0.8, 0]])


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_folder_of_pictures(tmp_path: Path, picture: np.ndarray) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "b.png")
    (folder / "a.jpg").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("")
    result = done("score", folder, "-o", tmp_path / "au.csv")
    assert "a.jpg" in result.stderr
    rows = read(tmp_path / "au.csv")
    assert [(r["image"], r["success"], r["timestamp"]) for r in rows] == [
        ("a.jpg", "0", "0.000000"), ("b.png", "1", "0.000000"),
    ]  # fmt: skip


def test_films_stand_alone(tmp_path: Path, film: Path) -> None:
    assert "alone" in run("score", film, "photo.jpg").stderr
    assert "for a film" in run("score", "photo.jpg", "--rest", "20").stderr
    assert "at its end" in run("score", film, "--rest", "20").stderr
    both = run("score", film, "--rest", "20", "--no-rest", "-o", tmp_path / "au.csv")
    assert "give --rest or --no-rest" in both.stderr
    assert run("score", film, "-o", tmp_path / "au.json").exit_code == OutputError.exit_code
    (tmp_path / "empty").mkdir()
    result = run("score", tmp_path / "empty")
    assert result.exit_code == InputError.exit_code
    assert "no pictures" in result.stderr
