"""Frames to a film: mp4, webm, gif, webp, apng, or a folder of lossless pictures.

Frames are encoded one by one in a thread of their own while the next ones are rendered, so memory
does not grow with the length (except that libwebp keeps its compressed frames to the end). Every
output appears whole or not at all, and says that it is synthetic.
"""

from __future__ import annotations

import csv
import os
import re
import secrets
import shutil
import struct
import tempfile
import uuid
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from . import facs, pixels
from .errors import InputError, OutputError
from .pixels import SourceType, replacing, reporting_disk_errors, xmp_packet
from .timeline import Rate, frame_rate
from .types import Pixels

QUEUE = 4  # frames that may wait for the encoder: 12 MB at 1024 px
GIF_MAX_FPS = 50  # browsers play delays below 0.02 s as 0.1 s


@dataclass(frozen=True)
class Format:
    """How a suffix is written: FFmpeg container, encoder, pixel format and their options."""

    container: str
    codec: str
    pixel_format: str
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def subsampled(self) -> bool:
        return self.pixel_format == "yuv420p"


FORMATS: Mapping[str, Format] = {
    # +faststart puts the index first, so that a browser plays while it loads
    ".mp4": Format(
        "mp4", "libx264", "yuv420p", {"crf": "17", "preset": "medium"}, {"movflags": "+faststart"}
    ),
    ".webm": Format(
        "webm", "libvpx-vp9", "yuv420p", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}
    ),
    ".gif": Format("gif", "gif", "pal8", {}, {"loop": "0"}),
    ".webp": Format("webp", "libwebp_anim", "bgra", {"quality": "90"}, {"loop": "0"}),
    ".apng": Format("apng", "apng", "rgb24", {"pred": "mixed"}, {"plays": "0"}),
}
_SPOOL = Format("nut", "ffv1", "bgr0")  # lossless, for the first pass of a gif
_FRAME_NAME = re.compile(r"frame_\d{5,}_t\d+\.\d{3}\.png")


@dataclass(frozen=True)
class Written:
    """What write_frames made. size: (width, height) as encoded; bytes: of the file or folder."""

    path: Path
    frames: int
    fps: Fraction
    size: tuple[int, int]
    bytes: int


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether an output path means a folder of pictures: "frames/", "frames", an existing one."""
    text = os.fspath(path)
    known = Path(text).suffix.lower() in FORMATS
    return (
        text.endswith(("/", os.sep)) or not Path(text).suffix or (not known and Path(text).is_dir())
    )


def check_writable(path: str | os.PathLike[str], fps: Rate = 24) -> None:
    """Raise OutputError unless frames can be written to `path`; call it before long work.

    A folder may exist only if it is empty or holds nothing but frames of an earlier run.
    """
    rate = frame_rate(fps)
    if is_folder(path):
        _check_folder(Path(os.path.abspath(path)))  # noqa: PTH100 (resolve would follow links)
        return
    pixels.check_writable(path, FORMATS)
    suffix = Path(path).suffix.lower()
    if suffix == ".gif" and rate > GIF_MAX_FPS:
        raise OutputError(
            f"{path}: gif players manage at most {GIF_MAX_FPS} frames a second, not "
            f"{float(rate):g}; lower --fps or write .mp4"
        )
    try:
        av.codec.Codec(FORMATS[suffix].codec, "w")
    except av.codec.codec.UnknownCodecError:
        raise OutputError(
            f"{path}: this build of PyAV has no {FORMATS[suffix].codec}; install the wheel of av "
            "from PyPI or choose another suffix"
        ) from None


def write_frames(
    frames: Iterable[Pixels],
    path: str | os.PathLike[str],
    *,
    fps: Rate,
    source: SourceType | None = None,
) -> Written:
    """Write uint8 [H, W, 3] sRGB frames, all of one size, to a film chosen by the suffix.

    source: the synthetic mark; None takes what the frames say of themselves (`animate.Clip`), or
        that they are generated.

    .mp4   H.264, yuv420p BT.709 limited range; plays everywhere
    .webm  VP9, yuv420p BT.709 limited range
    .gif   one palette of 256 colours for the whole film (two passes through a temporary file)
    .webp  animated, quality 90
    .apng  animated PNG, lossless
    folder (a path without suffix or ending in "/"): lossless PNGs like frame_00002_t0.042.png

    Odd sides of mp4 and webm are made even by repeating the last row or column. Frames are taken
    one at a time, at most a few ahead of the encoder. Whatever goes wrong, an interrupt included,
    an old file at `path` stays as it was and no part of a new one is left. (Replacing a folder
    takes two renames: killed between them, the old frames are beside it as .NAME.xxxxxxxx.)
    Raises OutputError; errors of `frames` pass through.
    """
    rate = frame_rate(fps)
    check_writable(path, rate)
    mark: SourceType = source if source is not None else _source_of(frames)
    if is_folder(path):
        return _write_folder(frames, Path(os.path.abspath(path)), rate, mark)  # noqa: PTH100
    path = Path(path)
    suffix = path.suffix.lower()
    with replacing(path) as temporary, _spool_folder(path) as spool:
        encoder: _Encoder
        if suffix == ".gif":
            encoder = _GifEncoder(temporary, spool / "frames.nut", rate)
        else:
            encoder = _StreamEncoder(temporary, FORMATS[suffix], rate, mark)
        count = _pump(frames, encoder, path)
        with reporting_disk_errors(path):
            if suffix in _MARKERS:  # webm has no place for XMP; its comment names the source
                _MARKERS[suffix](temporary, xmp_packet(mark))
            size = temporary.stat().st_size
    return Written(path, count, rate, encoder.size, size)


def _source_of(frames: Iterable[Pixels]) -> SourceType:
    own: SourceType = getattr(frames, "source", SourceType.GENERATED)
    return own


@contextmanager
def _spool_folder(path: Path) -> Iterator[Path]:
    """Room for temporary files on the output's own disk, used by the gif only."""
    if path.suffix.lower() != ".gif":
        yield path.parent
        return
    with tempfile.TemporaryDirectory(prefix=f".{path.stem[:100]}.", dir=path.parent) as folder:
        yield Path(folder)


