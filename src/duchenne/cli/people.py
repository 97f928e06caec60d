"""Several faces of one photo or film, each with an expression of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from . import endings, motion
from .run import Run

if TYPE_CHECKING:
    from ..animate import Subject
    from ..types import Pixels

_KEY = "duchenne.people"
ASKED = {"--au": "au", "--descriptor": "descriptor", "--expression": "expression"}


@dataclass(frozen=True)
class Person:
    """One more face: its number, what it is to show, and whether it ends there (`endings`)."""

    face: int
    asked: facs.Descriptor
    ends: bool = False


class ForPeople(click.Command):
    """A command in which `--face N` may be given again, each time with what that face does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest, further = _parted(list(args))
        remaining = super().parse_args(ctx, rest)
        ctx.meta[_KEY] = _people(ctx, further)
        return remaining


def further() -> Sequence[Person]:
    """The faces of the running command after the first."""
    found: Sequence[Person] = click.get_current_context().meta.get(_KEY, ())
    return found


def require_alike(sources: dict[str, Any], refused: dict[str, bool]) -> None:
    """Usage error where further faces are asked for and the first one has no such expression.

    sources: option -> value of what says the motion. refused: option -> whether it is given.
    """
    if not further():
        return
    if not any(sources.get(option) is not None for option in ASKED):
        raise click.UsageError(
            f"with --face more than once, give each face one of {', '.join(ASKED)}"
        )
    for option, given in refused.items():
        if given:
            raise click.UsageError(f"{option} is for one face; give --face once")


def open_others(run: Run, subject: Subject) -> list[Subject]:
    """The further faces of a subject's photo."""
    if not further():
        return []
    if subject.photo is None:
        raise click.UsageError("a saved code has one face; give --face for photos and films")
    run.facts["further_faces"] = {str(p.face): dict(p.asked) for p in further()}
    return [
        subject.studio.face(subject.photo, index=person.face, keep=subject.keep)
        for person in further()
    ]


def asked_of(run: Run, others: Sequence[Subject]) -> list[facs.Descriptor]:
    """What is added to each of `open_others`."""
    pairs = zip(others, further(), strict=True)
    return [
        endings.ended(run, one, person.asked) if person.ends else person.asked
        for one, person in pairs
    ]


def in_one(
    subject: Subject, clips: Sequence[Iterable[Pixels]], size: int | None
) -> Iterator[Pixels]:
    """Frames of several faces of one photo, put into one."""
    from ..moving.together import together

    photo, _ = subject.within(size)
    whole = photo.pixels if photo.rgba is None else photo.rgba
    return (together(whole, frames) for frames in zip(*clips, strict=True))


def beside(path: Path, person: Person) -> Path:
    """The table of one more face, beside that of the first."""
    return path.with_name(f"{path.stem}.face{person.face}{path.suffix}")


def _options(args: Sequence[str]) -> Iterator[tuple[int, str, str | None, int]]:
    """(place, option, value, arguments taken) of each --face and each option of ASKED."""
    for place, arg in enumerate(args):
        if arg == "--":
            return
        name, equals, value = arg.partition("=")
        if name == "--face" or name in ASKED:
            following = args[place + 1] if place + 1 < len(args) else None
            yield place, name, value if equals else following, 1 if equals else 2


def _parted(args: list[str]) -> tuple[list[str], list[tuple[str, str | None, str | None]]]:
    """Arguments without further faces, and those: (number, option, value)."""
    found = list(_options(args))
    faces = [i for i, (_, name, _, _) in enumerate(found) if name == "--face"]
    taken: list[tuple[int, int]] = []
    people = []
    for i in faces[1:]:
        place, _, number, length = found[i]
        taken.append((place, length))
        after = found[i + 1] if i + 1 < len(found) else None
        option = value = None
        if after is not None and after[0] == place + length and after[1] in ASKED:
            _, option, value, more = after
            taken.append((after[0], more))
        people.append((str(number), option, value))
    gone = {place + k for place, length in taken for k in range(length)}
    return [arg for i, arg in enumerate(args) if i not in gone], people


def _people(
    ctx: click.Context, given: Sequence[tuple[str, str | None, str | None]]
) -> list[Person]:
    first = ctx.params.get("face")
    people: list[Person] = []
    for number, option, value in given:
        if option is None or value is None:
            raise click.UsageError(
                f"--face {number}: say right after it what this face does, with one of "
                f"{', '.join(ASKED)}"
            )
        whole = next(p for p in ctx.command.params if p.name == "face")
        face = whole.type.convert(number, whole, ctx)
        if face in [first, *(person.face for person in people)]:
            raise click.UsageError(f"--face {face} is given twice; give each face once")
        texts: dict[str, Any] = {"au": None, "descriptor": None, "expression": None}
        asked = motion.descriptor_of(**{**texts, ASKED[option]: value})
        people.append(Person(face, asked, option == "--expression" and not ctx.params.get("add")))
    return people
