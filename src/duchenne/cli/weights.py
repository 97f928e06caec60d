"""`weights`: list, fetch and verify the model files."""

from __future__ import annotations

from typing import Any

import click

from ..errors import WeightsError
from ..weights import store
from ..weights.manifest import WeightsFile
from .run import Run, recorded


@click.group()
def weights() -> None:
    """The model files: what they are, where they lie, whether they are whole.

    \b
    Examples:
      duchenne weights list
      duchenne weights fetch
    """


@weights.command("list")
@recorded
def list_files(run: Run) -> None:
    """Every model file with its licence and where it lies (not hashed: see verify).

    \b
    Examples:
      duchenne weights list
      duchenne weights list --json -
    """
    run.facts["files"] = [_describe(entry) for entry in store.entries()]
    for entry in store.entries():
        path = store.find(entry.name)
        need = ", optional" if entry.optional else ""
        run.say(f"{entry.name}  ({entry.size / 1e6:.1f} MB{need})")
        run.say(f"  {entry.title}; used by: {entry.used_by}")
        run.say(f"  licence: {entry.licence}")
        run.say(f"  {path or 'not here yet'}")


@weights.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@recorded
def fetch(run: Run, names: tuple[str, ...]) -> None:
    """Download what is missing or damaged; without NAME, all but the optional files.

    \b
    Examples:
      duchenne weights fetch
      duchenne weights fetch face-mesh face-detector-short
    """
    wanted = [store.entry(name) for name in names]  # a wrong name is refused before any download
    wanted = wanted or [entry for entry in store.entries() if not entry.optional]
    with run.stages("fetch"):
        for entry in wanted:
            run.say(f"{entry.name}  {store.fetch(entry.name, progressbar=True)}")
    run.facts["files"] = [_describe(entry) for entry in wanted]


@weights.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@recorded
def verify(run: Run, names: tuple[str, ...]) -> None:
    """Hash the files; fails if one is damaged, or missing without being optional.

    \b
    Examples:
      duchenne weights verify
      duchenne weights verify face-mesh
    """
    wanted = [store.entry(name) for name in names] or list(store.entries())
    with run.stages("verify"):
        states = {entry.name: store.verify(entry.name) for entry in wanted}
    for name, state in states.items():
        run.say(f"{name}  {state}")
    run.facts["files"] = [{**_describe(entry), "state": states[entry.name]} for entry in wanted]
    needed = set(names) or {entry.name for entry in wanted if not entry.optional}
    bad = [
        f"{name} is {state}"
        for name, state in states.items()
        if state == "damaged" or (state == "missing" and name in needed)
    ]
    if bad:
        run.finish()  # the record says which, also when the command fails
        raise WeightsError(f"{', '.join(bad)}; `duchenne weights fetch NAME` gets a good copy")


def _describe(entry: WeightsFile) -> dict[str, Any]:
    path = store.find(entry.name)
    return {
        "name": entry.name,
        "title": entry.title,
        "used_by": entry.used_by,
        "path": None if path is None else str(path),
        "bytes": entry.size,
        "sha256": entry.sha256,
        "licence": entry.licence,
        "licence_note": entry.licence_note,
        "source": str(entry.source),
        "optional": entry.optional,
    }
