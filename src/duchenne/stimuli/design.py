"""What a set shall contain, read from a TOML file: docs/stimuli.md explains every entry."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from .. import facs
from ..errors import DescriptorError, InputError, meant, quoted
from ..files.film_formats import set_suffixes
from ..files.names import sameness, unportable
from ..files.pictures import STILLS
from ..measuring.identity import DLIB
from ..motion.easing import find_easing
from ..motion.timeline import as_seconds, frame_rate, require_frames
from ..reading import numbers, texts
from .limits import FIELDS, MOST_CELLS, MOST_FILES, MOST_NAME, MOST_PEOPLE, RANGES, WHOLE

BOTH_OR_ONE = ("both", "left", "right")
NEUTRAL = "neutral"
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")

T = TypeVar("T")


@dataclass(frozen=True)
class People:
    """Whose faces.

    photos, codes: files, taken as they are; seeds: synthetic people, taken as they are. synthetic:
    how many more to sample, of the seeds from `first_seed` on that are not in `exclude` and pass
    the screening: `frontal`, the most degrees of yaw and pitch; `neutral`, the most that any
    Action Unit of mouth and cheeks may measure at rest (1 is the full action); `glasses`, False
    for people who wear none, True for people who do; `adult`, no children, and nobody who may be
    one; `different`, dlib's least distance between two of them. None asks for nothing.
    """

    photos: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    synthetic: int = 0
    first_seed: int = 1
    truncation: float = 0.7
    frontal: float | None = None
    neutral: float | None = None
    glasses: bool | None = None
    adult: bool = False
    different: float | None = None


@dataclass(frozen=True)
class Output:
    """How the files look.

    size: side of a square crop in pixels; of a pasted photo the longer side, None is its own.
    paste_back: the face in its photo instead of the crop. generated: of photos the generator's
    picture, not their own pixels moved. still, film: suffixes; "" draws none.
    frames, fps, easing, hold, ping_pong: of films, from rest to the condition.
    pattern: file name without suffix, from {identity} {condition} {intensity} {percent} {side}.
    """

    size: int | None = 512
    paste_back: bool = False
    generated: bool = False
    still: str = ".png"
    film: str = ""
    frames: int = 24
    fps: str = "24"
    easing: str = "linear"
    hold: float = 0.0
    ping_pong: bool = False
    pattern: str = ""


@dataclass(frozen=True)
class Match:
    """What is made equal over the set.

    luminance: mean L* (CIE 1976) of the face at rest; contrast: its standard deviation. framing:
    eyes at the same places. None and False leave faces as they are.
    """

    luminance: float | None = None
    contrast: float | None = None
    framing: bool = False


@dataclass(frozen=True)
class Quality:
    """When a file is an outlier, and what follows.

    reached: an Action Unit is missed if less than this part of what was asked of it is measured.
    asked_at_least: weaker ones are not judged; the scores cannot tell. identity: the most that
    dlib's distance to the person at rest may be. redraw: synthetic people with more than
    `tolerated` of their files outliers are replaced by the next that pass the screening, at most
    `rounds` times.
    """

    reached: float = 0.25
    asked_at_least: float = 0.4
    identity: float = DLIB.same_person
    redraw: bool = False
    tolerated: float = 0.0
    rounds: int = 3


@dataclass(frozen=True)
class Cell:
    """One picture or film of every person: what is asked, and how its file is called.

    descriptor: Action Units with their intensities as asked. suffix: of the file. ends: the face
        ends there (`measuring.ending`), instead of having it added.
    """

    condition: str
    side: str
    intensity: float
    descriptor: Mapping[str, float]
    kind: str
    suffix: str
    ends: bool = False


@dataclass(frozen=True)
class Design:
    """A whole design. folder: the one that photos and codes are named from.

    target: intensities are what shall be measured on each face, not what is added to it.
    """

    title: str = "Stimuli"
    people: People = field(default_factory=People)
    conditions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    intensities: tuple[float, ...] = (1.0,)
    sides: tuple[str, ...] = ("both",)
    neutral: bool = True
    target: bool = False
    output: Output = field(default_factory=Output)
    match: Match = field(default_factory=Match)
    quality: Quality = field(default_factory=Quality)
    folder: Path = Path()

    def cells(self) -> list[Cell]:
        """The design's columns, in its order; what each person is drawn in."""
        cells = []
        kinds = [("still", self.output.still), ("film", self.output.film)]
        if self.neutral and self.output.still:
            cells.append(Cell(NEUTRAL, "both", 0.0, {}, "still", self.output.still))
        for condition, descriptor in self.conditions.items():
            for side in self.sides:
                for intensity in self.intensities:
                    asked = {
                        _on_side(code, side): round(value * intensity, 6)
                        for code, value in descriptor.items()
                    }
                    cells += [
                        Cell(condition, side, intensity, asked, kind, suffix)
                        for kind, suffix in kinds
                        if suffix
                    ]
        return cells

    def file_of(self, identity: str, cell: Cell) -> str:
        """The name of a file, relative to the set."""
        name = self.pattern.format(
            identity=identity,
            condition=cell.condition,
            intensity=f"{cell.intensity:.2f}",
            percent=f"{round(cell.intensity * 100):03d}",
            side=cell.side,
        )
        return name + cell.suffix

    @property
    def pattern(self) -> str:
        """The asked one, or one with every factor of the design in it."""
        side = "_{side}" if len(self.sides) > 1 else ""
        return self.output.pattern or "{identity}_{condition}" + side + "_{intensity}"


