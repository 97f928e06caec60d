"""Edits of real photos: measured on the finished picture, and reported one way beside another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from click.testing import CliRunner

from duchenne import animate, facs
from duchenne.animate import Subject
from duchenne.cli import commands
from duchenne.evaluate import photo_report, report
from duchenne.evaluate import photos as edits
from duchenne.evaluate.kept import Kept
from duchenne.evaluate.photos import EDITS, FULL, Edited
from duchenne.measuring.identity import JUDGES
from duchenne.measuring.score import built_in_scale
from duchenne.types import Pixels
from experiments import photos as experiment

NAMES = tuple(EDITS)
UNITS = len(facs.CODES)


def perfect(photos: int = 2) -> Edited:
    """Photos at rest that do what is asked and nothing else."""
    change = np.zeros((photos, len(NAMES), UNITS))
    for e, name in enumerate(NAMES):
        for code, value in EDITS[name].items():
            change[:, e, facs.INDEX[facs.split_side(code)[0]]] = value
    shape = (photos, len(NAMES))
    values = {judge.key: np.full(shape, 0.1) for judge in JUDGES.values()}
    values |= {"outside": np.zeros(shape), "sharpness": np.ones(shape)}
    names = tuple(f"photo{n}" for n in range(photos))
    return Edited(names, np.zeros((photos, UNITS)), change, values)


def spoiled(name: str, value: float, edit: str = "AU4 at 1") -> Edited:
    """The first photo's edit has another value."""
    edited = perfect()
    values = {key: array.copy() for key, array in edited.values.items()}
    values[name][0, NAMES.index(edit)] = value
    return replace(edited, values=values)


def test_every_unit_at_two_levels_and_every_expression() -> None:
    assert len(EDITS) == 2 * UNITS + len(facs.EXPRESSIONS)
    assert EDITS["AU12 at 0.5"] == {"AU12": 0.5}
    assert EDITS["surprise"] == facs.EXPRESSIONS["surprise"]


def test_a_perfect_way() -> None:
    rows = photo_report.summary(perfect())
    assert rows["AU4 at 0.5"]["asked"] == pytest.approx(0.5)
    assert rows["AU4 at 1"]["asked"] == pytest.approx(1)
    assert rows["sadness"]["asked"] == pytest.approx(1)  # each AU as far as the expression asks
    assert all(row["leakage"] == 0 for row in rows.values())
    assert all(bar.passed for bar in photo_report.bars(perfect()))
    assert not any(photo_report.wrong(perfect()).values())


def test_leakage_is_relative_and_leaves_out_what_is_tied() -> None:
    edited = perfect()
    e, au26 = NAMES.index("AU26 at 1"), facs.INDEX["AU26"]
    edited.change[:, e, facs.INDEX["AU25"]] = 1.0  # a dropped jaw parts the lips
    assert photo_report.leakage(edited)[:, e] == pytest.approx(0)
    edited.change[:, e, facs.INDEX["AU9"]] = -0.5
    free = UNITS - 1 - len(facs.UNITS["AU26"].kin)
    assert photo_report.leakage(edited)[:, e] == pytest.approx(0.5 / free)
    edited.change[:, e, au26] = 0.5
    assert photo_report.leakage(edited)[:, e] == pytest.approx(1.0 / free)


def test_a_face_that_shows_it_already_has_no_room() -> None:
    edited = perfect()
    edited.rest[0, facs.INDEX["AU12"]] = 0.9
    edited.change[0, NAMES.index("AU12 at 1"), facs.INDEX["AU12"]] = 0.0
    assert photo_report.change_with_room(edited)["AU12"] == pytest.approx(1)
    assert photo_report.wrong(edited)[0, "AU12 at 1"] == []
    edited.rest[:, facs.INDEX["AU12"]] = 0.9
    assert np.isnan(photo_report.change_with_room(edited)["AU12"])
    assert all(bar.passed for bar in photo_report.bars(edited))


