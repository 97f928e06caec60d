"""The web page in a real browser: headless Chromium, driven by Playwright.

Most tests run on the tiny generator; its pictures are noise, everything around them is real.
Screenshots are kept in the folder that DUCHENNE_STUDIO_SHOTS names, else in pytest's own.
"""

from __future__ import annotations

import base64
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

import tiny
from browser import needs_chromium

from duchenne import facs
from duchenne.encoding.settings import EncodeSettings
from duchenne.faces.following import Found
from duchenne.files import films
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.measuring import live
from duchenne.web.app import create_app, listen
from duchenne.web.service import Service
from duchenne.web.settings import Access, Limits

pytestmark = [pytest.mark.browser, needs_chromium]
PATIENCE_MS = 60_000
PHONE = {"width": 390, "height": 844}
NARROWEST = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
Page = Any


@contextmanager
def running(studio: Any, limits: Limits | None = None) -> Iterator[str]:
    """The address of a studio that runs in a thread of this process."""
    access = Access(port=0)
    server, listening = listen(create_app(studio, access, limits, warm=False), access)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    golden(monkeypatch, faces=1)
    with running(tiny.TinyStudio(EncodeSettings(steps=5))) as found:
        yield found


def golden(monkeypatch: pytest.MonkeyPatch, faces: int) -> None:
    """The astronaut's face is found without the detector's weights."""
    face = tiny.golden_face("astronaut")
    monkeypatch.setattr("duchenne.faces.landmarks.find_faces", lambda pixels: [face] * faces)
    tiny.see_golden(monkeypatch.setattr)


@contextmanager
def visit(chromium: Any, address: str, **options: Any) -> Iterator[Page]:
    """A visitor with cookies of their own; nothing may fail unseen or come from elsewhere."""
    context = chromium.new_context(viewport=DESKTOP, accept_downloads=True, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((address, "blob:", "data:"))
            or wrong.append(f"asked elsewhere: {request.url}")
        ),
    )
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert not wrong


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Page]:
    with visit(chromium, address) as found:
        yield found


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Page, str], None]:
    folder = Path(os.environ.get("DUCHENNE_STUDIO_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png", full_page=True)


def shown(page: Page, selector: str = "#after") -> np.ndarray:
    """The pixels of a picture on the page."""
    data = page.evaluate(
        """(selector) => {
          const image = document.querySelector(selector);
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          canvas.getContext("2d").drawImage(image, 0, 0);
          return canvas.toDataURL("image/png");
        }""",
        selector,
    )
    picture = Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2])))
    return np.asarray(picture.convert("RGB")).astype(int)


def settle(page: Page) -> None:
    """Wait until the preview shows what the sliders say, at its larger size."""
    page.wait_for_selector("#after[data-state=rest]")
    assert page.locator("#problem").is_hidden(), page.locator("#problem").inner_text()


def draw(page: Page, seed: int) -> None:
    page.fill("#seed", str(seed))
    page.click("#sample")
    page.wait_for_selector("#view-face:not([hidden])")
    settle(page)


def reached(zone: int) -> np.ndarray:
    """[128, 128] where a JPEG may differ after an edit of a zone of the tiny face."""
    active = np.zeros(8, bool)
    active[2 * zone : 2 * zone + 2] = True
    inside = tiny.golden_regions(np.zeros((128, 128, 3), np.uint8)).blend(active, 128) > 0
    blocks = inside.reshape(16, 8, 16, 8).any(axis=(1, 3))
    return np.asarray(blocks.repeat(8, 0).repeat(8, 1))


def test_from_the_start_page_to_a_downloaded_smile(
    page: Page, shoot: Callable[[Page, str], None], tmp_path: Path
) -> None:
    shoot(page, "start_light")
    draw(page, 7)
    page.click("#preset-happiness")
    settle(page)
    with page.expect_download() as download:
        page.click("#take-picture")
    assert download.value.suggested_filename == "person_7_synthetic.png"
    path = tmp_path / "smile.png"
    download.value.save_as(path)
    assert read_synthetic_mark(path) == SourceType.GENERATED
    expected = tiny.TinyStudio().sample(7).edit({"AU6": 1.0, "AU12": 1.0, "AU25": 1.0})
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)


