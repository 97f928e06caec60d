"""Designs, matching, quality, and whole sets: on the tiny generator, and a small one for real."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_batch import (
    contents,
    golden_mesh,
    manifest,
    run,
    tiny_here,
    tiny_workers,
    workers_here,
)

from duchenne import facs
from duchenne.errors import DescriptorError, DuchenneError, InputError
from duchenne.faces.warp import shrink
from duchenne.files import pictures
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.stimuli import casting, matching, papers, quality
from duchenne.stimuli.design import Cell, Design, Match, Quality, parse, read_design
from duchenne.stimuli.measuring import Means
from duchenne.stimuli.screening import SURELY_GLASSES, SURELY_NONE, face_length, glasses

__all__ = ["tiny_here", "tiny_workers", "workers_here"]
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "stimuli.toml"
ONE = {"people": {"synthetic": 1}, "conditions": {"smile": "AU12=1"}}


def design(**changes: Any) -> Design:
    return parse({**ONE, **changes}, Path())


# ---------------------------------------------------------------- the design


def test_the_example_is_the_issues_240_and_the_faces_at_rest() -> None:
    example = read_design(EXAMPLE)
    cells = example.cells()
    assert len(cells) * example.people.synthetic == 240 + 8
    assert cells[0] == Cell("neutral", "both", 0.0, {}, "still", ".png")
    assert cells[1].descriptor == {"AU6": 0.2, "AU12": 0.2, "AU25": 0.2}
    assert example.file_of("s00001", cells[1]) == "s00001_happiness_0.20.png"


def test_sides_kinds_and_patterns() -> None:
    both = design(
        conditions={"smile": "AU12=0.5,AU1L=1"},
        intensities=[0.5, 1],
        sides=["both", "left"],
        neutral=False,
        output={"film": ".mp4", "pattern": "{identity}/{condition}-{side}-{percent}"},
    )
    cells = both.cells()
    assert len(cells) == 2 * 2 * 2
    assert [cell.descriptor for cell in cells[::2]] == [
        {"AU12": 0.25, "AU1L": 0.5},
        {"AU12": 0.5, "AU1L": 1.0},
        {"AU12L": 0.25, "AU1L": 0.5},
        {"AU12L": 0.5, "AU1L": 1.0},
    ]
    assert both.file_of("anna", cells[5]) == "anna/smile-left-050.mp4"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peopel": {}}, "peopel: unknown entry"),
        ({"people": {"seed": 1}}, r"\[people\] seed: unknown entry"),
        ({"people": {}}, "names nobody"),
        ({"people": {"synthetic": "8"}}, r"\[people\] synthetic: expected int, not '8'"),
        ({"people": {"synthetic": True}}, "expected int, not True"),
        ({"people": {"synthetic": -1}}, "synthetic=-1: must lie between"),
        ({"people": {"synthetic": 1, "truncation": 2}}, "must lie between 0 and 1"),
        ({"people": {"photos": "a.jpg"}}, r"\[people\] photos: expected list"),
        ({"conditions": {"a/b": "AU1"}}, "use letters"),
        ({"conditions": {"neutral": "AU1"}}, "not 'neutral'"),
        ({"conditions": {"x": 3}}, 'expected "happiness"'),
        ({"conditions": {}, "neutral": False}, "nothing to draw"),
        ({"intensities": [0, 1]}, "must lie above 0"),
        ({"sides": ["up"]}, "known are both, left, right"),
        ({"output": {"still": ".bmp"}}, "still is one of"),
        ({"output": {"still": ""}}, "both empty"),
        ({"output": {"size": 5000}}, "between 64 and 4096"),
        ({"output": {"pattern": "{who}"}}, "use {identity}"),
        ({"output": {"pattern": "{identity}"}}, "two files the same name"),
        ({"output": {"pattern": "../{identity}_{condition}"}}, "leads out"),
        ({"output": {"paste_back": True}}, "needs photos"),
        ({"target": True, "sides": ["left"]}, "cannot be measured"),
    ],
)
def test_a_wrong_design_names_the_entry(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        design(**changes)


def test_a_wrong_descriptor_and_a_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="unknown expression"):
        design(conditions={"x": "joy"})
    with pytest.raises(InputError, match="no such file"):
        read_design(tmp_path / "none.toml")
    (tmp_path / "d.toml").write_text("title = ")
    with pytest.raises(InputError, match="not valid TOML"):
        read_design(tmp_path / "d.toml")
    (tmp_path / "d.toml").write_text("[people]\nsynthetic = 1\n[conditions]\nx = 'AU99'\n")
    with pytest.raises(DescriptorError, match=r"d\.toml: \[conditions\] x: unknown Action Unit"):
        read_design(tmp_path / "d.toml")


def test_people_are_named_after_their_files(tmp_path: Path) -> None:
    for name in ("anna smith.jpg", "b.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    people = {"photos": ["anna smith.jpg"], "codes": ["b.safetensors"], "seeds": [7]}
    named = casting.named_people(parse({"people": people, "neutral": True}, tmp_path))
    assert [(p.name, p.kind) for p in named] == [
        ("anna-smith", "photo"), ("b", "code"), ("s00007", "synthetic"),
    ]  # fmt: skip
    for photos, message in ((["c.jpg"], "cannot be read"), (["anna smith.jpg"] * 2, "two people")):
        with pytest.raises(InputError, match=message):
            casting.named_people(parse({"people": {"photos": photos}}, tmp_path))


# ---------------------------------------------------------------- matching


def test_lightness_of_known_greys() -> None:
    """CIE 1976: sRGB 119 is L* 50.03, 0 and 255 are the ends (worked out by hand)."""
    greys = np.array([0, 119, 255], np.uint8)[None, :, None].repeat(3, axis=2)
    np.testing.assert_allclose(matching.lightness(greys)[0], [0, 50.03, 100], atol=0.01)


def picture(astronaut: np.ndarray, size: int = 256) -> np.ndarray:
    """The aligned astronaut, whose mesh `golden_mesh` gives."""
    import tiny

    return tiny.golden_align(pictures.Photo(astronaut), size=size).pixels


def test_matching_gives_the_light_that_was_asked_for(astronaut: np.ndarray) -> None:
    face = picture(astronaut)
    mesh = golden_mesh(face)
    found = matching.correct(face, mesh, 128, Match(luminance=55, contrast=10))
    corrected = found.apply(face)
    mean, spread = matching.light_of(corrected, matching.oval_of(face, mesh, found))
    assert mean == pytest.approx(55, abs=0.5)  # clipped highlights and rounding to bytes
    assert spread == pytest.approx(10, abs=0.5)
    darker = matching.correct(face, mesh, 128, Match(luminance=40))
    assert matching.lightness(darker.apply(face)).mean() < matching.lightness(corrected).mean()


def test_matching_nothing_only_resizes(astronaut: np.ndarray) -> None:
    face = picture(astronaut)
    found = matching.correct(face, golden_mesh(face), 128, Match())
    np.testing.assert_array_equal(found.apply(face), shrink(face, (128, 128)))
    same = matching.correct(face, None, 256, Match(luminance=50, framing=True))
    assert same.apply(face) is face


def test_framing_puts_the_eyes_where_they_belong() -> None:
    """A map from the matched picture sends the wanted places to the eyes of the mesh."""
    mesh = golden_mesh(np.zeros((300, 300, 3), np.uint8))
    turned = mesh[:, :2] @ np.array([[0.99, 0.1], [-0.1, 0.99]]) * 0.9 + 12
    to_crop = matching.to_framing(turned.astype(np.float32), 200)
    from duchenne.faces import align
    from duchenne.faces.warp import apply

    eyes = [turned[list(eye)].mean(axis=0) for eye in (align.RIGHT_EYE, align.LEFT_EYE)]
    np.testing.assert_allclose(apply(to_crop, np.array(matching.EYES) * 200), eyes, atol=1e-4)


# ---------------------------------------------------------------- quality


def row(**measured: float) -> dict[str, Any]:
    plain = {f"measured_{code}": 0.1 for code in facs.CODES}
    return {"height": 512, "identity_distance": 0.2, **plain, **measured}


def test_an_outlier_says_what_is_wrong() -> None:
    rest = {f"rest_{code}": 0.1 for code in facs.CODES}
    cell = Cell("x", "both", 1.0, {"AU12": 0.8, "AU25": 0.3}, "still", ".png")

    def judged(target: bool = False, **measured: float) -> str:
        return quality.outlier(row(**measured), rest, cell, Quality(), target=target)

    assert judged(measured_AU12=0.9) == ""
    assert judged(measured_AU12=0.2) == "AU12 missed (+0.10 of 0.80)"
    assert judged(measured_AU12=0.25, target=True) == ""  # itself, not its change
    assert judged(measured_AU12=0.9, identity_distance=0.7) == "identity drifted (0.70)"
    assert quality.outlier({"height": 1}, rest, cell, Quality(), target=False) == (
        "no face found in it any more"
    )
    assert quality.outlier({}, rest, cell, Quality(), target=False) == ""


def test_a_person_goes_when_too_many_files_are_outliers() -> None:
    rows = [{"outlier": "x"}, {"outlier": ""}, {"outlier": ""}, {"outlier": ""}]
    assert quality.too_many(rows, Quality())
    assert not quality.too_many(rows, Quality(tolerated=0.25))


def test_a_face_is_as_long_as_its_irises_say() -> None:
    """By hand: irises of 10, pupils at height 0, the chin 100 below: 11.7 mm times 10."""
    points = np.zeros((478, 3))
    for pupil, x in ((468, -30), (473, 30)):
        points[pupil] = (x, 0, 0)
        points[pupil + 1 : pupil + 5] = [(x + 5, 0, 0), (x, -5, 0), (x - 5, 0, 0), (x, 5, 0)]
    points[152] = (0, 100, 0)
    assert face_length(points) == pytest.approx(117.0)
    assert face_length(3 * points) == pytest.approx(117.0)


def test_the_report_finds_the_slope() -> None:
    rows = []
    for asked in (0.5, 1.0):
        measured = {f"measured_{c}": 0.2 for c in facs.CODES} | {"measured_AU12": 0.2 + 0.8 * asked}
        rest = {f"rest_{c}": 0.2 for c in facs.CODES}
        rows.append({
            "file": "a.png", "condition": "smile", "asked_AU12": asked, "luminance": 50.0,
            **measured, **rest,
        })  # fmt: skip
    rows[0]["outlier"] = "AU12 missed (+0.02 of 0.50)"
    rows[1]["outlier"] = "AU12 missed (+0.02 of 0.50); identity drifted (0.61)"
    facts = {"scores": True, "identity": False}
    text = quality.report(design(), rows, [{"identity": "s1", "reason": "2 of 3"}], facts)
    assert "| AU12 | 2 | 0.80 | 1.00 |" in text
    assert "| smile | 2 | 2 | AU12 missed 2, identity drifted 1 |" in text
    assert "Identity was not measured" in text
    assert "- `s1`: 2 of 3" in text


def test_the_codebook_explains_every_column() -> None:
    text = papers.codebook()
    for columns in (papers.COLUMNS, papers.PEOPLE_COLUMNS, papers.SCREENING_COLUMNS):
        assert all(f"| {column} | {meaning} |" in text for column, meaning in columns.items())


# ---------------------------------------------------------------- whole sets, tiny generator

SET = """
title = "Two people"
intensities = [0.5, 1.0]
sides = ["both", "right"]
[people]
seeds = [3]
synthetic = 1
first_seed = 8
[conditions]
smile = "AU12=1"
[output]
size = 64
film = ".gif"
frames = 3
[match]
luminance = 50
framing = true
"""


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_workers")
def test_a_set_is_complete_marked_and_reproducible(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    (folder / "design.toml").write_text(SET)
    line = ("stimuli", "design.toml", "--json", "run.json", "-o")
    assert run(*line, "one", "--workers", "2").exit_code == 0
    request.getfixturevalue("tiny_here")  # the other one in this process, by one worker
    assert run("stimuli", "design.toml", "-o", "two").exit_code == 0
    assert contents(folder / "one") == contents(folder / "two")
    rows = manifest("one")
    assert len(rows) == 2 * (1 + 2 * 2 * 2)
    names = {entry["file"] for entry in rows}
    papers_ = {"README.md", "codebook.md", "quality.md", "manifest.csv", "identities.csv"}
    papers_ |= {"design.toml", "contact/s00003.jpg", "contact/s00008.jpg"}
    assert {n for n in contents(folder / "one") if not n.startswith(".")} == names | papers_
    entry = next(r for r in rows if r["file"] == "s00008_smile_right_0.50.gif")
    assert (entry["seed"], entry["descriptor"], entry["frames"]) == ("8", "AU12R=0.5", "3")
    assert entry["asked_AU12"] == "0.25"  # one side counts half
    assert entry["offsets"] == entry["descriptor"] == "AU12R=0.5"
    still = folder / "one" / "s00003_smile_both_1.00.png"
    assert read_synthetic_mark(still) == SourceType.GENERATED
    with Image.open(still) as image:
        assert image.size == (64, 64)
    rest = next(r for r in rows if r["file"] == "s00003_neutral_both_0.00.png")
    assert float(rest["luminance"]) == pytest.approx(50, abs=1)
    throughput = json.loads((folder / "run.json").read_text())["throughput"]
    assert throughput["items"] == len(rows)
    assert throughput["worker_seconds"]["render"] > 0


@pytest.mark.usefixtures("tiny_here")
def test_a_set_that_was_damaged_is_mended(folder: Path) -> None:
    (folder / "design.toml").write_text(SET.replace('film = ".gif"', ""))
    assert run("stimuli", "design.toml", "-o", "set").exit_code == 0
    whole = contents(folder / "set")
    (folder / "set" / "s00003_smile_both_1.00.png").write_bytes(b"damaged")
    (folder / "set" / "s00008_smile_right_0.50.png").unlink()
    done = run("stimuli", "design.toml", "-o", "set", "--json", "run.json")
    assert done.exit_code == 0
    assert contents(folder / "set") == whole
    assert json.loads((folder / "run.json").read_text())["throughput"]["items"] == 2
    (folder / "design.toml").write_text(SET)
    assert run("stimuli", "design.toml", "-o", "set").exit_code == 6


@pytest.mark.usefixtures("tiny_workers")
def test_what_cannot_be_measured_cannot_be_asked(folder: Path) -> None:
    for line, needed in (("frontal = 10", "face-landmarker-task"), ("different = 0.6", "dlib")):
        (folder / "design.toml").write_text(SET.replace("synthetic = 1", f"synthetic = 1\n{line}"))
        done = run("stimuli", "design.toml", "-o", "set")
        assert done.exit_code == 3
        assert needed in done.stderr


def test_outliers_are_replaced_by_the_next_people(tmp_path: Path) -> None:
    """The decisions of a run, with a drawer whose people of even seeds drift."""
    from duchenne.engine.base import Engine, Throughput
    from duchenne.engine.folder import OutputFolder
    from duchenne.stimuli.build import _Run

    asked = design(
        people={"synthetic": 2, "first_seed": 10}, quality={"redraw": True}, output={"size": 64}
    )
    facts = {"generator": "g", "boundaries": "b", "version": "0", "scores": True, "identity": True}
    whole = None
    for name in ("one", "two"):
        for _ in range(2):  # the second time there is nothing left to do
            with OutputFolder(tmp_path / name, {}) as out, Engine(Inline()) as engine:
                throughput = Throughput(1, 1, "here")
                work = _Run(asked, out, engine, facts, throughput, lambda *_: None)
                people, cast = work.cast_and_draw([])
                result = work.finish(people, cast, b"")
        assert [person.name for person in people] == ["s00011", "s00013"]
        assert result.rejected == 2
        assert "s00010" in (tmp_path / name / "quality.md").read_text()
        assert not list((tmp_path / name).glob("s00010*"))
        whole = whole or contents(tmp_path / name)
    assert contents(tmp_path / "two") == whole


class Inline:
    """Slots that work at once, with a drawer of plain grey pictures."""

    count, lost = 1, ()

    def start(self, slot: int) -> Any:
        return self.submit(slot, None)

    def submit(self, slot: int, payload: Any) -> Any:
        from concurrent.futures import Future

        from duchenne.engine.base import Reply

        future: Any = Future()
        future.set_result(Reply() if payload is None else Reply(self.draw(payload)))
        return future

    def draw(self, request: Any) -> Any:
        from duchenne.stimuli.drawing import Drawn

        grey = np.full((64, 64, 3), request.source.seed, np.uint8)
        content = pictures.image_bytes(grey, ".png")
        drift = 0.1 if request.source.seed % 2 else 0.9
        rows = [{"file": n, "height": 64, "identity_distance": drift} for n in request.files]
        return Drawn({}, rows, [content] * len(rows))

    def close(self) -> None:
        pass


# ---------------------------------------------------------------- the real generator


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("workers_here")
def test_a_screened_set_for_real(folder: Path, landmarker_task: Path) -> None:
    """One person among seeds whose glasses and turned heads were seen by eye."""
    assert Means.found().scores
    (folder / "design.toml").write_text(
        """
        neutral = false
        [people]
        synthetic = 1
        first_seed = 1065
        frontal = 10
        neutral = 0.3
        glasses = false
        adult = true
        [conditions]
        smile = "AU12=0.8"
        [output]
        size = 256
        """
    )
    done = run("stimuli", "design.toml", "-o", "set", "--workers", "1")
    assert done.exit_code == 0, done.stderr
    (entry,) = manifest("set")
    assert entry["identity"] == "s01068"
    assert entry["outlier"] == ""
    assert float(entry["measured_AU12"]) > 0.5
    with (folder / "set" / "screening.csv").open(newline="") as file:
        tried = {r["seed"]: r for r in csv.DictReader(file)}
    assert list(tried) == ["1065", "1066", "1067", "1068"]
    assert tried["1065"]["reason"].startswith("a child, or not surely an adult")  # about 16
    assert tried["1066"]["passed"] == "no"
    assert tried["1067"]["reason"].startswith("turned by 1")
    assert float(tried["1068"]["glasses"]) < SURELY_NONE


@pytest.mark.weights
def test_glasses_are_seen(mobile_renderer: Any, generator: Any) -> None:
    """Seeds judged by eye: black rims, thin rims, none, none."""
    from duchenne.animate import Studio
    from duchenne.faces import landmarks

    evidence = []
    for seed in (1080, 1091, 1065, 1078):
        w = Studio(generator=generator).sample(seed).code.w
        face = shrink(mobile_renderer.still(w), (512, 512))
        mesh = landmarks.mesh_of_aligned(face)
        assert mesh is not None
        evidence.append(glasses(face, mesh))
    assert min(evidence[:2]) > SURELY_GLASSES
    assert max(evidence[2:]) < SURELY_NONE


def test_designs_can_be_changed_in_code() -> None:
    assert len(replace(design(), intensities=(0.25, 0.5)).cells()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "[output]\nframes = -5",
        "[output]\nhold = nan",
        '[output]\neasing = "zzz"',
        '[output]\nfps = "1e999999999"',
        "[match]\nluminance = -1e9",
        f"[people]\nseeds = [{2**70}]",
        f"[people]\nfirst_seed = {2**70}",
        '[output]\npattern = "{identity.foo}"',
        '[output]\npattern = "{identity:>300000000}"',
        '[output]\npattern = "{identity!r}"',
        '[output]\npattern = "{identity[0]}"',
        '[output]\npattern = "{"',
        '[output]\npattern = "{identity}' + "a" * 300 + '"',
        "intensities = []",
        "sides = []",
        'conditions = {a = "AU12=0,5"}',
        "conditions = {a = {AU12 = nan}}",
        "intensities = ["
        + ",".join(f"{i}e-4" for i in range(1, 10_000))
        + "]\n[conditions]\n"
        + "\n".join(f'c{i} = "AU12"' for i in range(100)),
        "title = " + "9" * 5000,
        "title = " + "[" * 100_000,
    ],
)
def test_a_design_is_checked_whole_before_the_first_file(tmp_path, text):
    path = tmp_path / "d.toml"
    known = "" if "[people]" in text else "[people]\nsynthetic = 1\n"
    path.write_text(f"{text}\n{known}")
    begun = time.perf_counter()
    with pytest.raises(DuchenneError) as caught:
        read_design(path)
    assert len(str(caught.value)) < 500
    assert time.perf_counter() - begun < 10
