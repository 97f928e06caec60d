"""What each film format is, and the FFmpeg writers that write them frame by frame.

Another format is another record in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from .. import cores
from ..types import Pixels
from . import marks
from .names import for_ffmpeg
from .pictures import SourceType
from .transparency import is_transparent

Marker = Callable[[Path, SourceType], None]
"""Makes sure that a finished film says that it is synthetic."""


@dataclass(frozen=True)
class Stream:
    """How FFmpeg writes frames: container, encoder, pixel format and their options."""

    container: str
    codec: str
    pixel_format: str
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def subsampled(self) -> bool:
        return self.pixel_format in ("yuv420p", "yuva420p")


SPOOL = Stream("nut", "ffv1", "bgr0")  # lossless, for the first pass of a gif


class FrameWriter(Protocol):
    """Takes frames one by one; `size` is known after the first."""

    size: tuple[int, int]

    def add(self, frame: Pixels) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def mark_comment(source: SourceType) -> str:
    """The synthetic mark in a container's comment."""
    return f"Synthetic, made by duchenne <{source}>"


class StreamWriter:
    """Any FFmpeg encoder that takes whole frames."""

    def __init__(self, path: Path, stream: Stream, rate: Fraction, source: SourceType) -> None:
        self.size = (0, 0)
        self._settings, self._rate, self._count = stream, rate, 0
        # bitexact: no random ids, dates or library versions in the file
        options = {"fflags": "+bitexact", **stream.container_options}
        self._container = av.open(for_ffmpeg(path), "w", format=stream.container, options=options)
        if stream.subsampled:
            self._container.metadata["comment"] = mark_comment(source)
        self._stream: Any = None

    def _open(self, width: int, height: int) -> None:
        settings = self._settings
        self.size = (width, height)
        self._stream = self._container.add_stream(
            settings.codec, rate=self._rate, options=dict(settings.options)
        )
        context = self._stream.codec_context
        context.width, context.height = width, height
        if (threads := cores.fewer()) is not None:  # encoders see the affinity by themselves
            context.thread_count = threads
        context.pix_fmt = settings.pixel_format
        context.time_base = 1 / self._rate
        if settings.subsampled:  # say which matrix and range were used: players guess otherwise
            context.colorspace = Colorspace.ITU709
            context.color_range = ColorRange.MPEG
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709

    def add(self, frame: Pixels) -> None:
        """Encode uint8 [H, W, 3], or RGBA where the pixel format has transparency."""
        if self._settings.subsampled:
            height, width = frame.shape[:2]
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self.add_video_frame(_video_frame(frame, self._settings))

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


def _video_frame(frame: Pixels, settings: Stream) -> Any:
    """uint8 [H, W, 3] full-range sRGB, or RGBA, to the encoder's pixel format."""
    given = "rgba" if is_transparent(frame) else "rgb24"
    video = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=given)
    if settings.subsampled:
        return video.reformat(
            format=settings.pixel_format,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
    return video.reformat(format=settings.pixel_format)


class GifWriter:
    """Two passes: gather all colours while the frames are kept in a lossless file, then encode.

    One palette for the whole film keeps still parts still; error diffusion is confined to the
    rectangle that changes, for the same reason.
    """

    def __init__(self, path: Path, stream: Stream, rate: Fraction, source: SourceType) -> None:
        self.size = (0, 0)
        self._path, self._settings, self._rate, self._source = path, stream, rate, source
        self._spool_path = path.with_suffix(".nut")
        self._spool = StreamWriter(self._spool_path, SPOOL, rate, source)
        self._gather: Any = None
        self._film: StreamWriter | None = None

    def add(self, frame: Pixels) -> None:
        video = _video_frame(frame, SPOOL)
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
        self._film = StreamWriter(self._path, self._settings, self._rate, self._source)
        with av.open(for_ffmpeg(self._spool_path)) as spool:
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
        try:
            self._spool.close()
            if self._film is not None:
                self._film.close()
        finally:
            self._spool_path.unlink(missing_ok=True)


def _buffer(graph: Any, width: int, height: int, pixel_format: Any, rate: Fraction) -> Any:
    return graph.add_buffer(width=width, height=height, format=pixel_format, time_base=1 / rate)


@dataclass(frozen=True)
class FilmFormat:
    """All that is known of a film format.

    mark: no format goes without. max_fps: what players manage, None for any rate. in_sets, on_page:
    whether stimulus sets and the web page offer it. clear: the stream of frames with transparency;
    None where the format has none.
    """

    suffix: str
    stream: Stream
    mark: Marker
    media_type: str
    writer: Callable[[Path, Stream, Fraction, SourceType], FrameWriter] = StreamWriter
    max_fps: int | None = None
    in_sets: bool = True
    on_page: bool = True
    clear: Stream | None = None


_VP9 = {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}
_WEBP = Stream("webp", "libwebp_anim", "bgra", {"quality": "90"}, {"loop": "0"})

_FORMATS = (
    FilmFormat(  # H.264, plays everywhere; +faststart: a browser plays while it loads
        ".mp4",
        Stream(
            *("mp4", "libx264", "yuv420p"),
            {"crf": "17", "preset": "veryfast"},
            {"movflags": "+faststart"},
        ),
        marks.mark_mp4,
        "video/mp4",
    ),
    FilmFormat(  # VP9
        ".webm",
        Stream("webm", "libvpx-vp9", "yuv420p", _VP9),
        marks.require_mark,
        "video/webm",
        clear=Stream("webm", "libvpx-vp9", "yuva420p", _VP9),
    ),
    FilmFormat(  # browsers play delays below 0.02 s as 0.1 s
        ".gif",
        Stream("gif", "gif", "pal8", {}, {"loop": "0"}),
        marks.mark_gif,
        "image/gif",
        GifWriter,
        max_fps=50,
    ),
    FilmFormat(
        ".webp",
        _WEBP,
        marks.mark_webp,
        "image/webp",
        clear=_WEBP,
    ),
    FilmFormat(  # lossless
        ".apng",
        Stream("apng", "apng", "rgb24", {"pred": "mixed"}, {"plays": "0"}),
        marks.mark_apng,
        "image/apng",
        clear=Stream("apng", "apng", "rgba", {"pred": "mixed"}, {"plays": "0"}),
    ),
)
FORMATS: dict[str, FilmFormat] = {form.suffix: form for form in _FORMATS}
"""By suffix. The first is the one that the page plays."""


def set_suffixes() -> list[str]:
    """The films that stimulus sets offer."""
    return [suffix for suffix, form in FORMATS.items() if form.in_sets]