@pytest.mark.parametrize(
    ("edited", "why", "failing"),
    [
        (spoiled("identity", 0.7), "dlib 0.70", set()),  # 1 of 46
        (spoiled("outside", 3), "changed outside", {"change outside the regions"}),
        (spoiled("sharpness", 0.5), "sharpness 0.50", set()),  # 1 of 62
    ],
)
def test_what_fails_and_why(edited: Edited, why: str, failing: set[str]) -> None:
    assert {bar.name for bar in photo_report.bars(edited) if not bar.passed} == failing
    reasons = photo_report.wrong(edited)
    assert reasons[0, "AU4 at 1"] == [why]
    assert sum(map(bool, reasons.values())) == 1
    assert photo_report.chosen(edited, 0, edited.photos, failing=True) == [(0, "AU4 at 1")]
    assert photo_report.chosen(edited, 0, ["photo1"], failing=True) == []
    assert len(photo_report.chosen(edited, 0, edited.photos, failing=False)) == photo_report.SHOWN


def test_two_edits_in_fifty_are_too_many() -> None:
    edited = spoiled("identity", 0.7)
    values = {key: array.copy() for key, array in edited.values.items()}
    values["identity"][1, NAMES.index("AU4 at 1")] = 0.7
    failing = [b.name for b in photo_report.bars(replace(edited, values=values)) if not b.passed]
    assert failing == ["distance by dlib under 0.3, AUs at 1"]


def test_ways_stand_beside_one_another(tmp_path: Path) -> None:
    weak = perfect()
    weak.change[:] *= 0.25
    ways = {"own pixels": perfect(), "generator": weak}
    paths = report.write(tmp_path, {}, {"photos": 2}, ways)
    assert [path.name for path in paths] == ["evaluation.json", "evaluation.md"]
    text = paths[1].read_text()
    assert "In each cell: own pixels / generator." in text
    assert "| AU4 at 1 | 1.00 / 0.25 | 0.00 / 0.00 | 0.10 / 0.10 |" in text
    record = json.loads(paths[0].read_text())
    assert record["photos"]["generator"]["asked change where there is room"]["AU4"] == 0.25
    assert all(line["passed"] for line in record["requirements"]["photos"])


def test_the_page_of_the_experiments_has_it() -> None:
    edited = perfect()
    units = dict.fromkeys(facs.CODES, 0.5)
    near = {judge.key: 0.25 for judge in JUDGES.values()}
    pair = {"targets": units, "measured": units, "rest": dict.fromkeys(facs.CODES, 0.0)}
    pair |= {"real": near, "from_own": near, "to_other": near}
    record = {
        "photos": list(edited.photos),
        "seed": 8,
        "ways": {way: experiment.as_json(edited) for way in (experiment.OWN, experiment.DRAWN)},
        "one_person": {"obama to obama2": pair},
        "files": ["photos_failures.jpg"],
    }
    text = experiment.section({"photos": json.loads(json.dumps(record))})
    assert "| obama to obama2 | dlib | 0.25 | 0.25 | 0.25 | 0.50 -> 0.00 |" in text
    assert "| AU4 at 1 | 1.00 / 1.00 |" in text
    assert "](photos_failures.jpg)" in text
    assert "](photos_at_random.jpg)" not in text


def test_nobody_to_judge() -> None:
    result = CliRunner().invoke(commands, ["evaluate", "-o", "report", "--identities", "0"])
    assert result.exit_code == 2
    assert "--identities 0 needs --photo or --photos" in result.output


# Measuring


def test_sharpness_is_that_of_the_edited_regions() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(100, 140, (64, 64, 3)).astype(np.uint8)
    soft = np.rint(120 + 0.5 * (photo.astype(float) - 120)).astype(np.uint8)
    half = photo.copy()
    half[:32] = soft[:32]
    above, below = np.zeros((2, 64, 64), bool)
    above[4:28], below[36:] = True, True
    assert edits.sharpness(photo, photo, above, 1) == 1
    assert edits.sharpness(half, photo, above, 1) == pytest.approx(0.5, abs=0.03)
    assert edits.sharpness(half, photo, below, 1) == pytest.approx(1, abs=0.01)