# ---------------------------------------------------------------- the pump


class _Encoder(Protocol):
    """Takes frames one by one; `size` is known after the first."""

    size: tuple[int, int]

    def add(self, frame: Pixels) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _pump(frames: Iterable[Pixels], encoder: _Encoder, path: Path) -> int:
    """Feed the encoder from a second thread (FFmpeg releases the GIL); return the frame count."""
    pending: deque[Future[None]] = deque()
    count, shape = 0, None
    try:
        with ThreadPoolExecutor(1, "encoder") as pool:
            try:
                for frame in frames:
                    _check_frame(frame, shape)
                    shape = frame.shape
                    # A copy: the renderer may draw the next frame into the same memory.
                    pending.append(pool.submit(_guarded, path, encoder.add, frame.copy()))
                    count += 1
                    while len(pending) > QUEUE:
                        pending.popleft().result()
                if count == 0:
                    raise OutputError(f"{path}: there are no frames to write")
                pending.append(pool.submit(_guarded, path, encoder.finish))
                while pending:
                    pending.popleft().result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        encoder.close()
    return count


def _check_frame(frame: Pixels, shape: tuple[int, ...] | None) -> None:
    assert frame.dtype == np.uint8, f"frames are uint8, not {frame.dtype}"
    assert frame.shape == (*frame.shape[:2], 3), f"frames are [H, W, 3], not {frame.shape}"
    assert shape in (None, frame.shape), f"frames of one film differ: {shape}, {frame.shape}"


def _guarded(path: Path, step: Any, *arguments: Any) -> None:
    """Run one step of an encoder; what FFmpeg or the disk objects to becomes an OutputError."""
    try:
        step(*arguments)
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"{path}: could not be encoded ({error})") from error


# ---------------------------------------------------------------- encoders


class _StreamEncoder:
    """Any FFmpeg encoder that takes whole frames."""

    def __init__(
        self, path: Path, form: Format, rate: Fraction, source: SourceType | None = None
    ) -> None:
        self.size = (0, 0)
        self._form, self._rate, self._count = form, rate, 0
        # bitexact: no random ids, dates or library versions in the file
        options = {"fflags": "+bitexact", **form.container_options}
        self._container = av.open(str(path), "w", format=form.container, options=options)
        if source is not None and form.subsampled:
            self._container.metadata["comment"] = f"Synthetic, made by duchenne <{source}>"
        self._stream: Any = None

    def _open(self, width: int, height: int) -> None:
        form = self._form
        self.size = (width, height)
        self._stream = self._container.add_stream(
            form.codec, rate=self._rate, options=dict(form.options)
        )
        context = self._stream.codec_context
        context.width, context.height = width, height
        context.pix_fmt = form.pixel_format
        context.time_base = 1 / self._rate
        if form.subsampled:  # say which matrix and range were used: players guess otherwise
            context.colorspace = Colorspace.ITU709
            context.color_range = ColorRange.MPEG
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709

    def add(self, frame: Pixels) -> None:
        """Encode uint8 [H, W, 3]."""
        if self._form.subsampled:
            height, width = frame.shape[:2]
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self.add_video_frame(_video_frame(frame, self._form))

    def add_video_frame(self, frame: Any) -> None:
        """Encode a frame that is in the format's own pixel format."""
        if self._stream is None:
            self._open(frame.width, frame.height)
        frame.pts, frame.time_base = self._count, 1 / self._rate
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def close(self) -> None:
        self._container.close()


