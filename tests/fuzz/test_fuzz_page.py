"""Requests to the page: any path, with any parameters, headers and content."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")

import tiny
from fuzzed import LONG, bounded, cases, changed, odd, odd_texts, short_texts, tables, wrong
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from test_fuzz_pictures import WHOLE
from test_fuzz_tables import KEYS, RECORDINGS

from duchenne.encoding.settings import EncodeSettings
from duchenne.web import app as studio_app
from duchenne.web.guard import HEADER
from duchenne.web.settings import Access, Limits

ALLOWED = (501, 503)  # what is not installed, and too many questions at once
LIMITS = Limits(photo_bytes=300_000, photo_pixels=400_000, film_frames=12)
QUESTIONS: dict[str, Any] = {
    "sample": {"seed": 1},
    "face": {"index": 0, "quality": "fast"},
    "preview": {"au": {"AU12": 0.5}, "size": 256, "paste": False, "before": False},
    "profile": {"au": {"AU12": 0.5}},
    "random": {"seed": 5},
    "recipe": {"au": {"AU12": 0.5, "AU6L": 1.0}, "paste": True},
    "picture": {"au": {"AU12": 0.5}, "format": "png", "longest": 0, "paste": False},
    "film": {
        "keys": [["AU12", 0, 0], ["AU12", 0.2, 1, "natural"]], "fps": "10", "format": "gif",
        "loop": 1, "ping_pong": False, "longest": 0,
    },
    "timeline/keys": {"keys": [["AU12", 0, 0], ["AU6L", 1, 1, "smooth"]], "fps": "24", "loop": 2},
    "job/cancel": {},
}  # fmt: skip
GETS = ("/", "/login", "/page/main.js", "/api/about", "/api/state", "/api/photo", "/api/job")
texts = odd_texts.filter(lambda text: "\ud800" not in text and len(text) < LONG) | short_texts


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    face = tiny.golden_face("astronaut")
    monkeypatch.setattr("duchenne.faces.landmarks.find_faces", lambda pixels: [face])
    tiny.see_golden(monkeypatch.setattr)
    studio = tiny.TinyStudio(EncodeSettings(steps=1))
    app = studio_app.create_app(studio, Access(), LIMITS, warm=False)
    with TestClient(app, base_url="http://127.0.0.1:8460", headers={HEADER: "1"}) as browser:
        sit(browser)
        yield browser


def sit(browser: TestClient) -> None:
    """A person is there."""
    browser.post("/api/sample", json={"seed": 1})
    settle(browser)


def settle(browser: TestClient) -> None:
    """The visitor's job has ended."""
    while browser.get("/api/job").json().get("state") in ("waiting", "running"):
        time.sleep(0.005)


def check(answer: Any) -> None:
    assert answer.status_code < 500 or answer.status_code in ALLOWED, answer.text
    if answer.status_code >= 400:
        assert len(answer.text) < 700  # a message of 500 and its names, as JSON


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode(errors="replace")


@cases(250)
@given(data=st.data())
def test_questions(data: st.DataObject, client: TestClient) -> None:
    path = data.draw(st.sampled_from(sorted(QUESTIONS)))
    content = as_json(data.draw(wrong(QUESTIONS[path]) if QUESTIONS[path] else odd))
    if data.draw(st.integers(0, 9)) == 0:
        content = data.draw(changed(content))
    with bounded():
        check(client.post(f"/api/{path}", content=content))
        settle(client)
    job = client.get("/api/job").json()
    assert len(job.get("message") or "") <= 500


@cases(80)
@given(data=st.data())
def test_motion_files(data: st.DataObject, client: TestClient) -> None:
    table = data.draw(st.sampled_from((KEYS, *RECORDINGS.values())))
    names = ("fps", "source_fps", "follow", "confidence", "name", "other")
    asked = data.draw(st.dictionaries(st.sampled_from(names), texts, max_size=3))
    content = data.draw(tables(*table))
    with bounded():
        check(client.post("/api/timeline/file", params=asked, content=content))


@cases(60)
@given(data=st.data())
def test_uploads(data: st.DataObject, client: TestClient) -> None:
    kind = data.draw(st.sampled_from(sorted(WHOLE)))
    content = data.draw(changed(WHOLE[kind]) | st.just(WHOLE[kind]))
    asked = data.draw(st.dictionaries(st.sampled_from(("name", "quality")), texts, max_size=2))
    with bounded():
        check(client.post("/api/photo", params=asked, content=content))
        settle(client)
    job = client.get("/api/job").json()
    assert len(job.get("message") or "") <= 500


@cases(80)
@given(data=st.data())
def test_other_requests(data: st.DataObject, client: TestClient) -> None:
    path = data.draw(
        st.sampled_from(GETS)
        | st.sampled_from(("/api/region/", "/api/file/", "/page/")).flatmap(
            lambda start: texts.map(lambda end: start + end.replace("?", "").replace("#", ""))
        )
    )
    name = st.sampled_from(("host", "origin", "cookie", "range", "accept", "content-type", "x-odd"))
    latin = texts.filter(lambda t: t.isascii() and t.isprintable())
    headers = data.draw(st.dictionaries(name, latin, max_size=2))
    method = data.draw(st.sampled_from(("GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")))
    try:
        answer = client.request(method, path, headers=headers)
    except Exception as error:
        if type(error).__module__.startswith("httpx"):  # the client itself refuses to ask that
            return
        raise
    check(answer)
