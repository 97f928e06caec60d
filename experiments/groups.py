"""Beyond the paper: are some people served worse? By apparent age and gender, skin and glasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duchenne import facs
from duchenne.animate import Subject
from duchenne.editing.boundaries import slot_intensities
from duchenne.encoding.settings import LOOK_ALIKE
from duchenne.evaluate import harness, kept, metrics
from duchenne.faces import landmarks
from duchenne.measuring import complexion
from duchenne.measuring.apparent import AgeAndGender
from duchenne.measuring.identity import JUDGES
from duchenne.moving.change import SIDE
from duchenne.moving.covering import has_glasses
from duchenne.types import Pixels

from . import claims as verdicts
from .claims import Claim, Records
from .context import DESCRIBE, FRAME, OPEN, SCORE, Context, Settings

NAME = "groups"
# One or two of every region, those that glasses, wrinkles and lips of some groups could hinder.
UNITS = ("AU1", "AU4", "AU5", "AU6", "AU12", "AU15")
SIZE = 512  # px that the faces are drawn at, for time
TRUNCATION = 0.8  # wider than `harness.TRUNCATION`, under which nearly all look young and light
FIRST = 1000  # of the held-out people: none is in another experiment
LEAST = 8  # people of a group that is shown
SMALLEST = 4  # part of the picture from which a face is looked for
FAR = 3.0  # standard errors from all others by which a group is called worse
VERSION = 1  # of what `measure` does

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sorting:
    """What people are sorted by. of: the record of a person -> the name of a group."""

    title: str
    of: Callable[[Mapping[str, Any]], str]


def age_group(years: float) -> str:
    """Of an apparent age."""
    return next(name for name, below in AGES.items() if years < below)


AGES: Mapping[str, float] = MappingProxyType(
    {"under 18": 18, "18 to 29": 30, "30 to 44": 45, "45 and above": np.inf}
)
SORTINGS = (
    Sorting("apparent age", lambda person: age_group(person["age"])),
    Sorting("apparent gender", lambda p: "female" if p["female"] > 0.5 else "male"),
    Sorting("skin in the picture", lambda person: complexion.tone(person["ita"])),
    Sorting("glasses", lambda person: "glasses" if person["glasses"] else "no glasses"),
)


@dataclass(frozen=True)
class Measure:
    """One figure of a person. worse: 1 if more of it is worse, else -1. of: record -> value."""

    title: str
    worse: int
    of: Callable[[Mapping[str, Any]], float]
    decimals: int = 2


def own(person: Mapping[str, Any]) -> Array:
    """[U] change of the asked AU, 0 to 5."""
    return np.array([row[facs.INDEX[c]] for c, row in zip(UNITS, person["change"], strict=True)])


def spilt(person: Mapping[str, Any]) -> Array:
    """[U] mean size of the change of all AUs that are not tied to the asked one."""
    sizes = []
    for code, row in zip(UNITS, person["change"], strict=True):
        others = ~np.isin(facs.CODES, (code, *facs.UNITS[code].kin))
        sizes.append(float(np.abs(np.array(row))[others].mean()))
    return np.array(sizes)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "change": Measure("change of the asked AU (0 to 5)", -1, lambda p: float(own(p).mean())),
        "missed": Measure(
            "how far that is from 5", 1, lambda p: float(np.abs(own(p) - facs.FULL).mean())
        ),
        "responds": Measure(
            "edits that respond", -1, lambda p: float((own(p) >= metrics.RESPONDS).mean())
        ),
        "spilt": Measure(
            "change of untied AUs (0 to 5)", 1, lambda p: float(spilt(p).mean())
        ),
        **{
            judge.key: Measure(
                f"identity distance ({judge.name})",
                1,
                lambda p, key=judge.key: float(np.mean(p[key])),  # type: ignore[misc]
            )
            for judge in JUDGES.values()
        },
        "found": Measure("face found", -1, lambda p: float(np.mean(p["found"]))),
    }
)  # fmt: skip


def seconds(settings: Settings) -> float:
    """Estimated on two free cores; a frame of SIZE takes a third of one of 1024 px."""
    edit = FRAME / 3 + 2 * SCORE + len(JUDGES) * DESCRIBE
    return settings.sorted * (OPEN + (len(UNITS) + 1) * edit)


class _Networks:
    def __init__(self, context: Context) -> None:
        self.context = context

    @cached_property
    def looks(self) -> AgeAndGender:
        return AgeAndGender()


def run(context: Context) -> dict[str, Any]:
    """Some Action Units at 1 on a few hundred people, sorted by what they look like."""
    count = context.settings.sorted
    quick = context.studio.replace(settings=LOOK_ALIKE)
    networks = _Networks(context)
    people = []
    for n in range(count):
        seed = harness.FIRST_SEED + FIRST + n
        subject = context.studio.sample(seed, truncation=TRUNCATION)
        people.append(_kept(networks, subject))
        context.progress(f"{NAME}: generated", n + 1, count)
    photos = [_kept(networks, quick.face(path)) for path in context.settings.photos]
    record: dict[str, Any] = {
        "units": list(UNITS),
        "size": SIZE,
        "truncation": TRUNCATION,
        "generated": summary(people),
    }
    if photos:
        record["photos"] = summary(photos)
    return record


def _kept(networks: _Networks, subject: Subject) -> dict[str, Any]:
    context = networks.context
    inputs: dict[str, Any] = {
        "version": VERSION,
        "code": kept.of_code(subject.code),
        "units": list(UNITS),
        "size": SIZE,
        "judges": list(JUDGES),
    }
    if subject.moves:
        inputs["photo"] = kept.of_pixels(harness.unedited(subject))
    found: dict[str, Any] = context.keep(NAME, inputs, partial(measure, networks, subject))
    return found


def measure(networks: _Networks, subject: Subject) -> dict[str, Any]:
    """One person: what they look like, and what the edits did, JSON-ready."""
    context = networks.context
    scorer, judges = context.studio.scorer, context.judges
    subject = replace(subject)  # a copy, so that its scene is not kept
    tables = np.stack([np.zeros_like(slot_intensities({UNITS[0]: 1.0})),
                       *(slot_intensities({code: 1.0}) for code in UNITS)])  # fmt: skip
    before, *edited = subject.frames(tables, paste=False, size=SIZE)
    mesh = harness.mesh_of(before)
    age, female = networks.looks.look(before)
    rest = harness.scores(before, scorer)
    person = {key: network.describe(before) for key, network in judges.items()}
    changes = [harness.scores(picture, scorer) - rest for picture in edited]
    return {
        "age": round(age, 1),
        "female": round(female, 3),
        "ita": round(complexion.ita(before, mesh), 1),
        "glasses": has_glasses(before, mesh * (SIDE / len(before))),
        "change": np.round(changes, 3).tolist(),
        "found": [finds(picture) for picture in edited],
        **{
            key: [
                round(float(np.linalg.norm(network.describe(picture) - person[key])), 4)
                for picture in edited
            ]
            for key, network in judges.items()
        },
    }


def finds(picture: Pixels) -> bool:
    """Whether the detector finds the face of a picture, with nothing said beforehand."""
    return len(landmarks.find_faces(picture, min_size=len(picture) // SMALLEST)) == 1


def summary(people: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sorting -> group -> people, and of every measure mean, standard error and whether worse."""
    values = {name: np.array([m.of(p) for p in people]) for name, m in MEASURES.items()}
    owns = np.stack([own(person) for person in people])  # [F, U]
    result: dict[str, Any] = {
        "people": len(people),
        "leakage": _rounded(values["spilt"].mean() / values["change"].mean()),
        "units": {
            code: [_rounded(v.mean()), _rounded(_error(v))]
            for code, v in zip(UNITS, owns.T, strict=True)
        },
        "all": {name: [_rounded(v.mean()), _rounded(_error(v))] for name, v in values.items()},
        "by": {},
    }
    for sorting in SORTINGS:
        labels = np.array([sorting.of(person) for person in people])
        groups = {}
        for label in dict.fromkeys(sorted(labels)):
            mine = labels == label
            groups[str(label)] = {
                "people": int(mine.sum()),
                "leakage": _rounded(values["spilt"][mine].mean() / values["change"][mine].mean()),
                "units": {code: compared(v[mine], v[~mine], -1)
                          for code, v in zip(UNITS, owns.T, strict=True)},
                **{name: compared(v[mine], v[~mine], MEASURES[name].worse)
                   for name, v in values.items()},
            }  # fmt: skip
        result["by"][sorting.title] = groups
    return result


