"""The Dockerfile: what it copies is there, its commands and settings are real ones, so is its user.

No image is built here. docs/web.md says how its steps were run.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import tiny

from duchenne.cli import commands
from duchenne.weights import store

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMMENTS = [line for line in TEXT.splitlines() if line.startswith("#")]
JOINED = re.sub(r"\\\n\s*", "", "\n".join(s for s in TEXT.splitlines() if not s.startswith("#")))
STEPS = [line.split(None, 1) for line in JOINED.splitlines() if line.strip()]


def steps(word: str) -> list[str]:
    return [rest for step, rest in STEPS if step == word]


def parsed(words: list[str]) -> click.Context:
    """What a command line is understood as; fails for an option or a command that is not there."""
    context = click.Context(commands)
    command: click.Command = commands
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command.make_context(command.name, list(words))


def test_what_is_copied_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for copied in steps("COPY"):
        source, _ = copied.split()
        assert (ROOT / source).exists()
        assert source not in ignored
    assert {".git", ".venv", "out"} <= set(ignored)
    needed = ["pyproject.toml", "README.md", "LICENSE", "src"]  # by the wheel
    assert not set(needed) & set(ignored)


def test_its_commands_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (entry,), (default,) = map(json.loads, steps("ENTRYPOINT")), map(json.loads, steps("CMD"))
    assert entry == ["duchenne"]
    assert parsed(default).params["host"] == "0.0.0.0"
    runs = [part.strip() for run in steps("RUN") for part in run.split("&&")]
    fetched = [
        parsed(shlex.split(run.partition(" duchenne ")[2])) for run in runs if " fetch" in run
    ]
    assert len(fetched) == 2
    named = {name for context in fetched for name in context.params["names"]}
    assert named <= {entry.name for entry in store.entries()}
    shown = " ".join(line.lstrip("# ").rstrip("\\") for line in COMMENTS)
    (edit,) = re.findall(r"duchenne\s+(animate .*?mp4)", shown)
    assert parsed(shlex.split(edit)).params["expression"] == "happiness"


def test_its_settings_are_read_somewhere() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src" / "duchenne").rglob("*.py"))
    (settings,) = steps("ENV")
    names = [setting.partition("=")[0] for setting in settings.split()]
    assert names == ["DUCHENNE_WEIGHTS", "DUCHENNE_CACHE", "DUCHENNE_OFFLINE"]
    for name in [*names, *re.findall(r"-e (\w+)=", TEXT)]:
        assert f'"{name}"' in code


def test_it_runs_as_nobody_in_particular_with_nothing_of_its_own_to_write() -> None:
    order = [word for word, _ in STEPS]
    assert steps("USER") == ["10001"]
    assert "RUN" not in order[order.index("USER") :]  # what is installed is root's
    assert all("--read-only --tmpfs /tmp" in line for line in COMMENTS if "docker run" in line)
    assert "DUCHENNE_CACHE=/tmp/duchenne " in JOINED


def test_its_health_is_asked_where_everybody_may() -> None:
    pytest.importorskip("starlette", reason="the web page's packages are not installed")
    pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")
    from starlette.testclient import TestClient

    from duchenne.web.app import create_app
    from duchenne.web.settings import Access

    (health,) = steps("HEALTHCHECK")
    (url,) = re.findall(r"http://[\w.:/]+", health)
    access = Access("0.0.0.0", password="open sesame")
    assert url == f"http://127.0.0.1:{access.port}/login"
    assert steps("EXPOSE") == [str(access.port)]
    app = create_app(tiny.TinyStudio(), access, warm=False)
    with TestClient(app, base_url=url.removesuffix("/login")) as client:
        assert client.get("/login").status_code == 200
