"""A rating study in a real browser, opened as a file: scripted raters, from consent to report.

Screenshots are kept in the folder that DUCHENNE_STUDIO_SHOTS names, else in pytest's own.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from browser import needs_chromium
from command_line import done
from study_sets import write_set

from duchenne.files import films
from duchenne.study import responses

pytestmark = [
    pytest.mark.browser,
    pytest.mark.weights,  # jsPsych lies where they do
    needs_chromium,
]
PATIENCE_MS = 30_000
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
BUTTONS = "#jspsych-html-button-response-btngroup button"
Page = Any


@pytest.fixture
def study(tmp_path: Path, jspsych: None) -> Path:
    """Five pictures of one person."""
    write_set(tmp_path / "set", identities=("s00001",))
    done("study", tmp_path / "set", "-o", tmp_path / "study")
    return tmp_path / "study"


def change(study: Path, before: str, after: str) -> None:
    """The study with another setting."""
    toml = (study / "study.toml").read_text()
    assert before in toml
    (study / "study.toml").write_text(toml.replace(before, after))
    done("study", study.parent / "set", "-o", study)


@contextmanager
def visit(chromium: Any, study: Path, participant: str = "", **options: Any) -> Iterator[Page]:
    """A browser of its own; nothing may fail unseen or come from elsewhere."""
    context = chromium.new_context(**{"viewport": DESKTOP, "accept_downloads": True, **options})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "blob:", "data:"))
            or wrong.append(f"asked elsewhere: {request.url}")
        ),
    )
    address = (study / "index.html").as_uri()
    page.goto(f"{address}?participant={participant}" if participant else address)
    yield page
    context.close()
    assert not wrong


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Page, str], None]:
    folder = Path(os.environ.get("DUCHENNE_STUDIO_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"study_{name}.png")


def choose(page: Page, words: str) -> None:
    page.get_by_role("button", name=words, exact=True).click()


def agree(page: Page) -> None:
    choose(page, "I agree")
    choose(page, "Start")


def picture_of(page: Page) -> tuple[str, str, float]:
    """The file that is shown, its condition and intensity; ("", what to choose, 0) if a check."""
    page.wait_for_selector(".picture img, .check")
    image = page.locator(".picture img")
    if not image.count():
        told = re.search("“(.+)”", page.locator(".check").inner_text())
        assert told
        return "", told[1], 0.0
    assert image.evaluate("image => image.complete && image.naturalWidth") == 64
    assert image.get_attribute("alt") == ""
    name = image.get_attribute("src").rpartition("/")[2]
    _, condition, intensity = name.removesuffix(".png").split("_")
    return name, condition, float(intensity)


def answer(page: Page, *, reads: bool = True) -> str:
    """What a rater says who takes fear for surprise and rates intensity one step too high."""
    name, condition, asked = picture_of(page)
    if not name:
        others = [label for label in ("Anger", "Disgust") if label != condition]
        choose(page, condition if reads else others[0])
        return ""
    choose(page, "Surprise" if condition == "fear" else condition.capitalize())
    page.wait_for_selector(".scale")
    assert page.locator(".picture img").get_attribute("src").endswith(name)
    choose(page, str(min(5, round(5 * asked) + 1)))
    page.wait_for_selector(".ends :text('like a photo')")
    choose(page, "3" if condition == "fear" else "6")
    page.wait_for_selector(".answers, #download")
    return name


def trials_of(study: Path) -> int:
    text = (study / "config.js").read_text().removeprefix("window.STUDY = ")
    return len(json.loads(text.removesuffix(";\n"))["pictures"]) + 1  # and a check


def rest_of(page: Page, trials: int, **how: Any) -> tuple[list[str], Path]:
    """Answer that many; the pictures in their order, and the file that the page saves."""
    with page.expect_download() as download:
        shown = [answer(page, **how) for _ in range(trials)]
    page.wait_for_selector("#download")
    name = download.value.suggested_filename
    path = Path(download.value.path()).with_name(name)
    download.value.save_as(path)
    return [name for name in shown if name], path


def test_a_rater_from_consent_to_report(
    chromium: Any, study: Path, tmp_path: Path, shoot: Callable[[Page, str], None]
) -> None:
    trials = trials_of(study)
    with visit(chromium, study, "P01") as page:
        page.wait_for_selector(BUTTONS)
        assert "I agree to take part" in page.locator(".words").inner_text()
        shoot(page, "consent")
        agree(page)
        begun = [answer(page) for _ in range(3)]
        page.wait_for_selector(".answers")
        before = page.locator("#jspsych-progressbar-inner").evaluate("bar => bar.style.width")
        assert before == "50%"
        page.reload()
        choose(page, "Go on")
        page.wait_for_selector(".answers")
        bar = page.locator("#jspsych-progressbar-inner")
        assert bar.evaluate("bar => bar.style.width") == before
        shown, path = rest_of(page, trials - 3)
        page.reload()  # who has finished is not asked again, and can save again
        with page.expect_download():
            page.click("#download")
    assert re.fullmatch(r"responses_[0-9a-f]{12}_P01\.csv", path.name)
    order = [*filter(None, begun), *shown]
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(responses.COLUMNS)
    assert [row["file"] for row in rows if row["file"]] == order
    assert sorted(order) == sorted({*order})
    assert [int(row["order"]) for row in rows] == list(range(1, trials + 1))
    assert {row["participant"] for row in rows} == {"P01"}
    assert {row["seed"] for row in rows} == {"1:P01"}
    assert all(int(row["answer_ms"]) >= 250 for row in rows)
    done("study", "report", path, "-o", tmp_path / "report")
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["set_aside"] == []
    assert found["attention_checks"] == {"asked": 1, "missed": 0}
    matrix = found["confusion"]
    fear = dict(zip(matrix["answers"], matrix["counts"][matrix["rows"].index("fear")], strict=True))
    assert {name: count for name, count in fear.items() if count} == {"surprise": 2}
    hits = {rate["answer"]: rate["hits"] for rate in found["hit_rates"]}
    assert hits == {"neutral": 1, "happiness": 1, "fear": 0}
    # 0, 2.5 and 5 were asked; the rater says 1, 3 (2 and one more) and 5.
    points = found["intensity"][0]["points"]
    assert [point["rated"]["mean"] for point in points] == [1, 3, 5]
    assert found["realism"]["fear"]["mean"] == 3


def test_the_order_follows_from_the_name(chromium: Any, study: Path, tmp_path: Path) -> None:
    begun = []
    for who in ("P02", "P02", "P04", "P05"):
        with visit(chromium, study, who) as page:
            agree(page)
            page.wait_for_selector(".answers")
            buttons = page.locator(BUTTONS).all_inner_texts()
            assert buttons[-1] == "None of these"
            begun.append((picture_of(page), buttons))
    assert begun[0] == begun[1]
    assert len({first for (first, _, _), _ in begun}) > 1
    assert len({tuple(buttons) for _, buttons in begun}) == 3


def test_who_does_not_read_is_left_out(chromium: Any, study: Path, tmp_path: Path) -> None:
    change(study, "pictures = 0", "pictures = 1")
    with visit(chromium, study, "Q 7<b>") as page:
        agree(page)
        _, path = rest_of(page, 2, reads=False)
    assert "Q_7_b_" in path.name  # a name is made fit for a file's
    done("study", "report", path, "-o", tmp_path / "report")
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["excluded"] == {"Q_7_b_": 1}


def test_films_play_and_a_lost_picture_is_said(chromium: Any, study: Path) -> None:
    folder = study.parent / "set"
    films.write_frames(
        [np.full((64, 64, 3), level, np.uint8) for level in (0, 99)] * 5, folder / "a.webm", fps=10
    )
    with (folder / "manifest.csv").open("a") as file:
        file.write("a.webm,s00001,fear,both,1,film,,\n")
    done("study", folder, "--films", "-o", study.parent / "films")
    with visit(chromium, study.parent / "films") as page:
        agree(page)
        if page.locator(".check").count():
            answer(page)
        page.wait_for_function("document.querySelector('video')?.currentTime > 0.1")
    for path in (study / "stimuli").iterdir():
        path.unlink()
    with visit(chromium, study) as page:
        agree(page)
        page.wait_for_selector("text=Some pictures could not be loaded")


def test_who_does_not_agree_leaves_nothing(chromium: Any, study: Path) -> None:
    with visit(chromium, study, "P03") as page:
        choose(page, "I do not agree")
        page.wait_for_selector("text=Nothing was recorded")
        assert page.evaluate("Object.keys(localStorage).filter((k) => k.endsWith('P03'))") == []


def test_a_phone_and_a_next_participant(
    chromium: Any, study: Path, shoot: Callable[[Page, str], None]
) -> None:
    change(study, "check_every = 15", "check_every = 0")
    change(study, "pictures = 0", "pictures = 1")
    with visit(chromium, study, viewport=PHONE, has_touch=True) as page:
        agree(page)
        picture_of(page)
        shoot(page, "phone")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]
        boxes = [button.bounding_box() for button in page.locator(BUTTONS).all()]
        assert all(box["height"] >= 44 and box["x"] >= 0 for box in boxes)
        assert max(box["y"] + box["height"] for box in boxes) <= PHONE["height"]
        _, first = rest_of(page, 1)
        choose(page, "Next participant")
        agree(page)
        _, second = rest_of(page, 1)
    assert first.name != second.name
    assert len(responses.read([first, second]).participants) == 2


def test_an_experiment_of_ones_own_on_the_same_folder(chromium: Any, study: Path) -> None:
    """integrations/jspsych/two_faces.html: which of two is the stronger one?"""
    page_file = Path(__file__).parents[1] / "integrations" / "jspsych" / "two_faces.html"
    (study / "index.html").write_text(page_file.read_text())
    with visit(chromium, study, "P07") as page:
        page.get_by_text("Begin").click()
        images = page.locator(".pair img")

        def choose(wanted: Callable[[list[float]], float]) -> None:
            images.nth(1).wait_for()
            shown = [image.get_attribute("src") for image in images.all()]
            asked = [float(source[-8:-4]) for source in shown]
            images.nth(asked.index(wanted(asked))).click()
            page.locator(f'.pair img[src="{shown[0]}"]').wait_for(state="detached")

        choose(min)  # of happiness and fear, at two intensities each
        with page.expect_download() as download:
            choose(max)
        download.value.save_as(study / "answers.csv")
        assert download.value.suggested_filename == "two_faces_P07.csv"
    with (study / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["correct"] for row in rows] == ["false", "true"]
    assert {row["condition"] for row in rows} == {"happiness", "fear"}
    assert all(row["chosen"] in (row["left"], row["right"]) and row["rt"] for row in rows)
