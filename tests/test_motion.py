"""The options that say how a face moves, from the command line to the frames."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import done, run
from PIL import Image

from duchenne import facs
from duchenne.cli import motion
from duchenne.files.films import read_video
from duchenne.measuring import target

OPENFACE = "frame, timestamp, confidence, success, AU12_r\n" + "".join(
    f"{i + 1}, {i / 10:.1f}, 0.98, 1, {i / 2:.1f}\n" for i in range(5)
)
NO_TIMES = {
    "frames": 3, "fps": None, "easing": None, "hold": None, "ping_pong": False, "loop": None,
}  # fmt: skip


def column(path: str, name: str) -> list[float]:
    with Path(path).open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.fixture
def recording(folder: Path) -> str:
    (folder / "openface.csv").write_text(OPENFACE)
    return "openface.csv"


@pytest.mark.usefixtures("tiny_studio")
def test_gain_and_baseline_and_smoothing_of_a_recording(recording: str) -> None:
    """AU12 rises from 0 to 0.4 of the full intensity in 0.4 s."""
    drive = ("animate", "photo.jpg", "--drive", recording, "--fps", "10", "-o", "a.mp4")
    done(*drive, "--baseline", "0")
    plain = column("a.csv", "AU12")
    assert plain == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    done(*drive, "--baseline", "0", "--gain", "2")
    assert column("a.csv", "AU12") == pytest.approx([2 * value for value in plain])
    done(*drive, "--baseline", "50")
    assert column("a.csv", "AU12") == pytest.approx([0, 0, 0, 0.1, 0.2])
    done(*drive, "--baseline", "0", "--smooth", "0.3")
    smoothed = column("a.csv", "AU12")
    assert max(smoothed) - min(smoothed) < 0.3
    assert sorted(smoothed) == smoothed


@pytest.mark.usefixtures("tiny_studio")
def test_what_belongs_to_a_recording_needs_one(folder: Path) -> None:
    for option in ("--gain", "--smooth", "--baseline"):
        result = run("animate", "photo.jpg", "--au", "AU12", option, "1", "-o", "a.mp4")
        assert result.exit_code == 2
        assert f"{option}: only with --drive" in result.stderr
    (folder / "openface.csv").write_text(OPENFACE)
    result = run("animate", "photo.jpg", "--drive", "openface.csv", "--gain", "-1", "-o", "a.mp4")
    assert result.exit_code == 3
    assert "gain=-1: must lie between 0 and 100" in result.stderr


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_crops_of_every_size() -> None:
    for size in ("128", "64", "32"):
        done(
            "animate", "photo.jpg", "--au", "AU12L=1", "--frames", "2", "--crop", "--size", size,
            "-o", "a.mp4",
        )  # fmt: skip
        assert {frame.shape for frame in read_video("a.mp4")} == {(int(size), int(size), 3)}
        done("edit", "photo.jpg", "--au", "AU12", "--crop", "--size", size, "-o", "a.png")
        done("sample", "--seed", "3", "--size", size, "-o", "b.png")
        for name in ("a.png", "b.png"):
            with Image.open(name) as image:
                assert image.size == (int(size), int(size))


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_sizes_that_cannot_be_drawn() -> None:
    for command in (("animate", "-o", "a.mp4"), ("edit", "-o", "a.png")):
        arguments = (command[0], "photo.jpg", "--au", "AU12", *command[1:])
        result = run(*arguments, "--crop", "--size", "100")
        assert result.exit_code == 3
        assert "size 100: this generator draws 128, 64, 32 px" in result.stderr
        result = run(*arguments, "--size", "63")
        assert result.exit_code == 3
        assert "size 63: at least 64 px" in result.stderr
    assert run("sample", "--seed", "1", "--size", "5", "-o", "c.png").exit_code == 3
    assert not Path("c.png").exists()


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_one_side_has_columns_of_its_own() -> None:
    done(
        "animate", "photo.jpg", "--au", "AU12L=0.8,AU6=0.5", "--frames", "3", "--crop",
        "-o", "a.mp4",
    )  # fmt: skip
    assert column("a.csv", "AU12") == pytest.approx([0, 0.2, 0.4])  # one side counts half
    assert column("a.csv", "AU12L") == pytest.approx([0, 0.4, 0.8])
    assert column("a.csv", "AU12R") == [0, 0, 0]
    done("animate", "photo.jpg", "--au", "AU12=1", "--frames", "2", "--crop", "-o", "b.mp4")
    header = Path("b.csv").read_text().splitlines()[0]
    assert header == ",".join(["frame", "time", *facs.CODES])


def test_a_negative_intensity_lessens() -> None:
    moves = motion.read({"AU12": -0.6, "AU1": 0.4}, None, None, **NO_TIMES)
    assert moves.descriptor(2) == {"AU12": -0.6, "AU1": 0.4}
    np.testing.assert_allclose(moves.table()["AU12"], [0, -0.3, -0.6])


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_a_film_goes_to_what_the_target_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring is another test's subject: here the face measures what is added to 0.5."""

    def reach(subject: object, targets: dict[str, float]) -> target.Reached:
        def respond(offsets: dict[str, float]) -> np.ndarray:
            added = [offsets.get(code, 0.0) for code in facs.CODES]
            return 0.5 + np.array([added] * len(target.COLUMNS)).T

        return target.reach(targets, respond)

    monkeypatch.setattr("duchenne.animate.Subject.reach", reach)
    result = done(
        "animate", "photo.jpg", "--target", "AU12=0.1,AU25=0.9", "--frames", "3", "--crop",
        "-o", "a.mp4",
    )  # fmt: skip
    assert column("a.csv", "AU12") == pytest.approx([0, -0.2, -0.4])
    assert column("a.csv", "AU25") == pytest.approx([0, 0.2, 0.4])
    assert "AU12 measures 0.10" in result.stderr
    frames = list(read_video("a.mp4"))
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 10


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_a_target_is_one_source_of_motion() -> None:
    result = run("animate", "photo.jpg", "--au", "AU12", "--target", "AU12=0", "-o", "a.mp4")
    assert result.exit_code == 2
    assert "--target" in result.stderr
