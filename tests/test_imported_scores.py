"""Scores of other coders, by file name: reading them, importing them, and fitting on them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from command_line import run
from PIL import Image
from refusal import refusal

from duchenne import facs
from duchenne.editing import boundaries
from duchenne.encoding.cache import EncodeCache
from duchenne.encoding.settings import EncodeSettings
from duchenne.errors import InputError, SpaceMismatch
from duchenne.files import codes, pictures
from duchenne.fit import imported, labelled
from duchenne.fit.labels import AU_FACE, NEUTRAL, UNUSED, by_rank
from duchenne.motion.coders import read_scores
from duchenne.types import LatentCode

NUMBERS = [unit.number for unit in facs.ACTION_UNITS]
AU12, AU25 = facs.INDEX["AU12"], facs.INDEX["AU25"]


def table_of(head: list[str], unit: str, rows: list[tuple[list[Any], dict[int, float]]]) -> str:
    """A coder's CSV; rows: what stands under the head, and AU number -> intensity."""
    lines = [", ".join([*head, *(unit.format(n) for n in NUMBERS)])]
    lines += [", ".join(map(str, [*start, *(v.get(n, 0) for n in NUMBERS)])) for start, v in rows]
    return "\n".join(lines) + "\n"


def openface_image(rows: list[tuple[list[Any], dict[int, float]]]) -> str:
    return table_of(["face", "confidence"], "AU{:02d}_r", rows)


def openface_sequence(rows: list[tuple[list[Any], dict[int, float]]]) -> str:
    return table_of(["frame", "face_id", "timestamp", "confidence", "success"], "AU{:02d}_r", rows)


def pyfeat(rows: list[tuple[list[Any], dict[int, float]]]) -> str:
    return table_of(["input", "frame", "FaceScore"], "AU{:02d}", rows)


# Reading


def test_pyfeat_names_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "pyfeat.csv"
    rows = [(["/data/a.png", 0, 0.99], {12: 0.8}), ([r"C:\faces\b.png", 1, 0.98], {1: 1.0})]
    path.write_text(pyfeat(rows))
    scores = read_scores(path)
    assert scores.tool == "py-feat"
    assert list(scores.by_stem()) == ["a", "b"]
    assert scores.by_stem()["a"][AU12] == pytest.approx(4.0)  # of 5
    assert scores.by_stem()["b"].tolist() == [5.0] + [0.0] * (len(facs.CODES) - 1)
    assert scores.notes == ()


