"""`fit boundaries` on coded faces: `--disfa` and `--scores`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..reading import numbers
from .ahead import WorkerOptions
from .faces import Encoding, new_studio
from .run import Run, progress_bars
from .scoring import by_code, read_scores, table_text

MOST_SHARES = 10_000


def check_coded(
    coded: dict[str, Any], scale: str | None, faces: int | None, distances: str | None
) -> bool:
    """Whether the examples are coded faces; a UsageError for options that do not go together."""
    disfa, scores, pictures = (coded[name] for name in ("disfa", "scores", "pictures"))
    if disfa is not None and scores is not None:
        raise click.UsageError("give --disfa or --scores, not both")
    if (scores is None) != (pictures is None):
        raise click.UsageError("--scores and --pictures go together")
    if disfa is None and (coded["per_person"] is not None or coded["camera"] is not None):
        raise click.UsageError("--per-person and --camera go with --disfa")
    labelled = disfa is not None or scores is not None
    if not labelled and (coded["strong"] or coded["steps"] or distances):
        raise click.UsageError("--strong, --steps and --distances go with --disfa or --scores")
    if labelled and (scale is not None or faces is not None):
        raise click.UsageError("--scale and --faces are of generated faces, not of coded ones")
    return labelled


def fit_coded(
    run: Run,
    output: str,
    method: str,
    work: str | None,
    share: str | None,
    crew: WorkerOptions,
    generator_file: str | None,
    distances: str | None,
    **coded: Any,
) -> None:
    from ..editing import boundaries
    from ..editing.edit import signed_distances
    from ..encoding.cache import EncodeCache
    from ..files import codes
    from ..fit import labelled
    from ..weights.store import cache_root

    part = (0, 1) if share is None else share_of(share)
    encoding = Encoding(steps=coded["steps"]).full()
    studio = new_studio(run, encoding, generator_file=generator_file, device="cpu")
    run.facts["generator"] = studio.generator.fingerprint
    folder = Path(work) if work else cache_root() / "fit" / studio.generator.fingerprint / "coded"
    studio.cache = EncodeCache(folder / "codes")
    crew.work(run, generator_file, lambda s: _codes_ahead(studio, s, coded), encoding)
    with run.stages("examples"), progress_bars() as tell:
        if coded["disfa"] is not None:
            data, examples = _disfa_examples(studio, folder, part, coded, tell)
        else:
            data, examples = _scored_examples(studio, part, coded, tell)
    if share is not None:
        run.say("this share is complete")
        return
    with run.stages("fit"), progress_bars() as tell:
        scorer = _scorer(run) if method == "pairs" else None
        fitted = labelled.fit(
            studio.renderer, data, method=method, scorer=scorer, provenance=examples, progress=tell
        )
    boundaries.save_boundaries(fitted, Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    run.facts["boundaries"] = dict(fitted.provenance)
    if distances is not None:
        apart = signed_distances(data.w, fitted.normals, fitted.biases)
        rows = [
            {"face": face, "person": person, **by_code(row)}
            for face, person, row in zip(data.names, data.people, apart, strict=True)
        ]
        codes.write_atomically(table_text(rows).encode(), Path(distances))
        run.wrote(distances)


def _disfa_settings(coded: dict[str, Any]) -> Any:
    from ..fit import disfa

    given = {name: coded[name] for name in ("strong", "per_person", "camera") if coded[name]}
    return disfa.DisfaSettings(**given)


def _codes_ahead(studio: Any, studios: Any, coded: dict[str, Any]) -> Any:
    """The pictures or frames that will be asked for, as a preparation for workers."""
    from ..fit import ahead

    if coded["disfa"] is not None:
        return ahead.codes_of_disfa(Path(coded["disfa"]), studio, studios, _disfa_settings(coded))
    return ahead.codes_of_pictures(Path(coded["pictures"]), studio, studios)


def _disfa_examples(
    studio: Any, folder: Path, part: tuple[int, int], coded: dict[str, Any], tell: Any
) -> tuple[Any, dict[str, Any]]:
    from ..fit import disfa

    settings = _disfa_settings(coded)
    root = Path(coded["disfa"])
    data = disfa.collect(root, studio, folder, settings, share=part, progress=tell)
    return data, disfa.described(settings, studio)


def _scored_examples(
    studio: Any, part: tuple[int, int], coded: dict[str, Any], tell: Any
) -> tuple[Any, dict[str, Any]]:
    from ..fit import imported

    scores = read_scores(coded["scores"], coded["pictures"])
    folder, strong = Path(coded["pictures"]), coded["strong"]
    data = imported.collect(folder, scores, studio, strong=strong, share=part, progress=tell)
    return data, imported.described(scores, strong, studio)


def _scorer(run: Run) -> Any:
    """What measures lengths on rendered faces; None, and said, where its weights are not here."""
    from ..errors import WeightsError
    from ..measuring.score import Scorer

    try:
        return Scorer()
    except WeightsError as error:
        run.note(f"{error}; lengths are taken from the coded faces")
        return None


def share_of(text: str) -> tuple[int, int]:
    try:
        k, n = (numbers.whole("--share", part) for part in text.split("/"))
    except (ValueError, InputError):
        raise click.UsageError(f"--share {text}: write K/N, for example 0/2") from None
    if not k < n <= MOST_SHARES:
        raise click.UsageError(
            f"--share {text}: K counts from 0 to N - 1, N is at most {MOST_SHARES}"
        )
    return k, n
