"""What lies beside the files of a set: manifest columns, codebook, README, contact sheets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, facs
from ..animate import Studio
from ..files import pictures, sheets
from ..measuring.identity import DLIB
from ..moving import besides
from ..types import Pixels
from .design import Cell, Design
from .measuring import Means

Row = Mapping[str, Any]
TILE = 192  # px of one picture on a contact sheet
MOVED, GENERATED = "moved", "generated"  # what a picture shows
KEPT, OVER_WHITE = "kept", "over white"  # what became of a photo's transparency

ASKED = {f"asked_{c}": f"{c} as the design asks, 0 to 1; one side counts half" for c in facs.CODES}
REST = {f"rest_{c}": f"{c} measured on the person at rest" for c in facs.CODES}
OFFSETS = {
    f"offset_{c}": f"{c} as added to this face, -1 to 1; one side counts half" for c in facs.CODES
}
MEASURED = {
    f"measured_{c}": f"{c} measured in this file (of a film: in its strongest frame); 1 is the "
    "full action, values outside 0 to 1 are possible"
    for c in facs.CODES
}
IN_FILE: Mapping[str, str] = {
    "sha256": "of the file",
    "width": "in pixels",
    "height": "in pixels",
    "frames": "1 for a still",
    "shown": f"{MOVED}: a photo's own pixels, moved; {GENERATED}: the generator's picture, whose "
    "face may be in its photo",
    "transparency": f"of the photo: {KEPT}, or {OVER_WHITE} in crops and formats that have none; "
    "empty for a photo without",
    "identity_distance": "dlib's distance from the same person at rest; "
    f"{DLIB.same_person:g} and more would be another person",
    "luminance": "mean CIE L* inside the outline of the face, 0 to 100",
    "contrast": "standard deviation of L* there",
    **MEASURED,
    "offsets": "the Action Units as added to this face, sides included",
    **OFFSETS,
}
MADE_BY: Mapping[str, str] = {
    "generator": "fingerprint of the network that drew it",
    "boundaries": "fingerprint of the Action Unit boundaries",
    "version": "of duchenne",
}
COLUMNS: Mapping[str, str] = {
    "file": "path inside the set; empty if it could not be made",
    "identity": "the person; all files of a person have the same",
    "source": "synthetic, photo or code",
    "seed": "of a synthetic person",
    "truncation": "of a synthetic person",
    "condition": "the name of the condition in the design; neutral is the face at rest",
    "side": "both, left or right: the subject's",
    "intensity": "the factor on the condition's Action Units",
    "kind": "still or film",
    "descriptor": "the Action Units asked for, sides included",
    **ASKED,
    **IN_FILE,
    "outlier": "why the file is not what was asked for; empty if it is",
    "error": "why there is no file; empty if there is one",
    **MADE_BY,
}
PEOPLE_COLUMNS: Mapping[str, str] = {
    "identity": "as in manifest.csv",
    "source": "synthetic, photo or code",
    "seed": "of a synthetic person",
    "truncation": "of a synthetic person",
    "input": "the photo or code",
    "input_sha256": "of the photo or code",
    "yaw": "degrees that the head is turned",
    "pitch": "degrees that the head is raised",
    "roll": "degrees that the head is tilted",
    "face": "which face of the photo, the largest being 0",
    "faces": "how many faces the photo has",
    "covered": "where something covers the photo's face and is kept as it is",
    **REST,
    "face_length": "mm from the eyes to the chin in the screening; see docs/stimuli.md",
    "glasses": "evidence of glasses in the screening; see docs/stimuli.md",
}
SCREENING_COLUMNS: Mapping[str, str] = {
    "seed": "tried",
    "passed": "yes or no",
    "reason": "why not",
    "yaw": "degrees",
    "pitch": "degrees",
    "neutral": "the strongest action of mouth and cheeks at rest, 1 is the full action",
    "face_length": "mm from the eyes to the chin, if irises are 11.7 mm wide; see docs/stimuli.md",
    "glasses": "evidence of glasses; see docs/stimuli.md",
}


def fingerprints(studio: Studio, means: Means) -> dict[str, Any]:
    """What every file of a run depends on beside the design."""
    boundaries = studio.boundaries
    digest = hashlib.sha256(boundaries.normals.tobytes() + boundaries.lengths.tobytes())
    digest.update(besides.AT_1.tobytes())
    digest.update(json.dumps(dict(boundaries.provenance), sort_keys=True).encode())
    return {
        "generator": studio.spec.fingerprint,
        "boundaries": digest.hexdigest()[:16],
        "version": __version__,
        "scores": means.scores,
        "identity": means.identity,
    }


def descriptor_text(descriptor: Mapping[str, float]) -> str:
    """AU6=0.6,AU12L=0.6: sides included, what `facs.parse` reads."""
    return ",".join(f"{code}={value:.4g}" for code, value in descriptor.items())


def codebook() -> str:
    """What each column of each table means, as Markdown."""
    parts = ["# Codebook", ""]
    for name, columns in (
        ("manifest.csv, one row a file", COLUMNS),
        ("identities.csv, one row a person", PEOPLE_COLUMNS),
        ("screening.csv, one row a seed that was tried", SCREENING_COLUMNS),
    ):
        parts += [f"## {name}", "", "| Column | Meaning |", "| --- | --- |"]
        parts += [f"| {column} | {meaning} |" for column, meaning in columns.items()]
        parts.append("")
    parts += [
        "Action Units are FACS codes: "
        + ", ".join(f"{u.code} {u.name}" for u in facs.ACTION_UNITS)
        + ". Measured values come from this program's scores (docs/scores.md), divided by 5. They "
        "hold the anatomy of a face as well: compare files of one person, with `rest_AU...` of "
        "identities.csv.",
        "",
    ]
    return "\n".join(parts)


def readme(design: Design, rows: Sequence[Row], people: int, facts: Mapping[str, Any]) -> str:
    """The README of a set, as Markdown."""
    made = sum(bool(row.get("file")) and not row.get("error") for row in rows)
    cells = design.cells()
    names = ", ".join(dict.fromkeys(cell.condition for cell in cells))
    steps = ", ".join(f"{value:g}" for value in design.intensities)
    kind = "intensities measured on each face" if design.target else "intensities added to a face"
    return f"""# {design.title}

