"""`weights`: list, fetch and verify the model files."""

from __future__ import annotations

from collections.abc import Sequence
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

    At the end it says which are missing, and what does not work without them.

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
    missing = [entry for entry in store.entries() if store.find(entry.name) is None]
    run.facts["missing"] = [entry.name for entry in missing]
    for entry in missing:
        run.say(f"missing: {entry.name}, for {entry.used_by}")
    run.say(_summary(missing))


@weights.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="The optional files too: for offline work.")
@recorded
def fetch(run: Run, names: tuple[str, ...], everything: bool) -> None:
    """Download what is missing or damaged; without NAME, all but the optional files.

    What cannot be had does not keep the others from being fetched. --all prepares a machine before
    it goes offline.

    \b
    Examples:
      duchenne weights fetch
      duchenne weights fetch face-mesh face-detector-short
    """
    if names and everything:
        raise click.UsageError("give names or --all, not both")
    wanted = [store.entry(name) for name in names]  # a wrong name is refused before any download
    wanted = wanted or [entry for entry in store.entries() if everything or not entry.optional]
    failed: dict[str, WeightsError] = {}
    with run.stages("fetch"):
        for entry in wanted:
            try:
                run.say(f"{entry.name}  {store.fetch(entry.name, progressbar=True)}")
            except WeightsError as error:
                failed[entry.name] = error
    run.facts["files"] = [_describe(entry) for entry in wanted]
    if not failed:
        return
    run.finish()  # the record says what came, also when the command fails
    *others, last = failed
    also = f" (nor could {', '.join(others)} be fetched)" if others else ""
    raise WeightsError(f"{failed[last]}{also}")


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


def _summary(missing: Sequence[WeightsFile]) -> str:
    """One line: whether anything is missing, and how to get it."""
    if not missing:
        return "nothing is missing: this machine can work offline"
    needed = any(not entry.optional for entry in missing)
    size = sum(entry.size for entry in missing) / 1e6
    plain = "`duchenne weights fetch` gets what animating a photo needs, " if needed else ""
    what = "file is" if len(missing) == 1 else "files are"
    return (
        f"{len(missing)} {what} missing ({size:.0f} MB); {plain}`duchenne weights fetch --all` "
        "everything"
    )


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
