"""Figs. 6 to 8: how fast the latent code is found, from which start and with which loss.

Four ways, each with the same optimiser and rate: the fitted v(I), the mean code and a random face
as starts, all with the default loss; and the conventional method (the paper's [34]), a random face
and the pixel loss. None stops before the last iteration that it is followed to. What is judged is
the true picture of the code at an iteration: by VGG features, by the default loss, by an outside
recogniser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from duchenne.encoding.cache import VERSION
from duchenne.encoding.settings import PRESETS
from duchenne.evaluate import kept
from duchenne.files.pictures import SourceType
from duchenne.measuring.identity import DLIB
from duchenne.types import Pixels

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import Context, Settings
from .descents import ITERATIONS, OURS, SHOWN, WAYS, Descents
from .descents import presets as presets_of
from .descents import run as run_way

NAME = "encoding"
CURVES, ON_GENERATED, ON_PHOTOS = "fig6_convergence", "fig7_starts", "fig8_photos"
# Where many faces are given, all are followed to the end from v(I), but only these first ones in
# the other ways too, and the rest to SHORT: that is where the first comparison is.
WHOLE_GENERATED, WHOLE_PHOTOS = 4, 2
SHORT = 64
# Who must be at least as good as whom, at which iterations: the paper's claim with its method's
# loss and the conventional one's, then with the same loss on both sides.
COMPARED = (
    ("v(I)", 0, "conventional", 64),
    ("v(I)", 16, "conventional", 512),
    ("v(I)", 0, "random", 16),
    ("v(I)", 16, "random", 100),
)
JUDGES = {"vgg": "VGG distance", "identity": "identity distance"}


def seconds(settings: Settings) -> float:
    """Estimated on two free cores: four ways of 512 steps each, then the presets."""
    photos = 1 + len(settings.photos)
    steps = sum(
        last(n, true_code, way)
        for count, true_code in ((settings.encoded, True), (photos, False))
        for n in range(count)
        for way in WAYS
    )
    return steps * 0.2 + min(photos, WHOLE_PHOTOS) * 180


def last(number: int, true_code: bool, way: str) -> int:
    """The last iteration of a way for a face. number: among the generated ones, or the photos."""
    whole = number < (WHOLE_GENERATED if true_code else WHOLE_PHOTOS)
    return ITERATIONS[-1] if whole or way == OURS else SHORT


def run(context: Context) -> dict[str, Any]:
    """Encode every face in every way, judge what was on the way, draw the figures."""
    faces, descents = _faces(context), Descents(context)
    inversions: list[dict[str, Any]] = []
    pictures: dict[str, Pixels] = {}
    total = len(faces) * (len(WAYS) + 1)
    photos = 0
    for n, (who, face, true) in enumerate(faces):
        runs = {}
        number = n if true is not None else photos
        for k, (way, choice) in enumerate(WAYS.items()):
            steps = [s for s in ITERATIONS if s <= last(number, true is not None, way)]
            inputs = {**_made_by(context, face), "way": choice, "iterations": steps}
            runs[way] = context.results.get(
                "encoding",
                inputs,
                partial(run_way, context, face, true, descents, way, steps),
            )
            context.progress(NAME, n * (len(WAYS) + 1) + k + 1, total)
        presets = None
        if true is None:
            photos += 1
            if photos <= WHOLE_PHOTOS:
                presets = context.results.get(
                    "presets",
                    _made_by(context, face),
                    partial(presets_of, context, face),
                )
        context.progress(NAME, (n + 1) * (len(WAYS) + 1), total)
        pictures[who] = face
        inversions.append(
            {"who": who, "true_code": true is not None, "ways": runs, "presets": presets}
        )
    files = [*_draw_curves(context, inversions), *_draw_pictures(context, inversions, pictures)]
    without_codes = [
        {**one, "ways": {w: {k: v for k, v in r.items() if k != "codes"}
                         for w, r in one["ways"].items()}} for one in inversions
    ]  # fmt: skip
    return {"iterations": list(ITERATIONS), "faces": without_codes, "files": files}


def _made_by(context: Context, face: Pixels) -> dict[str, Any]:
    """What a kept result depends on beside the way: the network, the face, the algorithm."""
    return {
        "generator": context.fingerprints["generator"],
        "face": kept.of_pixels(face),
        "algorithm": VERSION,
        "presets": {name: asdict(settings) for name, settings in PRESETS.items()},
    }


def _faces(context: Context) -> list[tuple[str, Pixels, np.ndarray | None]]:
    """(name, aligned picture, its true code or None)."""
    people = context.held_out(context.settings.encoded)
    faces: list[tuple[str, Pixels, np.ndarray | None]] = [
        (f"person {n + 1}", person.scene.base, person.code.w) for n, person in enumerate(people)
    ]
    for n, aligned in enumerate(context.aligned_photos()):
        faces.append((f"photo {n + 1}", aligned.pixels, None))
    return faces


def _draw_curves(context: Context, inversions: list[dict[str, Any]]) -> list[str]:
    figure = figures.new(8.5, 3.2)
    axes = figure.subplots(1, 2)
    for axis, (key, label) in zip(axes, JUDGES.items(), strict=True):
        for way in WAYS:
            mean = np.mean([one["ways"][way][key] for one in whole(inversions)], axis=0)
            axis.plot(np.array(ITERATIONS) + 1, mean, marker="o", markersize=3, label=way)
        axis.set_xscale("log", base=2)
        axis.set_xticks([i + 1 for i in ITERATIONS[::2]], [str(i) for i in ITERATIONS[::2]])
        axis.set_xlabel("iterations")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[1].axhline(DLIB.same_person, color="grey", linestyle=":", linewidth=1)
    axes[0].legend(fontsize=8)
    return context.save(figure, CURVES)


def _draw_pictures(
    context: Context, inversions: list[dict[str, Any]], pictures: Mapping[str, Pixels]
) -> list[str]:
    files = []
    for stem, generated in ((ON_GENERATED, True), (ON_PHOTOS, False)):
        rows, labels = [], []
        for one in inversions:
            if one["true_code"] != generated:
                continue
            for way in (OURS, "conventional") if generated else (OURS,):
                codes = one["ways"][way]["codes"]
                drawn = [
                    context.studio.renderer.plain(np.array(codes[str(step)], np.float32))
                    for step in SHOWN
                    if str(step) in codes
                ]
                rows.append([pictures[one["who"]], *drawn])
                labels.append(f"{one['who']}\n{way}")
        figure = figures.strips(rows, labels, ["given", *map(str, SHOWN)], tile=160)
        files += context.save(figure, stem, SourceType.GENERATED)
    return files


def whole(faces: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the faces that were followed to the end in every way: means over ways compare."""
    ends = [max(len(run["vgg"]) for run in face["ways"].values()) for face in faces]
    return [
        face
        for face, end in zip(faces, ends, strict=True)
        if all(len(run["vgg"]) == end for run in face["ways"].values())
    ]


