"""Numbers of the command line: the strict form of `reading.numbers`, refused in one line."""

from __future__ import annotations

import click

from ..errors import InputError
from ..reading import numbers


class Whole(click.ParamType):  # type: ignore[type-arg]
    """A whole number. low, high: its bounds, both included; otherwise the command has its own."""

    name = "integer"

    def __init__(self, low: int = -numbers.MOST_WHOLE, high: int = numbers.MOST_WHOLE) -> None:
        self.low, self.high = low, high

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        option = _option(param)
        try:
            return numbers.whole(option, value, self.low, self.high)
        except InputError as error:
            raise click.UsageError(str(error), ctx) from None


class Decimal(click.ParamType):  # type: ignore[type-arg]
    """A number. low, high: its bounds, both included; None where the command has its own."""

    name = "number"

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        assert (low is None) == (high is None)
        self.bounds = None if low is None or high is None else (low, high)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        option = _option(param)
        try:
            if self.bounds is not None:
                return numbers.number(option, value, *self.bounds)
            return numbers.decimal(value)
        except InputError as error:
            raise click.UsageError(str(error), ctx) from None
        except ValueError:
            raise click.UsageError(numbers.no_number(option, value), ctx) from None


def _option(param: click.Parameter | None) -> str:
    """How a user writes it."""
    return max(param.opts, key=len) if param is not None else "the number"