def test_a_slider_changes_its_region_and_nothing_else(page: Page) -> None:
    draw(page, 7)
    rest = shown(page)
    for code, zone in (("AU12", 3), ("AU2", 0)):
        slider = page.locator(f"#slider-{code}")
        slider.focus()
        slider.press("End")  # the keyboard moves it
        settle(page)
        changed = np.abs(shown(page) - rest).max(axis=2) > 0
        assert changed[reached(zone)].any(), code
        assert not changed[~reached(zone)].any(), code
        assert page.locator(f"#slider-{code} + output").inner_text() == "1"
        page.keyboard.press("Control+z")
        settle(page)
        np.testing.assert_array_equal(shown(page), rest)
    np.testing.assert_array_equal(shown(page, "#before"), rest)


def test_sides_history_and_regions(page: Page) -> None:
    draw(page, 7)
    rest = shown(page)
    page.click("#split-AU12")
    page.locator("#slider-AU12R").fill("1")
    settle(page)
    right = np.nonzero((shown(page) != rest).any(axis=2))[1].mean()
    assert right < 64  # the person's right is on the picture's left
    page.click("#undo")
    settle(page)
    np.testing.assert_array_equal(shown(page), rest)
    page.click("#redo")
    settle(page)
    assert (shown(page) != rest).any()
    page.click("#show-regions")
    page.wait_for_selector("#overlays img")
    assert page.locator("#overlays img").count() == 1  # the mouth's
    page.click("#random")
    settle(page)
    page.click("#reset")
    settle(page)
    np.testing.assert_array_equal(shown(page), rest)
    assert page.locator("#slider-AU12").input_value() == "0"


def visible(page: Page) -> list[str]:
    """The Action Units whose sliders are on the page now, group by group."""
    found = page.locator(".unit b").filter(visible=True).all_inner_texts()
    return [text.strip() for text in found]


def moved(page: Page) -> dict[str, str]:
    """What the groups' summaries say besides their names."""
    titles = page.locator(".zone summary").all_inner_texts()
    return dict(title.lower().partition(" · ")[::2] for title in titles)


def test_a_search_shows_what_it_finds(page: Page) -> None:
    draw(page, 7)
    page.click(".zone-mouth summary")
    assert "AU12" not in visible(page)
    for wanted, found in (
        ("12", ["AU12"]),
        ("au1", ["AU1"]),
        ("Zygomatic", ["AU12"]),
        ("lid", ["AU5", "AU7"]),
        ("lip  raiser", ["AU10"]),
    ):
        page.fill("#find", wanted)
        assert visible(page) == found
    assert page.locator("#find-note").inner_text() == f"1 of {len(facs.CODES)} sliders shown"
    page.fill("#find", "elbow")
    assert page.locator("#find-note").inner_text() == "No slider matches “elbow”."
    assert visible(page) == []
    page.keyboard.press("Escape")
    assert page.input_value("#find") == ""
    assert page.locator("#find-note").inner_text() == ""
    outside = [unit.code for unit in facs.ACTION_UNITS if unit.area != "mouth"]
    assert sorted(visible(page)) == sorted(outside)  # the mouth is folded again


def test_sliders_out_of_sight_keep_their_values(page: Page) -> None:
    draw(page, 7)
    rest = shown(page)
    page.click("#preset-sadness")
    settle(page)
    sad = shown(page)
    page.fill("#find", "lip corner")
    assert visible(page) == ["AU12", "AU15"]
    page.click("#split-AU12")
    page.locator("#slider-AU12L").fill("0.5")
    settle(page)
    page.click("#recipe summary")
    page.wait_for_selector("#recipe-command:has-text('AU12L=0.5')")
    assert "AU1=1,AU4=0.7,AU12L=0.5,AU15=1,AU17=0.6" in page.locator("#recipe-command").inner_text()
    page.click("#undo")
    page.click("#undo")
    settle(page)
    np.testing.assert_array_equal(shown(page), sad)
    assert visible(page) == ["AU12", "AU15"]
    page.click("#reset")
    settle(page)
    np.testing.assert_array_equal(shown(page), rest)
    page.click("#undo")
    page.click("#to-film")
    page.wait_for_selector("#curves polyline")
    assert page.locator("#curves polyline").count() == len(facs.EXPRESSIONS["sadness"])