def compared(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each comparison of COMPARED by each judge: means over the faces, and how many agree."""
    at = {step: k for k, step in enumerate(record["iterations"])}
    comparisons = []
    for way, step, other, other_step in COMPARED:
        for judge in JUDGES:
            faces = [f["ways"] for f in record["faces"]
                     if at[other_step] < len(f["ways"][other][judge])]  # fmt: skip
            ours = np.array([ways[way][judge][at[step]] for ways in faces])
            theirs = np.array([ways[other][judge][at[other_step]] for ways in faces])
            comparisons.append(
                {
                    "what": f"{way} at {step} against {other} at {other_step}",
                    "judge": JUDGES[judge],
                    "ours": float(ours.mean()),
                    "theirs": float(theirs.mean()),
                    "faces": int((ours < theirs).sum()),
                    "of": len(ours),
                }
            )
    return comparisons


def claims(records: Records) -> list[Claim]:
    """What 4.2 says of convergence."""
    if NAME not in records:
        return []
    record = records[NAME]
    comparisons = compared(record)
    conventional = [one for one in comparisons if "conventional" in one["what"]]
    holds = all(one["ours"] < one["theirs"] for one in conventional)
    numbers = "; ".join(
        f"{one['what']}, {one['judge']}: {one['ours']:.2f} against {one['theirs']:.2f}"
        for one in conventional
    )
    at = {step: k for k, step in enumerate(record["iterations"])}
    photos = [f for f in record["faces"] if not f["true_code"]]
    last = max(f["ways"]["v(I)"]["identity"][at[512]] for f in photos)
    early = float(np.mean([f["ways"]["v(I)"]["identity"][at[16]] for f in photos]))
    return [
        Claim("Figs. 6, 7", "the fitted start and the VGG loss converge faster than a random start "
              "with the pixel loss", numbers, "one of these comparisons the other way round",
              judged(holds)),
        Claim("4.2", "512 iterations are enough", f"largest identity distance of the photos at 512 "
              f"iterations {last:.2f} (same person below {DLIB.same_person:g})",
              f"a photo whose picture is {DLIB.same_person:g} or farther away",
              judged(last < DLIB.same_person)),
        Claim("Figs. 7, 8", "the picture is very similar after 16 iterations", "mean identity "
              f"distance of the photos after 16 iterations {early:.2f} "
              f"(same person below {DLIB.same_person:g})",
              f"a mean of {DLIB.same_person:g} or more", judged(early < DLIB.same_person)),
    ]  # fmt: skip


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    at = {step: k for k, step in enumerate(record["iterations"])}
    rows = []
    for way in WAYS:
        for key, label in (("loss", "default loss"), *JUDGES.items(), ("seconds", "seconds")):
            values = np.mean([f["ways"][way][key] for f in whole(record["faces"])], axis=0)
            rows.append([way, label, *(f"{values[at[step]]:.2f}" for step in SHOWN)])
    comparison = [
        [one["what"], one["judge"], f"{one['ours']:.3f}", f"{one['theirs']:.3f}",
         f"{one['faces']} of {one['of']}", "yes" if one["ours"] < one["theirs"] else "no"]
        for one in compared(record)
    ]  # fmt: skip
    presets = []
    for face in record["faces"]:
        for name, values in (face["presets"] or {}).items():
            long = face["ways"]["v(I)"]["loss"][at[512]]
            presets.append(
                [face["who"], name, f"{values['seconds']:.1f}", str(values["steps"]),
                 f"{values['loss']:.3f}", f"{values['loss'] / long - 1:+.0%}",
                 f"{values['identity']:.3f}"]
            )  # fmt: skip
    generated = sum(f["true_code"] for f in record["faces"])
    return "\n\n".join(
        [
            f"Generated faces, whose true code is known: {generated}; photos: "
            f"{len(record['faces']) - generated}; followed to the end in every way, and in the "
            f"means of the ways: {len(whole(record['faces']))}. "
            + " ".join((__doc__ or "").split("\n\n", 1)[1].split()),
            verdicts.picture(CURVES, "Convergence; compare with the paper's Fig. 6", ".png"),
            verdicts.table(rows, ["start", "mean of", *(f"at {s}" for s in SHOWN)]),
            verdicts.picture(ON_GENERATED, "Generated faces; compare with the paper's Fig. 7"),
            verdicts.picture(ON_PHOTOS, "Photos; compare with the paper's Fig. 8"),
            "Comparisons (smaller is better):",
            verdicts.table(
                comparison, ["", "judge", "first", "second", "faces where first wins", "holds"]
            ),
            "Presets, networks loaded before; the loss is compared with what 512 iterations reach.",
            verdicts.table(
                presets,
                ["", "quality", "seconds", "steps", "loss", "against 512", "identity distance"],
            ),
        ]
    )
