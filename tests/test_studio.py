"""The web page over HTTP, on the tiny generator: what it answers, and what it refuses."""

from __future__ import annotations

import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")

import tiny
from starlette.testclient import TestClient

from duchenne import facs
from duchenne.encoding.cache import EncodeCache
from duchenne.encoding.settings import EncodeSettings
from duchenne.errors import NEEDS_TORCH
from duchenne.faces.following import Found
from duchenne.files import films
from duchenne.files.film_formats import FORMATS
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.measuring import live
from duchenne.web import app as studio_app
from duchenne.web.guard import HEADER, PASS_COOKIE
from duchenne.web.routes import COOKIE
from duchenne.web.service import Service
from duchenne.web.settings import Access, Limits

ASK = {HEADER: "1"}
LIMITS = Limits(photo_bytes=300_000, photo_pixels=400_000, visitors=4, film_frames=60)


def open_studio(**options: Any) -> TestClient:
    """A browser without cookies before a studio of its own."""
    access = options.pop("access", Access())
    studio = options.pop("studio", None) or tiny.TinyStudio(EncodeSettings(steps=3))
    limits = options.pop("limits", LIMITS)
    application = studio_app.create_app(studio, access, limits, warm=False, **options)
    return TestClient(application, base_url="http://127.0.0.1:8460", headers=ASK)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    golden(monkeypatch)
    with open_studio() as client:
        yield client


def golden(monkeypatch: pytest.MonkeyPatch, faces: int = 1) -> None:
    """The astronaut's face is found without the detector's weights."""
    face = tiny.golden_face("astronaut")
    monkeypatch.setattr("duchenne.faces.landmarks.find_faces", lambda pixels: [face] * faces)
    tiny.see_golden(monkeypatch.setattr)


