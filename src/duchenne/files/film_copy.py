"""A film written again with other pictures: its times, size, rotation, colours and sound stay.

The video is encoded anew; sound and subtitles are copied packet by packet. A frame that was not
changed reaches the encoder as it was decoded; of one that was changed only the part that differs is
converted from RGB, so that all other samples are the decoded ones to the bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from ..errors import OutputError
from ..types import Pixels
from .film_formats import FORMATS, Stream, mark_comment
from .film_source import FilmSource, Frame
from .films import Written, encode_in_thread
from .names import for_ffmpeg
from .pictures import SourceType
from .writing import replacing, reporting_disk_errors

COPIED = ("audio", "subtitle")
AHEAD = 1.0  # seconds by which sound may be written before the picture
YUV = "yuv420p"
FRAME_DURATION = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION: the last frame is shown as long as it was
# FFmpeg numbers colour matrices in two ways: as frames say them, and as its converter takes them.
MATRICES = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip


class Edited(Protocol):
    """A frame of the new film: uint8 [H, W, 3] upright, or None for the decoded one."""

    @property
    def frame(self) -> Frame: ...
    @property
    def pixels(self) -> Pixels | None: ...


def keeps_sound(path: Path) -> bool:
    """Whether an output path is a film that sound and times are copied into."""
    form = FORMATS.get(path.suffix.lower())
    return form is not None and form.stream.subsampled


def check_copy(source: FilmSource, path: Path) -> list[str]:
    """OutputError if the film's sound cannot lie in the new film; else what will be left out."""
    with av.open(for_ffmpeg(source.path)) as given:
        others = [(s.type, _codec_of(s)) for s in given.streams if s.type != "video"]
    if not keeps_sound(path):
        return [f"{kind} {codec}".strip() for kind, codec in others]
    kept = _codecs(FORMATS[path.suffix.lower()].stream.container)
    left = [(kind, codec) for kind, codec in others if kind not in COPIED or codec not in kept]
    for kind, codec in left:
        if kind == "audio":
            fitting = [
                suffix
                for suffix, form in FORMATS.items()
                if form.stream.subsampled and codec in _codecs(form.stream.container)
            ]
            do = f"write {' or '.join(fitting)}" if fitting else "convert its sound to aac first"
            raise OutputError(f"{path}: cannot hold the film's sound ({codec}); {do}")
    return [f"{kind} {codec}".strip() for kind, codec in left]


def _codec_of(stream: Any) -> str:
    context = stream.codec_context
    return "" if context is None else str(context.name)


def _codecs(container: str) -> frozenset[str]:
    """What a container can hold, by the names of codecs."""
    with av.open(os.devnull, "w", format=container) as nothing:
        return frozenset(nothing.supported_codecs)


def write_copy(frames: Iterable[Edited], source: FilmSource, path: Path) -> Written:
    """Write the film with these frames in place of its own, which they are one by one.

    Whatever goes wrong, an interrupt included, an old file at `path` stays as it was and no part of
    a new one is left. Raises OutputError; errors of `frames` pass through.
    """
    form = FORMATS[path.suffix.lower()]
    with replacing(path) as temporary:
        writer = FilmCopy(temporary, form.stream, source)
        count = encode_in_thread(frames, writer, path)
        with reporting_disk_errors(path):
            form.mark(temporary, SourceType.EDITED)
            size = temporary.stat().st_size
    return Written(path, count, source.rate, writer.size, size)