class Colours:
    """A judge of identity that looks at the mean colours of a picture's quarters."""

    def describe(self, face: Pixels) -> np.ndarray:
        half = len(face) // 2
        return face.reshape(2, half, 2, half, 3).mean(axis=(1, 3)).ravel()


@pytest.fixture
def subject(tiny_studio: None, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Subject:
    def measure(self: Subject, frame: Pixels) -> np.ndarray:
        return np.resize(Colours().describe(frame), UNITS) / 255

    monkeypatch.setattr(Subject, "measure", measure)
    studio = animate.Studio()
    studio.scorer = SimpleNamespace(scale=built_in_scale())
    return studio.face(tiny.Photo(astronaut, "folder/astronaut.png"))


# One of every region, both levels, an expression; all would tell the same, a minute later.
FEW = ("AU4 at 0.5", "AU4 at 1", "AU43 at 1", "AU9 at 1", "AU12 at 1", "surprise")


@pytest.mark.parametrize("generated", [False, True])
def test_a_photo_is_measured_once_and_kept(
    subject: Subject, generated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "EDITS", {name: EDITS[name] for name in FEW})
    subject = replace(subject, generated=generated)
    judges = {judge.key: Colours() for judge in JUDGES.values()}
    found = edits.evaluate([subject], judges, Kept(tmp_path))
    assert found.photos == ("astronaut",)
    assert found.change.shape == (1, len(FEW), UNITS)
    assert found.values["outside"].max() == 0
    assert (
        found.values["identity"][0, [FEW.index(name) for name in FEW if name in FULL]] > 0
    ).all()
    monkeypatch.setattr(edits, "measure", lambda *_: pytest.fail("measured again"))
    again = edits.evaluate([subject], judges, Kept(tmp_path))
    assert again.change == pytest.approx(found.change)


def test_other_pictures_are_measured_again(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = edits.inputs_of(subject)
    assert before == edits.inputs_of(subject)
    assert before != edits.inputs_of(replace(subject, generated=True))
    edit = Subject.edit
    monkeypatch.setattr(Subject, "edit", lambda self, *a, **k: edit(self, *a, **k) // 2)
    assert before != edits.inputs_of(subject)


def test_one_person_towards_another_photo(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked is what differs in [0, 1]; what both show fully, or not at all, is not."""
    judges = {judge.key: Colours() for judge in JUDGES.values()}
    assert edits.towards(subject, subject, judges)["offsets"] == {}
    darker = replace(subject, aligned=replace(subject.aligned, pixels=subject.aligned.pixels // 2))
    measured = {True: np.zeros(UNITS), False: np.zeros(UNITS)}
    au4, au12, au26 = (facs.INDEX[code] for code in ("AU4", "AU12", "AU26"))
    measured[True][[au4, au12, au26]] = 1.4, 0.8, -0.5  # of the other photo
    measured[False][[au4, au12, au26]] = 1.1, 0.1, 0.0
    monkeypatch.setattr(Subject, "measure", lambda self, _: measured[self is darker])
    sides = {which: np.stack([values] * 3, axis=1) for which, values in measured.items()}
    monkeypatch.setattr(Subject, "measure_sides", lambda self, _: sides[self is darker])
    found = edits.towards(subject, darker, judges)
    assert found["targets"] == {"AU12": 0.8}
    assert set(found["offsets"]) == {"AU12"}
    assert found["rest"] == {"AU12": 0.1}
    assert min(found["real"].values()) > 0
    assert set(found["to_other"]) == {judge.key for judge in JUDGES.values()}


def test_nothing_asked_is_the_photo(subject: Subject) -> None:
    assert np.array_equal(edits.shown(subject, {}), edits.photo_of(subject))


def test_a_sheet_at_full_size(subject: Subject) -> None:
    picture = photo_report.sheet([(0, "AU4 at 1")], {"own": [subject]}, perfect())
    assert picture.shape[0] > photo_report.TILE
    assert picture.shape[1] > 2 * photo_report.TILE
