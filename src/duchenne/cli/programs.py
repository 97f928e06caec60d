"""`programs`: what was compiled on this machine and is kept."""

from __future__ import annotations

import click

from .run import Run, recorded


@click.group()
def programs() -> None:
    """The networks that were compiled on this machine and are kept for the next start.

    They hold nothing of any photo. A missing, damaged or outdated one is made again.

    \b
    Examples:
      duchenne programs list
      duchenne programs clear
    """


@programs.command("list")
@recorded
def list_programs(run: Run) -> None:
    """Every kept program with its size, and where they lie.

    \b
    Examples:
      duchenne programs list
    """
    from ..programs import kept

    sizes = {path: path.stat().st_size for path in kept.files()}
    run.facts["folder"], run.facts["most_bytes"] = str(kept.folder()), kept.MOST
    run.facts["files"] = [{"path": str(path), "bytes": size} for path, size in sizes.items()]
    for path, size in sizes.items():
        run.say(f"{path.name}  {size / 1e6:.1f} MB")
    run.say(
        f"{sum(sizes.values()) / 1e6:.1f} of at most {kept.MOST / 1e6:.0f} MB in {kept.folder()}"
    )


@programs.command()
@recorded
def clear(run: Run) -> None:
    """Remove them all; the next command compiles anew what it needs.

    \b
    Examples:
      duchenne programs clear
    """
    from ..programs import kept

    run.facts["removed"] = removed = kept.clear()
    run.say(f"{removed} removed from {kept.folder()}")