def test_openface_writes_a_table_for_each_picture(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(openface_image([([0, 0.98], {12: 3.2})]))
    (tmp_path / "b.csv").write_text(openface_image([([0, 0.3], {12: 4})]))
    crowd = [([0, 0.98], {12: 1}), ([1, 0.97], {12: 2})]
    (tmp_path / "c.csv").write_text(openface_image(crowd))
    (tmp_path / "a_of_details.txt").write_text("Input:a.png\n")
    scores = read_scores(tmp_path)
    assert scores.names == ("a",)
    assert scores.values[0, AU12] == pytest.approx(3.2)
    assert scores.notes == (
        "1 of 4 rows without a trusted face left out",
        "1 pictures with several faces left out, c first",
    )
    assert read_scores(tmp_path / "a.csv").names == ("a",)


def test_openface_numbers_the_pictures_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    rows = [([i, 0, i * 0.03, 0.98, int(i != 2)], {12: i}) for i in (1, 2, 3)]
    path.write_text(openface_sequence(rows))
    pictures = ["z.jpg", "b.png", "a.png", "notes.txt", "a.safetensors"]
    scores = read_scores(path, pictures)
    assert scores.names == ("a.png", "z.jpg")  # b is frame 2, which failed
    assert scores.values[:, AU12].tolist() == [1.0, 3.0]
    with pytest.raises(InputError, match="numbers 2 pictures up to 3"):
        read_scores(path, pictures[1:])
    with pytest.raises(InputError, match="rows have numbers, not file names"):
        read_scores(path)


def test_columns_that_a_coder_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("input,AU12,FaceScore\na.png,0.5,0.9\nb.png,,0.9\n")
    scores = read_scores(path)
    assert scores.names == ("a.png",)
    assert np.isnan(np.delete(scores.values, AU12, axis=1)).all()
    assert scores.notes[1].startswith("no values for AU1, AU2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frame,AU12\n1,0.5\n", "no column 'input' with the pictures' names"),
        (
            "a,b\n1,2\n",
            "expected columns such as AU12_r (OpenFace), au_12_intensity (LibreFace), AU12",
        ),
        ("image,AU12\na.png,x\n", "line 2, column AU12: 'x' is not a number"),
        ("input,AU12,FaceScore\na.png,0.5,0.1\n", "no picture with exactly one trusted face"),
        ("input,AU12\na.png,\n", "every intensity is empty"),
    ],
)
def test_tables_that_do_not_serve(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    message = refusal(InputError, read_scores, path)
    assert message.startswith(str(path))
    assert words in message


def test_an_empty_folder_of_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.csv"):
        read_scores(tmp_path)


# `duchenne score --import`


def test_imported_scores_take_this_programs_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyfeat.csv").write_text(pyfeat([(["a.png", 0, 0.99], {12: 0.8})]))
    assert run("score", "--import", "pyfeat.csv", "-o", "own.csv").exit_code == 0
    (row,) = csv.DictReader(Path("own.csv").read_text().splitlines())
    assert list(row) == ["image", *facs.CODES]
    assert (row["image"], row["AU12"], row["AU1"]) == ("a.png", "4.0", "0.0")
    again = read_scores(Path("own.csv"))
    assert again.tool == "duchenne score"
    np.testing.assert_array_equal(again.values, read_scores(Path("pyfeat.csv")).values)
    Path("few.csv").write_text("input,AU12\na.png,0.5\n")
    run("score", "--import", "few.csv", "-o", "few.json")
    (entry,) = json.loads(Path("few.json").read_text())
    assert (entry["AU12"], entry["AU1"]) == (2.5, None)
    assert run("score", "--import", "few.csv").stdout.startswith("image,AU1,")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["score"], 2),
        (["score", "a.png", "--import", "few.csv"], 2),
        (["score", "a.png", "--pictures", "."], 2),
        (["score", "--import", "few.csv", "--pictures", "none"], 3),
        (["score", "--import", "few.csv", "-o", "few.csv"], 6),
    ],
)
def test_wrong_use_of_import(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.csv").write_text("input,AU12\na.png,0.5\n")
    assert run(*arguments).exit_code == code


# `duchenne sample --count`


@pytest.mark.usefixtures("tiny_studio")
def test_sampled_people_have_their_seeds_as_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("sample", "--seed", "8", "-o", "one.png").exit_code == 0
    assert run("sample", "--seed", "7", "--count", "2", "-o", "faces").exit_code == 0
    names = sorted(path.name for path in Path("faces").iterdir())
    assert names == [f"seed_00000{n}.{end}" for n in (7, 8) for end in ("png", "safetensors")]
    assert Path("faces/seed_000008.png").read_bytes() == Path("one.png").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in Path("faces").iterdir()}
    Path("faces/seed_000007.safetensors").write_bytes(b"half")
    run("sample", "--seed", "7", "--count", "3", "-o", "faces")
    after = {path: path.stat().st_mtime_ns for path in Path("faces").iterdir()}
    kept = {path.name for path in before if after[path] == before[path]}
    assert kept == {"seed_000008.png", "seed_000008.safetensors"}
    assert codes.read_code(Path("faces/seed_000007.safetensors")).provenance["seed"] == 7
    assert len(after) == 6
    run("sample", "--seed", "7", "--count", "1", "--truncation", "0.3", "-o", "faces")
    assert codes.read_code(Path("faces/seed_000007.safetensors")).provenance["truncation"] == 0.3
    assert run("sample", "--seed", "7", "--count", "1", "-o", "a.png").exit_code == 6


# Fitting


def test_roles_by_rank() -> None:
    values = np.zeros((20, len(facs.CODES)))
    values[:, 6] = np.arange(20)
    values[:, 5] = np.nan
    roles = by_rank(values, 0.15)
    assert np.flatnonzero(roles[:, 6] == NEUTRAL).tolist() == [0, 1, 2]
    assert np.flatnonzero(roles[:, 6] == AU_FACE).tolist() == [17, 18, 19]
    assert (roles[:, 5] == UNUSED).all()
    assert (roles[:, 0] == UNUSED).all()  # without any spread there is nothing to tell apart
    values[4:, 0] = 0.0
    values[:2, 0] = 3.0
    assert np.flatnonzero(by_rank(values, 0.15)[:, 0] == AU_FACE).tolist() == [0, 1]


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """120 sampled codes with the table of a coder that sees one direction of W as AU12."""
    studio = tiny.TinyStudio()
    folder = tmp_path / "faces"
    folder.mkdir()
    direction = labelled.svm.whitening(tiny.GENERATOR, 5)[1]
    rows = []
    for seed in range(120):
        code = studio.sample(seed).code
        codes.write_code(code, folder / f"seed_{seed:06d}.safetensors")
        Image.new("RGB", (64, 64)).save(folder / f"seed_{seed:06d}.png")
        along = float(code.w[0] @ direction / np.linalg.norm(direction) ** 2)
        rows.append(([seed + 1, 0, seed / 30, 0.98, 1], {12: np.clip(2 + along, 0, 5)}))
    (tmp_path / "openface.csv").write_text(openface_sequence(rows))
    return folder, direction / np.linalg.norm(direction)


