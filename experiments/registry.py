"""The experiments in the order of the page, and how to run one."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from duchenne.errors import InputError
from duchenne.files import codes

from .claims import Claim, Records

if TYPE_CHECKING:
    from .context import Context, Settings


@dataclass(frozen=True)
class Experiment:
    """name: of the module, the command and the JSON; shows: what of the paper it makes again.

    made_with: what its numbers depend on (`Context.fingerprints`).
    """

    name: str
    shows: str
    title: str
    made_with: tuple[str, ...] = ("generator", "boundaries", "scale")


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("happiness", "Fig. 1", "Neutral to happy"),
    Experiment("distances", "Fig. 5", "Distances of AU codes and neutral codes"),
    Experiment("encoding", "Figs. 6 to 8", "Encoding", ("generator",)),
    Experiment("units", "Fig. 9", "Single Action Units"),
    Experiment("expressions", "Fig. 10", "Expressions as combinations of AUs"),
    Experiment("tables", "beyond", "Response, leakage, identity, background"),
    Experiment("seeds", "beyond", "Three sets of people"),
    Experiment("comparable", "beyond", "Figures that others report"),
    Experiment("groups", "beyond", "By group"),
    Experiment("smoothness", "beyond", "Smoothness"),
    Experiment("photos", "beyond", "Real photos"),
    Experiment("ablations", "beyond", "What each part earns"),
    Experiment("failures", "beyond", "Failures, chosen at random"),
)
NAMES: tuple[str, ...] = tuple(e.name for e in EXPERIMENTS)


class Module(Protocol):
    """What the module of an experiment has."""

    def seconds(self, settings: Settings) -> float:
        """Estimated time on two free cores, nothing kept yet."""
        ...

    def run(self, context: Context) -> dict[str, Any]:
        """Measure, write figures into `context.output`, return a JSON-ready record."""
        ...

    def claims(self, records: Records) -> list[Claim]:
        """The paper's statements that the records decide; [] without the records it needs."""
        ...

    def section(self, records: Records) -> str:
        """Markdown; called only if the experiment's own record is there."""
        ...


def module(name: str) -> Module:
    """The module of an experiment."""
    return cast(Module, importlib.import_module(f"{__package__}.{name}"))


def run(name: str, context: Context) -> Path:
    """Run one experiment and write its record; returns the path."""
    record = module(name).run(context)
    made_with = EXPERIMENTS[NAMES.index(name)].made_with
    fit = {"fit": dict(context.studio.boundaries.provenance)} if "boundaries" in made_with else {}
    settings = {key: value for key, value in asdict(context.settings).items()
                if key not in ("responses_folder", "photos")}  # fmt: skip
    settings["photos"] = len(context.settings.photos) + 1
    whole = {
        "made_with": {key: context.fingerprints[key] for key in made_with},
        **fit,
        "settings": settings,
        **record,
    }
    path = context.output / f"{name}.json"
    codes.write_atomically((json.dumps(whole, indent=1) + "\n").encode(), path)
    return path


def read(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Every record in a folder; InputError for a damaged one."""
    records = {}
    for experiment in EXPERIMENTS:
        path = folder / f"{experiment.name}.json"
        if not path.is_file():
            continue
        try:
            records[experiment.name] = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(
                f"{path}: expected the JSON of an experiment ({error}); run "
                f"`python -m experiments {experiment.name}` again"
            ) from None
    return records


def estimate(names: Sequence[str], settings: Settings) -> dict[str, float]:
    """Name -> seconds on two free cores, if nothing is kept yet."""
    return {name: module(name).seconds(settings) for name in names}
