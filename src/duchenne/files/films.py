"""Frames to a film, or to a folder of lossless pictures.

Frames are encoded one by one in a thread of their own while the next ones are rendered, so memory
does not grow with the length (except that libwebp keeps its compressed frames to the end). Every
output appears whole or not at all, and says that it is synthetic.
"""

from __future__ import annotations

import csv
import itertools
import logging
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av
import numpy as np

from ..errors import OutputError
from ..motion.timeline import Rate, Timeline, frame_rate
from ..reading import places
from ..types import Pixels
from . import pictures, writing
from .clip import Clip
from .film_formats import FORMATS, FilmFormat, FrameWriter, Stream
from .film_source import open_film
from .pictures import SourceType
from .transparency import is_transparent, over_white
from .writing import followed, reason, reporting_disk_errors

log = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

PLAYED_SIDE = 4096  # px; larger films are refused by many players
QUEUE = 4  # frames that may wait for the encoder: 12 MB at 1024 px


# A number and nothing else: what other programs open as an image sequence. Names with the time in
# them are what this program wrote before.
_FRAME_NAME = re.compile(r"frame_\d{5,}(_t\d+\.\d{3})?\.png")


@dataclass(frozen=True)
class Written:
    """What write_frames made. size: (width, height) as encoded; bytes: of the file or folder."""

    path: Path
    frames: int
    fps: Fraction
    size: tuple[int, int]
    bytes: int

    def __str__(self) -> str:
        """As a command tells it: 24 frames, 224x224, 24 fps, 17 kB."""
        width, height = self.size
        large = self.bytes >= 1e6
        room = f"{self.bytes / 1e6:.1f} MB" if large else f"{self.bytes / 1e3:.0f} kB"
        return f"{self.frames} frames, {width}x{height}, {float(self.fps):g} fps, {room}"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether an output path means a folder of pictures: "frames/", "frames", an existing one."""
    text = os.fspath(path)
    known = Path(text).suffix.lower() in FORMATS
    return (
        text.endswith(("/", os.sep))
        or not Path(text).suffix
        or (not known and places.is_folder(text))
    )


def keeps_transparency(suffix: str) -> bool:
    """Whether a picture or film of this suffix can be transparent; "" is a folder of PNGs."""
    form = FORMATS.get(suffix)
    return suffix in ("", *pictures.TRANSPARENT_SUFFIXES) or bool(form and form.clear)


def check_writable(path: str | os.PathLike[str], fps: Rate = 24) -> None:
    """Raise OutputError unless frames can be written to `path`; call it before long work.

    A folder may exist only if it is empty or holds nothing but frames of an earlier run.
    """
    rate = frame_rate(fps)
    if is_folder(path):
        _check_folder(Path(os.path.abspath(path)))  # noqa: PTH100 (resolve would follow links)
        return
    pictures.check_writable(path, FORMATS)
    form = FORMATS[Path(path).suffix.lower()]
    if form.max_fps is not None and rate > form.max_fps:
        raise OutputError(
            f"{path}: {form.suffix[1:]} players manage at most {form.max_fps} frames a second, not "
            f"{float(rate):g}; lower --fps or write {next(iter(FORMATS))}"
        )
    try:
        av.codec.Codec(form.stream.codec, "w")
    except av.codec.codec.UnknownCodecError:
        raise OutputError(
            f"{path}: this build of PyAV has no {form.stream.codec}; install the wheel of av from "
            "PyPI or choose another suffix"
        ) from None


def write_frames(
    frames: Iterable[Pixels],
    path: str | os.PathLike[str],
    *,
    fps: Rate,
    source: SourceType | None = None,
    timeline: Timeline | None = None,
) -> Written:
    """Write uint8 [H, W, 3] sRGB frames, all of one size, to a film chosen by the suffix.

    frames: or [H, W, 4], straight RGBA, which mp4 and gif show over white, with a logged warning.
    source: the synthetic mark; None takes what the frames say of themselves (`Clip`), or that they
        are generated.
    timeline: of these frames; its table is written beside the film (`sidecar_path`). Both appear
        together: of two processes with one output neither leaves its table beside the other's film.

    The suffixes are those of `film_formats.FORMATS`; a path without suffix or ending in "/" is a
    folder of lossless PNGs, an image sequence from frame_00001.png on.

    Odd sides of mp4 and webm are made even by repeating the last row or column. Frames are taken
    one at a time, at most a few ahead of the encoder. Whatever goes wrong, an interrupt included,
    an old file at `path` stays as it was and no part of a new one is left. (Replacing a folder
    takes two renames: killed between them, the old frames are beside it as .NAME.xxxxxxxx.old.)
    A link stays, and what it names is replaced. Raises OutputError; errors of `frames` pass
    through.
    """
    rate = frame_rate(fps)
    check_writable(path, rate)
    mark = source or (frames.source if isinstance(frames, Clip) else SourceType.GENERATED)
    folder = is_folder(path)
    film = Path(os.path.abspath(path)) if folder else Path(path)  # noqa: PTH100
    with ExitStack() as opened:
        finished = {}
        if timeline is not None:  # before the long work: what is wrong with its place is said now
            beside = sidecar_path(path)
            pictures.check_writable(beside, (".csv",))
            table = opened.enter_context(writing.temporary(beside))
            _write_table(table, timeline, beside)
            finished[table] = beside
        fresh = opened.enter_context(writing.temporary(film, folder=folder))
        write = _write_folder if folder else _write_film
        written = write(frames, fresh, film, rate, mark)
        writing.settle({fresh: film, **finished})
    return written


def _write_film(
    frames: Iterable[Pixels], fresh: Path, path: Path, rate: Fraction, source: SourceType
) -> Written:
    form = FORMATS[path.suffix.lower()]
    stream, frames = _fitting(frames, form, path)
    writer = form.writer(fresh, stream, rate, source)
    count = _pump(frames, writer, path)
    with reporting_disk_errors(path):
        form.mark(fresh, source)
        return Written(path, count, rate, writer.size, fresh.stat().st_size)


def _fitting(
    frames: Iterable[Pixels], form: FilmFormat, path: Path
) -> tuple[Stream, Iterable[Pixels]]:
    """How the frames are written, by the first of them; over white where it must be."""
    rest = iter(frames)
    first = list(itertools.islice(rest, 1))
    frames = itertools.chain(first, rest)
    if not (first and is_transparent(first[0])):
        return form.stream, frames
    if form.clear is not None:
        return form.clear, frames
    kept = [suffix for suffix, other in FORMATS.items() if other.clear is not None]
    log.warning(
        "%s: %s has no transparency, so it is laid over white; %s and folders of PNGs keep it",
        *(path, form.suffix, ", ".join(kept)),
    )
    return form.stream, map(over_white, frames)


# ---------------------------------------------------------------- the pump


class Writer(Protocol[T_contra]):
    """Takes frames one by one."""

    def add(self, frame: T_contra, /) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _pump(frames: Iterable[Pixels], writer: FrameWriter, path: Path) -> int:
    """Feed the writer from a second thread; return the frame count."""
    return encode_in_thread(_copies(frames), writer, path)


def encode_in_thread(frames: Iterable[T], writer: Writer[T], path: Path) -> int:
    """Feed a writer from a second thread (FFmpeg releases the GIL); return the frame count.

    OutputError for what FFmpeg or the disk object to, and where there are no frames.
    """
    pending: deque[Future[None]] = deque()
    count = 0
    try:
        with ThreadPoolExecutor(1, "encoder") as pool:
            try:
                for frame in frames:
                    pending.append(pool.submit(_guarded, path, writer.add, frame))
                    count += 1
                    while len(pending) > QUEUE:
                        pending.popleft().result()
                if count == 0:
                    raise OutputError(f"{path}: there are no frames to write")
                pending.append(pool.submit(_guarded, path, writer.finish))
                while pending:
                    pending.popleft().result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        writer.close()
    return count


def _copies(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """Copies, since the renderer may draw the next frame into the same memory; checked."""
    shape = None
    for frame in frames:
        assert frame.dtype == np.uint8, f"frames are uint8, not {frame.dtype}"
        assert frame.shape[2:] in ((3,), (4,)), f"frames are [H, W, 3 or 4], not {frame.shape}"
        assert shape in (None, frame.shape), f"frames of one film differ: {shape}, {frame.shape}"
        shape = frame.shape
        yield frame.copy()


def _guarded(path: Path, step: Any, *arguments: Any) -> None:
    """Run one step of a writer; what FFmpeg or the disk objects to becomes an OutputError."""
    try:
        step(*arguments)
    except (av.FFmpegError, OSError) as error:
        what = reason(error) if isinstance(error, OSError) else str(error)
        raise OutputError(f"{path}: could not be encoded ({what})") from error


# ---------------------------------------------------------------- folder


class _FolderWriter:
    def __init__(self, folder: Path, source: SourceType) -> None:
        self.size = (0, 0)
        self._folder, self._source, self._count = folder, source, 0

    def add(self, frame: Pixels) -> None:
        self.size = (frame.shape[1], frame.shape[0])
        self._count += 1
        name = f"frame_{self._count:05d}.png"
        pictures.save_image(frame, self._folder / name, source=self._source)

    def finish(self) -> None:
        """Every picture is complete already."""

    def close(self) -> None:
        """Nothing stays open."""


def _check_folder(path: Path) -> None:
    with reporting_disk_errors(path):
        end = followed(path)
        kind = stat.S_IFDIR
        with suppress(FileNotFoundError):  # asked once: another process may be replacing it
            kind = stat.S_IFMT(end.stat().st_mode)
        if kind != stat.S_IFDIR:
            raise OutputError(
                f"{path}: is a file, not a folder; add a suffix ({', '.join(FORMATS)}) for a film"
            )
        # The same questions of its parent.
        pictures.check_writable(end.with_name(f"{writing.shortened(end.name)}.png"))
        names = []
        with suppress(FileNotFoundError):  # another process may be replacing it
            names = [p.name for p in end.iterdir()]
    foreign = [name for name in names if not _FRAME_NAME.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"{path}: holds other files ({min(foreign)}); give a new or an empty folder"
        )


def _write_folder(
    frames: Iterable[Pixels], fresh: Path, path: Path, rate: Fraction, source: SourceType
) -> Written:
    writer = _FolderWriter(fresh, source)
    count = _pump(frames, writer, path)
    size = sum(p.stat().st_size for p in fresh.iterdir())
    _check_folder(path)  # somebody may have put a file there while we rendered
    return Written(path, count, rate, writer.size, size)


# ---------------------------------------------------------------- beside the film


def sidecar_path(output: str | os.PathLike[str]) -> Path:
    """Where the table of a film belongs: smile.mp4 -> smile.csv; frames/ -> frames.csv."""
    return (
        Path(output).with_suffix(".csv") if not is_folder(output) else Path(f"{Path(output)}.csv")
    )


def write_sidecar(path: str | os.PathLike[str], timeline: Timeline) -> None:
    """Write every frame's number (from 1), time in seconds and `Timeline.table` as CSV.

    Atomic; raises OutputError.
    """
    path = Path(path)
    pictures.check_writable(path, (".csv",))
    with writing.replacing(path) as temporary:
        _write_table(temporary, timeline, path)


def _write_table(fresh: Path, timeline: Timeline, path: Path) -> None:
    columns = timeline.table()
    with reporting_disk_errors(path), fresh.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["frame", "time", *columns])
        rows = zip(*columns.values(), strict=True)
        for i, (time, row) in enumerate(zip(timeline.times, rows, strict=True), 1):
            table.writerow([i, f"{time:.6f}", *(f"{value:.6g}" for value in row)])


def read_video(path: str | os.PathLike[str]) -> Iterator[Pixels]:
    """Decode a film frame by frame to uint8 [H, W, 3] sRGB, upright. Raises InputError."""
    for frame in open_film(path).frames():
        yield frame.pixels
