"""docs/http.md and docs/openapi.yaml: every request is named, and the example works."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")

import tiny
from starlette.routing import Route

from duchenne.encoding.settings import EncodeSettings
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.web.app import create_app, listen
from duchenne.web.settings import Access

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"/", "/page/{name}"}  # what a browser shows; no interface


def test_every_request_is_in_the_specification() -> None:
    yaml = pytest.importorskip("yaml")
    app = create_app(tiny.TinyStudio(), Access(), warm=False)
    routes = {
        (method.lower(), route.path)
        for route in app.routes
        if isinstance(route, Route) and route.path not in PAGES
        for method in route.methods or ()
        if method != "HEAD"
    }
    told = yaml.safe_load((DOCS / "openapi.yaml").read_text())
    assert told["openapi"].startswith("3.")
    assert {(m, path) for path, methods in told["paths"].items() for m in methods} == routes


def test_the_example_edits_a_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    face = tiny.golden_face("astronaut")
    monkeypatch.setattr("duchenne.faces.landmarks.find_faces", lambda pixels: [face])
    tiny.see_golden(monkeypatch.setattr)
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / "http.md").read_text(), re.DOTALL)
    access = Access(port=0)
    studio = tiny.TinyStudio(EncodeSettings(steps=1))
    server, listening = listen(create_app(studio, access, warm=False), access)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        exec(example.replace(":8460", f":{listening.getsockname()[1]}"), {})
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
    assert read_synthetic_mark("smile.png") == SourceType.EDITED
