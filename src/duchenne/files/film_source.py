"""Films in: frame by frame, upright, with the times at which they are shown.

Only what is asked for is decoded, so memory does not grow with a film's length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorTrc

from ..errors import InputError
from ..types import Pixels
from .names import for_ffmpeg

FILM_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv"),
)
"""What a path must end in to be taken for a film; the content decides how it is read."""

HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
SHORT = 0.5  # seconds by which a film may be shorter than it says: the last frame, rounding
LONGEST_SIDE = 4096  # px; beyond, decoded frames fill the memory, and many players refuse the film
CUT_OFF = 0.98  # of the frames that the header promises: with fewer the film breaks off


@dataclass(frozen=True)
class Frame:
    """One decoded picture of a film.

    index: from 0. time: seconds since the first frame. video: as FFmpeg decoded it, not turned.
    turns: quarter turns, anticlockwise, that make it upright.
    """

    index: int
    time: float
    video: Any
    turns: int

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 [H, W, 3], upright."""
        decoded = self.video.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(decoded, self.turns))


@dataclass(frozen=True)
class FilmSource:
    """A film whose first frame was decoded, so that most of what can be wrong with it is known.

    size: (width, height), upright. rate: frames a second on average. count: frames that the header
    promises; 0 where it says nothing. duration: seconds, 0 where unknown. turns: see `Frame`.
    bits: of each sample. hdr: "PQ" or "HLG" for a film of high dynamic range, else "".
    """

    path: Path
    size: tuple[int, int]
    rate: Fraction
    count: int
    duration: float
    turns: int
    bits: int
    hdr: str
    interlaced: bool
    transparent: bool

    @property
    def frame_count(self) -> int:
        """How many frames it has, by the header or else by duration and rate: an estimate."""
        return self.count or round(self.duration * self.rate)

    def frames(self) -> Iterator[Frame]:
        """All frames, in the order in which they are shown.

        Raises InputError where the film cannot be decoded, and at its end where it broke off.
        """
        index, start = 0, None
        for video in _decoded(self.path):
            time = float(video.pts * video.time_base) if video.pts is not None else None
            if time is None:  # raw streams have no times
                time = float(index / self.rate)
            start = time if start is None else start
            yield Frame(index, time - start, video, self.turns)
            index += 1
        if index < self.count * CUT_OFF:
            raise InputError(
                f"{self.path}: breaks off after {index} of {self.count} frames; give a whole film"
            )

    def require_editable(self) -> None:
        """InputError, with the reason, for films whose frames cannot be shown as 8-bit sRGB."""
        if max(self.size) > LONGEST_SIDE:
            width, height = self.size
            raise InputError(
                f"{self.path}: {width}x{height} px; at most {LONGEST_SIDE} on the longer side, so "
                f"make it smaller first: ffmpeg -i {self.path.name} -vf scale=3840:-2 smaller.mp4"
            )
        if self.hdr:
            raise InputError(
                f"{self.path}: is HDR ({self.hdr}), and faces are edited in standard range (SDR); "
                "export it as SDR first"
            )

    def changed_by_writing(self) -> list[str]:
        """What 8-bit frames with halved colours cannot keep of this film, in words."""
        notes = []
        if self.bits > 8:
            notes.append(f"its {self.bits}-bit samples become 8-bit ones")
        if self.transparent:
            notes.append("its transparency is left out")
        if self.interlaced:
            notes.append("its interlaced frames are written as whole ones")
        return notes


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a path is meant as a film, by its suffix."""
    return Path(path).suffix.lower() in FILM_SUFFIXES


def open_film(path: str | os.PathLike[str]) -> FilmSource:
    """Look at a film; InputError, with the reason, for what cannot be read as one."""
    path = Path(path)
    try:
        with av.open(for_ffmpeg(path)) as container:
            stream = _video_stream(container, path)
            count, rate = stream.frames, stream.average_rate or stream.guessed_rate
            duration = stream.duration and float(stream.duration * stream.time_base)
            duration = duration or (container.duration or 0) / av.time_base
            _require_whole(container, stream, path)
            if not count:
                _require_to_the_end(container, path)
    except (av.FFmpegError, OSError) as error:
        raise _undecodable(path, error) from error
    first = next(_decoded(path), None)
    if first is None:
        raise InputError(f"{path}: holds no frames; give a film")
    turns, off = divmod(round(first.rotation), 90)
    turns = turns % 4 if not off else 0
    size = (first.width, first.height) if turns % 2 == 0 else (first.height, first.width)
    components = first.format.components
    return FilmSource(
        path,
        size,
        Fraction(rate) if rate else Fraction(25),
        count,
        float(duration or 0),
        turns,
        max(component.bits for component in components),
        HDR.get(first.color_trc, ""),
        bool(first.interlaced_frame),
        any(component.is_alpha for component in components),
    )


def _decoded(path: Path) -> Iterator[Any]:
    """Frames as FFmpeg decodes them; InputError."""
    try:
        with av.open(for_ffmpeg(path)) as container:
            stream = _video_stream(container, path)
            stream.thread_type = "AUTO"
            yield from container.decode(stream)
    except (av.FFmpegError, OSError) as error:
        raise _undecodable(path, error) from error


def _video_stream(container: Any, path: Path) -> Any:
    """The first that is a film, not the cover of a song."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise InputError(f"{path}: holds no video stream; give a film")


def _require_whole(container: Any, stream: Any, path: Path) -> None:
    """InputError where the film's index points beyond the end of the file."""
    entries = stream.index_entries
    size = container.size
    if len(entries) and size > 0:
        last = max((entries[i] for i in (0, len(entries) - 1)), key=lambda entry: entry.pos)
        if last.pos + last.size > size:
            raise InputError(
                f"{path}: breaks off: its last frame lies beyond the end of the file; give a "
                "whole film"
            )


def _require_to_the_end(container: Any, path: Path) -> None:
    """InputError where a film, of which nobody says how many frames it has, ends before its time.

    Matroska and WebM say how long they are before the first frame, and are read to the end here.
    """
    if not container.duration:
        return
    ends = (
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux()
        if packet.pts is not None
    )
    last, whole = max(ends, default=0.0), container.duration / av.time_base
    if last < whole - SHORT:
        raise InputError(
            f"{path}: breaks off after {last:.1f} of {whole:.1f} seconds; give a whole film"
        )


def _undecodable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be decoded ({reason}); give a whole film")
