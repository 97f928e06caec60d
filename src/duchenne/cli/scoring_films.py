"""Measuring the frames of a film, or the pictures of a folder: `score film.mp4`."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..reading import places
from .run import Run, with_bar

if TYPE_CHECKING:
    from ..files.kept_rows import KeptRows
    from ..measuring.film_table import Rest

BLOCK = 50  # frames between two moments at which what is done is put on the disk


def is_sequence(source: str) -> bool:
    """Whether `score` measures it frame by frame."""
    from ..files.film_source import is_film

    return places.is_folder(source) or is_film(source)


def score(run: Run, source: str, output: str | None, face: int, rest: float | None) -> None:
    """Measure a film or a folder into a table in OpenFace's columns.

    rest: see `write_table`.
    """
    from ..measuring import film_table

    folder = places.is_folder(source)
    if output is None:
        run.say(",".join(film_table.columns(folder)))
        for cells in _rows(run, source, face):
            run.say(",".join(cells))
        return
    with run.stages("score"):
        summary = write_table(run, Path(source), Path(output), face, rest)
    run.facts["measured"] = summary
    found, count = summary["frames_with_face"], summary["frames"]
    run.wrote(output, f"{count} frames, {found} with a face")
    run.note(str(run.stages))


def table_of(run: Run, recording: str, rest: float | None) -> str:
    """The table of a recording: a film is measured, once; everything else is one already.

    rest: see `write_table`. It lies in the cache, under what it was made from; an interrupted
    measurement goes on.
    """
    from ..files.film_source import is_film, open_film

    if not is_film(recording):
        return recording
    from .. import __version__
    from ..files.writing import reporting_disk_errors
    from ..measuring import film_table, score
    from ..measuring.recognising import recogniser
    from ..weights.store import cache_root

    film = Path(recording)
    open_film(film)  # what is wrong with it is said first
    run.read("driving_film", film)
    known = recogniser()
    made_of = [
        run.facts["driving_film"]["sha256"], __version__, film_table.columns(folder=False),
        score.built_in_scale().neutral.tolist(), known and known.name, rest,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    table = cache_root() / "measured" / f"{film.stem}-{digest}.csv"
    if not places.exists(table):
        with reporting_disk_errors(table):
            table.parent.mkdir(parents=True, exist_ok=True)
        with run.stages("measure"):
            run.facts["measured"] = write_table(run, film, table, 0, rest)
    return str(table)


def _rows(run: Run, source: str, face: int) -> Iterator[list[str]]:
    from ..measuring import film, film_table

    folder = places.is_folder(source)
    as_measured = film_table.Rest()
    with run.stages("score"):
        for observed in film.observe(Path(source), face=face):
            if observed.problem:
                run.note(observed.problem)
            yield as_measured.above(film_table.row(observed, face, folder))


def write_table(
    run: Run, source: Path, output: Path, face: int, rest: float | None
) -> dict[str, Any]:
    """Measure into `output`, a CSV; what an interrupted run had done is taken over.

    rest: percentile of each score over the film that is this person's rest and counts as 0; None
    counts from the mean neutral face, as the pictures of a folder do, which may be of many people.

    Returns `film_table.Summary.facts`. A film that is damaged somewhere is measured up to there.
    Raises InputError, OutputError.
    """
    from .. import __version__
    from ..files.film_source import open_film
    from ..files.kept_rows import KeptRows
    from ..files.writing import replacing, reporting_disk_errors
    from ..measuring import film_table
    from ..measuring.recognising import recogniser

    folder = source.is_dir()
    if not folder and (hdr := open_film(source).hdr):  # what cannot be read is said before a row is
        run.note(f"{source}: is HDR ({hdr}) and measured without a mapping to standard range (SDR)")
    names = film_table.columns(folder)
    known = recogniser()
    settings = {
        "version": __version__, "columns": names, "face": face, "of": _what_it_is(source),
        "people": known and known.name,
    }  # fmt: skip
    with KeptRows(output, settings) as kept:
        if kept.count:
            run.note(f"{source}: going on after frame {kept.last['frame']}")
        try:
            damage = _measure(run, source, face, kept)
            if known is None and kept.count and (kept.last["state"] or {}).get("several"):
                run.note(
                    f"{source}: has several people, who are told apart by where they are; "
                    "`duchenne weights fetch face-mobile-outsider` tells them apart by who they are"
                )
        except KeyboardInterrupt:
            if kept.count:
                run.note(
                    f"{kept.last['frame']} frames are kept in {kept.path}; the same command goes on"
                )
            raise
        summary, own = film_table.Summary(folder), film_table.Rest()
        if rest is not None and not folder:
            _take_rest(run, own, rest, kept)
        with (
            replacing(output) as temporary,
            reporting_disk_errors(output),
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            table = csv.writer(file, lineterminator="\n")
            table.writerow(names)
            for entry in kept:
                for cells in map(own.above, entry["rows"]):
                    table.writerow(cells)
                    summary.add(cells)
        kept.remove()
    return {**summary.facts(), "rest": own.levels(), "damage": damage}


def _take_rest(run: Run, own: Rest, percentile: float, kept: KeptRows) -> None:
    """Learn the person's rest from all rows, if there are enough."""
    from ..measuring.film_table import FEW

    for entry in kept:
        for cells in entry["rows"]:
            own.learn(cells)
    if own.frames == 0:
        run.note("there is no face in any frame")
    elif own.frames < FEW:
        run.note(
            f"{own.frames} frames with a face do not tell its rest, so scores count from the mean "
            f"neutral face; that takes {FEW} frames"
        )
    else:
        own.take(percentile)


def _measure(run: Run, source: Path, face: int, kept: KeptRows) -> str:
    """Measure what is not kept yet; what is wrong with the film, if anything is."""
    from ..errors import InputError
    from ..files.sequences import count_of
    from ..measuring import film, film_table

    last = kept.last or {"frame": 0, "state": None}
    done, state, folder = int(last["frame"]), last["state"], source.is_dir()
    total = count_of(source)
    frames = film.observe(source, face=face, after=done, state=state)
    rows: list[list[str]] = []
    try:
        for seen in with_bar(frames, total - done if total else None, "measuring"):
            if seen.problem:
                run.note(seen.problem)
            rows.append(film_table.row(seen, face, folder))
            done, state = seen.number, seen.state
            if len(rows) == BLOCK:
                kept.add({"frame": done, "state": state, "rows": rows})
                rows = []
    except InputError as error:
        if not done:
            raise
        run.note(f"{error}; the table ends there")
        return str(error)
    finally:
        if rows:
            kept.add({"frame": done, "state": state, "rows": rows})
    return ""


def _what_it_is(source: Path) -> Any:
    """What tells that a film or a folder is still the same one. InputError if it is not there."""
    from ..errors import InputError
    from ..files.folders import photos_in

    try:
        files = photos_in(source, tell=False) if source.is_dir() else [source]
        stats = [(file.name, file.stat()) for file in files]
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); give a film") from None
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