def jpeg(pixels: np.ndarray, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def wait(client: TestClient) -> dict[str, Any]:
    """The visitor's job when it has ended."""
    for _ in range(600):
        job: dict[str, Any] = client.get("/api/job").json()
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job does not end: {job}")


def done(client: TestClient, path: str, **content: Any) -> dict[str, Any]:
    """The result of a job that is asked for with JSON."""
    answer = client.post(path, json=content)
    assert answer.status_code == 202, answer.text
    job = wait(client)
    assert job["state"] == "done", job
    result: dict[str, Any] = job["result"]
    return result


def upload(client: TestClient, content: bytes, name: str = "photo.jpg") -> dict[str, Any]:
    answer = client.post("/api/photo", params={"name": name}, content=content)
    assert answer.status_code == 202, answer.text
    return wait(client)


def preview(client: TestClient, size: int = 256, **content: Any) -> np.ndarray:
    answer = client.post("/api/preview", json={"size": size, **content})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def mouth_of(picture: np.ndarray) -> float:
    """Mean grey level about the mouth of a tiny picture."""
    return float(picture[76:108, 44:84].mean())


def files_of(client: TestClient) -> list[Path]:
    root: Path = client.app.state.visitors.root  # type: ignore[attr-defined]
    return [path for path in root.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- the page


def test_the_page_and_its_parts_come_from_here_alone(browser: TestClient) -> None:
    page = browser.get("/")
    assert page.status_code == 200
    parts = re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text)
    assert {"/page/main.js", "/page/studio.css", "/page/icon.svg"} <= set(parts)
    seen = [page.text]
    for part in {*parts, "/page/login.js"}:
        answer = browser.get(part)
        assert answer.status_code == 200
        seen.append(answer.text)
    for name in re.findall(r'from "\./([^"]+)"', "\n".join(seen)):
        assert browser.get(f"/page/{name}").headers["content-type"].startswith("text/javascript")
    addresses = set(re.findall(r"https?://[\w./-]+", "\n".join(seen)))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, which nobody fetches


def test_every_answer_carries_the_policy(browser: TestClient) -> None:
    for path in ("/", "/page/main.js", "/api/about", "/nowhere"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_the_page_has_no_inline_script_or_style(browser: TestClient) -> None:
    for path in ("/", "/login"):
        text = browser.get(path).text
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", text)


def test_about_is_the_librarys(browser: TestClient) -> None:
    about = browser.get("/api/about").json()
    assert [unit["code"] for unit in about["units"]] == list(facs.CODES)
    assert about["expressions"] == {name: dict(d) for name, d in facs.EXPRESSIONS.items()}
    assert about["variants"] == {name: dict(d) for name, d in facs.VARIANTS.items()}
    assert set(about["film_formats"]) == {suffix[1:] for suffix in FORMATS} | {"frames"}


def test_what_the_boundaries_lack_is_not_offered() -> None:
    """Neither as a slider nor within an expression, which would not be what its name says."""
    lacking = ("AU16", "AU20")
    given = tiny.boundaries(tiny.GENERATOR)
    normals = given.normals.copy()
    normals[[facs.INDEX[code] for code in lacking]] = 0
    studio = tiny.TinyStudio()
    studio._boundaries = replace(given, normals=normals)
    with open_studio(studio=studio) as client:
        about = client.get("/api/about").json()
        assert [u["code"] for u in about["units"]] == [c for c in facs.CODES if c not in lacking]
        assert set(facs.EXPRESSIONS) - set(about["expressions"]) == {"fear"}
        assert set(facs.VARIANTS) - set(about["variants"]) == {"disgust/open"}
        for seed in range(40):
            suggested = client.post("/api/random", json={"seed": seed}).json()["au"]
            assert not {facs.split_side(key)[0] for key in suggested} & set(lacking)


# ---------------------------------------------------------------- a face


def test_a_photo_becomes_a_face(browser: TestClient, astronaut: np.ndarray) -> None:
    job = upload(browser, jpeg(astronaut), "Eileen.jpg")
    assert job["state"] == "done", job
    assert job["result"]["sitter"]["name"] == "Eileen.jpg"
    assert browser.get("/api/state").json()["sitter"] == job["result"]["sitter"]


def test_of_several_faces_one_is_chosen(
    monkeypatch: pytest.MonkeyPatch, astronaut: np.ndarray
) -> None:
    golden(monkeypatch, faces=2)
    with open_studio() as client:
        boxes = upload(client, jpeg(astronaut))["result"]["choose"]
        assert len(boxes) == 2
        assert all(0 < box[side] < 1 for box in boxes for side in box)
        shown = Image.open(io.BytesIO(client.get("/api/photo").content))
        assert shown.size == astronaut.shape[1::-1]
        assert client.post("/api/preview", json={"size": 256}).status_code == 409
        assert done(client, "/api/face", index=1)["sitter"]["photo"] is True
        made = client.post("/api/recipe", json={"au": {"AU12": 0.5}}).json()
        assert "--face 1" in made["command"]
        client.post("/api/face", json={"index": 2})
        assert "no face number 2" in wait(client)["message"]


def test_the_code_of_a_photo_is_kept(browser: TestClient, astronaut: np.ndarray) -> None:
    service = browser.app.state.service  # type: ignore[attr-defined]
    upload(browser, jpeg(astronaut))
    codes = list(service.studio.cache.folder.iterdir())
    assert len(codes) == 1
    calls = []
    service.studio.inversion.encode = lambda *a, **k: calls.append(a)
    assert upload(browser, jpeg(astronaut))["state"] == "done"
    assert not calls


def test_strangers_codes_are_not_kept(tmp_path: Path) -> None:
    application = studio_app.create_app(access=Access("0.0.0.0", password="x"), warm=False)
    cache = application.state.service.studio.cache
    assert application.state.visitors.root in cache.folder.parents
    own = studio_app.create_app(warm=False)
    assert own.state.service.studio.cache.folder == EncodeCache().folder
    for made in (application, own):
        made.state.visitors.close()


def test_a_person_by_seed_follows_the_sliders(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    rest = preview(browser, 256)
    smile = preview(browser, 256, au={"AU12": 1.0})
    assert rest.shape == (128, 128, 3)  # the tiny generator's own size: nothing is enlarged
    changed = np.abs(smile.astype(int) - rest).max(axis=2) > 0
    masks = tiny.golden_regions(np.zeros((128, 128, 3), np.uint8))
    mouth = np.zeros(8, bool)
    mouth[6:] = True
    reached = masks.blend(mouth, 128) > 0
    blocks = reached.reshape(16, 8, 16, 8).any(axis=(1, 3)).repeat(8, 0).repeat(8, 1)
    assert changed.any()
    assert not changed[~blocks].any()  # a JPEG's blocks do not know one another
    again = preview(browser, 256)
    np.testing.assert_array_equal(again, rest)


def test_sides_differ(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    rest = preview(browser)
    left, right = (preview(browser, au={f"AU12{side}": 1.0}) for side in "LR")
    centres = [np.nonzero((side != rest).any(axis=2))[1].mean() for side in (left, right)]
    assert centres[1] < centres[0]


def test_previews_are_marked(browser: TestClient, tmp_path: Path, astronaut: np.ndarray) -> None:
    upload(browser, jpeg(astronaut))
    for paste in (False, True, None):
        mark = SourceType.EDITED
        if paste is None:  # a face without a photo
            done(browser, "/api/sample", seed=1)
            paste, mark = False, SourceType.GENERATED
        answer = browser.post("/api/preview", json={"size": 256, "au": {"AU12": 1}, "paste": paste})
        (tmp_path / "shown.jpg").write_bytes(answer.content)
        assert read_synthetic_mark(tmp_path / "shown.jpg") == mark


def test_the_regions_are_the_librarys(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=1)
    answer = browser.get("/api/region/mouth")
    alpha = np.asarray(Image.open(io.BytesIO(answer.content)))[..., 3]
    masks = tiny.golden_regions(np.zeros((128, 128, 3), np.uint8)).masks
    np.testing.assert_allclose(alpha / 255, masks[6:].sum(axis=0).clip(0, 1), atol=1 / 255)
    assert browser.get("/api/region/ears").status_code == 422


def test_without_the_scorer_the_page_says_so(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=1)
    reason = browser.get("/api/about").json()["cannot_measure"]
    assert "face-landmarker-task" in reason
    answer = browser.post("/api/profile", json={"au": {}})
    assert (answer.status_code, answer.json()["error"]) == (501, reason)


def test_the_measured_profile(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scorer that measures brightness stands in: what is tested is whose picture it gets."""
    service = "duchenne.web.service.Service.can_measure"
    monkeypatch.setattr(service, None)
    monkeypatch.setattr(
        "duchenne.animate.Subject.measure",
        lambda self, frame: np.full(len(facs.CODES), mouth_of(frame)),
    )
    done(browser, "/api/sample", seed=1)
    found = browser.post("/api/profile", json={"au": {"AU12": 1.0}}).json()
    assert list(found["rest"]) == list(found["now"]) == list(facs.CODES)
    assert found["rest"] != found["now"]
    rest, smile = preview(browser), preview(browser, au={"AU12": 1})
    assert found["rest"]["AU1"] == pytest.approx(mouth_of(rest), abs=2)
    assert found["now"]["AU1"] == pytest.approx(mouth_of(smile), abs=2)


def test_a_newer_preview_wins(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=1)
    service = browser.app.state.service  # type: ignore[attr-defined]
    answers: list[int] = []

    def ask(value: float) -> None:
        answers.append(
            browser.post("/api/preview", json={"size": 256, "au": {"AU12": value}}).status_code
        )

    with service._turn:  # somebody else's turn
        threads = [threading.Thread(target=ask, args=(value,)) for value in (0.2, 0.4, 0.6)]
        for thread in threads:
            thread.start()
            time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 204, 204]


# ---------------------------------------------------------------- results


@pytest.mark.parametrize("form", ["png", "jpg", "webp"])
def test_a_picture_is_downloaded(browser: TestClient, form: str, tmp_path: Path) -> None:
    done(browser, "/api/sample", seed=7)
    asked = {"au": {"AU12": 0.8}, "format": form, "longest": 0}
    number = done(browser, "/api/picture", **asked)["file"]
    answer = browser.get(f"/api/file/{number}")
    assert f'filename="person_7_synthetic.{form}"' in answer.headers["content-disposition"]
    path = tmp_path / f"got.{form}"
    path.write_bytes(answer.content)
    assert read_synthetic_mark(path) == SourceType.GENERATED
    if form == "png":
        studio = tiny.TinyStudio()
        expected = studio.sample(7).edit({"AU12": 0.8})
        np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)


KEYS = [["AU12", 0, 0, "linear"], ["AU12", 0.2, 1, "smooth"], ["AU6L", 0.4, 0.5, "linear"]]


@pytest.mark.parametrize("form", [suffix[1:] for suffix in FORMATS])
def test_a_film_in_every_format(browser: TestClient, form: str, tmp_path: Path) -> None:
    done(browser, "/api/sample", seed=7)
    result = done(browser, "/api/film", keys=KEYS, fps="10", format=form, longest=0)
    assert (result["frames"], result["width"], result["height"]) == (5, 128, 128)
    path = tmp_path / f"film.{form}"
    path.write_bytes(browser.get(f"/api/file/{result['file']}").content)
    assert read_synthetic_mark(path) == SourceType.GENERATED
    if form != "webp":  # FFmpeg writes that one and cannot read it
        frames = list(films.read_video(path))
        assert len(frames) == 5
    table = browser.get(f"/api/file/{result['table']}").text.splitlines()
    assert len(table) == 6
    last = dict(zip(table[0].split(","), table[-1].split(","), strict=True))
    assert float(last["AU12"]) == 1.0
    assert float(last["AU6"]) == 0.25  # one side counts half
    assert (float(last["AU6L"]), float(last["AU6R"])) == (0.5, 0.0)


def test_a_film_as_frames(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    result = done(browser, "/api/film", keys=KEYS, fps="10", format="frames", longest=0)
    with zipfile.ZipFile(io.BytesIO(browser.get(f"/api/file/{result['file']}").content)) as archive:
        assert len(archive.namelist()) == 5


def test_a_film_pasted_back_has_the_photos_size(
    browser: TestClient, astronaut: np.ndarray, tmp_path: Path
) -> None:
    upload(browser, jpeg(astronaut))
    result = done(
        browser, "/api/film", keys=KEYS[:2], fps="10", format="mp4", longest=0, paste=True
    )
    assert (result["width"], result["height"]) == (512, 512)
    path = tmp_path / "film.mp4"
    path.write_bytes(browser.get(f"/api/file/{result['file']}").content)
    assert read_synthetic_mark(path) == SourceType.EDITED
    small = done(
        browser, "/api/film", keys=KEYS[:2], fps="10", format="mp4", longest=256, paste=True
    )
    assert (small["width"], small["height"]) == (256, 256)


def test_a_recording_drives_the_face(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    rows = "".join(f"{i + 1}, {i / 10:.1f}, 0.98, 1, {i / 2:.1f}\n" for i in range(5))
    content = f"frame, timestamp, confidence, success, AU12_r\n{rows}".encode()
    params = {"name": "openface.csv", "fps": "10"}
    told = browser.post("/api/timeline/file", params=params, content=content).json()
    assert (told["kind"], told["frames"], told["rows"]) == ("recording", 5, [])
    result = done(browser, "/api/film", recording=True, fps="10", format="gif", longest=0)
    assert result["frames"] == 5


def test_keyframes_come_back_as_rows(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    content = b"au,time,value,easing\nAU12,0,0,\nAU12,0.5,1,smooth\n"
    told = browser.post("/api/timeline/file", params={"fps": "10"}, content=content).json()
    assert told["kind"] == "keyframes"
    assert told["rows"] == [["AU12", 0.0, 0.0, "linear"], ["AU12", 0.5, 1.0, "smooth"]]
    assert told["frames"] == 6
    assert told["curves"]["AU12"][-1] == 1.0


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "no keys yet"),
        ([["AU12", 0, 2, "linear"]], "between 0 and 1"),
        ([["AU12", 0, 0, "linear"], ["AU99", 1, 1, "linear"]], "line 3: unknown Action Unit"),
        ([["AU12", 0, 0, "linear"], ["AU12", 0, 1, "linear"]], "must come after"),
        ([["AU12", 0, 1, "bouncy"]], "unknown easing"),
        ([["AU12"]], "line 2"),
        ([["AU12", 1e9, 1, "linear"]], "seconds"),
    ],
)
def test_wrong_keys_are_explained(browser: TestClient, keys: list[Any], says: str) -> None:
    done(browser, "/api/sample", seed=7)
    answer = browser.post("/api/timeline/keys", json={"keys": keys})
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert "/" not in answer.json()["error"]


def test_a_film_has_an_end(browser: TestClient) -> None:
    done(browser, "/api/sample", seed=7)
    asked = {"keys": [["AU12", 100, 1, "linear"]], "fps": "24", "format": "mp4"}
    answer = browser.post("/api/film", json=asked)
    assert answer.status_code == 422
    assert "at most 60" in answer.json()["error"]


def test_the_oldest_results_go(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(files=2)
    tiny.see_golden(monkeypatch.setattr)
    with open_studio(limits=limits) as client:
        done(client, "/api/sample", seed=7)
        numbers = [done(client, "/api/picture", format="jpg")["file"] for _ in range(3)]
        status = [client.get(f"/api/file/{number}").status_code for number in numbers]
        assert status == [404, 200, 200]
        assert len(files_of(client)) == 2


# ---------------------------------------------------------------- one job at a time


def test_one_job_at_a_time_and_it_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch, astronaut: np.ndarray
) -> None:
    golden(monkeypatch)
    studio = tiny.TinyStudio(EncodeSettings(steps=10_000))
    with open_studio(studio=studio) as client:
        check_the_queue(client, jpeg(astronaut))


def check_the_queue(browser: TestClient, photo: bytes) -> None:
    def slow(face: np.ndarray, *, progress: Any) -> None:
        for step in range(10_000):
            time.sleep(0.02)
            progress(step + 1, 10_000, 0.5)

    browser.app.state.service.studio.inversion.encode = slow  # type: ignore[attr-defined]
    browser.post("/api/photo", content=photo)
    while browser.get("/api/job").json()["done"] < 3:
        time.sleep(0.02)
    job = browser.get("/api/job").json()
    assert job["stage"] == "finding the face's code"
    assert job["left"] > 0
    refused = browser.post("/api/sample", json={"seed": 1})
    assert refused.status_code == 429
    assert "one job at a time" in refused.json()["error"]
    other = TestClient(browser.app, base_url=str(browser.base_url), headers=ASK)
    assert other.post("/api/sample", json={"seed": 1}).json()["ahead"] == 1
    assert other.get("/api/job").json()["state"] == "waiting"
    browser.post("/api/job/cancel")
    assert wait(browser)["state"] == "cancelled"
    assert wait(other)["state"] == "done"


# ---------------------------------------------------------------- visitors


def test_visitors_see_their_own_pictures_only(browser: TestClient) -> None:
    other = TestClient(browser.app, base_url=str(browser.base_url), headers=ASK)
    done(browser, "/api/sample", seed=1)
    done(other, "/api/sample", seed=2)
    number = done(browser, "/api/picture", format="png")["file"]
    assert browser.get(f"/api/file/{number}").status_code == 200
    assert other.get(f"/api/file/{number}").status_code == 404
    assert not np.array_equal(preview(browser), preview(other))
    stranger = TestClient(browser.app, base_url=str(browser.base_url), headers=ASK)
    assert stranger.get(f"/api/file/{number}").status_code == 410
    assert stranger.get("/api/state").json() == {}
    assert stranger.post("/api/preview", json={"size": 256}).status_code == 410


@pytest.mark.slow
def test_eight_visitors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees the face of their own seed, although only three faces are kept open."""
    golden(monkeypatch)
    studio = tiny.TinyStudio()
    expected = {seed: studio.sample(seed).scene.base for seed in range(8)}
    errors: list[str] = []
    with open_studio(limits=Limits(), studio=studio) as first:
        service = first.app.state.service  # type: ignore[attr-defined]

        def visit(seed: int) -> None:
            client = TestClient(first.app, base_url=str(first.base_url), headers=ASK)
            done(client, "/api/sample", seed=seed)
            for _ in range(3):
                number = done(client, "/api/picture", format="png", longest=0)["file"]
                got = Image.open(io.BytesIO(client.get(f"/api/file/{number}").content))
                if not np.array_equal(np.asarray(got), expected[seed]):
                    errors.append(f"seed {seed}")
                preview(client, 256, au={"AU12": 0.5})

        threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(service._open) <= Limits().open_faces


def test_leaving_deletes_everything(browser: TestClient, astronaut: np.ndarray) -> None:
    upload(browser, jpeg(astronaut))
    done(browser, "/api/picture", format="png")
    assert len(files_of(browser)) == 3  # the photo, its small copy, the result
    browser.post("/api/leave")
    assert not files_of(browser)
    assert browser.get("/api/job").status_code == 410


def test_a_new_photo_replaces_the_old_one(browser: TestClient, astronaut: np.ndarray) -> None:
    for _ in range(3):
        assert upload(browser, jpeg(astronaut))["state"] == "done"
    assert len(files_of(browser)) <= 3


def test_idle_visitors_are_let_go(browser: TestClient, astronaut: np.ndarray) -> None:
    upload(browser, jpeg(astronaut))
    visitors = browser.app.state.visitors  # type: ignore[attr-defined]
    assert visitors.sweep() == 0
    visitors.find(browser.cookies[COOKIE]).seen -= LIMITS.idle_seconds + 1
    assert visitors.sweep() == 1
    assert not files_of(browser)
    answer = browser.post("/api/preview", json={"size": 256})
    assert answer.status_code == 410
    assert "deleted" in answer.json()["error"]


def test_the_end_of_the_server_deletes_everything(
    monkeypatch: pytest.MonkeyPatch, astronaut: np.ndarray
) -> None:
    golden(monkeypatch)
    with open_studio() as client:
        upload(client, jpeg(astronaut))
        root: Path = client.app.state.visitors.root  # type: ignore[attr-defined]
        assert root.is_dir()
        assert root.stat().st_mode & 0o077 == 0  # nobody else's to read
    assert not root.exists()


def test_the_house_has_a_limit(browser: TestClient) -> None:
    clients = [
        TestClient(browser.app, base_url=str(browser.base_url), headers=ASK) for _ in range(5)
    ]
    status = [client.post("/api/sample", json={"seed": 1}).status_code for client in clients]
    assert status == [202] * 4 + [429]


# ---------------------------------------------------------------- what does not come in


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("me.png", b"this is only text, whatever its name says\n" * 9, "not a picture"),
        ("me.jpg", b"", "is empty"),
        ("me.png", b"\x89PNG\r\n\x1a\nbroken", "cannot be read"),
        ("../../etc/passwd", b"\xff\xd8\xffnope", "passwd"),
    ],
)
def test_only_pictures_come_in(browser: TestClient, name: str, content: bytes, says: str) -> None:
    job = upload(browser, content, name)
    assert job["state"] == "failed"
    assert says in job["message"]
    assert "/" not in job["message"]
    assert not files_of(browser)


def test_pictures_with_too_many_pixels_stay_out(browser: TestClient) -> None:
    job = upload(browser, jpeg(np.zeros((700, 700, 3), np.uint8)))
    assert job["state"] == "failed"
    assert "700x700 pixels is too large" in job["message"]


def test_a_large_upload_is_refused_before_it_is_read(browser: TestClient) -> None:
    answer = browser.post("/api/photo", content=b"\xff" * (LIMITS.photo_bytes + 1))
    assert answer.status_code == 413
    assert len(browser.app.state.visitors) == 0  # type: ignore[attr-defined]


def test_a_large_upload_of_unknown_length_is_cut_off(browser: TestClient) -> None:
    given = []

    def parts() -> Iterator[bytes]:
        for _ in range(50):
            given.append(1)
            yield b"\xff" * 100_000

    answer = browser.post("/api/photo", content=parts())
    assert answer.status_code == 413
    assert not files_of(browser)


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b"\xff\xfe", b"a,b\n1,2\n", b"", b"au\0,x"])
def test_only_tables_come_in(browser: TestClient, content: bytes) -> None:
    done(browser, "/api/sample", seed=1)
    answer = browser.post("/api/timeline/file", params={"name": "my.csv"}, content=content)
    assert answer.status_code == 422, answer.text
    assert "/" not in answer.json()["error"].replace("py-feat/", "")
    assert not files_of(browser)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/api/sample", {"seed": -1}),
        ("/api/sample", {"seed": "7; drop"}),
        ("/api/sample", {"seed": True}),
        ("/api/preview", {"size": 100_000}),
        ("/api/preview", {"size": 256, "au": {"AU99": 1}}),
        ("/api/preview", {"size": 256, "au": {"AU12": 1.5}}),
        ("/api/preview", {"size": 256, "au": {"AU12": "1"}}),
        ("/api/preview", {"size": 256, "au": [1]}),
        ("/api/picture", {"format": "../x"}),
        ("/api/picture", {"format": "png", "longest": 31}),
        ("/api/picture", {"format": "png", "paste": True}),
        ("/api/film", {"format": "exe", "keys": KEYS}),
        ("/api/film", {"format": "mp4", "keys": KEYS, "fps": "1e9"}),
        ("/api/film", {"format": "mp4", "keys": KEYS, "loop": 10**9}),
        ("/api/film", {"format": "mp4", "recording": True}),
        ("/api/random", {"seed": 1.5}),
    ],
)
def test_nonsense_is_explained(browser: TestClient, path: str, content: Any) -> None:
    done(browser, "/api/sample", seed=1)
    answer = browser.post(path, json=content)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"[" * 50_000, b"x" * 200_000])