def _video_frame(frame: Pixels, form: Format) -> Any:
    """uint8 [H, W, 3] full-range sRGB to the encoder's pixel format."""
    video = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    if form.subsampled:
        return video.reformat(
            format=form.pixel_format,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
    return video.reformat(format=form.pixel_format)


class _GifEncoder:
    """Two passes: gather all colours while the frames are kept in a lossless file, then encode.

    One palette for the whole film keeps still parts still; error diffusion is confined to the
    rectangle that changes, for the same reason.
    """

    def __init__(self, path: Path, spool: Path, rate: Fraction) -> None:
        self.size = (0, 0)
        self._path, self._spool_path, self._rate = path, spool, rate
        self._spool = _StreamEncoder(spool, _SPOOL, rate)
        self._gather: Any = None
        self._film: _StreamEncoder | None = None

    def add(self, frame: Pixels) -> None:
        video = _video_frame(frame, _SPOOL)
        if self._gather is None:
            self.size = (video.width, video.height)
            self._gather = av.filter.Graph()
            nodes = [
                _buffer(self._gather, *self.size, video.format, self._rate),
                self._gather.add("format", "bgra"),
                self._gather.add("palettegen", "stats_mode=full:reserve_transparent=0"),
                self._gather.add("buffersink"),
            ]
            self._gather.link_nodes(*nodes).configure()
        self._spool.add_video_frame(video)
        self._gather.push(video)
        with suppress(av.BlockingIOError):  # the palette comes at the end, but asking for it makes
            self._gather.vpull()  # the graph take this frame in instead of queueing it

    def finish(self) -> None:
        self._spool.finish()
        self._gather.push(None)
        palette = self._gather.vpull()
        palette.pts, palette.time_base = 0, 1 / self._rate
        self._film = _StreamEncoder(self._path, FORMATS[".gif"], self._rate)
        with av.open(str(self._spool_path)) as spool:
            graph, entry = self._quantiser(spool.streams.video[0].format, palette)
            for video in spool.decode(video=0):
                entry.push(video)
                self._encode_ready(graph)
            entry.push(None)
            self._encode_ready(graph)
        self._film.finish()

    def _encode_ready(self, graph: Any) -> None:
        assert self._film is not None
        while True:
            try:
                self._film.add_video_frame(graph.vpull())
            except (av.BlockingIOError, av.EOFError):  # it needs more input; it is done
                return

    def _quantiser(self, pixel_format: Any, palette: Any) -> tuple[Any, Any]:
        """The filter graph that maps frames to the palette, and the node that takes them."""
        graph = av.filter.Graph()
        entry = _buffer(graph, *self.size, pixel_format, self._rate)
        colours = _buffer(graph, palette.width, palette.height, palette.format, self._rate)
        convert = graph.add("format", "bgra")
        quantise = graph.add("paletteuse", "dither=sierra2_4a:diff_mode=rectangle")
        entry.link_to(convert)
        convert.link_to(quantise, 0, 0)
        colours.link_to(quantise, 0, 1)
        quantise.link_to(graph.add("buffersink"))
        graph.configure()
        colours.push(palette)
        colours.push(None)
        return graph, entry

    def close(self) -> None:
        self._spool.close()
        if self._film is not None:
            self._film.close()


def _buffer(graph: Any, width: int, height: int, pixel_format: Any, rate: Fraction) -> Any:
    return graph.add_buffer(width=width, height=height, format=pixel_format, time_base=1 / rate)


# ---------------------------------------------------------------- folder


class _FolderEncoder:
    def __init__(self, folder: Path, rate: Fraction, source: SourceType) -> None:
        self.size = (0, 0)
        self._folder, self._rate, self._source, self._count = folder, rate, source, 0

    def add(self, frame: Pixels) -> None:
        self.size = (frame.shape[1], frame.shape[0])
        time = float(self._count / self._rate)
        self._count += 1
        name = f"frame_{self._count:05d}_t{time:.3f}.png"
        pixels.save_image(frame, self._folder / name, source=self._source)

    def finish(self) -> None:
        """Every picture is complete already."""

    def close(self) -> None:
        """Nothing stays open."""


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise OutputError(
            f"{path}: is a file, not a folder; add a suffix ({', '.join(FORMATS)}) for a film"
        )
    pixels.check_writable(path.with_name(path.name + ".png"))  # the same questions of its parent
    if path.is_dir():
        with reporting_disk_errors(path):
            foreign = [p.name for p in path.iterdir() if not _FRAME_NAME.fullmatch(p.name)]
        if foreign:
            raise OutputError(
                f"{path}: holds other files ({min(foreign)}); give a new or an empty folder"
            )


def _write_folder(
    frames: Iterable[Pixels], path: Path, rate: Fraction, source: SourceType
) -> Written:
    fresh, retired = (path.with_name(f".{path.name}.{secrets.token_hex(4)}") for _ in range(2))
    with reporting_disk_errors(path):
        fresh.mkdir()
    try:
        encoder = _FolderEncoder(fresh, rate, source)
        count = _pump(frames, encoder, path)
        size = sum(p.stat().st_size for p in fresh.iterdir())
        _check_folder(path)  # somebody may have put a file there while we rendered
        with reporting_disk_errors(path):
            if path.exists():
                path.rename(retired)
            try:
                fresh.rename(path)
            except OSError:
                if retired.exists():
                    retired.rename(path)
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)
    return Written(path, count, rate, encoder.size, size)