class FilmCopy:
    """Takes edited frames one by one; see `film_formats.FrameWriter`."""

    def __init__(self, path: Path, stream: Stream, source: FilmSource) -> None:
        self.size = (0, 0)
        self._settings, self._source = stream, source
        options = {"fflags": "+bitexact", **stream.container_options}
        self._given: Any = av.open(for_ffmpeg(source.path))
        self._container: Any = av.open(
            for_ffmpeg(path), "w", format=stream.container, options=options
        )
        self._container.metadata["comment"] = mark_comment(SourceType.EDITED)
        self._stream: Any = None
        self._others: Iterator[tuple[float, Any]] = iter(())
        self._next: tuple[float, Any] | None = None

    def _open(self, frame: Frame) -> None:
        video = frame.video
        given = next(
            s for s in self._given.streams.video
            if not s.disposition & av.stream.Disposition.attached_pic
        )  # fmt: skip
        self._stream = self._container.add_stream(
            self._settings.codec, rate=self._source.rate, options=dict(self._settings.options)
        )
        context = self._stream.codec_context
        context.width, context.height = even(video.width), even(video.height)
        self.size = (context.width, context.height)
        context.pix_fmt = YUV
        context.time_base = video.time_base or 1 / self._source.rate
        context.flags |= FRAME_DURATION
        if given.sample_aspect_ratio:
            context.sample_aspect_ratio = given.sample_aspect_ratio
        for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(context, name, getattr(given.codec_context, name))
        context.color_range = colour_range(video)
        if video.rotation:
            self._stream.set_display_rotation(video.rotation)
        pairs = {}
        for stream in self._given.streams:
            if stream.type in COPIED and stream.codec_context.name in (
                self._container.supported_codecs
            ):
                copy = self._container.add_stream_from_template(stream)
                copy.metadata.update(
                    {k: v for k, v in stream.metadata.items() if k in ("language", "title")}
                )
                pairs[stream.index] = copy
        self._others = _packets(self._given, pairs)
        self._next = next(self._others, None)

    def add(self, item: Edited) -> None:
        """Encode one frame, and copy the sound up to it."""
        frame = item.frame
        if self._stream is None:
            self._open(frame)
        video = patched(frame, item.pixels)
        video.pts, video.time_base = frame.video.pts, frame.video.time_base
        if video.pts is None:
            video.pts, video.time_base = frame.index, 1 / self._source.rate
        video.duration = frame.video.duration
        video.pict_type = 0  # the encoder chooses; a decoded frame says what it was
        self._container.mux(self._stream.encode(video))
        self._copy_until(float(video.pts * video.time_base) + AHEAD)

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._copy_until(float("inf"))
        self._container.close()

    def close(self) -> None:
        self._given.close()
        self._container.close()

    def _copy_until(self, seconds: float) -> None:
        while self._next is not None and self._next[0] <= seconds:
            self._container.mux(self._next[1])
            self._next = next(self._others, None)


def _packets(given: Any, pairs: dict[int, Any]) -> Iterator[tuple[float, Any]]:
    """(seconds, packet) of the streams to copy, in the order of the file."""
    if not pairs:
        return
    streams = [given.streams[index] for index in pairs]
    for packet in given.demux(streams):
        if packet.dts is None:
            continue
        seconds = float(packet.dts * packet.time_base)
        packet.stream = pairs[packet.stream_index]
        yield seconds, packet


def even(length: int) -> int:
    """The next even number: pictures with halved colours have even sides."""
    return length + length % 2


def colour_range(video: Any) -> Any:
    """Whether samples take all 256 levels (JPEG) or those of television, as a frame says."""
    if "yuvj" in video.format.name or video.color_range == ColorRange.JPEG:
        return ColorRange.JPEG
    return ColorRange.MPEG


def patched(frame: Frame, pixels: Pixels | None) -> Any:
    """The decoded picture in the encoder's format, with `pixels` where they differ from it.

    pixels: uint8 [H, W, 3], upright; None changes nothing.
    """
    decoded = frame.video
    base = decoded if decoded.format.name in (YUV, "yuvj420p") else decoded.reformat(format=YUV)
    odd = decoded.width % 2 or decoded.height % 2
    if pixels is None and not odd:
        if base.format.name != YUV:  # the same samples under their other name
            base = _from_planes(base, _planes(base))
        return base
    upright = frame.pixels if pixels is None else pixels
    shown = np.ascontiguousarray(np.rot90(upright, -frame.turns))
    if odd:
        height, width = shown.shape[:2]
        return _as_yuv(np.pad(shown, ((0, height % 2), (0, width % 2), (0, 0)), "edge"), decoded)
    differs = np.rot90((upright != frame.pixels).any(axis=2), -frame.turns)
    new = _planes(_as_yuv(shown, decoded))
    planes = [plane.copy() for plane in _planes(base)]
    height, width = differs.shape
    coarse = differs.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3))
    for plane, other, where in zip(planes, new, (differs, coarse, coarse), strict=True):
        np.copyto(plane, other, where=where)
    return _from_planes(base, planes)


def _as_yuv(pixels: Pixels, like: Any) -> Any:
    """uint8 [H, W, 3] in the encoder's format, by the colour matrix and range of a frame."""
    space = MATRICES.get(int(like.colorspace), Colorspace.DEFAULT)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format=YUV,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=space,
        dst_color_range=colour_range(like),
    )


def _planes(video: Any) -> list[NDArray[np.uint8]]:
    """Its three planes as arrays [h, w]."""
    result = []
    for plane in video.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        result.append(lines[:, : plane.width])
    return result


def _from_planes(like: Any, planes: list[NDArray[np.uint8]]) -> Any:
    """A frame of these planes, of the size of `like`."""
    video = av.VideoFrame(like.width, like.height, YUV)
    for plane, values in zip(video.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size), np.uint8)
        lines[:, : plane.width] = values
        plane.update(lines)
    video.colorspace, video.color_range = like.colorspace, colour_range(like)
    return video
