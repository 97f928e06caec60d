"""The PsychoPy experiment: its conditions, its orders, and answers that the study's report reads.

PsychoPy itself needs a screen; a stand-in that draws nothing presses the keys here.
"""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from command_line import done
from study_sets import write_set

from duchenne.study import responses
from duchenne.study.settings import OTHER

FOLDER = Path(__file__).parents[1] / "integrations" / "psychopy"


@pytest.fixture
def conditions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "set")
    yield importlib.import_module("conditions")
    for name in ("conditions", "rate_expressions"):
        sys.modules.pop(name, None)


class Screen:
    """The part of PsychoPy that the experiment uses. press: answers by what is on the screen."""

    def __init__(self, press: Any) -> None:
        self.press, self.drawn, self.shown = press, [], []
        screen = self

        class Stimulus:
            def __init__(self, window: Any, **options: Any) -> None:
                assert window == "window"
                self.image, self.text = "", options.pop("text", "")
                assert set(options) <= {"height", "pos", "wrapWidth", "size"}

            def draw(self) -> None:
                screen.drawn.append(self.image or self.text)

        class Window(str):
            def __new__(cls, **options: Any) -> Window:
                assert set(options) <= {"fullscr", "units", "color", "allowGUI"}
                return super().__new__(cls, "window")

            def flip(self) -> None:
                screen.shown, screen.drawn = screen.drawn, []

            def close(self) -> None:
                screen.shown = ["closed"]

        class Clock:
            def reset(self) -> None:
                pass

        def wait_keys(maxWait: float, keyList: list[str], timeStamped: Clock) -> Any:
            key = screen.press(screen.shown)
            if key is None:  # the face goes, the question stays
                assert maxWait < 10
                return None
            assert key in keyList
            return [(key, 0.75)]

        self.modules = types.ModuleType("psychopy")
        parts = {
            "visual": {"Window": Window, "TextStim": Stimulus, "ImageStim": Stimulus},
            "event": {"waitKeys": wait_keys},
            "core": {"Clock": Clock, "wait": lambda seconds: None},
        }
        for name, members in parts.items():
            setattr(self.modules, name, types.SimpleNamespace(**members))


def test_a_builder_reads_the_conditions(conditions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["conditions.py", "set"])
    conditions.main()
    with Path("conditions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (1 + 2 * 2)
    assert all(Path(row["image"]).is_file() for row in rows)
    assert {row["expected"] for row in rows} == {"neutral", "happiness", "fear"}


def test_orders_are_a_participants_own(conditions: Any) -> None:
    material = conditions.read_set("set")
    orders = {name: conditions.order_for(material, name) for name in ("P1", "P2")}
    assert orders["P1"] == conditions.order_for(material, "P1")
    assert orders["P1"] != orders["P2"]
    for order in orders.values():
        assert sorted(row["file"] for row in order) == sorted(row["file"] for row in material)
        people = [row["identity"] for row in order]
        assert sum(a == b for a, b in itertools.pairwise(people)) <= 1


def test_outliers_and_what_is_no_set_are_left_out(conditions: Any) -> None:
    table = Path("set/manifest.csv")
    lines = table.read_text().splitlines()
    first = lines[1].split(",")[0]
    table.write_text("\n".join([lines[0], lines[1].replace("still,,", "still,odd,"), *lines[2:]]))
    assert first not in {row["file"] for row in conditions.read_set("set")}
    with pytest.raises(SystemExit, match="give the folder of a set"):
        conditions.read_set("nowhere")


def test_answers_are_reported_as_a_studys(conditions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who see what was asked for; the second has a number pad, and leaves after five faces."""
    assert tuple(responses.COLUMNS) == conditions.COLUMNS
    assert conditions.OTHER == OTHER
    material = conditions.read_set("set")
    offered = conditions.answers_to(material)
    asked = {row["image"]: row for row in material}
    seen: list[str] = []

    def press(shown: list[str], most: int) -> str | None:
        if shown[0] in asked:
            seen.append(shown[0])
            return None if len(seen) % 2 else "escape" if len(seen) > 2 * most else key_of(shown[0])
        if shown[0].startswith("How strong"):
            return str(round(5 * float(asked[seen[-1]]["asked"])))
        return key_of(seen[-1])

    def key_of(image: str) -> str:
        rate = sys.modules["rate_expressions"]
        return str(rate.KEYS[offered.index(asked[image]["condition"])])

    for name, most, pad in (("P01", 100, ""), ("P02", 2, "num_")):
        seen.clear()

        def pressed(shown: list[str], most: int = most, pad: str = pad) -> str | None:
            key = press(shown, most)
            return pad + key if key and key.isdigit() else key

        screen = Screen(pressed)
        monkeypatch.setitem(sys.modules, "psychopy", screen.modules)
        monkeypatch.setattr(sys, "argv", ["rate_expressions.py", "set", "--participant", name])
        importlib.import_module("rate_expressions").main()
        assert screen.shown == ["closed"]
    done("study", "report", "answers", "-o", "report")
    facts = json.loads(Path("report/report.json").read_text())
    found = responses.read(responses.find([Path("answers")]))
    assert not found.set_aside
    assert found.participants == ["P01", "P02"]
    assert len(found.rows) >= len(material) + 2
    assert all(row.answer == row.condition for row in found.rows)
    assert facts
    monkeypatch.setattr(sys, "argv", ["rate_expressions.py", "set", "--participant", "P01"])
    with pytest.raises(SystemExit):  # who has been here
        sys.modules["rate_expressions"].main()