def test_what_is_not_json_is_refused(browser: TestClient, content: bytes) -> None:
    answer = browser.post("/api/sample", content=content)
    assert answer.status_code in (400, 413)


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/../app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page//etc/passwd",
        "/api/file/../../etc/passwd",
        "/api/file/%2fetc%2fpasswd",
        "/api/region/..%2f..",
        "/studio/app.py",
        "/.git/config",
    ],
)
def test_no_path_reaches_the_disk(browser: TestClient, path: str) -> None:
    done(browser, "/api/sample", seed=1)
    answer = browser.get(path)
    assert answer.status_code in (404, 422)
    assert set(answer.json()) == {"error"}


def test_a_bug_says_nothing_of_the_inside(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("duchenne.web.service.Service.sample", broken)
    browser.post("/api/sample", json={"seed": 1})
    job = wait(browser)
    assert job["state"] == "failed"
    assert "secret" not in job["message"]
    assert "secret detail" in caplog.text


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8460", "127.0.0.1.evil.example", ""]
)
def test_unknown_names_of_this_server_are_refused(browser: TestClient, host: str) -> None:
    assert browser.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8460", "localhost:1", "LOCALHOST", "[::1]:8460"])
def test_addresses_and_localhost_are_known(browser: TestClient, host: str) -> None:
    assert browser.get("/api/about", headers={"host": host}).status_code == 200


