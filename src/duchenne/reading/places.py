"""What is at a place that was named from outside. A name that no system takes names nothing.

`Path.exists` and its like raise an error for a name that is too long, holds a null byte, or lies in
a folder that may not be searched. What opens the file says then what is wrong.
"""

from __future__ import annotations

import os


def exists(path: str | os.PathLike[str]) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | os.PathLike[str]) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    return os.path.isdir(path)  # noqa: PTH112
