"""The folder of a study: a page that opens without a server, its pictures and its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError
from ..files.codes import write_atomically
from ..files.writing import reporting_disk_errors
from ..reading import texts
from ..weights import store
from . import responses
from .material import Material
from .settings import OTHER, Settings, as_toml

PAGE = "index.html"
SETTINGS = "study.toml"
CONFIG = "config.js"
OWN = (PAGE, "study.js", "study.css")
LIBRARY: Mapping[str, str] = {
    "jspsych": "jspsych.js",
    "jspsych-css": "jspsych.css",
    "jspsych-html-button-response": "jspsych-html-button-response.js",
    "jspsych-preload": "jspsych-preload.js",
}
"""Name of the file of weights.toml -> its name in the folder jspsych/."""
LICENCE = "jspsych-license.txt"

_BEFORE, _AFTER = "window.STUDY = ", ";\n"  # a script, since a file:// page may fetch no JSON


def config(settings: Settings, material: Material) -> dict[str, Any]:
    """What the page knows, JSON-ready. Its `id` names all that answers depend on, texts aside."""
    pictures = [
        {
            "file": picture.file,
            "identity": picture.identity,
            "condition": picture.condition,
            "side": picture.side,
            "asked": picture.asked,
            "expected": settings.conditions[picture.condition],
            "film": picture.film,
        }
        for picture in material.pictures
    ]
    scales = {
        name: {**vars(scale), "text": scale.text}
        for name, scale in (("intensity", settings.intensity), ("realism", settings.realism))
    }
    design = {
        "format": responses.FORMAT,
        "seed": settings.seed,
        "most": settings.pictures,
        "check_every": settings.check_every,
        "shuffle_answers": settings.shuffle_answers,
        **scales,
        "pictures": pictures,
    }
    contents = [picture.sha256 for picture in material.pictures]
    what = json.dumps([design, list(settings.expressions), contents], sort_keys=True)
    return {
        "id": hashlib.sha256(what.encode()).hexdigest()[:12],
        "title": settings.title,
        "participant": settings.participant,
        "other": OTHER,
        "columns": list(responses.COLUMNS),
        "answers": [{"key": key, "label": text} for key, text in settings.expressions.items()],
        "texts": dict(settings.texts),
        **design,
    }


def build(settings: Settings, material: Material, folder: Path) -> dict[str, Any]:
    """Make the study, or make it anew with other settings; returns its `config`.

    What else lies in the folder stays. Raises WeightsError if jsPsych cannot be had, OutputError if
    the folder holds something else, or a study of other pictures.
    """
    library = {place: store.read(name) for name, place in LIBRARY.items()}
    made = config(settings, material)
    _require_ours(folder, made)
    page = resources.files(__package__) / "page"
    files = {name: (page / name).read_bytes() for name in OWN}
    files |= {f"jspsych/{place}": content for place, content in library.items()}
    files[f"jspsych/{LICENCE}"] = (page / LICENCE).read_bytes()
    for picture in material.pictures:
        _write(folder / "stimuli" / picture.file, _content(material.folder / picture.file))
    for name, content in files.items():
        _write(folder / name, content)
    _write(folder / SETTINGS, as_toml(settings).encode())
    _write(folder / CONFIG, f"{_BEFORE}{json.dumps(made, indent=1)}{_AFTER}".encode())
    return made


def _require_ours(folder: Path, made: Mapping[str, Any]) -> None:
    """OutputError unless the folder is free, or holds a study of the same pictures."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; give a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        text = texts.read_text(folder / CONFIG, "a study's page", most=200_000_000)
        before = texts.parse_json(text.removeprefix(_BEFORE).removesuffix(_AFTER), folder / CONFIG)
        ours = before["format"] == responses.FORMAT
        files = [picture["file"] for picture in before["pictures"]]
    except (InputError, KeyError, TypeError):
        ours, files = False, []
    if not ours:
        raise OutputError(f"{folder}: holds files of something else; give a new or an empty folder")
    if files != [picture["file"] for picture in made["pictures"]]:
        raise OutputError(f"{folder}: holds a study of other pictures; give a new folder")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _write(path: Path, content: bytes) -> None:
    with reporting_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(content, path)
