"""Names of files, as other programs and other systems take them."""

from __future__ import annotations

import os
import unicodedata

# What Windows takes for devices, with any suffix, and what its file names cannot hold.
DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789")]
)
NOWHERE = frozenset('<>:"|?*\\')


def for_ffmpeg(path: str | os.PathLike[str]) -> str:
    """A file's name for `av.open`, which takes `12:` of `12:30.mp4` for a protocol as `http:`."""
    return os.path.abspath(path)  # noqa: PTH100 (resolve would follow links)


def sameness(name: str) -> str:
    """Equal for two names that are one file on Windows or macOS, which know no case.

    >>> sameness("Smile.png") == sameness("smile.PNG")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def unportable(name: str) -> str:
    """Why a relative name cannot be a file's on every system; empty if it can be.

    >>> unportable("aux/s00007.png")
    "'aux' is a device of Windows"
    >>> unportable("s7: happy.png")
    "':' is in no name of Windows"
    """
    for part in name.split("/"):
        if part.partition(".")[0].rstrip(" ").upper() in DEVICES:
            return f"{part!r} is a device of Windows"
        if wrong := sorted(NOWHERE & set(part)):
            return f"{wrong[0]!r} is in no name of Windows"
        if part != part.rstrip(". "):
            return f"Windows takes the end off {part!r}"
    return ""