def _on_side(code: str, side: str) -> str:
    """AU12 on the left side is AU12L; a side that the condition names itself stays."""
    return code if side == "both" or code[-1] in facs.SIDES else code + side[0].upper()


# ---------------------------------------------------------------- reading


def read_design(path: str | Path) -> Design:
    """Read and check a design; InputError names the entry that is wrong and what it should be."""
    path = Path(path)
    table = texts.parse_toml(texts.read_text(path, "a design in TOML"), path)
    try:
        return parse(table, path.parent)
    except (InputError, DescriptorError) as error:
        raise type(error)(f"{path}: {error}") from None


def parse(table: Mapping[str, Any], folder: Path) -> Design:
    """A design from the parsed TOML; see `read_design`."""
    known = {entry.name for entry in fields(Design)} - {"folder"}
    _refuse_unknown(table, known, "")
    design = Design(
        title=_typed(table.get("title", Design.title), str, "title"),
        people=_section(People, table, "people"),
        conditions=_conditions(table.get("conditions", {})),
        intensities=_numbers(table.get("intensities", [1.0]), "intensities"),
        sides=tuple(_list(table.get("sides", ["both"]), str, "sides")),
        neutral=_typed(table.get("neutral", True), bool, "neutral"),
        target=_typed(table.get("target", False), bool, "target"),
        output=_section(Output, table, "output"),
        match=_section(Match, table, "match"),
        quality=_section(Quality, table, "quality"),
        folder=folder,
    )
    _check(design)
    return design


def _section(kind: type[T], table: Mapping[str, Any], name: str) -> T:
    """One table of the file as its dataclass; the defaults give the types."""
    given = _typed(table.get(name, {}), dict, f"[{name}]")
    plain = kind()
    _refuse_unknown(given, set(vars(plain)), f"[{name}] ")
    values: dict[str, Any] = {}
    for key, value in given.items():
        default, where = getattr(plain, key), f"[{name}] {key}"
        if key in ("seeds", "exclude"):
            values[key] = tuple(_whole(where, entry, 0) for entry in _list(value, int, where))
        elif isinstance(default, tuple):
            values[key] = tuple(_list(value, str, where))
        elif key in RANGES:
            values[key] = _number(where, value, *RANGES[key])
        elif key in WHOLE:
            values[key] = _whole(where, value, *WHOLE[key])
        elif key == "glasses":
            values[key] = _typed(value, bool, where)
        elif key == "fps":
            values[key] = str(_typed(value, (str, int, float), where))
        else:
            values[key] = _typed(value, type(default), where)
    return kind(**values)


def _conditions(table: Any) -> dict[str, Mapping[str, float]]:
    """Name -> descriptor: a preset, a text like AU12=1,AU6=0.8, or a table of AUs."""
    conditions: dict[str, Mapping[str, float]] = {}
    for name, value in _typed(table, dict, "[conditions]").items():
        where = f"[conditions] {quoted(name, bare=True)}"
        if not _NAME.fullmatch(name) or name == NEUTRAL or len(name) > MOST_NAME:
            raise InputError(
                f"{where}: use letters, digits, _ and -, at most {MOST_NAME}, and not {NEUTRAL!r}"
            )
        try:
            if isinstance(value, str):
                conditions[name] = facs.named(value)
            elif isinstance(value, dict):
                conditions[name] = facs.check(
                    {key: _typed(v, (int, float), where) for key, v in value.items()}
                )
        except DescriptorError as error:
            raise DescriptorError(f"{where}: {error}") from None
        if not isinstance(value, str | dict):
            raise InputError(f'{where}: expected "happiness", "AU12=1,AU6=0.8" or a table of AUs')
    return conditions


