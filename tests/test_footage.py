"""Films as the source: read, followed, worked out in some frames, drawn in all, written again."""

from __future__ import annotations

import csv
import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import tiny
from av.video.reformatter import ColorTrc

from duchenne.cli import motion
from duchenne.encoding.settings import LOOK_ALIKE
from duchenne.errors import DescriptorError, InputError, NoFaceFound, OutputError
from duchenne.faces import landmarks, steady, tracking
from duchenne.faces.following import EVERY, Found
from duchenne.files import film_copy, film_source, films
from duchenne.files.film_source import FilmSource, Frame, open_film
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.footage import rehearsal, runs, targets
from duchenne.footage.film import FilmSubject, Shown
from duchenne.footage.table import tabled
from duchenne.motion.timeline import Timeline
from duchenne.moving.carried import Moment, between
from duchenne.moving.change import SIDE
from duchenne.moving.moved import Fields

MILLISECONDS = Fraction(1, 1000)
TIMES = (0, 40, 95, 120, 200, 240, 290)  # ms: a rate that varies


def make(
    path: Path, frames: list[np.ndarray], *, rotation: int = 0, sound: bool = False, **colours: int
) -> Path:
    """A film of uint8 [H, W, 3] at TIMES, 90 degrees of `rotation` being a flag only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", MILLISECONDS
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        voice = container.add_stream("aac", rate=16000) if sound else None
        for time, pixels in zip(TIMES, frames, strict=False):
            video = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            video.pts, video.time_base = time, MILLISECONDS
            container.mux(stream.encode(video))
        container.mux(stream.encode(None))
        if voice is not None:
            noise = np.random.default_rng(0).normal(0, 0.1, (4, 1, 1024)).astype(np.float32)
            for i, samples in enumerate(noise):
                heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 16000, i * 1024
                container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return path


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Seven different frames: uint8 [48, 64, 3]."""
    rng = np.random.default_rng(3)
    still = np.kron(rng.integers(40, 200, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return [np.roll(still, 2 * i, axis=1) for i in range(len(TIMES))]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, frames: list[np.ndarray]) -> FilmSource:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return open_film(make(path, frames, rotation=90, sound=True))


@dataclass(frozen=True)
class Edit:
    frame: Frame
    pixels: np.ndarray | None


def edits(film: FilmSource) -> Iterator[Edit]:
    """Every second frame has a white square."""
    for frame in film.frames():
        pixels = frame.pixels.copy()
        pixels[20:30, 11:21] = 255
        yield Edit(frame, pixels if frame.index % 2 else None)


def sound_of(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio)
        return [(packet.pts, bytes(packet)) for packet in packets if packet.dts is not None]


# ---------------------------------------------------------------- in


def test_frames_come_upright_with_their_times(film: FilmSource, frames: list[np.ndarray]) -> None:
    assert film.size == (48, 64)
    seen = list(film.frames())
    assert [round(1000 * frame.time) for frame in seen] == list(TIMES)
    assert np.abs(seen[3].pixels.astype(int) - np.rot90(frames[3])).mean() < 8  # H.264, halved hues


def test_what_cannot_be_edited_is_refused(tmp_path: Path, frames: list[np.ndarray]) -> None:
    hdr = make(tmp_path / "hdr.mp4", frames, color_trc=ColorTrc.SMPTE2084)
    with pytest.raises(InputError, match=r"is HDR \(PQ\).*export it as SDR"):
        open_film(hdr).require_editable()
    plain = open_film(make(tmp_path / "plain.mp4", frames))
    with pytest.raises(InputError, match="7680x4320 px; at most 4096"):
        replace(plain, size=(7680, 4320)).require_editable()
    assert replace(plain, bits=10).changed_by_writing() == ["its 10-bit samples become 8-bit ones"]
    plain.require_editable()


def test_a_broken_film_is_refused(tmp_path: Path, film: FilmSource) -> None:
    whole = film.path.read_bytes()
    cut, song, text = (tmp_path / name for name in ("cut.mp4", "song.mp4", "text.mp4"))
    cut.write_bytes(whole[: len(whole) // 2])
    text.write_text("no film")
    with av.open(str(song), "w") as container:
        voice = container.add_stream("aac", rate=16000)
        container.mux(voice.encode(None))
    for path in (cut, text, tmp_path / "none.mp4"):
        with pytest.raises(InputError, match=r"(cannot be decoded|breaks off).*give a whole film"):
            open_film(path)
    with pytest.raises(InputError, match=r"no video stream|cannot be decoded"):
        open_film(song)
    with pytest.raises(InputError, match="breaks off after 7 of 99 frames"):
        list(replace(film, count=99).frames())


def test_a_film_without_a_count_is_read_to_its_end(
    tmp_path: Path, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "film.mkv", frames)
    assert open_film(path).count == 0
    monkeypatch.setattr(film_source, "SHORT", 0.1)
    assert len(list(open_film(path).frames())) == len(TIMES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"breaks off after 0\.\d of 0\.3 seconds"):
        open_film(path)


# ---------------------------------------------------------------- out


def test_all_but_the_edit_stays(film: FilmSource, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    assert film_copy.check_copy(film, path) == []
    written = film_copy.write_copy(edits(film), film, path)
    result = open_film(path)
    assert written.frames == len(TIMES)
    assert (result.size, result.turns) == (film.size, film.turns)
    assert result.rate == film.rate
    assert result.duration == pytest.approx(film.duration, abs=0.01)  # its last frame
    pairs = list(zip(film.frames(), result.frames(), strict=True))
    assert [b.video.pts * b.video.time_base for _, b in pairs] == [
        a.video.pts * a.video.time_base for a, _ in pairs
    ]
    assert sound_of(path) == sound_of(film.path)
    assert read_synthetic_mark(path) == SourceType.EDITED
    near = np.abs(pairs[1][1].pixels[22:28, 13:19].astype(int) - 255)
    assert near.mean() < 6  # white, but for the compression


def test_samples_outside_an_edit_are_the_decoded_ones(film: FilmSource) -> None:
    for edit in edits(film):
        before = edit.frame.video.to_ndarray(format="yuv420p")
        after = film_copy.patched(edit.frame, edit.pixels).to_ndarray(format="yuv420p")
        changed = np.argwhere(before != after)
        if edit.pixels is None:
            assert len(changed) == 0
        else:  # the square lies there in the frame as it is stored, not turned
            luma = changed[changed[:, 0] < 48]
            assert luma.min(axis=0).tolist() >= [11, 34 - 1]
            assert luma.max(axis=0).tolist() <= [20, 43 + 1]


@pytest.mark.parametrize("matrix", [1, 2, 5, 6, 9])
def test_an_edit_has_its_colours_in_every_matrix(frames: list[np.ndarray], matrix: int) -> None:
    video = av.VideoFrame.from_ndarray(frames[0], format="rgb24").reformat(format="yuv420p")
    video.colorspace, video.pts = matrix, 0
    frame = Frame(0, 0.0, video, 0)
    pixels = frame.pixels.copy()
    pixels[16:32, 16:32] = 200, 90, 60
    shown = film_copy.patched(frame, pixels)
    assert shown.colorspace == matrix
    middle = shown.to_ndarray(format="rgb24")[18:30, 18:30].astype(int)
    assert np.abs(middle - (200, 90, 60)).max() <= 3  # steps of 8-bit samples


def test_sound_that_does_not_fit_is_said_before_the_work(film: FilmSource) -> None:
    assert film_copy.check_copy(film, Path("out.gif")) == ["audio aac"]
    with pytest.raises(OutputError, match=r"out.webm: cannot hold.*\(aac\); write .mp4"):
        film_copy.check_copy(film, Path("out.webm"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), InputError("breaks off")])
def test_no_half_film_is_left(film: FilmSource, tmp_path: Path, stop: BaseException) -> None:
    def breaking() -> Iterator[Edit]:
        for edit in edits(film):
            if edit.frame.index == 3:
                raise stop
            yield edit

    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(type(stop)):
        film_copy.write_copy(breaking(), film, path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"old"


# ---------------------------------------------------------------- the face


MESH = tiny.golden_face("astronaut").mesh


def sighting(index: int, mesh: np.ndarray | None, track: int = 0, shot: int = 0) -> object:
    return tracking.Sighting(Frame(index, index / 25, None, 0), mesh, 1.0, track, shot)


def test_steady_motion_passes_without_lag_and_jitter_shrinks() -> None:
    rng = np.random.default_rng(0)
    true = [MESH + 3 * i + 0.2 * i * i for i in range(12)]
    smooth = [s.mesh for s in steady.steadied(sighting(i, m) for i, m in enumerate(true))]
    np.testing.assert_allclose(smooth, true, atol=2e-3)
    noise = rng.normal(0, 1, (12, 468, 3))
    seen = steady.steadied(sighting(i, true[i] + noise[i]) for i in range(12))
    left = [s.mesh - t for s, t in zip(seen, true, strict=True)]
    # Of seven values' noise the parabola keeps 7 / 21 of the variance in its middle.
    assert np.std(left[5]) == pytest.approx((7 / 21) ** 0.5, abs=0.03)


def test_an_edit_fades_where_a_face_is_lost_but_not_at_a_cut() -> None:
    lost = [sighting(i, MESH if i < 6 else None, i >= 6) for i in range(9)]
    shares = [s.share for s in steady.steadied(lost)]
    np.testing.assert_allclose(shares, [1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0])
    back = [sighting(i, MESH if i >= 3 else None, 1) for i in range(9)]
    np.testing.assert_allclose(
        [s.share for s in steady.steadied(back)], [0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1]
    )
    cut = [sighting(i, MESH if i < 6 else None, i >= 6, i >= 6) for i in range(9)]
    assert [s.share for s in steady.steadied(cut)] == [1] * 6 + [0] * 3


def test_frames_before_a_face_was_found_again_are_gone_through_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [0, 1, 2, *range(5, 14)]  # the search of frame 3 + EVERY finds it; it was back at 5

    class Late:
        cuts = doubted = 0
        watchful = False
        is_another = staticmethod(lambda *_: False)

        def __init__(self, index: int, people: object = None) -> None:
            self.frame = -1

        def __call__(self, pixels: np.ndarray) -> Found | None:
            self.frame += 1
            return Found(MESH, 1.0) if self.frame < 3 or self.frame >= 3 + EVERY else None

    def fit(pixels: np.ndarray, region: object, passes: int) -> object:
        return MESH, float(pixels[0, 0, 0] in there)

    monkeypatch.setattr(tracking, "Follower", Late)
    monkeypatch.setattr(landmarks, "fit_mesh", fit)
    frames = [Frame(i, i / 25, None, 0) for i in range(14)]
    for frame in frames:
        frame.__dict__["pixels"] = np.full((1, 1, 3), frame.index, np.uint8)
    seen = list(tracking.track(frames))
    assert [s.frame.index for s in seen] == list(range(14))
    assert [s.frame.index for s in seen if s.mesh is not None] == there
    assert [s.track for s in seen] == [0] * 3 + [1] * 11


# ---------------------------------------------------------------- which frames


def moment(index: int, gap: float, track: int = 0, strength: float = 1.0) -> runs.Moment:
    mesh = np.array(MESH[:, :2], float)
    mesh[14] = mesh[13] + (0, gap)
    table = np.full((len(motion.facs.CODES), 8), strength)
    seen = steady.Steadied(sighting(index, MESH, track), MESH, 1.0)  # type: ignore[arg-type]
    return runs.Moment(seen, np.eye(2, 3), mesh, table)


def test_every_frame_comes_once_and_runs_end_where_the_mouth_turns() -> None:
    gaps = [0, 3, 6, 9, 12, 9, 6, 3, 0, 0, 0]
    found = list(runs.runs(moment(i, gap) for i, gap in enumerate(gaps)))
    drawn = [m.seen.sighting.frame.index for run in found for m in run.moments[run.continued :]]
    assert drawn == list(range(len(gaps)))
    ends = {run.moments[-1].seen.sighting.frame.index for run in found}
    assert {4, 5} & ends  # at the widest, to a frame
    for run in found:
        line = np.interp(run.shares(), [0, 1], [gaps[drawn.index(m.seen.sighting.frame.index)]
                         for m in (run.moments[0], run.moments[-1])])  # fmt: skip
        inside = [gaps[m.seen.sighting.frame.index] for m in run.moments]
        assert np.abs(line - inside).max() <= runs.BESIDE


def test_a_run_ends_with_its_track_and_where_the_intensity_bends() -> None:
    cut = list(runs.runs(moment(i, 0, track=i >= 4) for i in range(8)))
    assert [len(run.moments) for run in cut] == [4, 4]
    assert [run.continued for run in cut] == [False, False]
    bent = list(runs.runs(moment(i, 0, strength=0.045 * max(0, i - 4)) for i in range(9)))
    assert bent[0].moments[-1].seen.sighting.frame.index == 4
    still = list(runs.runs(moment(i, 0) for i in range(40)))
    assert max(len(run.moments) for run in still) == runs.LONGEST


def test_what_was_worked_out_counts_on_while_a_face_is_still() -> None:
    first = moment(0, 0)
    assert runs.kept(first, moment(1, 0)) > runs.kept(first, moment(10, 0)) > 0.2
    assert runs.kept(first, moment(1, 0.5 * runs.STILL)) == pytest.approx(
        0.5 * runs.kept(first, moment(1, 0))
    )
    assert runs.kept(first, moment(1, 2 * runs.STILL)) == 0
    assert runs.kept(first, moment(1, 0, strength=0.8)) == 0


def test_what_is_missing_to_a_target_is_added_smoothly() -> None:
    class Noisy:
        """AU12 measures 1.4 of the full action, and every second time 1.6."""

        calls = 0

        def intensities(self, pixels: object, mesh: object) -> np.ndarray:
            self.calls += 1
            return np.full(len(motion.facs.CODES), 1.4 + 0.2 * (self.calls % 2))

    seen = []
    for i in range(20):
        one = sighting(i, MESH if i < 15 else None)
        one.frame.__dict__["pixels"] = None  # type: ignore[attr-defined]
        seen.append(steady.Steadied(one, one.mesh, 1.0))  # type: ignore[arg-type,attr-defined]
    as_asked = np.ones((2, len(motion.facs.CODES)))
    as_asked[1] = 2  # what is taken off shows twice
    asked = list(
        targets.reaching(seen, {"AU12": 0.1}, Noisy(), as_asked)  # type: ignore[arg-type]
    )
    assert [one for one, _ in asked] == seen
    index = motion.facs.INDEX["AU12"]
    course = np.array([table[index].min() for _, table in asked])
    np.testing.assert_allclose(course[2:13], -0.7, atol=0.02)
    assert not course[15:].any()
    others = np.delete(np.stack([table for _, table in asked]), index, axis=1)
    assert not others.any()
    with pytest.raises(DescriptorError, match="leave out the side"):
        list(targets.reaching(seen, {"AU12L": 0}, Noisy(), as_asked))  # type: ignore[arg-type]


# ---------------------------------------------------------------- carried


def test_what_happens_moves_with_the_skin() -> None:
    mesh = MESH[:, :2].astype(float)
    mesh = (mesh - mesh.mean(axis=0)) * (200 / np.ptp(mesh[:, 0])) + SIDE / 2
    spot = np.zeros((SIDE, SIDE), np.float32)
    x, y = np.rint(mesh[50]).astype(int)
    spot[y - 3 : y + 4, x - 3 : x + 4] = 1
    fields = Fields(
        np.dstack([spot * 0, spot * 0]), -spot, spot * 0, np.dstack([spot] * 3), spot * 0
    )
    known = Moment(mesh, fields, np.ones_like(spot))
    moved, share = between(mesh + np.array([12, -5]), [known], [1.0])
    here = np.argwhere(moved.shading < -0.5).mean(axis=0)
    np.testing.assert_allclose(here, [y - 5, x + 12], atol=0.6)
    assert share[y, x] == pytest.approx(1)
    half, _ = between(mesh, [known, replace(known, fields=fields.times(0))], [0.5, 0.5])
    assert half.shading[y, x] == pytest.approx(-0.5, abs=0.02)


# ---------------------------------------------------------------- all of it


@pytest.fixture
def seen_film(tmp_path: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> FilmSource:
    """Seven frames of the astronaut; the face is where it is, but in the last two there is none."""

    class Sees:
        cuts = doubted = 0
        watchful = False
        is_another = staticmethod(lambda *_: False)

        def __init__(self, index: int, people: object = None) -> None:
            self.frame = -1

        def __call__(self, pixels: np.ndarray) -> Found | None:
            self.frame += 1
            return Found(MESH, 1.0) if self.frame < 5 else None

    monkeypatch.setattr(tracking, "Follower", Sees)
    monkeypatch.setattr(landmarks, "fit_mesh", lambda *_, **__: (MESH, 0.0))
    tiny.see_golden(monkeypatch.setattr)
    return open_film(make(tmp_path / "film.mp4", [astronaut] * len(TIMES)))


def ramp(strengths: list[float]) -> Timeline:
    sides = np.zeros((len(strengths), len(motion.facs.CODES), 2))
    sides[:, motion.facs.INDEX["AU12"], 0] = strengths  # the left side only
    return Timeline(sides, Fraction(25))


def test_a_film_is_edited_where_it_is_asked_and_nowhere_else(
    seen_film: FilmSource, tmp_path: Path
) -> None:
    subject = FilmSubject(tiny.TinyStudio(LOOK_ALIKE), seen_film)
    timeline = ramp([0, 0, 1, 1])
    uneven = (timeline.sides[:, :, 0] != timeline.sides[:, :, 1]).any(axis=0)
    with tabled(subject.animate(timeline), tmp_path / "film.csv", uneven) as passing:
        result: list[Shown] = list(passing)
        assert not (tmp_path / "film.csv").exists()  # before the film is whole
    # Asked: 0 at 0 and 40 ms; shown over 2 of the 4 frames before the face is lost at 240 ms.
    assert [shown.pixels is not None for shown in result] == [
        False,
        False,
        *[True] * 3,
        *[False] * 2,
    ]
    for shown in result:
        if shown.pixels is not None:
            changed = (shown.pixels != shown.frame.pixels).any(axis=2)
            assert changed[shown.where].sum() == changed.sum() > 0
    account = subject.account
    assert (account.frames, account.faces, account.edited) == (7, 5, 3)
    assert account.without == [(0.24, 0.29)]
    with (tmp_path / "film.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["face"] for row in rows] == ["1"] * 5 + ["0"] * 2
    assert float(rows[2]["AU12L"]) > 0 == float(rows[2]["AU12R"])
    assert float(rows[2]["AU12"]) == pytest.approx(float(rows[2]["AU12L"]) / 2)


def test_a_film_without_a_face_says_so(
    seen_film: FilmSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind:
        cuts = doubted = 0
        watchful = False
        is_another = staticmethod(lambda *_: False)

        def __init__(self, index: int, people: object = None) -> None: ...

        def __call__(self, pixels: np.ndarray) -> None: ...

    monkeypatch.setattr(tracking, "Follower", Blind)
    subject = FilmSubject(tiny.TinyStudio(LOOK_ALIKE), seen_film)
    with pytest.raises(NoFaceFound, match="in any of its 7 frames"):
        list(subject.animate(ramp([1])))


def test_no_frame_is_encoded_by_a_descent(
    seen_film: FilmSource, caplog: pytest.LogCaptureFixture
) -> None:
    subject = FilmSubject(tiny.TinyStudio(), seen_film)
    assert subject.studio.settings == LOOK_ALIKE
    assert "has no v(I)" in caplog.text


def test_an_expression_is_there_from_the_first_frame_on() -> None:
    times = {"fps": None, "hold": None, "ping_pong": False, "loop": None}
    asked = {"AU12": 0.5}
    at_once = motion.read_for_film(asked, None, None, "25", frames=None, easing=None, **times)
    assert len(at_once) == 1
    slowly = motion.read_for_film(asked, None, None, "25", frames=50, easing=None, **times)
    assert (len(slowly), slowly.fps) == (50, 25)


def test_films_are_told_by_their_suffix() -> None:
    assert film_source.is_film("Film.MP4")
    assert not film_source.is_film("photo.jpg")


def test_a_target_is_aimed_at_by_how_the_face_answers() -> None:
    response = rehearsal.Response()
    assert (response.slopes == 1).all()  # nothing is known yet
    index = motion.facs.INDEX["AU12"]
    added, more = np.zeros(len(motion.facs.CODES)), np.zeros(len(motion.facs.CODES))
    added[index], more[index] = -0.5, -0.25
    for _ in range(4):
        response.learn(added, more)
    # (4 * 0.125 + DOUBT) / (4 * 0.25 + DOUBT)
    assert response.slopes[1, index] == pytest.approx(0.505 / 1.005)
    assert response.slopes[0, index] == 1  # nothing was added
    assert (np.delete(response.slopes, index, axis=1) == 1).all()


def test_a_full_disk_is_said_with_what_to_do(tmp_path: Path) -> None:
    def step() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/.out.123.mp4")

    with pytest.raises(OutputError) as told:
        films._guarded(tmp_path / "out.mp4", step)
    assert str(told.value).endswith(
        "could not be encoded (No space left on device; make room, or write elsewhere)"
    )
