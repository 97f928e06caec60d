"""Names of files, as other programs take them."""

from __future__ import annotations

import os


def for_ffmpeg(path: str | os.PathLike[str]) -> str:
    """A file's name for `av.open`, which takes `12:` of `12:30.mp4` for a protocol as `http:`."""
    return os.path.abspath(path)  # noqa: PTH100 (resolve would follow links)