def _check(design: Design) -> None:
    """What no single entry can tell."""
    people, output = design.people, design.output
    if not (people.photos or people.codes or people.seeds or people.synthetic):
        raise InputError("[people] names nobody; give synthetic = 8, seeds, photos or codes")
    named = people.photos + people.codes + people.seeds
    if len(named) + people.synthetic > MOST_PEOPLE:
        raise InputError(f"[people] more than {MOST_PEOPLE} people")
    if not (design.conditions or design.neutral):
        raise InputError("nothing to draw; give [conditions] or neutral = true")
    if not all(design.intensities):
        raise InputError("intensities must lie above 0 and up to 1; `neutral = true` draws 0")
    unknown = [side for side in design.sides if side not in BOTH_OR_ONE]
    if unknown:
        raise InputError(f"sides {quoted(unknown)}: known are {', '.join(BOTH_OR_ONE)}")
    for name, given in (("sides", design.sides), ("intensities", design.intensities)):
        if not given or len(set(given)) < len(given):
            raise InputError(f"{name}: expected a list of different entries, at least one")
    cells = len(design.conditions) * len(design.sides) * len(design.intensities)
    if cells > MOST_CELLS or cells * (len(named) + people.synthetic) > MOST_FILES:
        raise InputError(
            f"conditions x sides x intensities: {cells} cells for each of "
            f"{len(named) + people.synthetic} people; at most {MOST_CELLS} cells and "
            f"{MOST_FILES} files"
        )
    _check_output(design)
    if design.target and any(
        code[-1] in facs.SIDES for cell in design.cells() for code in cell.descriptor
    ):
        raise InputError("target = true: one-sided actions cannot be measured; leave it out")
    if output.paste_back:
        if people.synthetic or people.seeds or people.codes:
            raise InputError("[output] paste_back needs photos; samples and codes have none")
        if design.match != Match():
            raise InputError("[match] is for crops; leave out paste_back")


def _check_output(design: Design) -> None:
    output = design.output
    films = set_suffixes()
    if output.still not in ("", *STILLS) or output.film not in ("", *films):
        raise InputError(
            f"[output] still is one of {', '.join(STILLS)}, film of {', '.join(films)}, or empty"
        )
    if not (output.still or output.film):
        raise InputError("[output] still and film are both empty; give one of them")
    find_easing(output.easing)
    rate = frame_rate(output.fps)
    held = output.frames + round(as_seconds("hold", output.hold) * rate)
    require_frames(held * (2 if output.ping_pong else 1))
    _check_pattern(design.pattern)
    names = [design.file_of("identity", cell) for cell in design.cells()]
    longest = max((len(part.encode()) for name in names for part in Path(name).parts), default=0)
    if longest > 200:  # 255 may be, and an identity is longer than "identity"
        raise InputError(f"[output] pattern: makes file names of {longest} bytes; at most 200")
    if len({sameness(name) for name in names}) < len(names) or "{identity" not in design.pattern:
        raise InputError(
            f"[output] pattern {quoted(design.pattern)} gives two files the same name, which on "
            "Windows and macOS has no case"
        )
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
        raise InputError(f"[output] pattern {quoted(design.pattern)} leads out of the set's folder")
    if reason := next(filter(None, map(unportable, names)), ""):
        raise InputError(
            f"[output] pattern {quoted(design.pattern)}, with these conditions: {reason}; a set "
            "goes to every system, so choose others"
        )


def _check_pattern(pattern: str) -> None:
    """Only plain fields: no attributes, no formats, no conversions."""
    try:
        fields = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(pattern)]
    except ValueError:  # a bracket that is not closed
        fields = [("", "", None)]
    if any(name is not None and (name not in FIELDS or spec or how) for name, spec, how in fields):
        raise InputError(f"[output] pattern {quoted(pattern)}: {_PLAIN}")
    if any(ord(c) < 32 for c in pattern):
        raise InputError(f"[output] pattern {quoted(pattern)}: a file name is one line")


_PLAIN = "use {identity}, {condition}, {side}, {intensity} and {percent}, as they are"


def _number(where: str, value: Any, low: float, high: float) -> float:
    return numbers.number(where, _typed(value, (int, float), where), low, high)


def _whole(where: str, value: Any, low: int, high: int = numbers.MOST_WHOLE) -> int:
    return numbers.whole(where, _typed(value, int, where), low, high)


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        name = quoted(unknown[0], bare=True)
        raise InputError(
            f"{where}{name}: unknown entry; known are {', '.join(sorted(known))}"
            + meant(unknown[0], known)
        )


def _typed(value: Any, kind: Any, where: str) -> Any:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # True is an int to Python; here it is not.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(one.__name__ for one in kinds)
        raise InputError(f"{where}: expected {expected}, not {quoted(value)}")
    return value


def _list(value: Any, kind: Any, where: str) -> list[Any]:
    return [_typed(entry, kind, where) for entry in _typed(value, list, where)]


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    given = _list(value, (int, float), where)
    return tuple(numbers.number(where, entry, 0, 1) for entry in given)