# ---------------------------------------------------------------- the synthetic mark in films

_XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes  # XMP specification, part 3


def _mark_mp4(path: Path, xmp: bytes) -> None:
    """A top-level uuid box at the end: no offset in the file changes."""
    with path.open("ab") as file:
        file.write(struct.pack(">I4s16s", 24 + len(xmp), b"uuid", _XMP_BOX) + xmp)


def _mark_gif(path: Path, xmp: bytes) -> None:
    """An application extension before the first picture, behind the one that asks for a loop.

    The packet is not cut into sub-blocks: readers that walk them are led out of it by the 258
    bytes of the "magic trailer" (XMP specification, part 3).
    """
    leave = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    with path.open("rb") as file:
        head = file.read(13 + 3 * 256 + 19)  # screen descriptor, largest palette, loop extension
    palette = 3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0
    at = 13 + palette
    if head[at : at + 14] == b"\x21\xff\x0bNETSCAPE2.0":
        at += 19
    _insert(path, at, b"\x21\xff\x0bXMP DataXMP" + xmp + leave)


def _mark_apng(path: Path, xmp: bytes) -> None:
    """An iTXt chunk behind the header, where readers that stop at the pixels still find it."""
    body = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    _insert(path, 8 + 25, chunk)  # signature and IHDR


def _mark_webp(path: Path, xmp: bytes) -> None:
    """An "XMP " chunk at the end and its flag in VP8X (WebP container specification)."""
    with path.open("rb") as file:
        head = file.read(30)
    if head[12:16] != b"VP8X":  # libwebp writes a film of one frame as a plain picture
        with av.open(str(path)) as picture:
            width, height = picture.streams.video[0].width, picture.streams.video[0].height
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        _insert(path, 12, b"VP8X" + struct.pack("<I4x", 10) + sides)
    with path.open("r+b") as file:
        file.seek(20)
        flags = file.read(1)[0] | 0x04
        file.seek(20)
        file.write(bytes([flags]))
        file.seek(0, os.SEEK_END)
        file.write(b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\0" * (len(xmp) % 2))
        riff_size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", riff_size))


def _insert(path: Path, offset: int, content: bytes) -> None:
    """Put bytes into a file, without reading all of it into memory."""
    with path.open("rb") as old, tempfile.TemporaryFile(dir=path.parent) as rest:
        old.seek(offset)
        shutil.copyfileobj(old, rest)
        rest.seek(0)
        with path.open("r+b") as new:
            new.seek(offset)
            new.write(content)
            shutil.copyfileobj(rest, new)


_MARKERS = {".mp4": _mark_mp4, ".gif": _mark_gif, ".apng": _mark_apng, ".webp": _mark_webp}


# ---------------------------------------------------------------- beside the film


def sidecar_path(output: str | os.PathLike[str]) -> Path:
    """Where the table of a film belongs: smile.mp4 -> smile.csv; frames/ -> frames.csv."""
    return (
        Path(output).with_suffix(".csv") if not is_folder(output) else Path(f"{Path(output)}.csv")
    )


def write_sidecar(
    path: str | os.PathLike[str], times: NDArray[np.float64], intensities: NDArray[np.float64]
) -> None:
    """Write every frame's number (from 1), time in seconds and twelve AU values as CSV.

    times: [k]. intensities: [k, 12], columns as in facs.CODES. Atomic; raises OutputError.
    """
    assert intensities.shape == (len(times), len(facs.CODES)), intensities.shape
    path = Path(path)
    pixels.check_writable(path, (".csv",))
    with (
        replacing(path) as temporary,
        reporting_disk_errors(path),
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["frame", "time", *facs.CODES])
        for i, (time, row) in enumerate(zip(times, intensities, strict=True), 1):
            table.writerow([i, f"{time:.6f}", *(f"{value:.6g}" for value in row)])


def read_video(path: str | os.PathLike[str]) -> Iterator[Pixels]:
    """Decode a film frame by frame to uint8 [H, W, 3] sRGB. Raises InputError."""
    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video stream; give a film")
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be decoded ({reason}); give a whole film") from error