def test_a_given_name_is_known() -> None:
    with open_studio(access=Access(names=("faces.lab",))) as client:
        assert client.get("/", headers={"host": "faces.lab:80"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_cannot_ask(browser: TestClient, headers: dict[str, str]) -> None:
    answer = browser.post("/api/sample", json={"seed": 1}, headers=headers)
    assert answer.status_code == 403


def test_a_form_of_another_site_lacks_the_header(browser: TestClient) -> None:
    plain = TestClient(browser.app, base_url=str(browser.base_url))
    assert plain.post("/api/sample", json={"seed": 1}).status_code == 403
    assert plain.get("/api/state", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    own = {"origin": "http://127.0.0.1:8460", "sec-fetch-site": "same-origin", **ASK}
    assert plain.post("/api/sample", json={"seed": 1}, headers=own).status_code == 202


def test_cookies_are_for_this_site_and_not_for_scripts(browser: TestClient) -> None:
    answer = browser.post("/api/sample", json={"seed": 1})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    wait(browser)


def test_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duchenne.web.guard.WRONG_PASSWORD_SECONDS", 0.05)
    access = Access("0.0.0.0", password="open sesame")
    with open_studio(access=access) as client:
        assert client.get("/", follow_redirects=False).headers["location"] == "/login"
        for path in ("/api/about", "/api/state", "/page/main.js", "/api/job"):
            assert client.get(path).status_code == 401
        assert client.get("/login").status_code == 200
        assert client.get("/page/login.js").status_code == 200
        start = time.monotonic()
        for wrong in ("", "open", "open sesame ", None):
            assert client.post("/login", json={"password": wrong}).status_code == 401
        assert time.monotonic() - start >= 4 * 0.05
        assert PASS_COOKIE not in client.cookies
        assert client.post("/login", json={"password": "open sesame"}).status_code == 200
        assert client.get("/api/about").status_code == 200
        client.cookies.clear()
        client.cookies.set(PASS_COOKIE, "made up")
        assert client.get("/api/about").status_code == 401


def test_what_needs_pytorch_says_so_where_it_is_not_installed(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: Any) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("duchenne.web.service.Service.sample", missing)
    browser.post("/api/sample", json={"seed": 1})
    job = wait(browser)
    assert (job["state"], job["message"]) == ("failed", NEEDS_TORCH)


def test_warming_up_needs_no_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network itself, which only PyTorch has, is not asked for."""
    monkeypatch.setattr(Service, "can_measure", "not here")
    monkeypatch.setattr(tiny.TinyStudio, "sample", None)
    tiny.see_golden(monkeypatch.setattr)
    Service(tiny.TinyStudio(), Limits()).warm_up()


def test_the_camera_measures_from_the_visitors_own_rest(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = np.full((len(facs.CODES), 3), 0.4)
    smiling = table.copy()
    smiling[facs.INDEX["AU12"]] += (0.64, 0.94, 0.34)
    measured = iter([*[table] * live.RESTING, smiling])
    found = Found(np.zeros((468, 3), np.float32), 1.0)
    monkeypatch.setattr(live, "Follower", lambda: lambda pixels: found)
    monkeypatch.setattr(live.likeness, "of_mesh", lambda *_: next(measured))
    monkeypatch.setattr(tiny.TinyStudio, "scorer", None)
    picture = jpeg(np.full((120, 160, 3), 90, np.uint8))
    assert browser.post("/api/live", content=picture).status_code == 410  # a stranger
    done(browser, "/api/sample", seed=7)
    monkeypatch.setattr(Service, "can_measure", "no weights")
    assert browser.post("/api/live", content=picture).status_code == 501
    monkeypatch.setattr(Service, "can_measure", None)
    kept = files_of(browser)
    seen = [browser.post("/api/live", content=picture).json() for _ in range(live.RESTING + 1)]
    assert [one["at_rest"] for one in seen] == [True] * (live.RESTING - 1) + [False] * 2
    assert [one["au"] for one in seen[:-1]] == [{}] * live.RESTING
    # 0.64 above rest, its sides 0.3 apart: half a step of each is noise.
    assert seen[-1]["au"] == {"AU12L": 0.82, "AU12R": 0.38}
    assert browser.post("/api/live", content=b"no picture").status_code == 422
    large = browser.post("/api/live", content=bytes(LIMITS.camera_bytes + 1))
    assert large.status_code == 413
    assert files_of(browser) == kept


def test_what_is_told_of_a_face_before_the_camera() -> None:
    above = np.zeros((len(facs.CODES), 3))
    above[facs.INDEX["AU1"]] = 0.09
    above[facs.INDEX["AU4"]] = (0.55, 0.6, 0.5)
    above[facs.INDEX["AU26"]] = 2.0
    assert live.told(above, facs.CODES) == {"AU4": 0.5, "AU26": 1.0}
    assert live.told(above, ("AU4",)) == {"AU4": 0.5}
