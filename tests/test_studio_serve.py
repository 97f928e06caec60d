"""The command `duchenne serve`, and the parts of the page that need no server."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

import duchenne
from duchenne import facs
from duchenne.cli import commands
from duchenne.cli.serve import _secret, serve
from duchenne.errors import InputError
from duchenne.web import recipe, suggest
from duchenne.web.settings import PORT, Access, is_loopback, require_safe

PROGRAM = [sys.executable, "-c", "from duchenne.cli import main; main()"]


def test_it_serves_until_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the web page's packages are not installed")
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "DUCHENNE_OFFLINE": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}api/about", timeout=60) as answer:
                assert len(json.load(answer)["units"]) == len(facs.CODES)
            assert list(tmp_path.glob("duchenne-studio-*"))
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert not list(tmp_path.glob("duchenne-studio-*"))


def test_what_a_killed_server_left_is_deleted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = pytest.importorskip("duchenne.web.visitors")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    living, killed, fresh = (visitors.Visitors(3, 60) for _ in range(3))
    for server in (living, killed, fresh):
        _, visitor = server.enter()
        (visitor.folder / "portrait.jpg").touch()
    os.close(killed._held)
    os.close(fresh._held)
    for server in (living, killed):
        os.utime(server.root, (0, 0))
    visitors.Visitors(3, 60).close()
    assert living.root.is_dir()
    assert fresh.root.is_dir()
    assert not killed.root.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_others_need_a_password(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUCHENNE_STUDIO_PASSWORD", raising=False)
    result = CliRunner().invoke(commands, ["serve", "--host", host])
    assert result.exit_code == 3
    assert "set a password" in result.stderr
    require_safe(Access(host, password="x"), waived=False)
    require_safe(Access(host), waived=True)


def test_an_empty_password_is_none() -> None:
    with pytest.raises(InputError, match="password is empty"):
        require_safe(Access("0.0.0.0", password=""), waived=False)


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_password_file_comes_as_editors_save_it(code: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes("gänseblümchen\r\n".encode(code))
    assert _secret(str(tmp_path / "secret.txt"), "", "") == "gänseblümchen"


def test_a_missing_password_file_is_named() -> None:
    result = CliRunner().invoke(commands, ["serve", "--password-file", "nowhere.txt"])
    assert result.exit_code == 3
    assert "nowhere.txt: no such file; expected a text file with the password" in result.stderr


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("faces.lab", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_help_states_the_defaults() -> None:
    text = " ".join(CliRunner().invoke(serve, ["--help"]).stdout.split())
    assert f"{PORT} by default" in text
    assert f"{Access().host} by default" in text


def test_the_password_is_in_no_message() -> None:
    assert "hush" not in repr(Access(password="hush"))


def test_openvino_reports_nothing() -> None:
    code = (
        "import sys; import duchenne;"
        "import openvino.tools.ovc.telemetry_utils as t; print(t.tm.__name__)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"openvino.tools.ovc.telemetry_stub"


def test_suggestions_are_plausible() -> None:
    seen = [suggest.plausible(seed) for seed in range(300)]
    assert suggest.plausible(5) == seen[5]
    assert len({json.dumps(dict(found)) for found in seen}) > 290
    for found in seen:
        assert found == facs.check(found)
        assert all(value >= suggest.FAINTEST for value in found.values())
        whole = {facs.split_side(code)[0] for code in found}
        assert not any(whole & {*facs.UNITS[code].opposes} for code in whole)


@pytest.mark.parametrize(
    ("origin", "descriptor", "paste"),
    [
        (recipe.Origin("my photo.jpg", 1), {"AU12": 0.8, "AU6L": 0.5}, True),
        (recipe.Origin("it's; rm -rf.png"), {"AU1": 1.0}, False),
        (recipe.Origin("-x.jpg", steps=9), {"AU1": 1.0}, False),
        (recipe.Origin("photo.jpg"), {}, True),
        (recipe.Origin("photo.jpg", quality="fast"), {}, True),
        (recipe.Origin("photo.jpg", quality="high"), {"AU4": 1.0}, True),
        (recipe.Origin(seed=7), {"AU12": 0.25}, False),
        (recipe.Origin(seed=7), {}, False),
    ],
)
def test_recipes_are_accepted(
    origin: recipe.Origin, descriptor: dict[str, float], paste: bool
) -> None:
    for line in recipe.command_line(origin, descriptor, paste=paste).splitlines():
        program, name, *arguments = shlex.split(line)
        assert program == "duchenne"
        context = commands.commands[name].make_context(name, arguments)
        if name == "edit":
            assert facs.parse(context.params["au"]) == descriptor
    program = recipe.python_code(origin, descriptor, paste=paste)
    compile(program, "recipe", "exec")
    assert "from" not in program
    assert set(re.findall(r"duchenne\.(\w+)", program)) <= set(duchenne.__all__)
