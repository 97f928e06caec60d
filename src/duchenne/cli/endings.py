"""`--expression`: where the face ends, rather than what is added to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from ..errors import NoFaceFound, WeightsError
from .run import Run

if TYPE_CHECKING:
    from ..animate import Subject

add_option: Callable[..., Any] = click.option(
    "--add",
    is_flag=True,
    help="Add --expression to what the face shows. Otherwise the face ends there: a smile that the "
    "expression has not is taken out, measured with the weights file face-landmarker-task.",
)


def ended(run: Run, subject: Subject, expression: facs.Descriptor) -> facs.Descriptor:
    """Offsets with which this face ends at an expression; itself, with a note, if it cannot be
    measured."""
    try:
        with run.stages("measure"):
            offsets = subject.ending(expression)
    except (NoFaceFound, WeightsError) as error:
        run.note(f"the expression is added to what the face shows, which is not measured: {error}")
        return expression
    run.facts.setdefault("ending", {})[str(subject.aligned.index if subject.aligned else 0)] = dict(
        offsets
    )
    taken = [f"{code} by {-value:.1f}" for code, value in offsets.items() if value <= -0.05]
    if taken:
        run.note(f"taken out of the face: {', '.join(taken)}")
    return offsets
