"""The server answers as docs/openapi.yaml says, and version 1 of it stays what it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")
pytest.importorskip("yaml")

import tiny
import yaml
from starlette.testclient import TestClient

from duchenne.encoding.settings import EncodeSettings
from duchenne.web.app import create_app
from duchenne.web.guard import API_HEADER, API_VERSION, HEADER
from duchenne.web.settings import Access

SPEC = yaml.safe_load((Path(__file__).parents[1] / "docs" / "openapi.yaml").read_text())
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
    "number": (int, float), "null": type(None),
}  # fmt: skip
KEYS = [["AU12", 0, 0], ["AU12", 0.2, 1]]
TABLE = "au,time,value\nAU12,0,0\nAU12,1,1\n"

# What programs may rely on: a request's fields -> those of its answer, or of its job's result.
# While API_VERSION is 1 nothing is taken away here; what is new may be added.
PROMISED = {
    "get /api/about": "-> version units expressions film_formats picture_formats sizes "
    "preview_sizes qualities photo_bytes film_frames idle_minutes",
    "get /api/state": "-> sitter job recording",
    "post /api/photo": "-> sitter choose",
    "get /api/photo": "->",
    "post /api/face": "index quality -> sitter choose",
    "post /api/sample": "seed -> sitter choose",
    "get /api/job": "-> kind state stage done total left ahead message result",
    "post /api/job/cancel": "->",
    "post /api/preview": "au size paste before ->",
    "post /api/profile": "au -> rest now",
    "post /api/live": "-> au at_rest",
    "get /api/region/{zone}": "->",
    "post /api/random": "seed -> seed au",
    "post /api/recipe": "au paste -> command python",
    "post /api/picture": "au format paste longest -> file",
    "post /api/timeline/file": "-> kind rows faces notes frames seconds fps curves too_long",
    "post /api/timeline/keys": "keys recording fps ping_pong loop blink "
    "-> frames seconds fps curves too_long",
    "post /api/film": "keys recording fps ping_pong loop blink format paste longest "
    "-> file table frames width height bytes media_type",
    "get /api/file/{number}": "->",
    "post /api/leave": "->",
    "get /login": "->",
    "post /login": "password ->",
}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """One whose face is open, on the tiny generator."""
    tiny.see_golden(monkeypatch.setattr)
    app = create_app(tiny.TinyStudio(EncodeSettings(steps=1)), Access(), warm=False)
    with TestClient(app, base_url="http://127.0.0.1:8460", headers={HEADER: "1"}) as client:
        assert client.post("/api/sample", json={"seed": 7}).status_code == 202
        finished(client)
        yield client


def finished(client: TestClient) -> Any:
    """The result of the running job."""
    for _ in range(6000):  # a minute
        job = client.get("/api/job").json()
        if job["state"] not in ("waiting", "running"):
            assert job["state"] == "done", job
            return job["result"]
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def at(path: str, method: str) -> Any:
    return SPEC["paths"][path][method]


def opened(node: Any) -> Any:
    """A schema or response with what it refers to, parts of allOf joined."""
    while "$ref" in node:
        name = node["$ref"].removeprefix("#/components/").split("/")
        node = SPEC["components"][name[0]][name[1]]
    if "allOf" not in node:
        return node
    whole: dict[str, Any] = {"type": "object", "required": [], "properties": {}}
    for part in map(opened, node["allOf"]):
        whole["required"] += part.get("required", [])
        whole["properties"].update(part.get("properties", {}))
    return whole


def asked_of(path: str, method: str) -> Any:
    """The schema of a request's JSON; {} for another body, or none."""
    content = at(path, method).get("requestBody", {}).get("content", {})
    return opened(content["application/json"]["schema"]) if "application/json" in content else {}


def told_by(path: str, method: str) -> Any:
    """The schema of the answer's JSON; {} for other answers."""
    for status in ("200", "202"):
        answer = opened(at(path, method)["responses"].get(status, {}))
        if "application/json" in answer.get("content", {}):
            return opened(answer["content"]["application/json"]["schema"])
    return {}


