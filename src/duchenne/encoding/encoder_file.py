"""The file of v(I): what it is called, which one it is, and whose."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from ..errors import InputError
from ..files import codes
from ..generators.spec import Spec

FORMAT = "duchenne-initial-code-1"
BUILT_IN = resources.files("duchenne") / "data/encoder.safetensors"
EXPECTED = "an encoder from `duchenne fit encoder`"
SIDE = 128  # pixels of the picture that is looked at


def offered_version(generator: Spec) -> str:
    """`version_of` the network that the package has for this generator, or ""."""
    with resources.as_file(BUILT_IN) as file:
        _, metadata = codes.read_tensors(file, FORMAT, EXPECTED, only=())
        return version_of(file) if metadata.get("generator") == generator.fingerprint else ""


def version_of(path: Path) -> str:
    """12 hex digits of a file's sha256. InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
