"""The frames of a film, or the pictures of a folder, one after the other with their times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from ..errors import InputError
from ..reading import places
from ..types import Pixels
from . import pictures
from .film_source import open_film
from .folders import photos_in


@dataclass(frozen=True)
class Shown:
    """number: from 1. time: seconds since the first frame; 0 in a folder, where nobody knows.

    name: the file of a picture; "" in a film.
    """

    number: int
    time: float
    name: str
    _read: Callable[[], Pixels]

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 [H, W, 3] sRGB, upright. Made when it is first asked for. Raises InputError."""
        return self._read()


def count_of(path: str | os.PathLike[str]) -> int:
    """How many there are, about; 0 where a film does not say. Raises InputError."""
    return (
        len(photos_in(path, tell=False)) if places.is_folder(path) else open_film(path).frame_count
    )


def frames_of(path: str | os.PathLike[str]) -> Iterator[Shown]:
    """All frames, decoded as they are asked for; the times of a film rise.

    Raises InputError for what is no film, and in the middle of a film that is cut or damaged.
    """
    if places.is_folder(path):
        for number, file in enumerate(photos_in(path), 1):
            yield Shown(number, 0.0, file.name, partial(_still, file))
        return
    film = open_film(path)
    step = 1 / float(film.rate)
    last = -step
    for frame in film.frames():
        # Some containers leave out a time, or give one twice.
        last = frame.time if frame.time > last else last + step
        yield Shown(frame.index + 1, last, "", partial(getattr, frame, "pixels"))


def frame_at(path: str | os.PathLike[str], seconds: float) -> Shown:
    """The frame that a film shows at a time. InputError for a time outside of it."""
    shown, ended = None, True
    for frame in frames_of(path):
        if frame.time > seconds + 1e-6:
            ended = False
            break
        shown = frame
    if shown is None:
        raise InputError(f"{path}: shows nothing at {seconds:g} s; its first frame is at 0 s")
    if ended and seconds > shown.time + 1:
        raise InputError(f"{path}: ends at {shown.time:.2f} s; {seconds:g} s is after its end")
    return shown


def _still(file: Path) -> Pixels:
    return pictures.load_photo(file).pixels
