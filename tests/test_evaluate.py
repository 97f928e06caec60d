"""Evaluation metrics on made-up measurements, and the report that shows them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from duchenne import facs
from duchenne.animate import Studio
from duchenne.editing.render import Renderer
from duchenne.errors import WeightsError
from duchenne.evaluate import bars, harness, kept, metrics, report
from duchenne.evaluate.harness import LEVELS, Measured
from duchenne.evaluate.kept import Kept
from duchenne.faces import align, regions
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.measuring import expression_classifier, face_api
from duchenne.measuring.apparent import AgeAndGender
from duchenne.measuring.dlib_identity import Recogniser
from duchenne.measuring.facenet import FaceNet
from duchenne.measuring.identity import FACENET, JUDGES, MOBILE, Judge
from duchenne.measuring.mobilefacenet import MobileFaceNet
from duchenne.moving import lips
from duchenne.types import Photo
from experiments import context, failures, page, registry

FACES, UNITS = 3, len(facs.CODES)
TWO_LEVELS = (0.0, 1.0)  # of LEVELS, a quarter of the frames


def perfect(rise: float = 4.0) -> np.ndarray:
    """Scores [F, U, K, U] where every target rises in a straight line and nothing else moves."""
    scores = np.full((FACES, UNITS, len(LEVELS), UNITS), 0.5)
    for i in range(UNITS):
        scores[:, i, :, i] += rise * np.array(LEVELS)
    return scores


def test_a_perfect_method() -> None:
    scores = perfect()
    assert metrics.response_rate(scores) == pytest.approx(1)
    assert metrics.monotonicity(scores) == pytest.approx(1)
    assert metrics.leads(scores) == pytest.approx(1)
    assert metrics.leakage(scores) == pytest.approx(0)
    assert metrics.linearity(scores) == pytest.approx(0, abs=1e-12)
    assert metrics.leakage_matrix(scores) == pytest.approx(np.eye(UNITS))


def test_leakage_is_relative_to_the_target() -> None:
    scores = perfect()
    au4, au26 = facs.INDEX["AU4"], facs.INDEX["AU26"]
    scores[:, au4, -1, au26] -= 1.0  # a frown that shuts the jaw by a quarter of its own change
    assert metrics.leakage_matrix(scores)[au4, au26] == pytest.approx(0.25)
    unrelated = UNITS - 1 - len(facs.UNITS["AU4"].kin)
    assert metrics.leakage(scores)[au4] == pytest.approx(0.25 / unrelated)
    assert metrics.leakage(scores)[au26] == pytest.approx(0)
    scores[0, au4, -1, au26] -= 9.0
    assert metrics.leads(scores)[au4] == pytest.approx(2 / 3)


def test_kin_do_not_count_as_leakage() -> None:
    scores = perfect()
    scores[:, facs.INDEX["AU26"], -1, facs.INDEX["AU25"]] += 3.0  # a dropped jaw parts the lips
    assert metrics.leakage(scores)[facs.INDEX["AU26"]] == pytest.approx(0)


def test_leakage_of_a_target_that_does_not_move_is_a_number() -> None:
    scores = perfect(rise=0.0)
    scores[:, :, -1] += 1 - np.eye(UNITS)
    assert metrics.leakage(scores) == pytest.approx(1 / metrics.RESPONDS)


def test_no_answer() -> None:
    scores = perfect(rise=0.0)
    assert metrics.response_rate(scores) == pytest.approx(0)
    assert metrics.monotonicity(scores) == pytest.approx(0)


def measured(
    scores: np.ndarray, identity: float = 0.1, outside: float = 0.0, outsider: float = 0.2
) -> Measured:
    last = {"identity": identity, "outsider": outsider, "mobile_outsider": 0.2}
    last |= {"outside": outside, "background": outside / 10, "turned": 0.0}
    return Measured(scores, {name: np.full(scores.shape[:2], v) for name, v in last.items()})


def leaking(change: float) -> np.ndarray:
    """Scores where every edit moves every other AU by `change`."""
    scores = perfect()
    scores[:, :, -1] += change * (1 - np.eye(UNITS))
    return scores


def test_report(tmp_path: Path) -> None:
    results = {
        "generated identities": {"default": measured(perfect()), "paper": measured(leaking(2.0))},
        "photos": {"default": measured(perfect(rise=0.1))},
    }
    paths = report.write(tmp_path, results, {"identities": FACES})
    names = {"evaluation.json", "evaluation.md", "leakage_default.png", "leakage_paper.png"}
    assert {p.name for p in paths} == names
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert record["methods"]["photos"]["default"]["identity_ok"]["AU9"] == 1.0
    assert record["tied"]["AU20"] == list(facs.UNITS["AU20"].kin)
    failed = {
        who: {line["name"] for line in lines if not line["passed"]}
        for who, lines in record["requirements"].items()
    }
    assert failed == {"generated identities": set(), "photos": {"every AU responds"}}
    text = (tmp_path / "evaluation.md").read_text()
    assert "| AU26 | 1.000 |" in text
    assert text.count("**fail**") == 1
    assert "AU20: AU12, AU14, AU18, AU22;" in text


@pytest.mark.parametrize(
    ("ours", "theirs", "failing"),
    [
        (measured(perfect()), measured(leaking(2.0)), set()),
        (measured(leaking(0.5)), measured(leaking(2.0)), set()),  # 1/8 of the target, 1/4 of theirs
        (
            measured(leaking(1.2)),
            measured(leaking(2.0)),
            {"leakage into other AUs, mean over AUs", "leakage against the paper's recipe"},
        ),
        (measured(perfect(), 0.31), None, {"identity distance by dlib, under 0.3 at E = 1"}),
        (
            measured(perfect(), outsider=0.56),
            None,
            {"identity distance by FaceNet, which no fit has asked, under 0.55 at E = 1"},
        ),
        (measured(perfect(), 0.1, 1.0), None, {"change outside the regions"}),
        (
            measured(leaking(9.0)),
            None,
            {"every AU moves most", "leakage into other AUs, mean over AUs"},
        ),
    ],
)
def test_requirements(ours: Measured, theirs: Measured | None, failing: set[str]) -> None:
    lines = bars.bars(ours, theirs)
    assert len(lines) == (9 if theirs else 8)
    assert {line.name for line in lines if not line.passed} == failing


def test_one_more_judge_is_asked_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    fourth = replace(FACENET, key="fourth", name="Fourth", same_person=0.2)
    for module in (harness, bars, report):
        monkeypatch.setattr(module, "JUDGES", {**JUDGES, "Fourth": fourth})
    found = measured(perfect())
    found = replace(found, last={**found.last, "fourth": np.full((FACES, UNITS), 0.11)})
    (failing,) = [bar.name for bar in bars.bars(found) if not bar.passed]
    assert failing.startswith("identity distance by Fourth")
    assert found.table()["fourth_ok"]["AU1"] == 0
    assert "(Fourth), 95 % of all edits | 0.110 |" in report.means_table({"default": found})[-1]


def test_agreement_of_asked_and_measured() -> None:
    correlation, slope = metrics.agreement(perfect(rise=4.0), LEVELS)
    assert correlation == pytest.approx(1)
    assert slope == pytest.approx(0.8)  # 4 of the scale's 5
    assert metrics.agreement(perfect(rise=0.0), LEVELS)[0] == pytest.approx(0)


def test_measurements_survive_json() -> None:
    one = measured(leaking(0.5))
    copy = Measured.from_json(json.loads(json.dumps(one.as_json())))
    assert copy.scores == pytest.approx(one.scores)
    assert len(Measured.join([one, copy])) == 2 * FACES


# Kept results


def test_a_result_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(1)
        return [len(made)]

    results = Kept(tmp_path / "work")
    assert results.find("face", {"seed": 1}) is None
    assert results.get("face", {"seed": 1}, make) == [1]
    assert Kept(tmp_path / "work").get("face", {"seed": 1}, make) == [1]
    assert results.get("face", {"seed": 2}, make) == [2]
    assert results.get("other", {"seed": 1}, make) == [3]


@pytest.mark.parametrize("damage", ["", "{", '{"result": 1}', "[]"])
def test_a_damaged_result_is_made_again(tmp_path: Path, damage: str) -> None:
    results = Kept(tmp_path)
    results.get("face", {"seed": 1}, lambda: 1)
    results.path("face", {"seed": 1}).write_text(damage)
    assert results.get("face", {"seed": 1}, lambda: 2) == 2


def test_nothing_is_kept_of_what_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        Kept(tmp_path).get("face", {}, lambda: 1 / 0)
    assert not list(tmp_path.iterdir())


def test_lips_that_go_farther_are_another_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = tiny.boundaries(tiny.GENERATOR)
    before = kept.of_boundaries(one)
    monkeypatch.setattr(lips, "AT_1", lips.AT_1 * 1.1)
    assert kept.of_boundaries(one) != before


def test_other_boundaries_have_another_fingerprint() -> None:
    one = tiny.boundaries(tiny.GENERATOR)
    assert kept.of_boundaries(one) == kept.of_boundaries(replace(one, provenance={}))
    assert kept.of_boundaries(one) != kept.of_boundaries(replace(one, lengths=one.lengths * 2))
    assert kept.of_boundaries(one) != kept.of_boundaries(replace(one, regional=False))


# The judge of expressions


def test_confusion() -> None:
    happy, sad = np.eye(7)[expression_classifier.LABELS.index("happiness")], np.eye(7)[4]
    table = expression_classifier.confusion(["fear", "happiness", "fear"], [sad, happy, happy])
    none = dict.fromkeys(expression_classifier.LABELS, 0.0)
    assert table["fear"] == pytest.approx({**none, "sadness": 0.5, "happiness": 0.5})
    assert table["happiness"]["happiness"] == 1


def test_weights_of_a_tensorflow_js_file(tmp_path: Path) -> None:
    scaled = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    entries = [
        {"name": "a", "shape": [2, 2], "dtype": "float32", "quantization": scaled},
        {"name": "b", "shape": [2], "dtype": "float32"},
    ]
    layout, weights = tmp_path / "l.json", tmp_path / "w.bin"
    layout.write_text(json.dumps([{"weights": entries}]))
    weights.write_bytes(bytes([0, 2, 4, 6]) + np.array([0.25, 3], "<f4").tobytes())
    found = face_api.read(weights, layout)
    assert found["a"].tolist() == [[-1, 0], [1, 2]]
    assert found["b"].tolist() == [0.25, 3]
    weights.write_bytes(b"short")
    with pytest.raises(WeightsError, match="ends before b"):
        face_api.read(weights, layout)


def test_among_some_units_the_others_do_not_count() -> None:
    scores = perfect()
    scores[:, facs.INDEX["AU12"], -1, facs.INDEX["AU43"]] += 9  # moves more than the asked one
    last = dict.fromkeys((*(j.key for j in JUDGES.values()), "outside", "background", "turned"))
    whole = Measured(scores, {name: np.zeros((FACES, UNITS)) for name in last})
    assert whole.table()["leads"]["AU12"] == 0
    few = whole.among(facs.PAPER)
    assert list(few.table()["leads"]) == list(facs.PAPER)
    assert few.table()["leads"]["AU12"] == 1
    assert few.scores.shape == (FACES, 12, len(LEVELS), 12)
    assert few.last["outside"].shape == (FACES, 12)
    lines = {bar.name: bar for bar in bars.bars(few)}
    assert lines["every AU moves most"].passed
    assert lines["every AU moves most"].value == 1
    assert not {bar.name: bar for bar in bars.bars(whole)}["every AU moves most"].passed


@pytest.mark.parametrize(
    ("judge", "file"),
    [
        (expression_classifier.ExpressionClassifier, "expression-judge"),
        (face_api.FaceApiClassifier, "face-api-expressions"),
        (FaceNet, "face-outsider"),
        (AgeAndGender, "apparent-age"),
        (MobileFaceNet, "face-mobile-outsider"),
    ],
)
def test_a_judge_without_its_network(judge: type, file: str) -> None:
    with pytest.raises(WeightsError, match=file):
        judge()


@pytest.mark.weights
@pytest.mark.usefixtures("outsiders")
@pytest.mark.parametrize(("judge", "length"), [(FACENET, 512), (MOBILE, 192)])
def test_an_outsider_tells_people_apart(
    judge: Judge,
    length: int,
    astronaut: np.ndarray,
    mobile_renderer: Renderer,
    mobile_sample: np.ndarray,
) -> None:
    network = judge.open()
    photo = align.align(Photo(astronaut, "photo"), size=512).pixels
    told = network.describe(photo)
    assert told.shape == (length,)
    assert np.linalg.norm(told) == pytest.approx(1)
    for same in (photo[:, ::-1], (photo * 0.8).astype(np.uint8)):  # mirrored; darker
        assert np.linalg.norm(network.describe(np.ascontiguousarray(same)) - told) < judge.limit
    stranger = network.describe(mobile_renderer.plain(mobile_sample))
    assert np.linalg.norm(stranger - told) > 0.9


# One face for real


@pytest.fixture(scope="module")
def one_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the measurements of the first unseen person are kept: a minute, for two tests."""
    return tmp_path_factory.mktemp("one_face")


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("outsiders")
def test_a_face_is_measured_once_and_kept(one_face: Path, landmarker_task: Path) -> None:
    pytest.importorskip("dlib")
    studio = Studio(threads=1)
    (subject,) = harness.held_out(studio, 1)
    judges = harness.open_judges()
    found = harness.evaluate([subject], judges, Kept(one_face), levels=TWO_LEVELS)
    assert found.scores.shape == (1, UNITS, 2, UNITS)
    assert found.last["outside"].max() == 0
    assert (metrics.own_change(found.scores) > 0).all()
    assert all(0 < found.last[j.key].min() < found.last[j.key].max() < 1.5 for j in JUDGES.values())
    again = harness.evaluate([subject], judges, Kept(one_face), levels=TWO_LEVELS)
    assert again.scores == pytest.approx(found.scores)
    assert len(list(one_face.iterdir())) == 1
    whole = studio.replace(boundaries=replace(studio.boundaries, regional=False))
    assert whole.renderer is studio.renderer
    frame = replace(subject, studio=whole).edit({"AU12": 1.0})
    slots = np.array([slot.startswith("mouth") for slot in regions.SLOTS])
    elsewhere = harness.outside_of(subject, slots)
    drawn = harness.unedited(replace(subject, studio=whole))
    assert np.abs(frame.astype(int) - drawn).max(axis=2)[elsewhere].max() > 10


@pytest.mark.weights
@pytest.mark.usefixtures("outsiders")
def test_the_experiment_finds_and_draws_its_failures(
    one_face: Path, tmp_path: Path, landmarker_task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """experiments/failures.py, here since it takes the same measurements."""
    pytest.importorskip("dlib")
    settings = replace(context.QUICK, identities=1)
    made = context.Context(Studio(threads=1), tmp_path, Kept(one_face), settings)
    monkeypatch.setattr(failures, "SHOWN", 2)
    monkeypatch.setitem(harness.evaluate.__kwdefaults__, "levels", TWO_LEVELS)
    path = registry.run("failures", made)
    record = json.loads(path.read_text())
    assert record["edits"] == UNITS
    assert len(record["random_edits"]) == 2
    assert read_synthetic_mark(tmp_path / "random_edits.jpg") == SourceType.GENERATED
    page.write(tmp_path)
    assert f"Of {UNITS} edits at E = 1" in (tmp_path / "README.md").read_text()


def test_a_recogniser_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"duchenne\[evaluate\]"):
        Recogniser()
