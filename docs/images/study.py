"""The pictures of docs/study.md: python docs/images/study.py [FOLDER]

Needs Playwright and Chromium. Two samples of the built-in generator are drawn in four expressions,
the page is opened as a file, and scripted raters with known habits answer for the report. The
default folder is the one of this file.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from study_sets import Row, rows_of, write_responses  # noqa: E402

from duchenne.files.pictures import SourceType, xmp_packet  # noqa: E402

DESIGN = """
title = "Four expressions"
intensities = [0.5, 1.0]
[people]
seeds = [15, 27]
truncation = 0.6
[conditions]
happiness = "happiness"
surprise = "surprise"
fear = "fear"
anger = "anger"
"""
WIDE, PHONE = {"width": 760, "height": 600}, {"width": 360, "height": 660}
REPORT = {"width": 900, "height": 1000}
SHOWN = "happiness_1.00"  # what the pictures of the page show


def duchenne(*arguments: object) -> None:
    program = "from duchenne.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True)


def page(browser: Browser, study: Path, size: dict[str, int]) -> Image.Image:
    """The first question about a picture that is SHOWN."""
    view = browser.new_page(viewport=size)
    view.goto((study / "index.html").as_uri() + "?participant=P01")
    view.get_by_role("button", name="I agree", exact=True).click()
    view.get_by_role("button", name="Start").click()
    for _ in range(100):
        view.wait_for_selector(".answers")
        picture = view.locator(".picture img")
        if picture.count() and SHOWN in str(picture.get_attribute("src")):
            view.mouse.move(0, 0)
            view.wait_for_timeout(500)
            return Image.open(io.BytesIO(view.screenshot()))
        view.locator(".answers button").first.click()
        if picture.count():
            for name in ("as strong", "like a photo"):
                view.wait_for_selector(f".ends :text('{name}')")
                view.locator(".scale button").first.click()
    raise AssertionError(f"no {SHOWN}")


def raters(folder: Path) -> None:
    """Eight who err at random, and two with a habit."""

    def fear_is_surprise(row: Row, rng: random.Random) -> None:
        if row["condition"] == "fear":
            row["answer"] = "surprise"

    def one_higher(row: Row, rng: random.Random) -> None:
        row["intensity"] = min(5, int(str(row["intensity"])) + 1)

    folder.mkdir()
    for i in range(8):
        write_responses(folder / f"r{i}.csv", rows_of(f"r{i}", noise=0.3))
    write_responses(folder / "fay.csv", rows_of("fay", fear_is_surprise))
    write_responses(folder / "gus.csv", rows_of("gus", one_higher))


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        work = Path(scratch)
        (work / "design.toml").write_text(DESIGN)
        duchenne("stimuli", work / "design.toml", "-o", work / "set")
        duchenne("study", work / "set", "-o", work / "study")
        raters(work / "answers")
        duchenne("study", "report", work / "answers", "-o", work / "report")
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        views = [page(browser, work / "study", size) for size in (WIDE, PHONE)]
        width, height = sum(v.width for v in views) + 24, max(v.height for v in views)
        sheet = Image.new("RGB", (width, height), "#888")
        sheet.paste(views[0], (8, 0))
        sheet.paste(views[1], (views[0].width + 16, 0))
        mark = xmp_packet(SourceType.GENERATED)
        sheet.save(folder / "study.jpg", quality=88, xmp=mark)
        report = browser.new_page(viewport=REPORT)
        report.goto((work / "report" / "report.html").as_uri())
        report.locator("h2", has_text="Recognition").scroll_into_view_if_needed()
        report.evaluate("document.querySelectorAll('h2')[1].scrollIntoView()")
        report.screenshot(path=folder / "study_report.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
