"""What users of the library may rely on is written down: tests/public_api.txt, one thing a line.

A line that goes or changes breaks somebody's program: docs/releasing.md says how that is announced.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import duchenne

LINES = (Path(__file__).with_name("public_api.txt")).read_text(encoding="utf-8").splitlines()
PROMISED = [line for line in LINES if not line.startswith("#")]


def value_of(name: str) -> Any:
    owner, _, member = name.partition(".")
    value = getattr(duchenne, owner)
    if not member:
        return value
    if member in {
        field for kind in value.__mro__ for field in getattr(kind, "__annotations__", {})
    }:
        return None  # of every instance
    return inspect.getattr_static(value, member)


def broken(given: inspect.Signature, wanted: ast.arguments) -> list[str]:
    """Calls that are promised and would fail, or mean something else."""
    own = [p for p in given.parameters.values() if p.name not in ("self", "cls")]
    places = [p.name for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in own}
    needed = [p for p in own if p.kind is not p.VAR_KEYWORD and p.default is p.empty]
    required = {p.name for p in needed}
    names = [arg.arg for arg in wanted.args]
    told: dict[str, ast.expr | None] = dict.fromkeys([*names, *(a.arg for a in wanted.kwonlyargs)])
    told |= dict(zip(reversed(names), reversed(wanted.defaults), strict=False))
    told |= {a.arg: d for a, d in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True)}
    wrong = [] if places[: len(names)] == names else [f"places: {places}, not {names}"]
    if wanted.kwarg is not None:
        told[wanted.kwarg.arg] = None
    for name, default in told.items():
        if name not in defaults:
            wrong.append(f"{name} is gone")
        elif default is not None and name in required:
            wrong.append(f"{name} has no default")
        elif default is not None and not is_any(default):
            shown = repr(defaults[name])
            wrong += [] if shown == ast.unparse(default) else [f"{name} is {shown} by default"]
    return wrong + [f"{name} is needed" for name in required - set(told)]


def is_any(default: ast.expr) -> bool:
    return isinstance(default, ast.Constant) and default.value is ...


@pytest.mark.parametrize("line", PROMISED)
def test_a_promise_is_kept(line: str) -> None:
    name, call, _ = line.partition("(")
    value = value_of(name)
    if call:
        (function,) = ast.parse(f"def f{line[len(name) :]}: ...").body
        assert isinstance(function, ast.FunctionDef)
        assert broken(inspect.signature(value), function.args) == []


def test_every_public_name_has_a_line() -> None:
    named = {line.partition("(")[0].partition(".")[0] for line in PROMISED}
    assert named == set(duchenne.__all__) - {"__version__"}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("(a, b=1, *, c=2)", []),
        ("(a, b=1, d=3, *, c=2)", []),
        ("(a, b=2, *, c=2)", ["b is 2 by default"]),
        ("(a, b=1)", ["c is gone"]),
        ("(a, b=1, *, c=2, d)", ["d is needed"]),
        ("(a, b=1, *, c)", ["c has no default"]),
        ("(b=1, a=0, *, c=2)", ["places: ['b', 'a'], not ['a', 'b']"]),
    ],
)
def test_what_would_break_a_program(given: str, wrong: list[str]) -> None:
    scope: dict[str, Any] = {}
    exec(f"def f{given}: ...", scope)
    (promised,) = ast.parse("def f(a, b=1, *, c=...): ...").body
    assert isinstance(promised, ast.FunctionDef)
    assert broken(inspect.signature(scope["f"]), promised.args) == wrong
