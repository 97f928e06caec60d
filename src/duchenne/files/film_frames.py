"""The frames of a film, or the pictures of a folder, one after the other with their times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from ..errors import InputError
from ..types import Pixels
from . import pictures

FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
    *(".ts", ".mts", ".m2ts", ".ogv"),
)
"""Names that mean a film; what else a file is, its content says."""


@dataclass(frozen=True)
class Frame:
    """number: from 1. time: seconds since the film's first frame; 0 in a folder, where nobody knows.

    name: the file of a picture; "" in a film.
    """

    number: int
    time: float
    name: str
    _source: av.VideoFrame | Path

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 [H, W, 3] sRGB, upright. Made when it is first asked for. Raises InputError."""
        if isinstance(self._source, Path):
            return pictures.load_photo(self._source).pixels
        decoded = self._source.to_ndarray(format="rgb24")
        quarters = round(self._source.rotation / 90)  # counter-clockwise, as FFmpeg counts
        return np.ascontiguousarray(np.rot90(decoded, quarters)) if quarters else decoded


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a film, by its name."""
    return Path(path).suffix.lower() in FILM_SUFFIXES


def pictures_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The pictures of a folder in the order of their names. InputError if there is none."""
    with pictures.reporting_disk_errors(Path(folder)):
        files = [path for path in Path(folder).iterdir() if path.name[0] != "."]
    found = sorted(path for path in files if path.suffix.lower() in pictures.PHOTO_SUFFIXES)
    if not found:
        raise InputError(
            f"{folder}: no pictures; give a folder with {', '.join(pictures.PHOTO_SUFFIXES)}"
        )
    return found


def frames_of(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """All frames, decoded as they are asked for.

    Raises InputError for what is no film, and in the middle of a film that is cut or damaged.
    """
    if Path(path).is_dir():
        for number, file in enumerate(pictures_in(path), 1):
            yield Frame(number, 0.0, file.name, file)
        return
    number = 0
    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video stream; give a film")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            step = 1 / float(stream.average_rate or stream.base_rate or 25)
            first, last = None, -step
            for frame in container.decode(stream):
                number += 1
                first = frame.time if first is None else first
                told = None if frame.time is None or first is None else frame.time - first
                # Some containers leave out a time, or give one twice.
                last = told if told is not None and told > last else last + step
                yield Frame(number, last, "", frame)
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"cannot be decoded after frame {number}" if number else "cannot be decoded"
        raise InputError(f"{path}: {where} ({reason}); give a whole film") from error
    if number == 0:
        raise InputError(f"{path}: holds no frame; give a whole film")


def frame_at(path: str | os.PathLike[str], seconds: float) -> Frame:
    """The frame that a film shows at a time. InputError for a time outside of it."""
    shown = None
    for frame in frames_of(path):
        if frame.time > seconds + 1e-6:
            break
        shown = frame
    else:
        frame = None  # type: ignore[assignment]
    if shown is None:
        raise InputError(f"{path}: shows nothing at {seconds:g} s; its first frame is at 0 s")
    if frame is None and seconds > shown.time + 1:
        raise InputError(f"{path}: ends at {shown.time:.2f} s; {seconds:g} s is after its end")
    return shown


def length_of(path: str | os.PathLike[str]) -> int | None:
    """About how many frames there are; None where the file does not say. For progress bars."""
    if Path(path).is_dir():
        return len(pictures_in(path))
    try:
        with av.open(os.fspath(path)) as container:
            stream = container.streams.video[0]
            if stream.frames:
                return int(stream.frames)
            if container.duration and stream.average_rate:
                return round(container.duration / av.time_base * float(stream.average_rate))
    except (av.FFmpegError, OSError, IndexError):
        pass  # reading says it better
    return None