def unlike(value: Any, schema: Any, where: str = "answer") -> list[str]:
    """Where a value is not as the schema says."""
    schema = opened(schema)
    if "anyOf" in schema:
        tried = [unlike(value, one, where) for one in schema["anyOf"]]
        return min(tried, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = [isinstance(value, TYPES[k]) and (k == "boolean") >= (value is True) for k in kinds]
    if kinds and not any(fits):
        return [f"{where}: {type(value).__name__}, not {kinds}"]
    wrong = []
    if isinstance(value, dict):
        wrong += [f"{where}.{n} is missing" for n in schema.get("required", []) if n not in value]
        for name, part in schema.get("properties", {}).items():
            wrong += unlike(value[name], part, f"{where}.{name}") if name in value else []
    for item in value if isinstance(value, list) and "items" in schema else []:
        wrong += unlike(item, schema["items"], f"{where}[]")
    return wrong


def test_version_one_has_what_it_had() -> None:
    assert SPEC["info"]["version"] == API_VERSION == "1"
    for request, fields in PROMISED.items():
        method, path = request.split()
        asked, told = (set(part.split()) for part in fields.split("->"))
        assert asked <= set(asked_of(path, method).get("properties", {})), request
        answer = told_by(path, method).get("properties", {})
        drawn = answer.get("result", {}).get("properties", {})
        assert told <= {*answer, *drawn}, request
    assert len(PROMISED) == sum(len(methods) for methods in SPEC["paths"].values())


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/sample", {"seed": 3}),
    ("/api/preview", {"au": {"AU12": 1}, "size": 256, "paste": False, "before": True}),
    ("/api/preview", {"size": 256}),
    ("/api/random", {"seed": 5}),
    ("/api/random", {}),
    ("/api/recipe", {"au": {"AU12": 0.5}, "paste": True}),
    ("/api/recipe", {}),
    ("/api/picture", {"au": {"AU12": 1}, "format": "png", "paste": False, "longest": 256}),
    ("/api/picture", {"format": "jpg"}),
    ("/api/timeline/keys", {"keys": KEYS, "fps": "10", "ping_pong": True, "loop": 2}),
    ("/api/film", {"keys": KEYS, "fps": "10", "format": "gif", "blink": False}),
]


def test_answers_are_as_they_are_described(program: TestClient) -> None:
    """Each request with all its fields and with the needed ones only; jobs with their results."""
    for path, fields in REQUESTS:
        assert set(fields) <= set(asked_of(path, "post")["properties"])
        assert unlike(fields, asked_of(path, "post"), path) == []
        answer = program.post(path, json=fields)
        assert str(answer.status_code) in at(path, "post")["responses"], answer.text
        if told := told_by(path, "post"):
            assert unlike(answer.json(), told, path) == []
        if answer.status_code == 202:
            result = finished(program)
            assert set(result) == set(result) & set(told["properties"]["result"]["properties"])
            assert unlike(result, told["properties"]["result"], path) == []
    read = program.post("/api/timeline/file?name=t.csv&fps=10", content=TABLE)
    assert unlike(read.json(), told_by("/api/timeline/file", "post")) == []
    for path in ("/api/about", "/api/state", "/api/job"):
        assert unlike(program.get(path).json(), told_by(path, "get"), path) == []


def test_every_field_is_checked(program: TestClient) -> None:
    """A field of another kind, or a needed one left out, is refused by its name."""
    for path, fields in dict(reversed(REQUESTS)).items():
        schema = asked_of(path, "post")
        for name in schema["properties"]:
            wrong, called = ("quick", "frame rate") if name == "fps" else (3.5, f"{name}: ")
            answer = program.post(path, json={**fields, name: wrong})
            assert answer.status_code == 422, (path, name, answer.text)
            assert answer.json()["error"].startswith(called), (path, name)
        for name in schema.get("required", []):
            left_out = {key: value for key, value in fields.items() if key != name}
            answer = program.post(path, json=left_out)
            assert answer.status_code == 422, (path, name)
            assert answer.json()["error"].startswith(f"{name}: "), (path, name)


def test_the_version_is_in_every_answer_and_can_be_asked_for(program: TestClient) -> None:
    for path in ("/", "/login", "/api/about", "/api/file/9", "/nowhere", "/page/main.js"):
        assert program.get(path).headers[API_HEADER] == API_VERSION
    assert program.get("/api/about", headers={API_HEADER: API_VERSION}).status_code == 200
    for other in ("2", "", "1.0", "one\xe9", "9" * 5000):
        answer = program.get("/api/about", headers={API_HEADER: other.encode("latin-1")})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"{API_HEADER}: this server speaks 1, not ")
        assert len(answer.json()["error"]) < 100
