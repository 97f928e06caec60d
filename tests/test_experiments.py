"""The experiments: what they compute from made-up measurements, their figures, and their page."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from duchenne import facs
from duchenne.editing.layout import editable_rows
from duchenne.errors import InputError
from duchenne.evaluate.harness import LEVELS, Measured
from duchenne.evaluate.kept import Kept
from duchenne.faces.regions import ZONES
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.fit import paper
from duchenne.fit.probe import NAMES as MEASURES
from duchenne.fit.responses import Responses
from duchenne.measuring.score import built_in_scale
from experiments import (
    ablations,
    claims,
    context,
    distances,
    encoding,
    expressions,
    failures,
    figures,
    page,
    registry,
    smoothness,
    tables,
    variants,
)
from experiments.__main__ import experiments
from experiments.claims import Claim, Verdict

UNITS = len(facs.CODES)


def measured(
    leak: float = 0.0, rise: float = 4.0, identity: float = 0.1, faces: int = 3
) -> Measured:
    """Targets rise in straight lines; every other AU moves by `leak`."""
    scores = np.full((faces, UNITS, len(LEVELS), UNITS), 0.5)
    scores[:, :, -1] += leak
    for i in range(UNITS):
        scores[:, i, :, i] = 0.5 + rise * np.array(LEVELS)
    zeros = np.zeros((faces, UNITS))
    names = ("outsider", "mobile_outsider", "outside", "background", "turned")
    return Measured(scores, {"identity": zeros + identity, **dict.fromkeys(names, zeros)})


def table_record(ours: Measured, theirs: Measured) -> dict[str, Any]:
    methods = {"default": ours, "paper": theirs, "conditional": theirs}
    summaries = {name: tables.summary(found) for name, found in methods.items()}
    lines = [bar.as_json() for bar in tables.bars(ours, theirs)]
    record = {
        "made_with": {"boundaries": "b", "generator": "stylegan-ffhq", "scale": "s"},
        "fit": {"method": "svm"},
        "generated": summaries,
        "photos": summaries,
        "bars": {"generated": lines, "photos": lines},
    }
    found: dict[str, Any] = json.loads(json.dumps(record))
    return found


def verdicts(found: list[Claim]) -> dict[str, Verdict]:
    return {claim.says: claim.verdict for claim in found}


# Verdicts


def test_an_improvement_counts_only_of_what_is_reproduced() -> None:
    assert claims.judged(False, improved=True) is Verdict.NOT
    assert claims.judged(True) is Verdict.REPRODUCED
    assert claims.judged(True, improved=True) is Verdict.IMPROVED


def test_verdicts_follow_the_measurements() -> None:
    good = {"tables": table_record(measured(0.1), measured(2.0, identity=0.7))}
    found = tables.claims(good)
    leak = next(c for c in found if "other AUs stay" in c.says)
    assert leak.verdict is Verdict.IMPROVED
    assert "0.03" in leak.found  # 0.1 of 4
    assert "0.50" in leak.found
    bad = {"tables": table_record(measured(2.0, identity=0.7), measured(0.1))}
    assert verdicts(tables.claims(bad))[leak.says] is Verdict.NOT
    assert tables.claims({}) == []


def test_single_units_are_judged_on_all_people() -> None:
    units = registry.module("units")
    works = units.claims({"tables": table_record(measured(0.1), measured(5.0))})
    assert [claim.verdict for claim in works] == [Verdict.IMPROVED] * 5
    same = units.claims({"tables": table_record(measured(0.1), measured(0.1))})
    assert [claim.verdict for claim in same] == [Verdict.REPRODUCED] * 5
    fails = units.claims({"tables": table_record(measured(5.0), measured(0.1))})
    assert [claim.verdict for claim in fails] == [Verdict.NOT] * 5


def test_happiness_needs_all_three_units() -> None:
    happiness = registry.module("happiness")
    rising = np.outer(np.linspace(0, 4, 5), np.ones(UNITS))
    person = {"who": "person 1", "scores": rising.tolist(), "identity": 0.2}
    record = {"asked": ["AU6", "AU12", "AU25"], "people": [person], "descriptor": "d"}
    assert happiness.claims({"happiness": record})[0].verdict is Verdict.REPRODUCED
    rising[:, facs.INDEX["AU6"]] = 0
    record["people"] = [{**person, "scores": rising.tolist()}]
    assert happiness.claims({"happiness": record})[0].verdict is Verdict.NOT


def test_a_jump_is_not_smooth() -> None:
    even = {"inside": [1.0] * 5, "outside": [0.0] * 5}
    rough = {"inside": [1.0, 1.0, 9.0, 1.0, 1.0], "outside": [30.0] * 5}
    films = {"default": {"happiness": [even]}, "paper": {"happiness": [rough]}}
    record: dict[str, Any] = {"films": films}
    assert smoothness.claims({"smoothness": record})[0].verdict is Verdict.IMPROVED
    record = {"films": {"default": films["paper"], "paper": films["default"]}}
    assert smoothness.claims({"smoothness": record})[0].verdict is Verdict.NOT
    assert smoothness.summary(record, "default") == {"uneven": 9.0, "outside": 30.0}


def test_what_fails_and_why() -> None:
    found = measured(0.1)
    found.scores[0, 0, -1, 0] = 0.6  # no answer, and the others (0.1) move as much
    found.last["identity"][1, 2] = 0.61
    reasons = failures.why(found)
    assert reasons[0, 0] == ["does not respond", "another AU moves more"]
    assert reasons[1, 2] == ["another person"]
    assert sum(bool(why) for why in reasons.values()) == 2


def test_an_ablation_sums_up_all_edits() -> None:
    values = ablations.summary(measured(0.4, identity=0.25), np.full(UNITS, 0.5))
    assert values["leakage"] == pytest.approx(0.1)
    assert values["identity"] == values["identity_95"] == 0.25
    assert values["reached"] == 0.5


# Encoding


def test_faces_that_are_followed_less_far_count_where_they_got() -> None:
    def ways(others: int, theirs: float) -> dict[str, Any]:
        curve = [theirs] * len(encoding.ITERATIONS)
        runs = {way: dict.fromkeys(encoding.JUDGES, curve[:others]) for way in encoding.WAYS}
        return {"ways": runs | {encoding.OURS: dict.fromkeys(encoding.JUDGES, curve)}}

    short = encoding.ITERATIONS.index(encoding.SHORT) + 1
    faces = [ways(len(encoding.ITERATIONS), 1.0), ways(short, 2.0)]
    assert encoding.whole(faces) == faces[:1]
    record = {"iterations": list(encoding.ITERATIONS), "faces": faces}
    found = {one["what"]: (one["of"], one["theirs"]) for one in encoding.compared(record)}
    assert found["v(I) at 0 against conventional at 64"] == (2, 1.5)
    assert found["v(I) at 16 against conventional at 512"] == (1, 1.0)


def test_how_far_a_face_is_followed() -> None:
    assert encoding.last(0, True, "conventional") == encoding.last(99, True, "v(I)") == 512
    assert encoding.last(encoding.WHOLE_GENERATED, True, "conventional") == 64
    assert encoding.last(encoding.WHOLE_PHOTOS, False, "mean") == 64


# Distances


def samples(count: int = 400) -> paper.Samples:
    """Scores that are the first coordinates of W, so that the right boundary is known."""
    w = np.random.default_rng(1).standard_normal((count, 512)).astype(np.float32)
    return paper.Samples(w, w[:, :UNITS].astype(np.float64))


def test_the_right_boundary_separates_and_a_wrong_one_does_not() -> None:
    known = samples()
    held_out = np.arange(len(known.w)) % 4 == 3
    normals = np.zeros((UNITS, 2, 512), np.float32)
    normals[:, :, :UNITS] = (np.eye(UNITS) / np.sqrt(2))[:, None]
    right = replace(tiny.boundaries(tiny.GENERATOR), normals=normals)
    found = distances.separation(known, held_out, right, 3)
    assert found["accuracy"] == found["auc"] == 1
    assert found["correlation"] == pytest.approx(1)
    assert max(found["neutral"]) < 0 < min(found["shows"])
    wrong = distances.separation(known, held_out, replace(right, normals=normals[::-1]), 3)
    assert wrong["auc"] < 0.75


def test_too_few_samples_to_judge() -> None:
    few = samples(4)
    with pytest.raises(InputError, match="more samples"):
        distances.separation(
            few, np.array([True] + [False] * 3), tiny.boundaries(tiny.GENERATOR), 0
        )


# Expressions


def test_expressions_without_a_judge_get_no_verdict() -> None:
    record = {"judged": None, "files": []}
    assert expressions.claims({"expressions": record}) == []
    assert "No outside judge" in expressions.section({"expressions": record})


def test_expressions_are_judged_where_faces_end() -> None:
    def seen(label: str) -> list[list[float]]:
        return [
            (np.array(expressions.expression_classifier.LABELS) == label).astype(float).tolist()
        ]

    names = ["neutral", *facs.EXPRESSIONS]
    right = {name: seen(name if name != "contempt" else "neutral") for name in names}
    happy = {name: seen("happiness") for name in names}
    protocols = {"added": happy, "ending there": right, "paper's recipe, added": happy}
    record = {"judged": {"one": protocols, "other": protocols}}
    found = {
        c.says.rpartition(": ")[2]: c.verdict for c in expressions.claims({"expressions": record})
    }
    assert "contempt" not in found
    assert found.pop("happiness") is Verdict.REPRODUCED
    assert set(found.values()) == {Verdict.IMPROVED}


# Variants


def responses(faces: int = 6) -> Responses:
    rng = np.random.default_rng(2)
    rows = len(editable_rows(tiny.GENERATOR))
    shape = (faces, len(MEASURES), len(ZONES), rows, 512)
    return Responses(
        w=rng.standard_normal((faces, 512)).astype(np.float32),
        values=rng.standard_normal((faces, len(MEASURES))),
        slopes=rng.standard_normal(shape).astype(np.float32),
    )


def test_every_variant_takes_one_part_away() -> None:
    studio = tiny.TinyStudio()
    rows = editable_rows(studio.generator)
    found = variants.fit(studio, responses())
    assert tuple(found) == variants.NAMES
    for boundaries in found.values():
        norms = np.linalg.norm(boundaries.normals.reshape(UNITS, -1), axis=1)
        assert norms == pytest.approx(1, abs=1e-5)
        boundaries.require_space(studio.generator.fingerprint)
    whole, no_regions = found[variants.FULL_METHOD], found[variants.NO_REGIONS]
    assert whole.regional
    assert not no_regions.regional
    assert np.array_equal(whole.normals, no_regions.normals)
    assert not np.allclose(whole.normals, found[variants.NO_PROJECTION].normals, atol=1e-3)
    one_row = found[variants.ONE_ROW].normals[:, rows.start : rows.stop]
    assert one_row == pytest.approx(one_row[:, :1].repeat(len(rows), axis=1), abs=1e-5)
    assert whole.normals[:, rows.start] != pytest.approx(whole.normals[:, rows.start + 1], abs=1e-3)
    edited = [set(np.flatnonzero(np.abs(b.normals).sum(axis=(0, 2)))) for b in found.values()]
    assert edited[:-1] == [set(rows)] * 5
    assert edited[-1] == set(range(studio.generator.rows))
    # The same change in each row, in more rows.
    per_row = [
        np.linalg.norm(found[name].normals[:, rows.start], axis=1) * found[name].lengths[:, 0]
        for name in (variants.ONE_ROW_WHOLE, variants.NO_ROWS)
    ]
    assert per_row[0] == pytest.approx(per_row[1], rel=1e-4)


# Figures


def test_a_strip_is_a_marked_jpeg_and_an_svg_with_a_jpeg_inside(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = [rng.integers(0, 255, (256, 256, 3), dtype=np.uint8) for _ in range(3)]
    figure = figures.strips([frames, frames], ["a", "b"], ["0", "0.5", "1"], tile=64)
    paths = figures.save(figure, tmp_path, "strip", SourceType.GENERATED)
    assert [path.name for path in paths] == ["strip.jpg", "strip.svg"]
    assert all(read_synthetic_mark(path) == SourceType.GENERATED for path in paths)
    text = paths[1].read_text()
    ElementTree.fromstring(text)  # well-formed
    assert "image/png" not in text
    embedded = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=\s]+)", text)
    with Image.open(io.BytesIO(base64.b64decode(embedded[0]))) as image:
        assert image.format == "JPEG"
        assert image.size == (3 * 64, 64)  # the pictures' own pixels
    again = figures.save(figure, tmp_path, "again", SourceType.GENERATED)
    assert again[1].read_bytes() == paths[1].read_bytes()


def test_a_plot_is_a_png_and_an_svg_without_a_mark(tmp_path: Path) -> None:
    figure = figures.new(2, 1)
    figure.subplots().plot([0, 1])
    paths = figures.save(figure, tmp_path, "plot")
    assert [path.name for path in paths] == ["plot.png", "plot.svg"]
    assert all(read_synthetic_mark(path) is None for path in paths)


def test_every_figure_of_the_tables_can_be_drawn(tmp_path: Path) -> None:
    methods = {name: measured(0.5) for name in tables.METHODS}
    for draw in (tables._leakage_figure(methods), tables._agreement_figure(methods["default"])):
        assert figures.save(draw, tmp_path, "figure")[0].stat().st_size > 1000


# Registry and page


@pytest.mark.parametrize("experiment", registry.EXPERIMENTS, ids=lambda e: e.name)
def test_every_experiment_has_its_parts(experiment: registry.Experiment) -> None:
    module = registry.module(experiment.name)
    assert module.seconds(context.Settings()) > 0
    assert module.claims({}) == []
    assert module.__doc__


def test_all_of_it_is_meant_for_three_hours() -> None:
    assert sum(registry.estimate(registry.NAMES, context.Settings()).values()) < 180 * 60


def test_the_page_is_made_from_the_json_alone(tmp_path: Path) -> None:
    record = table_record(measured(0.1), measured(2.0))
    (tmp_path / "tables.json").write_text(json.dumps(record))
    result = CliRunner().invoke(experiments, ["page", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "README.md").read_text()
    assert "| Fig. 9 | AU4 is animated by linear interpolation" in text
    assert (
        "leakage 0.03 of the asked change; paper's recipe 0.50 "
        "| more than 0.25 of the asked change | improved |" in text
    )
    assert "Not run yet: happiness (Fig. 1)" in text
    assert "What differs from the paper" in text
    assert "| every AU responds | at least 90% of the faces | worst AU1: 100% | pass |" in text
    assert "**not reproduced**" not in text
    assert text.count("| not possible here |") == 2  # 4.1: neither CelebA-HQ nor DISFA
    assert "0 not reproduced, 2 not possible here; " in text
    worse = table_record(measured(2.0), measured(0.1))
    assert "**not reproduced**" in page.text({"tables": worse})


def test_the_networks_and_the_data_are_judged_too() -> None:
    record = table_record(measured(), measured())
    record["made_with"]["generator"] = "stylegan1-celebahq-1024"
    record["fit"] = {"method": "paper", "data": "DISFA"}
    assert "not possible here |" not in page.text({"tables": record})


def test_every_claim_says_what_would_refute_it() -> None:
    folder = Path(__file__).parents[1] / "docs" / "experiments"
    records = registry.read(folder)
    found = [c for e in registry.EXPERIMENTS for c in registry.module(e.name).claims(records)]
    assert found
    assert all(claim.refuted for claim in found)


def test_the_page_says_what_each_experiment_was_made_with() -> None:
    record = table_record(measured(), measured())
    other = {"made_with": {"generator": "stylegan-ffhq", "boundaries": "c"}, "judged": None}
    text = page.text({"tables": record, "expressions": other})
    assert "boundaries `b` (tables) and `c` (expressions); generator `stylegan-ffhq`; scale" in text


def test_the_committed_page_is_what_its_json_gives() -> None:
    folder = Path(__file__).parents[1] / "docs" / "experiments"
    assert page.text(registry.read(folder)) == (folder / "README.md").read_text()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text("{")
    with pytest.raises(InputError, match=r"tables\.json.*python -m experiments tables"):
        registry.read(tmp_path)


def test_what_is_kept_hangs_on_the_boundaries(tmp_path: Path) -> None:
    studio = tiny.TinyStudio()
    studio.scorer = type("NoNetworks", (), {"scale": built_in_scale()})()
    one = context.Context(studio, tmp_path, Kept(tmp_path / "work"))
    assert one.keep("x", {}, lambda: 1) == one.keep("x", {}, lambda: 2) == 1
    other = tiny.TinyStudio()
    other.scorer = studio.scorer
    other.boundaries = replace(studio.boundaries, lengths=studio.boundaries.lengths * 2)
    assert context.Context(other, tmp_path, Kept(tmp_path / "work")).keep("x", {}, lambda: 2) == 2