def test_a_coder_drives_the_fit(
    scored: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "duchenne.cli.fitting_coded.new_studio",
        lambda *a, **k: tiny.TinyStudio(EncodeSettings(steps=1)),
    )
    monkeypatch.setattr("duchenne.cli.fitting_coded._scorer", lambda run: None)
    line = ["fit", "boundaries", "--scores", "openface.csv", "--pictures", "faces", "--work", "w"]
    result = run(*line, "-o", "b.safetensors", "--distances", "e.csv")
    assert result.exit_code == 0, result.stderr
    found = boundaries.load_boundaries(Path("b.safetensors"))
    assert found.missing == tuple(code for code in facs.CODES if code != "AU12")
    rows = found.normals[AU12][found.normals[AU12].any(axis=1)]
    along = rows @ scored[1] / np.linalg.norm(rows, axis=1)
    assert along.min() > 0.6  # from 36 faces, in 160 directions of which one counts
    told = found.provenance["action_units"]["AU12"]
    assert (told["au_faces"], told["neutral_faces"], told["people"]) == (18, 18, 18)
    assert told["held_out_auc"] > 0.75
    assert told["held_out_agreement"] is None  # nobody was coded twice
    assert found.provenance["examples"] == "scored by OpenFace"
    table = list(csv.DictReader(Path("e.csv").read_text().splitlines()))
    assert len(table) == 120
    apart = {row["face"]: float(row["AU12"]) for row in table}
    scores = read_scores(Path("openface.csv"), [p.name for p in Path("faces").iterdir()])
    wanted = dict(zip(scores.names, scores.values[:, AU12], strict=True))
    pairs = np.array([[e, wanted[Path(face).stem + ".png"]] for face, e in apart.items()])
    assert np.corrcoef(pairs.T)[0, 1] > 0.7


def test_pictures_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duchenne.faces.align.align", tiny.golden_align)
    faces = tmp_path / "faces"
    for person, name, level in (("anna", "a0", 10), ("anna", "a1", 200), ("bert", "b0", 20)):
        (faces / person).mkdir(parents=True, exist_ok=True)
        pictures.save_image(np.full((64, 64, 3), level, np.uint8), faces / person / f"{name}.png")
    table = tmp_path / "own.csv"
    table.write_text("image,AU12,AU25\na0.png,0,0\na1.png,5,4\nb0.png,0,0\nc0.png,5,5\n")
    for _ in range(2):
        studio = tiny.TinyStudio(EncodeSettings(steps=1))
        studio.cache = EncodeCache(tmp_path / "codes")
        data = imported.collect(faces, read_scores(table), studio, strong=4)
    assert len(list((tmp_path / "codes").iterdir())) == 3
    assert data.people.tolist() == ["anna/", "anna/", "bert/"]
    assert data.roles[:, AU12].tolist() == [NEUTRAL, AU_FACE, NEUTRAL]
    assert data.roles[:, AU25].tolist() == [NEUTRAL, AU_FACE, NEUTRAL]
    assert (data.roles[:, 0] == UNUSED).all()
    part = imported.collect(faces, read_scores(table), studio, strong=4, share=(1, 2))
    assert [Path(name).stem for name in part.names] == ["a1"]


def test_faces_that_do_not_match(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    studio = tiny.TinyStudio()
    table = tmp_path / "own.csv"
    table.write_text("image,AU12\na.png,5\nb.png,0\n")
    scores = read_scores(table)
    with pytest.raises(InputError, match="no such folder"):
        imported.collect(tmp_path / "none", scores, studio)
    faces = tmp_path / "faces"
    (faces / "x").mkdir(parents=True)
    with pytest.raises(InputError, match="neither saved codes nor pictures"):
        imported.collect(faces, scores, studio)
    codes.write_code(studio.sample(1).code, faces / "other.safetensors")
    with pytest.raises(InputError, match="none of its 1 files is among the 2 scored ones"):
        imported.collect(faces, scores, studio)
    codes.write_code(studio.sample(1).code, faces / "a.safetensors")
    assert len(imported.collect(faces, scores, studio).w) == 1
    assert "1 files without scores left out" in caplog.text
    assert "1 scored pictures without a file left out" in caplog.text
    codes.write_code(studio.sample(1).code, faces / "x" / "a.safetensors")
    with pytest.raises(InputError, match="have one name"):
        imported.collect(faces, scores, studio)
    (faces / "x" / "a.safetensors").unlink()
    foreign = LatentCode(studio.sample(1).code.w, "another generator")
    codes.write_code(foreign, faces / "a.safetensors")
    with pytest.raises(SpaceMismatch):
        imported.collect(faces, scores, studio)