{made} files of {people} people: {names}; {kind}: {steps}.

- `manifest.csv`: one row a file, with what was asked, what was measured, and the file's sha256
- `identities.csv`: one row a person; `screening.csv`: the seeds that were tried
- `codebook.md`: what the columns mean
- `quality.md`: which files are outliers, and how well the set does what it was asked to
- `contact/`: all stills of a person on one sheet
- `design.toml`: made by `duchenne stimuli design.toml -o DIR`; the same design gives the same set

Made with duchenne {facts["version"]}, generator {facts["generator"]}, boundaries
{facts["boundaries"]}.

## These pictures are synthetic

Every file is marked so in its metadata (IPTC digital source type). Synthetic people do not exist;
say in a publication that the faces are generated, how they were screened, and what `quality.md`
says. The built-in generator is for non-commercial use, and was trained on photos from Flickr with
their bias in age, skin, light, glasses and smiles. Expressions are drawn from single Action Units.
Let people rate a set before you rely on what its conditions are called: an intensity is a latent
distance that was calibrated on measures, not on what anybody sees.

## Citation

- duchenne {facts["version"]}: animate a face photo by FACS Action Units in the latent space of a
  StyleGAN. Cite the version and the generator's and boundaries' fingerprints above.
- Fan, Tian, Tan and Cheng (2020). Facial Expression Animation through Action Units Transfer in
  Latent Space. Computer Animation and Virtual Worlds 31 (4-5), e1946. doi:10.1002/cav.1946
- Belousov (2021). MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity
  Image Synthesis. arXiv:2104.04767 (the built-in generator)
- Karras, Laine and Aila (2019). A Style-Based Generator Architecture for Generative Adversarial
  Networks. arXiv:1812.04948 (FFHQ, which the generator was trained on)
- Ekman, Friesen and Hager (2002). Facial Action Coding System.
"""


def contact_sheets(
    design: Design, identities: Sequence[str], rows: Mapping[str, Row], folder: Path
) -> Iterator[tuple[str, Pixels]]:
    """(identity, sheet) for everyone: a row a condition, a column an intensity; stills only.

    rows: the manifest's, by key (`Design.file_of`). Pictures are read from `folder`.
    """
    cells = [cell for cell in design.cells() if cell.kind == "still"]
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        name = cell.condition if cell.side == "both" else f"{cell.condition} {cell.side}"
        name = f"{name} (0)" if not cell.intensity else name
        groups.setdefault(name, []).append(cell)
    for identity in identities:
        sheet: list[list[Pixels]] = []
        labels: list[str] = []
        for name, members in groups.items():
            files = [design.file_of(identity, cell) for cell in members]
            drawn = [f for f in files if not rows[f].get("error")]
            if drawn:
                sheet.append([pictures.load_photo(folder / f).pixels for f in drawn])
                labels.append(name)
        if sheet:
            columns = [f"{value:g}" for value in design.intensities]
            yield identity, np.asarray(sheets.contact_sheet(sheet, labels, columns, TILE))