def test_only_what_moves(page: Page) -> None:
    draw(page, 7)
    toggle = page.get_by_role("button", name="Only what moves")
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "true"
    assert visible(page) == []
    assert page.locator("#find-note").inner_text() == "No slider is moved."
    page.click("#preset-happiness")
    assert visible(page) == ["AU6", "AU12", "AU25"]
    page.locator("#slider-AU12").fill("0")  # stays under the hand that moved it
    assert visible(page) == ["AU6", "AU12", "AU25"]
    page.click("#preset-surprise")
    assert visible(page) == ["AU1", "AU2", "AU5", "AU25", "AU26"]
    page.fill("#find", "brow")
    assert visible(page) == ["AU1", "AU2"]
    page.fill("#find", "zygomatic")
    assert page.locator("#find-note").inner_text() == "No moved slider matches “zygomatic”."
    page.fill("#find", "")
    toggle.click()
    assert len(visible(page)) == len(facs.CODES)


def test_groups_fold(page: Page) -> None:
    draw(page, 7)
    assert len(visible(page)) == len(facs.CODES)
    title = page.locator(".zone-eyes summary")
    title.focus()
    page.keyboard.press("Enter")  # the keyboard is enough
    assert "AU6" not in visible(page)
    page.click("#preset-happiness")
    settle(page)
    assert moved(page) == {"brows": "", "eyes": "1 moved", "nose": "", "mouth": "2 moved"}
    page.click("#split-AU12")  # a slider in two parts is one slider
    assert moved(page)["mouth"] == "2 moved"
    page.locator("#slider-AU25").dblclick()
    assert moved(page)["mouth"] == "1 moved"
    page.click("#reset")
    assert set(moved(page).values()) == {""}


def test_a_phone_opens_what_moves_and_the_mouth(page: Page) -> None:
    page.set_viewport_size(PHONE)
    draw(page, 7)
    unfolded = ".zone[open] .zone-name"
    assert page.locator(unfolded).all_inner_texts() == ["Mouth"]
    page.click("#preset-fear")
    settle(page)
    assert moved(page)["brows"] == "3 moved"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator(unfolded).all_inner_texts() == ["Brows", "Eyes", "Mouth"]


def test_more_expressions(page: Page) -> None:
    draw(page, 7)
    more = page.get_by_label("More expressions")
    values = more.locator("option").evaluate_all("options => options.map((x) => x.value)")
    assert values == ["", *facs.VARIANTS]
    page.click("#recipe summary")
    more.select_option(label="Anger, lips pressed")
    settle(page)
    page.wait_for_selector("#recipe-command:has-text('AU24=1')")
    asked = "AU4=1,AU5=0.6,AU7=0.8,AU17=0.7,AU24=1"
    assert asked in page.locator("#recipe-command").inner_text()
    assert more.input_value() == "anger/lips-pressed"
    page.click("#preset-happiness")
    assert more.input_value() == ""  # it says what the sliders show, or nothing
    page.click("#undo")
    assert more.input_value() == "anger/lips-pressed"
    more.select_option("neutral")
    settle(page)
    assert set(moved(page).values()) == {""}


def test_a_unit_without_a_boundary(
    monkeypatch: pytest.MonkeyPatch, chromium: Any, tmp_path: Path
) -> None:
    """It has no slider and no row of the profile; a table that names it is told why not."""
    golden(monkeypatch, faces=1)
    levels = np.arange(len(facs.CODES)) / 100
    monkeypatch.setattr("duchenne.web.service.Service.can_measure", None)
    monkeypatch.setattr("duchenne.animate.Subject.measure", lambda self, frame: levels)
    studio = tiny.TinyStudio()
    normals = studio.boundaries.normals.copy()
    normals[facs.INDEX["AU15"]] = 0
    studio._boundaries = replace(studio.boundaries, normals=normals)
    studio.__dict__.pop("boundaries")
    with running(studio) as address, visit(chromium, address) as page:
        draw(page, 7)
        assert "AU15" not in visible(page)
        assert len(visible(page)) == len(facs.CODES) - 1
        page.click("#profile > summary")
        page.wait_for_selector("#profile-table tbody tr")
        rows = page.locator("#profile-table tbody tr").all_inner_texts()
        told = {row.split()[0]: float(row.split()[2]) for row in rows}
        assert told == {
            code: pytest.approx(level)
            for code, level in zip(facs.CODES, levels, strict=True)
            if code != "AU15"
        }
        page.click("#timeline > summary")
        table = tmp_path / "keys.csv"
        table.write_text("au,time,value\nAU15,0,0\nAU15,1,1\n")
        page.set_input_files("#table-file", table)
        page.wait_for_selector("#curves polyline")
        page.click("#export")
        page.wait_for_selector("#problem:has-text('AU15: these boundaries have none')")


