"""Programs come in by a token: what is one, what it opens, and what else does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")

import tiny
from click.testing import CliRunner
from starlette.testclient import TestClient

from duchenne.cli import commands
from duchenne.encoding.settings import EncodeSettings
from duchenne.errors import InputError
from duchenne.web.app import create_app
from duchenne.web.guard import HEADER
from duchenne.web.settings import Access, require_safe

TOKEN = "kept-in-a-file-of-its-own"
SITE = "http://127.0.0.1:8460"
BEARER = {"authorization": f"Bearer {TOKEN}"}
ASK = {HEADER: "1"}


def client_of(access: Access) -> TestClient:
    app = create_app(tiny.TinyStudio(EncodeSettings(steps=1)), access, warm=False)
    return TestClient(app, base_url=SITE)


@pytest.fixture
def program() -> Iterator[TestClient]:
    with client_of(Access("0.0.0.0", password="open sesame", token=TOKEN)) as client:
        yield client


def test_the_token_opens_what_the_password_does(program: TestClient) -> None:
    assert program.get("/api/about").status_code == 401
    assert program.get("/api/about", headers=BEARER).status_code == 200
    assert program.post("/api/sample", json={"seed": 1}, headers=BEARER).status_code == 202
    assert program.get("/api/job", headers=BEARER).json()["kind"] == "sample"
    assert program.get("/api/job").status_code == 401  # the visitor's cookie alone is no pass
    assert program.post("/login", json={"password": TOKEN}, headers=ASK).status_code == 401
    said = program.post("/login", json={"password": "open sesame"}, headers=ASK)
    assert said.status_code == 200
    assert program.get("/api/about").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN,
        f"Bearer {TOKEN.upper()}", "Bearer open sesame", f"Basic {TOKEN}", f"Bearer \t{TOKEN}",
        f"Bearer {TOKEN} {TOKEN}", "Bearer " + "t" * 10_000, b"Bearer \xff\xe9",
        f"Bearer \xa0{TOKEN}".encode(),
    ],
)  # fmt: skip
def test_what_is_not_the_token(header: str | bytes, program: TestClient) -> None:
    for headers in ({"authorization": header}, {"authorization": header, **ASK}):
        answer = program.get("/api/about", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        answer = program.post("/api/sample", json={"seed": 1}, headers=headers)
        assert answer.status_code in (401, 403)
        assert TOKEN not in answer.text


def test_a_token_elsewhere_counts_for_nothing(program: TestClient) -> None:
    for query in ("token", "access_token", "authorization"):
        assert program.get(f"/api/about?{query}={TOKEN}").status_code == 401
    cookie = {"cookie": f"duchenne_pass={TOKEN}; authorization={TOKEN}"}
    assert program.get("/api/about", headers=cookie).status_code == 401
    twice = [("authorization", "Bearer wrong"), ("authorization", f"Bearer {TOKEN}")]
    assert program.get("/api/about", headers=twice).status_code == 401


def test_a_wrong_token_is_not_mended_by_a_cookie(program: TestClient) -> None:
    """So that a program whose token was changed hears of it."""
    program.post("/login", json={"password": "open sesame"}, headers=ASK)
    answer = program.get("/api/about", headers={"authorization": "Bearer another"})
    assert answer.json() == {"error": "that is not the server's token"}


def test_the_token_does_not_lift_the_rest_of_the_guard(program: TestClient) -> None:
    for headers, status in (
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
    ):
        answer = program.post("/api/sample", json={"seed": 1}, headers={**BEARER, **headers})
        assert answer.status_code == status


def test_where_nothing_is_needed_a_token_marks_a_program() -> None:
    """One client serves both: `x-duchenne-studio` is not needed beside it."""
    with client_of(Access()) as client:
        assert client.post("/api/random", json={}).status_code == 403
        assert client.post("/api/random", json={}, headers=BEARER).status_code == 200


def test_a_server_for_programs_alone() -> None:
    access = Access("0.0.0.0", token=TOKEN)
    require_safe(access, waived=False)
    with client_of(access) as client:
        for password in ("", TOKEN):
            answer = client.post("/login", json={"password": password}, headers=ASK)
            assert answer.status_code == 401
        assert client.get("/api/about", headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("short", "has 5 characters; expected 20 to 1000"),
        ("", "has 0 characters"),
        ("x" * 1001, "has 1001 characters"),
        ("gänseblümchen-und-rosen", "other characters than printable ASCII"),
        ("two words of a token here", "other characters"),
        ("two-lines-of-a-token\r\nx", "other characters"),
    ],
)
def test_what_cannot_be_a_token(token: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        require_safe(Access(token=token), waived=False)
    assert not token or token not in str(caught.value)
    assert not token or token not in repr(Access(token=token))


def test_the_command_reads_it_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("short\n")
    line = ["serve", "--port", "0", "--token-file", str(tmp_path / "token.txt")]
    done = CliRunner().invoke(commands, line)
    assert done.exit_code == 3
    assert "the token has 5 characters" in done.stderr
    done = CliRunner().invoke(commands, ["serve", "--token-file", "nowhere.txt"])
    assert "nowhere.txt: no such file; expected a text file with the token" in done.stderr
