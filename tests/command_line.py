"""The commands as the tests call them: in this process, and bugs are raised."""

from __future__ import annotations

from click.testing import CliRunner, Result

from duchenne.cli import commands


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(a) for a in arguments], catch_exceptions=False)


def done(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result
