"""The photos of a folder, and what else lies there: nothing is left out in silence."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import InputError
from .kinds import PHOTO_SUFFIXES

logger = logging.getLogger(__name__)


def why_not(inside: Path, also: Iterable[str] = ()) -> str:
    """Why a file is no photo: its suffix, or that it is hidden; "" if it is one.

    inside: its path in the folder. also: other suffixes that are wanted.
    """
    if any(part.startswith(".") for part in inside.parts):
        return "hidden"
    suffix = inside.suffix.lower()
    return "" if suffix in (*PHOTO_SUFFIXES, *also) else suffix or "without suffix"


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """What `why_not` says of many files: reason -> how many, most first."""
    return dict(Counter(why for why in reasons if why).most_common())


def counts_text(counts: Mapping[str, int]) -> str:
    """As `7 .mp4, 3 .txt`."""
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def photos_in(folder: str | os.PathLike[str], *, tell: bool = True) -> list[Path]:
    """The photos of a folder in the order of their names. InputError if there is none.

    tell: warn of the other files in it.
    """
    place = Path(folder)
    try:
        files = sorted(path for path in place.iterdir() if not path.is_dir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); give a folder") from None
    photos = [path for path in files if not why_not(Path(path.name))]
    if not photos:
        raise InputError(f"{folder}: no pictures; give a folder with {', '.join(PHOTO_SUFFIXES)}")
    if tell:
        warn_of_others(folder, (Path(path.name) for path in files))
    return photos


def warn_of_others(
    folder: str | os.PathLike[str], files: Iterable[Path], also: Iterable[str] = ()
) -> None:
    """Say how many of the files, as they lie in the folder, are left out."""
    if others := counted(why_not(file, also) for file in files):
        logger.warning("%s: left out %s: not photos", folder, counts_text(others))
