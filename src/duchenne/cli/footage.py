"""`animate` with a film as its INPUT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from . import people
from .faces import Encoding, describe_generator, new_studio
from .people import Person
from .run import Run, with_bar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..facs import Descriptor
    from ..footage.film import FilmSubject, Shown
    from ..motion.timeline import Timeline
    from ..types import Pixels


def is_film(source: str) -> bool:
    """Whether INPUT is a film rather than a photo or a code."""
    from ..files import film_source

    return film_source.is_film(source)


def animate_film(
    run: Run,
    source: str,
    output: str,
    read: Callable[[Descriptor | None, str], Timeline],
    asked: Descriptor | None,
    *,
    targets: Descriptor | None,
    face: int | None,
    encoding: Encoding,
    inputs: list[str | None],
    files: Mapping[str, str | None],
    refused: Mapping[str, bool],
    others: Sequence[Person] = (),
) -> None:
    """Write the film again, with its face moved as a timeline says.

    read: gives the timeline, by a descriptor if there is one and the film's frame rate; asked: of
    the first face. targets: what every frame is to measure, instead of a timeline. refused:
    options that are for photos only, and whether they were given. others: further faces.
    """
    for option, given in refused.items():
        if given:
            raise click.UsageError(f"{source}: {option} is for photos, and this is a film")
    if replace(encoding, encoder=None).given:
        raise click.UsageError(
            f"{source}: --quality, --init, --loss and --steps are for photos; a film takes v(I)"
        )
    import numpy as np

    from ..files import film_copy, films, pictures
    from ..files.film_source import open_film
    from ..footage.film import FilmSubject
    from ..footage.table import tabled
    from ..footage.together import in_one

    sidecar = films.sidecar_path(output)
    tables = [people.beside(sidecar, person) for person in others]
    run.check_outputs([source, *inputs], [Path(output), sidecar, *tables])
    for table in (sidecar, *tables):
        pictures.check_writable(table, (".csv",))
    with run.stages("load"):
        film = open_film(source)
        film.require_editable()
        timeline = None if targets is not None else read(asked, str(film.rate))
        films.check_writable(output, film.rate if timeline is None else timeline.fps)
        copied = film_copy.keeps_sound(Path(output))
        left_out = film_copy.check_copy(film, Path(output))
        run.read("input", source)
        studio = new_studio(run, encoding, **files)
        describe_generator(run, studio, edits=True)
        subject = FilmSubject(studio, film, face or 0)
        further = [FilmSubject(studio, film, person.face) for person in others]
    for what in film.changed_by_writing() + [f"{what} is left out" for what in left_out]:
        run.note(f"{source}: {what}")
    with run.stages("render and write"):
        if timeline is None:
            assert targets is not None
            edited, uneven = subject.reach(targets), np.zeros(len(facs.CODES), bool)
        else:
            edited = subject.animate(timeline)
            uneven = _uneven(timeline)
        with ExitStack() as stack:
            shown = stack.enter_context(tabled(edited, sidecar, uneven))
            if others:
                run.facts["further_faces"] = {str(p.face): dict(p.asked) for p in others}
                streams = [shown]
                for one, person, table in zip(further, others, tables, strict=True):
                    course = read(person.asked, str(film.rate))
                    frames = tabled(one.animate(course), table, _uneven(course))
                    streams.append(stack.enter_context(frames))
                shown = in_one(streams)
            bar = with_bar(shown, film.frame_count, "rendering")
            if copied:
                written = film_copy.write_copy(bar, film, Path(output))
            else:
                mark = pictures.SourceType.EDITED
                written = films.write_frames(_pixels(bar), output, fps=film.rate, source=mark)
    _report(run, source, subject)
    for table in tables:
        run.wrote(table)
    run.wrote(output, str(written))
    run.wrote(sidecar)
    run.note(str(run.stages))


def _uneven(timeline: Timeline) -> NDArray[np.bool_]:
    """[U], the Action Units of which one side shows more."""
    import numpy as np

    return np.asarray((timeline.sides[:, :, 0] != timeline.sides[:, :, 1]).any(axis=0))


def _pixels(frames: Any) -> Iterator[Pixels]:
    shown: Shown
    for shown in frames:
        yield shown.frame.pixels if shown.pixels is None else shown.pixels


def _report(run: Run, source: str, subject: FilmSubject) -> None:
    """What was done, in the record; and a note where the film has frames without a face."""
    account = subject.account
    facts = asdict(account)
    del facts["seen"]  # of the last frame only
    run.facts["film"] = facts
    if account.hands:
        run.note(
            f"{source}: a hand is before the face in {account.hands} of {account.frames} frames; "
            "what it hides stays as it is, and so does a mouth that is partly hidden"
        )
    if missing := account.frames - account.faces:
        parts = [f"{a:.2f} to {b:.2f} s" for a, b in account.without]
        more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
        run.note(
            f"{source}: no face in {missing} of {account.frames} frames, which stay as they are: "
            f"{', '.join(parts[:5])}{more}"
        )