def test_nothing_lies_over_anything_else(page: Page, shoot: Callable[[Page, str], None]) -> None:
    page.set_viewport_size(NARROWEST)
    draw(page, 7)
    for part in (".zone:not([open]) summary",) * 3:
        page.locator(part).first.click()
    page.locator("#more").select_option("pain")
    page.click("#split-AU12")
    for wanted, name in (("", "narrow"), ("lip", "narrow_search"), ("x" * 60, "narrow_nothing")):
        page.fill("#find", wanted)
        settle(page)
        shoot(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
        assert overlaps(page) == []


def overlaps(page: Page) -> list[list[str]]:
    """Pairs of parts beside the face of which one lies over the other."""
    found: list[list[str]] = page.evaluate(
        """() => {
          const parts = [...document.querySelectorAll(
            ".controls :is(button, select, label, input, output, summary, .drawing, .unit-name, p)"
          )].filter((x) => x.checkVisibility() && !x.matches(".unseen"));
          const boxes = parts.map((x) => x.getBoundingClientRect());
          const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
            || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
          const found = [];
          for (let i = 0; i < parts.length; i++) for (let j = 0; j < i; j++) {
            if (apart(boxes[i], boxes[j]) || parts[j].contains(parts[i])) continue;
            found.push([parts[j].outerHTML.slice(0, 80), parts[i].outerHTML.slice(0, 80)]);
          }
          return found;
        }"""
    )
    return found


def test_a_photo_with_several_faces(
    monkeypatch: pytest.MonkeyPatch, chromium: Any, folder: Path, astronaut: np.ndarray,
    shoot: Callable[[Page, str], None],
) -> None:  # fmt: skip
    golden(monkeypatch, faces=2)
    with (
        running(tiny.TinyStudio(EncodeSettings(steps=5))) as address,
        visit(chromium, address) as page,
    ):
        page.set_input_files("#photo", folder / "photo.jpg")
        page.wait_for_selector(".box")
        shoot(page, "choose_light")
        page.get_by_role("button", name="Face 2 of 2").click()
        settle(page)
        assert shown(page).shape == (512, 512, 3)  # in the photo, which is the default
        page.click("#recipe summary")
        page.wait_for_selector("#recipe-command:not(:empty)")
        assert "index=1" in page.locator("#recipe-python").inner_text()


def test_a_film_is_exported_and_decoded(
    page: Page, tmp_path: Path, shoot: Callable[[Page, str], None]
) -> None:
    draw(page, 7)
    page.click("#preset-surprise")
    settle(page)
    page.click("#to-film")
    page.wait_for_selector("#curves polyline")
    page.fill("#fps", "10")
    page.locator("#fps").press("Tab")
    page.click("#play")
    page.wait_for_selector("#film-result video")
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelector('#film-result video').error") is None
    page.click("#export")
    page.wait_for_selector("#film-link")
    for link, name in (("#film-link", "film.mp4"), ("#table-link", "film.csv")):
        with page.expect_download() as download:
            page.click(link)
        download.value.save_as(tmp_path / name)
    shoot(page, "film_light")
    frames = list(films.read_video(tmp_path / "film.mp4"))
    assert len(frames) == 23  # 2.2 s at 10 frames a second
    assert read_synthetic_mark(tmp_path / "film.mp4") == SourceType.GENERATED
    assert len((tmp_path / "film.csv").read_text().splitlines()) == 24


def test_a_table_of_keyframes(page: Page, tmp_path: Path) -> None:
    draw(page, 7)
    page.click("#timeline summary")
    table = tmp_path / "keys.csv"
    table.write_text("au,time,value\nAU12,0,0\nAU12,1,1\n")
    page.set_input_files("#table-file", table)
    page.wait_for_selector("#curves polyline")
    assert page.locator("#keys tbody tr").count() == 2
    table.write_bytes(b"\x89PNG not a table")
    page.set_input_files("#table-file", table)
    page.wait_for_selector("#problem:not([hidden])")
    assert "not a CSV text file" in page.locator("#problem").inner_text()


def test_a_recording_and_what_it_was_recorded_with(page: Page, tmp_path: Path) -> None:
    draw(page, 7)
    page.click("#timeline summary")
    rows = [f"{i},{name},0.9,{i / 20 if name == 'Person_0' else 0}" for i in range(20)
            for name in ("Person_0", "Person_1")]  # fmt: skip
    table = tmp_path / "feat.csv"
    table.write_text("\n".join(["frame,Identity,FaceScore,AU12", *rows]))
    page.set_input_files("#table-file", table)
    page.wait_for_selector("#recording-options:not([hidden])")
    assert page.input_value("#fps") == "30"
    assert (
        "Frame numbers taken as 30 frames a second" in page.locator("#recording-note").inner_text()
    )
    assert "20 frames, 0.67 s" in page.locator("#film-length").inner_text()
    page.fill("#source-fps", "10")
    page.press("#source-fps", "Tab")
    page.wait_for_selector("#film-length:has-text('20 frames, 2.00 s')")
    assert page.input_value("#fps") == "10"
    assert page.locator("#curves polyline").count() == 1
    page.select_option("#follow", "Person_1")
    page.wait_for_selector("#recording-note:has-text('following Person_1')")
    assert page.locator("#curves polyline").count() == 0
    page.fill("#confidence", "0.95")
    page.press("#confidence", "Tab")
    page.wait_for_selector("#problem:has-text('confidence 0.95')")


def test_what_is_no_picture_is_refused(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "portrait.png"
    text.write_text("only text, whatever the name says\n" * 40)
    page.set_input_files("#photo", text)
    page.wait_for_selector("#problem:not([hidden])")
    assert "portrait.png: not a picture" in page.locator("#problem").inner_text()
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    page.set_input_files("#photo", large)
    page.wait_for_selector("#problem:has-text('too large')")
    assert page.locator("#view-start").is_visible()


def test_a_hundred_megabytes_sent_all_the_same(page: Page, address: str) -> None:
    """Not asked for by the page, but anybody can send it."""
    told = page.evaluate(
        """async () => {
          const headers = {"x-duchenne-studio": "1"};
          const body = new Blob([new Uint8Array(100e6)]);
          const sent = fetch("/api/photo", {method: "POST", headers, body});
          const answer = await sent.catch(() => null);
          const after = await fetch("/api/about");
          return [answer && answer.status, after.status];
        }"""
    )
    assert told[0] in (413, None)  # None: the server hung up while the browser was still sending
    assert told[1] == 200


def test_two_visitors_at_once(chromium: Any, address: str) -> None:
    with visit(chromium, address) as one, visit(chromium, address) as other:
        draw(one, 1)
        draw(other, 2)
        first, second = shown(one), shown(other)
        assert (first != second).any()
        other.locator("#slider-AU12").fill("1")
        settle(other)
        one.reload()
        one.wait_for_selector("body[data-ready]")
        settle(one)
        np.testing.assert_array_equal(shown(one), first)
        assert one.locator("#slider-AU12").input_value() == "0"


def test_the_back_button_and_a_reload_keep_the_face(page: Page) -> None:
    draw(page, 7)
    page.click("#preset-anger")
    settle(page)
    angry = shown(page)
    page.go_back()
    page.wait_for_selector("#view-start:not([hidden])")
    page.click("#to-face")
    page.wait_for_selector("#view-face:not([hidden])")
    page.go_back()
    page.wait_for_selector("#view-start:not([hidden])")
    page.go_forward()
    page.wait_for_selector("#view-face:not([hidden])")
    assert page.locator("#slider-AU4").input_value() == "1"
    page.reload()
    page.wait_for_selector("#view-face:not([hidden])")
    settle(page)
    assert page.locator("#slider-AU4").input_value() == "1"
    np.testing.assert_array_equal(shown(page), angry)


def test_the_camera(chromium: Any, address: str) -> None:
    with visit(chromium, address, permissions=["camera"]) as page:
        page.click("#camera-open")
        page.wait_for_selector("#camera-take:not([hidden])")
        page.click("#camera-take")
        settle(page)
        assert page.locator("#caption").inner_text() == "camera.jpg"


def test_the_camera_drives_the_face(
    chromium: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of the camera reach the server; what it measures there moves sliders and face."""
    smile = np.zeros((len(facs.CODES), 3))
    smile[facs.INDEX["AU12"]] = 0.64
    measured = [*[np.zeros_like(smile)] * live.RESTING, *[smile] * 1000]
    sizes = []

    def of_mesh(scorer: object, pixels: np.ndarray, mesh: object) -> np.ndarray:
        sizes.append(pixels.shape)
        return measured.pop(0)

    monkeypatch.setattr(live, "Follower", lambda: lambda pixels: Found(np.zeros((468, 3)), 1.0))
    monkeypatch.setattr(live.likeness, "of_mesh", of_mesh)
    monkeypatch.setattr(Service, "can_measure", None)
    monkeypatch.setattr(tiny.TinyStudio, "scorer", None)
    with visit(chromium, address, permissions=["camera"]) as page:
        draw(page, 7)
        still = shown(page)
        page.click("#live")
        page.locator("#slider-AU12 + output", has_text="0.6").wait_for()
        page.click("#live")
        page.wait_for_selector("#live-view", state="hidden")
        settle(page)
        assert page.locator("#live").inner_text() == "Drive with the camera"
        assert page.locator("#slider-AU12").input_value() == "0.6"
        assert not np.array_equal(shown(page), still)
        page.click("#undo")
        settle(page)
        np.testing.assert_array_equal(shown(page), still)
    assert set(sizes) == {(480, 640, 3)}


def test_leaving_deletes_the_face(page: Page) -> None:
    draw(page, 7)
    page.click("#leave")
    page.wait_for_selector("#view-start:not([hidden])")
    assert page.evaluate("fetch('/api/state').then((answer) => answer.json())") == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_it_fits_and_can_be_named(
    page: Page, scheme: str, size: str, shoot: Callable[[Page, str], None]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE if size == "phone" else DESKTOP)
    draw(page, 7)
    page.click("#preset-happiness")
    settle(page)
    for part in ("#timeline", "#recipe", "#profile"):
        page.click(f"{part} > summary")
    page.click("#rise")
    page.wait_for_selector("#curves polyline")
    shoot(page, f"face_{size}_{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.click("#keys-part > summary")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, summary, img")]
          .filter((x) => x.checkVisibility() && !x.closest("[aria-hidden=true]"))
          .filter((x) => !(x.getAttribute("aria-label") || x.labels?.[0]?.textContent.trim()
            || x.textContent.trim() || x.hasAttribute("alt")))
          .map((x) => x.outerHTML)"""
    )
    assert nameless == []


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    page.focus("#seed")
    page.keyboard.press("Enter")
    settle(page)
    rest = shown(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "preset-happiness":
            break
    page.keyboard.press("Enter")
    settle(page)
    assert (shown(page) != rest).any()


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(900)  # on a busy machine
def test_a_photo_smiles_with_the_real_weights(
    chromium: Any, folder: Path, tmp_path: Path, shoot: Callable[[Page, str], None]
) -> None:
    """The astronaut, opened as the page opens photos unless a visitor asks for more."""
    import duchenne

    with (
        running(duchenne.Studio()) as address,
        visit(chromium, address) as page,
    ):
        page.set_default_timeout(400_000)
        page.set_input_files("#photo", folder / "photo.jpg")
        settle(page)
        page.click("#show-photo")  # the crop
        settle(page)
        rest = shown(page)
        page.locator("#slider-AU12").fill("1")
        settle(page)
        changed = np.abs(shown(page) - rest).max(axis=2) > 0
        assert changed[280:].any()
        assert not changed[:160].any()  # brows and forehead
        page.click("#show-photo")
        settle(page)
        shoot(page, "real_face")
        page.locator("#fps").evaluate("x => x.value = 4")
        page.click("#to-film")
        page.click("#export")
        page.wait_for_selector("#film-link")
        with page.expect_download() as download:
            page.click("#film-link")
        download.value.save_as(tmp_path / "film.mp4")
        frames = list(films.read_video(tmp_path / "film.mp4"))
        assert frames[0].shape == (512, 512, 3)
        assert read_synthetic_mark(tmp_path / "film.mp4") == SourceType.EDITED
