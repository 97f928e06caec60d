"""Rating studies: the folder that is made, answers that are read, habits that the report finds."""

from __future__ import annotations

import csv
import json
import random
import tomllib
from pathlib import Path

import pytest
import study_sets
from command_line import done, run
from study_sets import Row, rows_of, write_responses, write_set

from duchenne import facs
from duchenne.errors import InputError, OutputError
from duchenne.study import analysis, building, material, report, responses, settings

LIBRARY = {name: name.encode() for name in building.LIBRARY}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """jsPsych is not needed to look at the other files."""
    monkeypatch.setattr(building.store, "read", LIBRARY.__getitem__)


# ---------------------------------------------------------------- the folder


@pytest.mark.usefixtures("library")
def test_a_set_becomes_a_folder_that_needs_nothing_else(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    result = done(
        "study", tmp_path / "set", "-o", tmp_path / "study", "--json", tmp_path / "a.json"
    )
    assert "10 pictures; open" in result.stdout
    assert "put your own with --consent" in result.stderr
    assert json.loads((tmp_path / "a.json").read_text())["pictures"] == 10
    study = tmp_path / "study"
    page = (study / "index.html").read_text()
    assert 'type="module"' not in page
    assert "fetch(" not in (study / "study.js").read_text()
    for source in (
        "study.js",
        "config.js",
        "study.css",
        *(f"jspsych/{n}" for n in building.LIBRARY.values()),
    ):
        assert f'"{source}"' in page
        assert (study / source).is_file()
    assert "MIT License" in (study / "jspsych" / building.LICENCE).read_text()
    made = config_of(study)
    assert len(made["pictures"]) == 10
    for picture in made["pictures"]:
        content = (study / "stimuli" / picture["file"]).read_bytes()
        assert content == (tmp_path / "set" / picture["file"]).read_bytes()
    assert [a["key"] for a in made["answers"]] == [*facs.EXPRESSIONS, "neutral", "other"]
    assert {p["condition"]: p["expected"] for p in made["pictures"]} == {
        "neutral": "neutral", "happiness": "happiness", "fear": "fear",
    }  # fmt: skip


def config_of(study: Path) -> dict[str, object]:
    text = (study / "config.js").read_text()
    return json.loads(text.removeprefix("window.STUDY = ").removesuffix(";\n"))


@pytest.mark.usefixtures("library")
def test_the_settings_beside_a_study_are_read_again(tmp_path: Path) -> None:
    write_set(tmp_path / "set", ("happiness", "AU12"))
    study = tmp_path / "study"
    done("study", tmp_path / "set", "-o", study)
    first = config_of(study)
    (study / "answers.csv").write_text("somebody's answers")
    toml = (study / "study.toml").read_text()
    consent = tmp_path / "consent.txt"
    consent.write_text('Ein "Text"\\n\n\nmit """ und \x7f\n', encoding="utf-8")
    again = done("study", tmp_path / "set", "--consent", consent, "-o", study)
    assert "settings: " in again.stderr
    assert config_of(study)["texts"]["consent"] == 'Ein "Text"\\n\n\nmit """ und \x7f'
    assert config_of(study)["id"] == first["id"]  # words do not make another study
    toml = toml.replace('fear = "Fear"', 'fear = "Angst"').replace('AU12 = "AU12"', 'AU12 = ""')
    (study / "study.toml").write_text(toml.replace("most = 5", "most = 6"))
    done("study", tmp_path / "set", "-o", study)
    changed = config_of(study)
    assert {"key": "fear", "label": "Angst"} in changed["answers"]
    assert changed["intensity"]["most"] == 6
    assert {p["expected"] for p in changed["pictures"] if p["condition"] == "AU12"} == {""}
    assert changed["id"] != first["id"]
    assert (study / "answers.csv").read_text() == "somebody's answers"


def test_settings_survive_their_file() -> None:
    given = settings.defaults(["neutral", "my smile", 'a"b\\c'])
    toml = settings.as_toml(given)
    assert settings.parse(tomllib.loads(toml), given.conditions) == given
    assert list(settings.defaults(["AU12"]).expressions) == ["AU12", "other"]
    assert settings.parse({}, given.conditions) == given


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sed": 1}, r"sed: unknown entry; .* did you mean seed"),
        ({"seed": "1"}, "seed: expected int, not '1'"),
        ({"seed": True}, "seed: expected int, not True"),
        ({"seed": -1}, "seed=-1: must lie between"),
        ({"texts": {"agre": "x"}}, r"\[texts\] agre: unknown entry"),
        ({"texts": []}, r"\[texts\]: expected a table"),
        ({"expressions": {"fear": "Fear"}}, "1 answers; expected 2 to 20"),
        ({"expressions": {"a": "Fear", "b": "Fear"}}, "expected different words"),
        ({"expressions": {"a|b": "A", "b": "B"}}, "has no |"),
        ({"conditions": {"fear": "fera"}}, "answer 'fera' is not among"),
        ({"intensity": {"least": 5, "most": 5}}, "5 to 5: expected 1 to 10 steps"),
        ({"participant": "a b"}, "participant: expected one word"),
        ([], "expected a table of settings"),
    ],
)
def test_settings_that_cannot_be(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings.parse(table, ["neutral", "fear"])


@pytest.mark.usefixtures("library")
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    shown = material.read(write_set(tmp_path / "set"))
    asked = settings.defaults(shown.conditions)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds files of something else"):
        building.build(asked, shown, tmp_path / "mine")
    building.build(asked, shown, tmp_path / "study")
    other = material.read(write_set(tmp_path / "other", ("anger",)))
    with pytest.raises(OutputError, match="a study of other pictures"):
        building.build(settings.defaults(other.conditions), other, tmp_path / "study")
    with pytest.raises(OutputError, match="is a file"):
        building.build(asked, shown, tmp_path / "mine" / "notes.txt")


def test_what_a_study_shows_of_a_set(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", ("fear",), ("a",), (1.0,))
    with (folder / "manifest.csv").open("a") as file:
        file.write("a.mp4,a,fear,both,1,film,,\n")
        file.write("b.png,a,fear,both,1,still,AU4 missed,\n")
        file.write(",a,fear,both,1,still,,no face\n")
    for name in ("a.mp4", "b.png"):
        (folder / name).write_bytes(name.encode())
    shown = material.read(folder, outliers=False)
    assert [picture.file for picture in shown.pictures] == ["a_neutral_0.00.png", "a_fear_1.00.png"]
    assert shown.left_out == {"films": 1, "outliers": 1, "without a file": 1}
    assert [picture.file for picture in material.read(folder).pictures][-1] == "b.png"
    (film,) = material.read(folder, films=True).pictures
    assert film.film
    plain = tmp_path / "set" / "mine.csv"
    plain.write_text(
        "condition;file;intensity\nsmile;b.png;0,5\nfrown;a.mp4;\nrest;a_neutral_0.00.png;\n"
    )
    smile, rest = material.read(plain).pictures
    assert (smile.condition, smile.asked, smile.identity, rest.asked) == ("smile", 0.5, "", 1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file\nb.png\n", "no column condition; expected a set"),
        ("file,condition\n../b.png,fear\n", "leads out of the set's folder"),
        ("file,condition\nC:/b.png,fear\n", "leads out of the set's folder"),
        ("file,condition\nb.tiff,fear\n", "browsers show .png"),
        ("file,condition\nb.png,\n", "condition '': expected a name"),
        ("file,condition\nc.png,fear\n", "cannot be read"),
        ("file,condition,intensity\nb.png,fear,2\n", "intensity=2: must lie between 0 and 1"),
        ("file,condition\nb.png,fear\nb.png,fear\n", "named twice"),
        ("file,condition,error\n,fear,no face\n", "no pictures to show .1 without a file"),
    ],
)
def test_a_table_that_cannot_be_shown(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"picture")
    (tmp_path / "manifest.csv").write_text(rows)
    with pytest.raises(InputError, match=message):
        material.read(tmp_path)


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no manifest\.csv"):
        material.read(tmp_path)


# ---------------------------------------------------------------- raters with known habits


def fear_is_surprise(row: Row, rng: random.Random) -> None:
    if row["condition"] == "fear":
        row["answer"] = "surprise"


def one_higher(row: Row, rng: random.Random) -> None:
    row["intensity"] = min(5, int(str(row["intensity"])) + 1)


def two_more_real(row: Row, rng: random.Random) -> None:
    row["realism"] = int(str(row["realism"])) + 2


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five plain raters, three with a habit each, and one who does not read."""
    folder = tmp_path_factory.mktemp("answers")
    for name in ("ann", "ben", "cas", "dee", "eve"):
        write_responses(folder / f"{name}.csv", rows_of(name, noise=0.15))
    write_responses(folder / "fay.csv", rows_of("fay", fear_is_surprise))
    write_responses(folder / "gus.csv", rows_of("gus", one_higher))
    write_responses(folder / "hal.csv", rows_of("hal", two_more_real))
    write_responses(folder / "ian.csv", rows_of("ian", fear_is_surprise, missed=2))
    return folder


def test_the_report_finds_the_habits_of_raters(biased: Path, tmp_path: Path) -> None:
    result = done("study", "report", biased, "-o", tmp_path / "report")
    assert "left out, for missed attention checks: ian" in result.stderr
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (found["participants"], found["used"], found["excluded"]) == (9, 8, {"ian": 2})
    assert found["attention_checks"] == {"asked": 27, "missed": 2}
    raters = {rater["participant"]: rater for rater in found["raters"]}
    (habit,) = raters["fay"]["confusions"]
    assert (habit["shown"], habit["answer"], habit["share"]) == ("fear", "surprise", 1.0)
    assert habit["others"] < 0.05
    assert raters["gus"]["shifts"]["intensity"]["steps"] == pytest.approx(1, abs=0.1)
    assert raters["hal"]["shifts"]["realism"]["steps"] == pytest.approx(2)
    assert {who: bool(rater["remarks"]) for who, rater in raters.items()} == {
        **dict.fromkeys(("ann", "ben", "cas", "dee", "eve"), False),
        **dict.fromkeys(("fay", "gus", "hal"), True),
    }
    assert raters["fay"]["remarks"][0].startswith("takes fear for surprise: 100% of its pictures")
    assert raters["gus"]["remarks"] == ["rates intensity 1.0 steps higher than the others"]
    # Fay's 24 of 192 faces of fear, and what noise adds.
    counts = found["confusion"]
    row = counts["counts"][counts["rows"].index("fear")]
    assert sum(row) == 8 * 24
    assert 24 <= row[counts["answers"].index("surprise")] <= 24 + 8
    assert all(curve["rho"] > 0.9 for curve in found["intensity"])
    fear = next(rate for rate in found["hit_rates"] if rate["answer"] == "fear")
    surprise = next(rate for rate in found["hit_rates"] if rate["answer"] == "surprise")
    assert fear["unbiased"] < fear["hits"]
    assert surprise["unbiased"] < surprise["hits"] - 0.08  # fay uses the name too often
    assert all(test["p"] < 0.001 for test in found["above_chance"])
    assert found["realism"]["fear"]["mean"] == pytest.approx(
        found["realism"]["happiness"]["mean"] - 1
    )
    assert 0.85 < found["icc"]["intensity"]["single"] < found["icc"]["intensity"]["average"] <= 1
    kept = json.loads((tmp_path / "report" / "report.json").read_text())
    assert kept["agreement"]["kappa"] == pytest.approx(kept["agreement"]["alpha"], abs=0.01)


def test_the_report_is_readable_and_whole(biased: Path, tmp_path: Path) -> None:
    done("study", "report", biased, "-o", tmp_path / "report")
    folder = tmp_path / "report"
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "report.json", "confusion.svg", "intensity.svg", "realism.svg",
        "confusion.csv", "hit_rates.csv", "intensity.csv", "realism.csv", "raters.csv",
        "pictures.csv", "set_aside.csv",
    }  # fmt: skip
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "src=" not in page
    assert "takes fear for surprise" in page
    with (folder / "pictures.csv").open() as file:
        pictures = list(csv.DictReader(file))
    assert len(pictures) == 6 * 13
    assert all(int(picture["raters"]) == 8 for picture in pictures)
    with (folder / "raters.csv").open() as file:
        raters = {row["participant"]: row for row in csv.DictReader(file)}
    assert raters["ian"]["used"] == "no"
    tolerant = done("study", "report", biased, "--tolerate", "2", "-o", tmp_path / "all")
    assert "9 raters" in tolerant.stdout


def test_raters_of_different_pictures(tmp_path: Path) -> None:
    """Each rater a part of the set: no pictures that all have rated, and the rest is there."""
    for i, name in enumerate(("ann", "ben", "cas")):
        rows = [row for n, row in enumerate(rows_of(name)) if n % 3 != i]
        write_responses(tmp_path / f"{name}.csv", rows)
    found = report.facts(analysis.analyse(responses.read(responses.find([tmp_path]))))
    assert found["agreement"]["alpha"] == 1
    assert found["icc"] == {"intensity": None, "realism": None}
    assert len(found["pictures"]) == 6 * 13


def test_one_rater_and_one_picture(tmp_path: Path) -> None:
    path = write_responses(tmp_path / "a.csv", rows_of("ann")[1:2])
    done("study", "report", path, "-o", tmp_path / "report")
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["agreement"] == {"percent": None, "kappa": None, "alpha": None}
    assert found["hit_rates"][0]["hits"] == 1


def test_nobody_is_left(tmp_path: Path) -> None:
    path = write_responses(tmp_path / "a.csv", rows_of("ann", missed=1))
    done("study", "report", path, "-o", tmp_path / "report")
    assert "No rater is left" in (tmp_path / "report" / "report.html").read_text()


def test_a_study_without_scales(tmp_path: Path) -> None:
    rows = rows_of("ann", noise=0.3) + rows_of("ben")
    without = {"intensity": "", "realism": "", "intensity_scale": "", "realism_scale": ""}
    path = write_responses(tmp_path / "a.csv", [{**row, **without} for row in rows])
    done("study", "report", path, "-o", tmp_path / "report")
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (found["icc"], found["intensity"], found["realism"]) == ({}, [], {})
    assert 0 < found["agreement"]["kappa"] < 1


# ---------------------------------------------------------------- answers that cannot be used


def changed(row: Row, **cells: object) -> Row:
    return {**row, **cells}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"participant": ""}, "names no participant"),
        ({"kind": "pictur"}, "kind 'pictur': expected picture or check"),
        ({"answer": "joy"}, "answer 'joy': none of those offered"),
        ({"answer": ""}, "answer '': none of those offered"),
        ({"offered": "fear"}, "offered: expected two answers or more"),
        ({"file": ""}, "file is empty; the row is cut or damaged"),
        ({"asked": "much"}, "asked: 'much' is not a number"),
        ({"intensity": "6"}, "intensity=6: must lie between 0 and 5"),
        ({"intensity": "2.5"}, "intensity: '2.5' is not a whole number"),
        ({"realism": ""}, "realism: '' is not a whole number"),
        ({"intensity_scale": "0-9"}, "other answers or scales"),
        ({"realism_scale": "7"}, "realism_scale '7': expected its ends"),
        ({"study": "ffffffffffff"}, "of another study ('ffffffffffff', not 0123456789ab)"),
    ],
)
def test_a_damaged_row_is_named_and_the_rest_counts(
    cells: Row, reason: str, tmp_path: Path
) -> None:
    rows = rows_of("ann")
    path = write_responses(tmp_path / "a.csv", [*rows[:5], changed(rows[5], **cells), *rows[6:]])
    result = done("study", "report", path, "-o", tmp_path / "report")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("set aside: ")]
    assert f"a.csv line 7: {reason}" in line
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["answers"] == 6 * 13 - 1
    with (tmp_path / "report" / "set_aside.csv").open() as file:
        assert [row["line"] for row in csv.DictReader(file)] == ["7"]


def test_files_that_are_no_answers(tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    write_responses(folder / "a.csv", rows_of("ann"))
    (folder / "b.csv").write_text("file,answer\na.png,fear\n")
    (folder / "c.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "d.csv").write_text(",".join(responses.COLUMNS) + "\n")
    (folder / "e.csv").write_text("")
    content = (folder / "a.csv").read_text()
    (folder / "f.csv").write_text(content[: len(content) // 2].replace("ann", "ben"))
    result = done("study", "report", folder, "-o", tmp_path / "report")
    said = [line for line in result.stderr.splitlines() if line.startswith("set aside: ")]
    assert [line.split("/")[-1][:5] for line in said] == [f"{name}.csv" for name in "bcdef"]
    assert "no column study; expected the CSV that a study's page saves" in said[0]
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["participants"] == 2
    with pytest.raises(InputError, match=r"no answers that can be used in 1 files: .*no column"):
        responses.read([folder / "b.csv"])


def test_answers_that_are_there_twice(tmp_path: Path) -> None:
    rows = rows_of("ann")
    write_responses(tmp_path / "a.csv", rows)
    write_responses(tmp_path / "copy.csv", rows)
    second = [changed(row, answer="anger", started="2026-01-02") for row in rows]
    write_responses(tmp_path / "second.csv", second)
    found = responses.read(responses.find([tmp_path]))
    assert found.copies == len(rows)
    assert len(found.rows) == 6 * 13
    assert {row.answer for row in found.rows} == {"neutral", "happiness", "surprise", "fear"}
    assert len(found.set_aside) == len(rows)
    assert "has answered 'p0_neutral_0.00.png' before; the first answer counts" in str(
        found.set_aside[0]
    )


def test_what_a_spreadsheet_saved_again(tmp_path: Path) -> None:
    path = write_responses(tmp_path / "a.csv", rows_of("ann"))
    text = path.read_text().replace(",", ";")
    (tmp_path / "b.csv").write_text(text.replace(";0.", ";0,"), encoding="utf-16")
    first, second = (responses.read([tmp_path / name]) for name in ("a.csv", "b.csv"))
    assert first.rows == second.rows


def test_a_report_does_not_go_among_the_answers(biased: Path) -> None:
    refused = run("study", "report", biased, "-o", biased)
    assert refused.exit_code == 2
    assert "give another one" in refused.stderr
    empty = study_sets.write_set(biased / "none", ("fear",))
    for path in empty.glob("*.csv"):
        path.unlink()
    assert run("study", "report", empty, "-o", biased / "r").exit_code == 3
