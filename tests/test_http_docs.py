"""docs/http.md and docs/openapi.yaml: every request is named, and the example works."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")

import tiny
from starlette.routing import Route

from duchenne.encoding.settings import EncodeSettings
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.web.app import create_app, listen
from duchenne.web.guard import PASS_COOKIE
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

    assert told["components"]["securitySchemes"]["password"]["name"] == PASS_COOKIE


TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def port(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server that asks programs for a token, on the tiny generator."""
    face = tiny.golden_face("astronaut")
    monkeypatch.setattr("duchenne.faces.landmarks.find_faces", lambda pixels: [face])
    tiny.see_golden(monkeypatch.setattr)
    monkeypatch.setenv("DUCHENNE_STUDIO_TOKEN", TOKEN)
    access = Access(port=0, token=TOKEN)
    studio = tiny.TinyStudio(EncodeSettings(steps=1))
    server, listening = listen(create_app(studio, access, warm=False), access)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def example(language: str, port: int) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / "http.md").read_text(), re.DOTALL)
    (text,) = found
    return str(text).replace(":8460", f":{port}")


def test_the_example_in_python_edits_a_photo(port: int) -> None:
    exec(example("python", port), {})
    assert read_synthetic_mark("smile.png") == SourceType.EDITED


def test_the_example_with_curl_edits_a_photo(port: int) -> None:
    if not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("bash and curl are not installed")
    script = "set -eu -o pipefail\n" + example("bash", port)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert read_synthetic_mark("smile.png") == SourceType.EDITED
    assert '"state":"done"' in done.stdout
