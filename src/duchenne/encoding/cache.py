"""What all ways of encoding share, and the codes that they have found."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from ..errors import DuchenneError, OutputError
from ..files import codes, writing
from ..generators.spec import Spec
from ..types import LatentCode, Pixels
from ..weights import store
from .settings import EncodeSettings

log = logging.getLogger(__name__)

VERSION = 4  # of the algorithm: codes that another one found are not taken from the cache

Progress = Callable[[int, int, float], None]
"""Called after every step with (steps done, steps in all at most, loss)."""


class Inverts(Protocol):
    """A way from a face to its code: `inversion.Inversion`, or `look_alike.LookAlike`."""

    settings: EncodeSettings
    keeps_programs: bool
    """Whether what was compiled stays for the next face."""

    @property
    def generator(self) -> Spec: ...

    @property
    def encoder_version(self) -> str:
        """Which v(I) it starts from (`encoder.Encoder.version`); "" where it starts elsewhere."""
        ...

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        """The code whose picture looks like `face`, uint8 [S, S, 3]."""
        ...

    def warm_up(self) -> None:
        """Load, fit and compile what `encode` needs beside the face, and keep it."""
        ...


class EncodeCache:
    """Codes of faces that were encoded before, by pixels, settings, generator and v(I)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or store.cache_root() / "codes"

    def path(self, face: Pixels, inversion: Inverts) -> Path:
        settings = json.dumps(asdict(inversion.settings), sort_keys=True)
        digest = hashlib.sha256(face.tobytes())
        networks = f"{inversion.generator.fingerprint}{inversion.encoder_version}"
        digest.update(f"{VERSION}{face.shape}{settings}{networks}".encode())
        return self.folder / f"{digest.hexdigest()[:32]}{codes.SUFFIX}"

    def get(self, face: Pixels, inversion: Inverts) -> LatentCode | None:
        """The stored code, or None; a file that cannot be read counts as absent."""
        try:
            return codes.read_code(self.path(face, inversion))
        except (DuchenneError, OSError):
            return None

    def put(self, face: Pixels, inversion: Inverts, code: LatentCode) -> None:
        """Keep a code; a cache that cannot be written costs time later, not the result."""
        path = self.path(face, inversion)
        try:
            with writing.reporting_disk_errors(path):
                self.folder.mkdir(parents=True, exist_ok=True)
            codes.write_code(code, path)
        except OutputError as error:
            log.warning("%s; the face is encoded, but not kept for the next time", error)
