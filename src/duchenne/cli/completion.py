"""What a shell offers for values: files where a file goes, names where a name goes.

click completes commands and options, and offers nothing for a text, not even files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import click
from click.shell_completion import CompletionItem

from .. import facs
from ..weights import store

VARIABLE = "_DUCHENNE_COMPLETE"  # set by the shell when it asks
FOLDERS = ("FOLDER", "SET", "INPUTS")  # what stands for a path in the help
FILES = ("FILE", "INPUT", "FACE", "DESIGN", "PATH", "PLACE", "RESPONSES...")


class Offered(click.types.StringParamType):
    """A text, for which a shell is offered names that begin as it does, or files."""

    def __init__(self, kind: str, names: Iterable[str] = ()) -> None:
        self.kind, self.names = kind, tuple(names)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if self.kind != "plain":
            return [CompletionItem(incomplete, type=self.kind)]
        before, comma, begun = incomplete.rpartition(",")  # of a list
        found = [name for name in self.names if name.lower().startswith(begun.lower())]
        return [CompletionItem(f"{before}{comma}{name}") for name in found]


def offer_values(command: click.Command) -> None:
    """Completes the values of a command and of all below it. It is only asked for by a shell."""
    if VARIABLE not in os.environ:
        return
    for param in command.params:
        if type(param.type) is click.types.StringParamType:
            param.type = _offer(param)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            offer_values(below)


def _offer(param: click.Parameter) -> click.types.StringParamType:
    shown = param.metavar
    names = _names().get(param.name or "", ())
    if names:
        return Offered("plain", names)
    if shown in FOLDERS:
        return Offered("dir")
    if shown in FILES or (shown is None and isinstance(param, click.Argument)):
        return Offered("file")
    return click.types.StringParamType()


def _names() -> Mapping[str, Iterable[str]]:
    """By the name of a parameter."""
    from ..motion.easing import EASINGS

    return {
        "au": facs.CODES,
        "target": facs.CODES,
        "units": facs.CODES,
        "expression": (*facs.EXPRESSIONS, *facs.VARIANTS),
        "easing": tuple(EASINGS),
        "names": tuple(entry.name for entry in store.entries()),
    }
