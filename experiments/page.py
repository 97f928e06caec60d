"""docs/experiments/README.md from the JSON: nothing in it is typed by hand but the explanations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duchenne.files import codes

from . import registry
from .claims import Claim, Records, Verdict, table

HEAD = """# The paper's experiments

Section 4 of [Fan et al. 2020](https://doi.org/10.1002/cav.1946), made again by one command, with
numbers where the paper has pictures, and what the paper does not show. Everything below comes from
the JSON files beside this page, and the verdicts are computed from them:

    python -m experiments all -o docs/experiments
    python -m experiments page -o docs/experiments

Scores are this program's own ([scores.md](../scores.md)), the same that the boundaries were fitted
with, on the scale 0 to 5. They are not clipped: a face may lie below 0 or above 5. The judges are
other people's: face recognition networks for identity, of which the fit of our boundaries asks
dlib's, about other faces, and small classifiers of expressions, which no fit has seen. "Paper's
recipe" is section 3.3 to the letter: one linear SVM for each AU between random faces that show it
and random faces that do not, in W, acting on the whole picture of our generator. It stands in for
the paper's boundaries, which were never published.
"""

VERDICTS = (
    "Reproduced: the measurements say so, and what would refute the statement was not found. "
    "Improved: reproduced, and better than the paper's recipe on the same faces. Not possible "
    "here: it is about weights or data that nobody may pass on; the command does it for whoever "
    "has them."
)
MIXED = (
    "Verdicts are of the boundaries that their experiment was made with; where others have been "
    "shipped since, the three sets of people below say which requirements the present ones meet."
)
DIFFERENT = (
    (
        "Generator",
        "StyleGAN on CelebA-HQ, 18 rows of W+",
        "MobileStyleGAN distilled from StyleGAN2-FFHQ, 16 rows",
        "runs on a plain CPU, and can be had from the package index",
    ),
    (
        "AU faces",
        "DISFA frames of intensity 4 and 5, encoded",
        "generated faces, scored by this program",
        "DISFA is given to researchers, on request",
    ),
    ("AU labels", "by FACS coders", "by MediaPipe's landmarks and blendshapes", "the same"),
    (
        "Boundaries",
        "SVM between AU codes and neutral codes",
        "SVM on matched pairs of one person, projected, a normal for every row",
        "random faces tie AUs to glasses, age and pose",
    ),
    (
        "Eq. 3",
        "one offset for the whole code",
        "an offset that differs from place to place",
        "hair and background stay",
    ),
    (
        "Eq. 1",
        "ImageNet VGG-16, last fully connected layer",
        "VGG-16 trunk, pixels and a prior",
        "the fully connected weights are not in the package index",
    ),
    (
        "D of Eq. 5",
        "latent distance",
        "intensity, calibrated so that equal steps look equal",
        "the distances of two AUs cannot be compared",
    ),
)
# celebahq.pkl is NVIDIA's karras2019stylegan-celebahq-1024x1024.pkl, DISFA the data set's folder.
PAPERS_WAY = (
    "weights fetch vgg16-imagenet",
    "generator info celebahq.pkl",
    "fit boundaries --method paper --disfa DISFA --generator celebahq.pkl -o celebahq.safetensors",
    "encode photo.jpg --loss paper --generator celebahq.pkl -o anna.safetensors",
    "animate anna.safetensors --generator celebahq.pkl --boundaries celebahq.safetensors "
    "--descriptor 0,0,0,0,1,0,1,0,0,0,1,0 -o anna.webp",
)
WITH_DISFA = (
    "fit boundaries --disfa DISFA -o disfa.safetensors",
    "evaluate -o report --boundaries disfa=disfa.safetensors",
)


def text(records: Records) -> str:
    """The whole page."""
    parts = [HEAD, _made_with(records), "## Every figure and claim of section 4", ""]
    claims = _networks_and_data(records) + [
        claim
        for experiment in registry.EXPERIMENTS
        for claim in registry.module(experiment.name).claims(records)
    ]
    parts += [_summary(claims), _claims_table(claims), _missing(records)]
    for experiment in registry.EXPERIMENTS:
        if experiment.name in records:
            parts.append(f"## {experiment.title} ({experiment.shows})")
            parts.append(registry.module(experiment.name).section(records))
    rows = [list(row) for row in DIFFERENT]
    parts += ["## What differs from the paper, and why", table(rows, ["", "Paper", "Here", "Why"])]
    parts += [
        "With the paper's networks and data at hand, these commands go the paper's way "
        "(`celebahq.pkl` is NVIDIA's `karras2019stylegan-celebahq-1024x1024.pkl`, `DISFA` the "
        "folder of the data set):",
        "\n".join(f"    duchenne {line}" for line in PAPERS_WAY),
        "and these the built-in generator with DISFA's labels:",
        "\n".join(f"    duchenne {line}" for line in WITH_DISFA),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def write(folder: Path) -> Path:
    """Write README.md from the JSON files of the folder; returns its path."""
    path = folder / "README.md"
    codes.write_atomically(text(registry.read(folder)).encode(), path)
    return path


def _networks_and_data(records: Records) -> list[Claim]:
    """What section 4.1 says that the experiments were made with, against what these were."""
    if not records:
        return []
    generator = next(iter(records.values()))["made_with"]["generator"]
    fit: Mapping[str, Any] = next((r["fit"] for r in records.values() if "fit" in r), {})

    def with_the_papers(found: bool) -> Verdict:
        return Verdict.REPRODUCED if found else Verdict.IMPOSSIBLE

    return [
        Claim(
            "4.1",
            "StyleGAN trained on CelebA-HQ",
            f"`{generator}`, since NVIDIA's weights are in no package index; with them: "
            f"`duchenne {PAPERS_WAY[-1]}`, after the other commands at the end",
            "nothing measured here: it says what the paper was made with",
            with_the_papers("celebahq" in generator),
        ),
        Claim(
            "4.1",
            "AU faces from DISFA, intensities 4 and 5",
            f"boundaries: {fit.get('method', 'unknown')}, since DISFA is given to researchers "
            f"only; with it: `duchenne {WITH_DISFA[0]}`",
            "nothing measured here: it says what the paper was made with",
            with_the_papers("disfa" in json.dumps(fit).lower()),
        ),
    ]


def _made_with(records: Records) -> str:
    """What the numbers depend on, and which experiment on what where they do not agree."""
    made: dict[str, dict[str, list[str]]] = {}
    for name, record in records.items():
        for key, value in record["made_with"].items():
            made.setdefault(key, {}).setdefault(value, []).append(name)
    if not made:
        return "No experiment has been run yet."
    parts = []
    for key, users in made.items():
        values = [
            f"`{v}`" + (f" ({', '.join(n)})" if len(users) > 1 else "") for v, n in users.items()
        ]
        parts.append(f"{key} {' and '.join(values)}")
    mixed = len(made.get("boundaries", {})) > 1
    return f"Made with {'; '.join(parts)}." + (f" {MIXED}" if mixed else "")


def _summary(claims: list[Claim]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    counted = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return f"{counted}; {len(claims)} in all. {VERDICTS}"


def _claims_table(claims: list[Claim]) -> str:
    rows = [
        [claim.where, claim.says, claim.found, claim.refuted, _bold(claim.verdict)]
        for claim in sorted(claims, key=lambda c: not c.where.startswith("Fig"))
    ]
    return table(rows, ["", "The paper", "Here", "Refuted by", "Verdict"])


def _bold(verdict: Verdict) -> str:
    return f"**{verdict}**" if verdict is Verdict.NOT else str(verdict)


def _missing(records: Records) -> str:
    absent = [
        f"{experiment.name} ({experiment.shows})"
        for experiment in registry.EXPERIMENTS
        if experiment.name not in records
    ]
    return f"Not run yet: {', '.join(absent)}." if absent else ""
