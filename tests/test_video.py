"""Films: written, decoded back, and interrupted."""

import csv
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from duchenne import facs
from duchenne.cli import commands
from duchenne.errors import InputError, OutputError
from duchenne.files import film_formats, films, pictures
from duchenne.files.clip import Clip
from duchenne.files.film_formats import FORMATS, FilmFormat, Stream
from duchenne.files.films import check_writable, is_folder, read_video, write_frames
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.motion.timeline import Timeline
from duchenne.stimuli import design
from duchenne.web import service, tasks

SUFFIXES = list(FORMATS)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (222, 170, 140), (250, 250, 250)]


def patches(count, height=96, width=144):
    """Six patches of colour (one is skin) and a dot that moves, so that no two frames agree."""
    for i in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        for c, colour in enumerate(COLOURS):
            frame[(c // 3) * 48 : (c // 3) * 48 + 48, (c % 3) * 48 : (c % 3) * 48 + 48] = colour
        frame[0:8, i % 100 : i % 100 + 8] = 0
        yield frame


def tree(folder):
    return sorted(p.name for p in folder.iterdir())


def decode(path):
    """Frames through Pillow where FFmpeg has no reader (animated WebP)."""
    if path.suffix != ".webp":
        return list(read_video(path))
    with Image.open(path) as image:
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.array(image.convert("RGB")))
        return frames


def seconds(path):
    """How long the film lasts, by its own container."""
    if path.suffix in (".webp", ".gif", ".apng"):
        with Image.open(path) as image:
            total = 0.0
            for i in range(image.n_frames):
                image.seek(i)
                image.load()
                total += image.info["duration"]
            return total / 1000
    with av.open(str(path)) as film:
        return film.duration / av.time_base


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fps", [24, "23.976", 12.5])
def test_round_trip(tmp_path, suffix, fps):
    path = tmp_path / f"film{suffix}"
    written = write_frames(patches(30), path, fps=fps)
    rate = films.frame_rate(fps)
    assert written == films.Written(path, 30, rate, (144, 96), path.stat().st_size)
    frames = decode(path)
    assert len(frames) == 30
    assert seconds(path) == pytest.approx(float(30 / rate), abs=0.02)
    if suffix in (".mp4", ".webm", ".apng"):
        with av.open(str(path)) as film:
            assert film.streams.video[0].average_rate == rate
    tolerance = {".apng": 0, ".gif": 3, ".webp": 6}.get(suffix, 3)
    for frame in (frames[0], frames[29]):
        assert frame.shape == (96, 144, 3)
        for c, colour in enumerate(COLOURS):
            centre = frame[(c // 3) * 48 + 24, (c % 3) * 48 + 24].astype(int)
            assert np.abs(centre - colour).max() <= tolerance, (colour, centre)
    assert tree(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_colour_is_tagged_and_playable(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_frames(patches(3), path, fps=24)
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        tags = (context.colorspace, context.color_range)
        tags += (context.color_primaries, context.color_trc)
        assert tags == (1, 1, 1, 1)  # BT.709 matrix, limited range, BT.709 primaries and curve


def boxes(path):
    """Names of the top-level boxes of an MP4."""
    blob, at, names = path.read_bytes(), 0, []
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        names.append(blob[at + 4 : at + 8])
        at += size
    assert at == len(blob)
    return names


def test_mp4_starts_fast_and_ends_with_xmp(tmp_path):
    write_frames(patches(5), tmp_path / "a.mp4", fps=24)
    names = boxes(tmp_path / "a.mp4")
    assert names.index(b"moov") < names.index(b"mdat")
    assert names[-1] == b"uuid"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("source", list(SourceType))
def test_mark(tmp_path, suffix, count, source):
    path = tmp_path / f"a{suffix}"
    write_frames(patches(count), path, fps=24, source=source)
    assert read_synthetic_mark(path) == source
    assert len(decode(path)) == count
    if suffix == ".gif":  # an independent reader finds the extension and leaves it again
        with Image.open(path) as image:
            kind, at = image.info["extension"]
        assert kind == b"XMP DataXMP"
        assert path.read_bytes()[at : at + 16] == b"<?xpacket begin="
    elif suffix in (".webp", ".apng"):
        with Image.open(path) as image:
            image.load()
            xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        assert str(source) in (xmp if isinstance(xmp, str) else xmp.decode())
    else:
        with av.open(str(path)) as film:
            comment = {k.lower(): v for k, v in film.metadata.items()}["comment"]
        assert f"<{source}>" in comment


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_odd_sizes(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    odd = [frame[:95, :143] for frame in patches(3)]
    written = write_frames(odd, path, fps=24)
    even = suffix in (".mp4", ".webm")
    assert written.size == ((144, 96) if even else (143, 95))
    frame = decode(path)[0]
    assert frame.shape == ((96, 144, 3) if even else (95, 143, 3))
    assert np.abs(frame[-1, -1].astype(int) - COLOURS[5]).max() <= 6  # repeated, not black


def test_gif_keeps_gradients_and_timing(tmp_path):
    ramp = np.broadcast_to(np.arange(0, 256, 2, dtype=np.uint8)[None, :, None], (64, 128, 3))
    write_frames([ramp.copy() for _ in range(3)], tmp_path / "a.gif", fps=50)
    frame = next(read_video(tmp_path / "a.gif"))
    assert np.abs(frame.astype(int) - ramp).mean() < 2
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        assert image.info["duration"] == 20
    with pytest.raises(OutputError, match="at most 50"):
        write_frames(patches(2), tmp_path / "b.gif", fps=60)
    assert tree(tmp_path) == ["a.gif"]


# ---------------------------------------------------------------- streaming and failing


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.apng", "frames/"])
def test_frames_are_taken_lazily(tmp_path, monkeypatch, name):
    """300 frames, and never more than the queue ahead of the encoder."""
    made = encoded = worst = 0
    kind = {"a.gif": film_formats.GifWriter, "frames/": films._FolderWriter}.get(
        name, film_formats.StreamWriter
    )
    add = kind.add

    def counting(self, frame):
        nonlocal encoded
        assert threading.current_thread() is not threading.main_thread()
        add(self, frame)
        encoded += 1

    def frames():
        nonlocal made, worst
        for frame in patches(300, 48, 64):
            made += 1
            worst = max(worst, made - encoded)
            yield frame

    monkeypatch.setattr(kind, "add", counting)
    assert write_frames(frames(), f"{tmp_path}/{name}", fps=60 if "gif" not in name else 25)
    assert made == encoded == 300
    assert worst <= films.QUEUE + 2


def test_a_renderer_may_reuse_its_memory(tmp_path):
    buffer = np.zeros((64, 64, 3), np.uint8)

    def frames():
        for i in range(10):
            buffer[:] = i * 20
            yield buffer

    write_frames(frames(), tmp_path / "a.apng", fps=10)
    assert [int(f[0, 0, 0]) for f in read_video(tmp_path / "a.apng")] == list(range(0, 200, 20))


@pytest.mark.parametrize("suffix", [*SUFFIXES, ""])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_error_of_the_frames_leaves_the_old_output(tmp_path, suffix, error):
    path = tmp_path / f"film{suffix}"
    write_frames(patches(2), path, fps=24)
    content = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def failing():
        yield from patches(12)
        raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        write_frames(failing(), path, fps=24)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == content
    assert tree(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ""])
def test_an_error_of_the_encoder_is_reported_once(tmp_path, suffix, monkeypatch):
    kind = {".gif": film_formats.GifWriter, "": films._FolderWriter}.get(
        suffix, film_formats.StreamWriter
    )
    add = kind.add

    def full(self, frame):
        add(self, frame)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kind, "add", full)
    taken = []
    with pytest.raises(OutputError, match="No space left"):
        write_frames((taken.append(1) or f for f in patches(100)), tmp_path / f"a{suffix}", fps=24)
    assert len(taken) < 100
    assert tree(tmp_path) == []


@pytest.mark.parametrize("suffix", [*SUFFIXES, ""])
def test_no_frames(tmp_path, suffix):
    with pytest.raises(OutputError, match="no frames"):
        write_frames(iter([]), tmp_path / f"a{suffix}", fps=24)
    assert tree(tmp_path) == []


def test_wrong_frames_are_programming_errors(tmp_path):
    good = next(patches(1))
    for bad in (good.astype(np.float32), good[..., 0], good[:48]):
        with pytest.raises(AssertionError):
            write_frames([good, bad], tmp_path / "a.mp4", fps=24)
    assert tree(tmp_path) == []


def test_where_it_cannot_be_written(tmp_path):
    (tmp_path / "dir.mp4").mkdir()
    (tmp_path / "file").touch()
    for name, word in {
        "a.avi": ".mp4, .webm",
        "a.png": "unknown kind",
        "dir.mp4": "is a folder",
        "no/a.mp4": "create it first",
        "no/frames/": "create it first",
        "file": "is a file",
        "file/": "is a file",
    }.items():
        with pytest.raises(OutputError, match=word):
            check_writable(f"{tmp_path}/{name}")
    for fps in (0, -1, float("nan"), 1000, "fast"):
        with pytest.raises(InputError, match="frame rate"):
            check_writable(tmp_path / "a.mp4", fps)


def test_missing_codec(tmp_path, monkeypatch):
    without = replace(FORMATS[".mp4"], stream=Stream("mp4", "libnothing", "yuv420p"))
    monkeypatch.setitem(FORMATS, ".mp4", without)
    with pytest.raises(OutputError, match="no libnothing"):
        check_writable(tmp_path / "a.mp4")


def test_a_format_is_one_record(tmp_path, monkeypatch):
    """Declared once, it is written, marked and offered everywhere; without a marker it is not."""
    fields = {name: value for name, value in vars(FORMATS[".mp4"]).items() if name != "mark"}
    with pytest.raises(TypeError, match="mark"):
        FilmFormat(**fields)
    new = FilmFormat(**{**fields, "suffix": ".m4v"}, mark=FORMATS[".mp4"].mark)
    monkeypatch.setitem(FORMATS, ".m4v", new)
    write_frames(patches(2), tmp_path / "a.m4v", fps=24)
    assert read_synthetic_mark(tmp_path / "a.m4v") == SourceType.GENERATED
    wanted = {"people": {"seeds": [1]}, "output": {"film": ".m4v"}}
    assert [cell.suffix for cell in design.parse(wanted, tmp_path).cells()] == [".png"]
    assert "m4v" in service.formats()
    assert tasks.media_type(".m4v") == "video/mp4"
    for command in ("animate", "batch"):
        assert ".apng, .m4v" in " ".join(
            CliRunner().invoke(commands, [command, "-h"]).output.split()
        )
    hidden = replace(new, in_sets=False, on_page=False)
    monkeypatch.setitem(FORMATS, ".m4v", hidden)
    assert "m4v" not in service.formats()
    with pytest.raises(InputError, match=r"film of \.mp4"):
        design.parse(wanted, tmp_path)


def test_a_film_without_its_mark_does_not_appear(tmp_path, monkeypatch):
    nothing = replace(FORMATS[".apng"], mark=FORMATS[".webm"].mark)
    monkeypatch.setitem(FORMATS, ".apng", nothing)
    with pytest.raises(OutputError, match="does not say that it is synthetic"):
        write_frames(patches(2), tmp_path / "a.apng", fps=24)
    assert tree(tmp_path) == []


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("name", ["12:30", "file:a", "a%05d", "[1] b|c"])
def test_a_name_that_means_more_to_ffmpeg(tmp_path, monkeypatch, name, suffix):
    monkeypatch.chdir(tmp_path)
    write_frames(patches(2), name + suffix, fps=24)
    assert tree(tmp_path) == [name + suffix]
    assert len(list(films.read_video(name + suffix))) == 2


def test_what_is_a_folder(tmp_path):
    (tmp_path / "take.1").mkdir()
    assert is_folder("frames")
    assert is_folder("frames.mp4/")
    assert is_folder(tmp_path / "take.1")
    assert not is_folder("a.mp4")
    assert not is_folder("a.xyz")


def test_folder_is_a_lossless_image_sequence_and_replaced(tmp_path):
    path = tmp_path / "frames"
    written = write_frames(patches(3), path, fps=24)
    assert tree(path) == ["frame_00001.png", "frame_00002.png", "frame_00003.png"]
    with av.open(f"{path}/frame_%05d.png", format="image2") as sequence:
        assert sum(1 for _ in sequence.decode(video=0)) == 3
    for file, frame in zip(sorted(path.iterdir()), patches(3), strict=True):
        assert (pictures.load_photo(file).pixels == frame).all()
        assert read_synthetic_mark(file) == SourceType.GENERATED
    assert written.bytes == sum(p.stat().st_size for p in path.iterdir())
    write_frames(patches(1), f"{path}/", fps=24)
    assert tree(path) == ["frame_00001.png"]
    (path / "frame_00002_t0.042.png").touch()  # by an earlier version
    write_frames(patches(2), path, fps=24)
    assert tree(path) == ["frame_00001.png", "frame_00002.png"]
    assert tree(tmp_path) == ["frames"]


def test_folder_with_other_files_is_refused(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    write_frames(patches(1), path, fps=24)  # an empty folder is fine
    (path / "thesis.docx").touch()
    with pytest.raises(OutputError, match=r"thesis\.docx"):
        write_frames(patches(2), path, fps=24)
    assert tree(path) == ["frame_00001.png", "thesis.docx"]
    assert tree(tmp_path) == ["frames"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()

    def frames():
        yield from patches(2)
        (path / "thesis.docx").touch()

    with pytest.raises(OutputError, match=r"thesis\.docx"):
        write_frames(frames(), path, fps=24)
    assert tree(path) == ["thesis.docx"]
    assert tree(tmp_path) == ["frames"]


# ---------------------------------------------------------------- sidecar and reading


def test_sidecar(tmp_path):
    assert films.sidecar_path("a/smile.mp4") == Path("a/smile.csv")
    assert films.sidecar_path("a/frames/") == Path("a/frames.csv")
    values = np.linspace(0, 1, 2 * len(facs.CODES)).reshape(2, len(facs.CODES))
    line = Timeline(values, Fraction(24000, 1001))
    path = tmp_path / "a.csv"
    films.write_sidecar(path, line)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["frame", "time", *facs.CODES]
    assert rows[2][:2] == ["2", "0.041708"]
    assert np.abs(np.array(rows[1:], float)[:, 2:] - values).max() < 1e-6
    assert tree(tmp_path) == ["a.csv"]
    with pytest.raises(OutputError):
        films.write_sidecar(tmp_path / "no" / "a.csv", line)


def test_unreadable_films(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"not a film at all, only words" * 9)
    (tmp_path / "empty.mp4").touch()
    for name in ("a.mp4", "empty.mp4", "none.mp4"):
        with pytest.raises(InputError, match="cannot be decoded"):
            list(read_video(tmp_path / name))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".apng"])
def test_memory_does_not_grow_with_length(tmp_path, suffix):
    """Each run in its own process; 400 more frames of 256 px would be 105 MB as RGBA."""
    script = (
        "import sys, resource, numpy as np\n"
        "from duchenne.files.films import write_frames\n"
        "x = np.arange(256)\n"
        "def frames(n):\n"
        "    for i in range(n):\n"
        "        yield np.stack([x[None] + i + 0 * x[:, None]] * 3, -1).astype(np.uint8)\n"
        "write_frames(frames(int(sys.argv[2])), sys.argv[1], fps=24)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )

    def peak(count):
        command = [sys.executable, "-c", script, str(tmp_path / f"a{suffix}"), str(count)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(run.stdout) / 1024  # kB on Linux

    assert peak(450) - peak(50) < 25


def test_frames_that_know_their_source_are_asked(tmp_path: Path) -> None:
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 2
    for source in SourceType:
        write_frames(Clip(iter(frames), source), tmp_path / "clip.mp4", fps=24)
        assert read_synthetic_mark(tmp_path / "clip.mp4") == source


KILLED = """
import sys, time
import numpy as np
from duchenne.files.films import write_frames
def frames(n, level):
    for i in range(n):
        yield np.full((64, 96, 3), level + i % 3, np.uint8)
path, count, level = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
write_frames(frames(2, 40), path + ".warm.mp4", fps=24)  # what is slow the first time
print("go", flush=True)
for _ in range(1000):
    write_frames(frames(count, level), path, fps=24)
    print("written", flush=True)
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_killed_at_any_moment_a_whole_film_is_there(tmp_path, name):
    """SIGKILL while films are written over one another: the old or the new one, never a part."""
    path = tmp_path / name
    write_frames([np.full((64, 96, 3), 200, np.uint8)] * 5, path, fps=24)
    rng = np.random.default_rng(0)
    command = [sys.executable, "-c", KILLED, str(path), "30", "90"]
    found = set()
    for kill, delay in enumerate(rng.uniform(0, 0.25, size=6)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "go\n"
            if kill % 2:  # within a later film: on a busy machine even the first takes its time
                assert process.stdout.readline() == "written\n"
            time.sleep(delay)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        frames = list(read_video(path))
        assert read_synthetic_mark(path) == SourceType.GENERATED
        level = int(frames[0].mean())
        assert (len(frames), round(level, -1)) in {(5, 200), (30, 90)}
        found.add(len(frames))
    assert 30 in found


@pytest.mark.parametrize(
    ("size", "told"), [(17_239, "17 kB"), (999_499, "999 kB"), (1_250_000, "1.2 MB")]
)
def test_small_films_are_told_in_small_units(size: int, told: str) -> None:
    written = films.Written(Path("a.mp4"), 24, Fraction(30000, 1001), (224, 160), size)
    assert str(written) == f"24 frames, 224x160, 29.97 fps, {told}"
