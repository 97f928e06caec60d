"""Compiled networks that are kept on disk, so that the next process need not compile them.

A network is compiled for one processor by one version of OpenVINO; both are part of its key, beside
the network itself and the options. A file that is damaged, or that OpenVINO refuses, is made anew.
Least recently used files go when there are too many.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ..errors import DuchenneError
from ..files import codes
from ..weights import store

MOST = 500_000_000  # bytes of all kept files together
_DIGEST = hashlib.sha256
_HEAD = _DIGEST().digest_size
SUFFIX = ".blob"


def folder() -> Path:
    """Where they lie; may not exist yet."""
    return store.cache_root() / "programs"


def files() -> list[Path]:
    """The kept ones, the least recently used first."""
    found = []
    with contextlib.suppress(OSError):
        for path in folder().glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):  # another process may remove it just now
                found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def clear() -> int:
    """Remove them all; how many there were."""
    gone = 0
    for path in files():
        with contextlib.suppress(PermissionError):  # Windows keeps what another process has mapped
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def compiled(
    name: str, digest: str, read: Callable[[], ov.Model], options: Mapping[str, Any]
) -> ov.CompiledModel:
    """A network on the CPU: read back if it was compiled before, else compiled and kept.

    name: what its file is called. digest: names the network's content; two networks never share
    one. read: gives the network where it must be compiled.
    """
    core = ov.Core()
    about = {
        "digest": digest,
        "options": dict(options),
        "openvino": ov.get_version(),
        "processor": [
            core.get_property("CPU", "FULL_DEVICE_NAME"),
            sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        ],
    }
    key = _DIGEST(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:24]
    path = folder() / f"{name}-{key}{SUFFIX}"
    content = _whole(path)
    if content is not None:
        with contextlib.suppress(RuntimeError):  # of another build, in spite of its key
            tensor = ov.Tensor(content, shared_memory=True)
            program = _Mapped(core.import_model(tensor, "CPU", dict(options)), content)
            with contextlib.suppress(OSError):
                os.utime(path)
            return program
    program = core.compile_model(read(), "CPU", dict(options))
    _keep(path, program)
    return program


class _Mapped(ov.CompiledModel):  # type: ignore[misc]
    """A program whose weights stay in the mapped file, which it and its requests hold."""

    def __init__(self, program: ov.CompiledModel, content: NDArray[np.uint8]) -> None:
        super().__init__(program)
        self._content = content

    def create_infer_request(self) -> ov.InferRequest:
        request = super().create_infer_request()
        request._content = self._content
        return request


def _whole(path: Path) -> NDArray[np.uint8] | None:
    """What `_keep` wrote, mapped into memory; None if it is missing or damaged.

    A kept file is replaced and removed, never written to, so that what is mapped does not change.
    """
    try:
        stored = np.memmap(path, np.uint8, "c")  # OpenVINO asks for memory that could be written
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    content = stored[_HEAD:]
    return content if _DIGEST(content.data).digest() == stored[:_HEAD].tobytes() else None


def _keep(path: Path, program: ov.CompiledModel) -> None:
    """Write it if that is possible: a cache that cannot be written costs time, not the result."""
    stream = io.BytesIO()
    try:
        program.export_model(stream)
        content = stream.getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        codes.write_atomically(_DIGEST(content).digest() + content, path)
    except (RuntimeError, DuchenneError, OSError):
        return
    _make_room(path)


def _make_room(newest: Path) -> None:
    sizes = {}
    for path in files():
        with contextlib.suppress(OSError):
            sizes[path] = path.stat().st_size
    for path in list(sizes):
        if sum(sizes.values()) <= MOST:
            break
        if path != newest:
            with contextlib.suppress(OSError):
                path.unlink()
            del sizes[path]
