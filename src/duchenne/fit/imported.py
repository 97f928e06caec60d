"""Faces that another coder has scored, as examples: pictures to encode, or saved codes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..animate import Studio
from ..errors import InputError, NoFaceFound
from ..files import codes, folders
from ..files.kinds import PHOTO_SUFFIXES
from ..motion.coders import Scores, stem
from ..types import StageProgress
from .labels import Labelled, by_intensity, by_rank

log = logging.getLogger(__name__)

SHARE = 0.15  # the strongest and the weakest faces of each Action Unit; as `fit.paper`


def find_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Name without suffix -> file, in a folder and its sub-folders.

    Raises InputError for two with one name, which a table could not tell apart.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the faces")
    files: dict[str, Path] = {}
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        if path.suffix.lower() not in suffixes or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            raise InputError(
                f"{path} and {files[path.stem]}: have one name; scores are matched by file name, "
                "so rename one"
            )
        files[path.stem] = path
    return files


def collect(
    folder: Path,
    scores: Scores,
    studio: Studio,
    *,
    strong: float | None = None,
    share: tuple[int, int] = (0, 1),
    progress: StageProgress | None = None,
) -> Labelled:
    """The faces of a folder with what was scored on them, matched by file name.

    folder: codes (.safetensors, from `encode` and `sample`) if it holds any, else pictures, which
        are aligned and encoded; the studio's cache keeps them. The files of one sub-folder are one
        person's; other files are a person each.
    strong: score from which a face shows an Action Unit, neutral ones showing none; None takes the
        strongest and the weakest SHARE of the faces.
    share: (k, n), only every n-th face, from the k-th, so that processes can divide the encoding.

    Left out with a warning: files without scores, scores without files, pictures without a face.
    """
    files = find_files(folder, (codes.SUFFIX,)) or find_files(folder, PHOTO_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: holds neither saved codes nor pictures")
    there = (path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file())
    folders.warn_of_others(folder, (path.relative_to(folder) for path in there), (codes.SUFFIX,))
    known = scores.by_stem()
    matched = [name for name in files if name in known]
    _tell_unmatched(folder, files, known, matched)
    matched = matched[share[0] :: share[1]]
    tell = progress or (lambda *_: None)
    kept = []
    for done, (name, w) in enumerate(_codes(matched, files, studio), 1):
        tell("encoding", done, len(matched))
        if w is not None:
            kept.append((name, w))
    if not kept:
        raise InputError(f"{folder}: no face in any of {len(matched)} scored pictures")
    values = np.stack([known[name] for name, _ in kept])
    roles = by_rank(values, SHARE) if strong is None else by_intensity(values, strong)
    return Labelled(
        w=np.stack([w for _, w in kept]),
        roles=roles,
        people=np.array([_person(files[name], folder) for name, _ in kept]),
        names=np.array([str(files[name].relative_to(folder)) for name, _ in kept]),
    )


def described(scores: Scores, strong: float | None, studio: Studio) -> dict[str, Any]:
    """What the provenance of boundaries says of these examples."""
    return {
        "examples": f"scored by {scores.tool}",
        "chosen": f"strongest and weakest {SHARE:.0%}"
        if strong is None
        else f"{strong:g} and more",
        "notes": list(scores.notes),
        "encoding": asdict(studio.settings),
    }


def _person(path: Path, folder: Path) -> str:
    return path.stem if path.parent == folder else f"{path.parent.name}/"


def _tell_unmatched(
    folder: Path, files: Mapping[str, Path], known: Mapping[str, object], matched: Sequence[str]
) -> None:
    if not matched:
        raise InputError(
            f"{folder}: none of its {len(files)} files is among the {len(known)} scored ones, "
            f"such as {stem(next(iter(known)))!r}; scores are matched by file name"
        )
    for count, what in (
        (len(files) - len(matched), "files without scores"),
        (len(known) - len(matched), "scored pictures without a file"),
    ):
        if count:
            log.warning("%s: %d %s left out", folder, count, what)


def _codes(
    names: Sequence[str], files: Mapping[str, Path], studio: Studio
) -> Iterator[tuple[str, NDArray[np.float32] | None]]:
    """(name, [L, 512]), None for a picture without a face."""
    for name in names:
        try:
            code = studio.face(files[name]).code
        except NoFaceFound as error:
            log.warning("%s; left out", error)
            yield name, None
        else:
            yield name, studio.renderer.require_space(code)