def compared(mine: Array, others: Array, worse: int) -> list[Any]:
    """[mean, standard error, whether the group is worse than all others by FAR standard errors]."""
    far = False
    if min(len(mine), len(others)) >= LEAST:
        noise = float(np.hypot(_error(mine), _error(others)))
        far = bool(worse * (mine.mean() - others.mean()) > FAR * noise)
    return [_rounded(mine.mean()), _rounded(_error(mine)), far]


def _error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _rounded(value: float) -> float:
    return round(float(value), 4)


def claims(records: Records) -> list[Claim]:
    """None: the paper says nothing about groups."""
    return []


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    units = ", ".join(record["units"])
    parts = [
        f"{record['generated']['people']} people that no fit has seen, drawn with a truncation of "
        f"{record['truncation']:g} (the other experiments: {harness.TRUNCATION:g}, under which "
        f"nearly all look young and light), at {record['size']} px; {units} at 1, one at a time. "
        "Mean and standard error over people; leakage is the change of untied AUs over that of the "
        "asked one. Bold: worse than all other people by more than "
        f"{FAR:g} standard errors. Groups below {LEAST} people are left out.",
        "Who belongs where is what a picture looks like to a machine, and no fact about anybody: "
        "apparent age and gender by two small networks (`measuring/apparent.py`), skin by the "
        "individual typology angle of the cheeks, which hangs on the light "
        "(`measuring/complexion.py`), glasses by their bridge (`measuring/glasses.py`: rimless "
        "ones are missed). Beards were left out: how much darker the skin is where they grow "
        "did not tell them from hard light on 63 faces that we looked at.",
        "The change of the asked AU and of the others is by this program's own scorer, which may "
        "itself see some people's faces less well.",
        _table(record["generated"]),
        "**Change of every asked AU, by group** (5 was asked; bold: weaker than in all others)",
        _units_table(record["generated"]),
    ]
    if "photos" in record:
        parts += [
            f"**{record['photos']['people']} photos, their own pixels moved**: too few to compare.",
            _table(record["photos"], least=1),
        ]
    return "\n\n".join(parts)


def _table(found: Mapping[str, Any], least: int = LEAST) -> str:
    rows = [
        [label, str(group["people"]), *(_cell(*group[name]) for name in MEASURES),
         f"{group['leakage']:.2f}"]
        for label, group in _groups(found, least)
    ]  # fmt: skip
    titles = (measure.title for measure in MEASURES.values())
    return verdicts.table(rows, ["", "people", *titles, "leakage"])


def _units_table(found: Mapping[str, Any]) -> str:
    rows = [
        [label, *(_cell(*group["units"][code]) for code in found["units"])]
        for label, group in _groups(found, LEAST)
    ]
    return verdicts.table(rows, ["change of", *found["units"]])


def _groups(found: Mapping[str, Any], least: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Everybody, and every group of at least so many people, with its name."""
    everybody = {**found["all"], **{key: found[key] for key in ("people", "leakage", "units")}}
    return [
        ("everybody", everybody),
        *(
            (f"{title}: {label}", group)
            for title, groups in found["by"].items()
            for label, group in groups.items()
            if group["people"] >= least
        ),
    ]


def _cell(mean: float, error: float, far: bool = False) -> str:
    text = f"{mean:.2f} ± {error:.2f}"
    return f"**{text}**" if far else text
