"""Fitting on coded films: the layout of DISFA, what is chosen, resuming, and where it leads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image
from refusal import refusal

from duchenne import animate, facs
from duchenne.cli import commands
from duchenne.editing import boundaries
from duchenne.editing.edit import signed_distances
from duchenne.editing.layout import editable_rows
from duchenne.encoding.cache import EncodeCache
from duchenne.encoding.settings import LOOK_ALIKE, EncodeSettings
from duchenne.errors import DescriptorError, InputError, NoFaceFound
from duchenne.faces import landmarks
from duchenne.fit import labelled
from duchenne.fit.disfa import DisfaSettings, choose, collect, find_people
from duchenne.fit.labels import AU_FACE, NEUTRAL, UNUSED, Labelled, by_intensity
from duchenne.generators.base import draw_z

GENERATOR = tiny.GENERATOR
Coding = Mapping[str, list[int]]  # AU code -> intensities of the frames, 0 where not given


def write_film(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=20)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj444p"
        stream.codec_context.options = {"qmin": "1", "qmax": "2"}
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_labels(root: Path, name: str, coding: Coding, count: int) -> None:
    folder = root / "ActionUnit_Labels" / name
    folder.mkdir(parents=True)
    for unit in facs.ACTION_UNITS:
        values = coding.get(unit.code, [0] * count)
        lines = "".join(f"{i},{value}\n" for i, value in enumerate(values, 1))
        (folder / f"{name}_au{unit.number}.txt").write_text(lines)


def write_disfa(
    root: Path, films: Mapping[str, list[np.ndarray]], coding: Mapping[str, Coding]
) -> Path:
    (root / "Videos_LeftCamera").mkdir(parents=True)
    for name, frames in films.items():
        write_film(root / "Videos_LeftCamera" / f"LeftVideo{name}_comp.avi", frames)
        write_labels(root, name, coding[name], len(frames))
    return root


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Two people, six frames each, in which only the brightness tells frames apart."""
    films = {
        name: [np.full((64, 64, 3), 20 * person + 30 * i, np.uint8) for i in range(6)]
        for person, name in enumerate(("SN001", "SN002"))
    }
    coding = {
        "SN001": {"AU12": [0, 0, 5, 4, 0, 3]},
        "SN002": {"AU12": [0, 4, 0, 0, 0, 0], "AU25": [0, 5, 0, 2, 0, 0]},
    }
    return write_disfa(tmp_path / "DISFA", films, coding)


# The layout


def test_people_of_the_published_layout(copy: Path) -> None:
    first, second = find_people(copy, "left")
    assert (first.name, second.name) == ("SN001", "SN002")
    assert second.film == copy / "Videos_LeftCamera" / "LeftVideoSN002_comp.avi"
    assert first.intensities.shape == (6, len(facs.CODES))
    np.testing.assert_array_equal(first.intensities[:, facs.INDEX["AU12"]], [0, 0, 5, 4, 0, 3])
    papers = [facs.INDEX[code] for code in facs.PAPER]
    np.testing.assert_array_equal(second.intensities[1, papers], [0] * 6 + [4, 0, 0, 0, 5, 0])
    assert np.isnan(np.delete(second.intensities, papers, axis=1)).all()  # DISFA has no others


@pytest.mark.parametrize(
    ("folder", "film", "camera"),
    [
        ("Video_LeftCamera", "leftVideoSN001_Comp.avi", "left"),
        ("Video_RightCamera", "RightVideoSN001_comp.avi", "right"),
        ("Videos_RightCamera", "RightVideoSN001_Comp.avi", "right"),
        ("Videos_LeftCamera/Videos_LeftCamera", "LeftVideoSN001.mp4", "left"),
    ],
)
def test_spellings_of_other_copies(tmp_path: Path, folder: str, film: str, camera: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / film).write_bytes(b"")
    write_labels(tmp_path, "SN001", {}, 3)
    packed_twice = tmp_path / "ActionUnit_Labels" / "ActionUnit_Labels"
    packed_twice.mkdir()
    (packed_twice.parent / "SN001").rename(packed_twice / "SN001")
    (person,) = find_people(tmp_path, camera)
    assert person.film == tmp_path / folder / film
    assert person.intensities.shape == (3, len(facs.CODES))


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda r: (r / "ActionUnit_Labels").rename(r / "Labels"), "expected the layout of DISFA"),
        (lambda r: (r / "Videos_LeftCamera").rename(r / "Films"), "expected the layout of DISFA"),
        (
            lambda r: (r / "Videos_LeftCamera" / "LeftVideoSN002_comp.avi").unlink(),
            "no film of the left camera for SN002; complete the copy",
        ),
        (
            lambda r: (r / "ActionUnit_Labels" / "SN002" / "SN002_au9.txt").unlink(),
            "SN002_au9.txt is missing",
        ),
        (
            lambda r: rewrite(r / "ActionUnit_Labels/SN001/SN001_au4.txt", "1,0\n2,7\n"),
            "SN001_au4.txt line 2: '2,7'; expected `2,` and an intensity of 0 to 5",
        ),
        (
            lambda r: rewrite(r / "ActionUnit_Labels/SN001/SN001_au4.txt", "0,0\n1,0\n"),
            "SN001_au4.txt line 1: '0,0'; expected `1,`",
        ),
        (lambda r: rewrite(r / "ActionUnit_Labels/SN001/SN001_au4.txt", ""), "is empty"),
        (
            lambda r: rewrite(r / "ActionUnit_Labels/SN001/SN001_au4.txt", "1,0\n"),
            "the table of AU4 ends at frame 1, others at frame 6",
        ),
    ],
)
def test_what_is_no_whole_copy(copy: Path, damage: Any, words: str) -> None:
    damage(copy)
    assert words in refusal(InputError, find_people, copy, "left")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_people(tmp_path / "none", "left")


# What is chosen


def test_roles_from_intensities() -> None:
    values = np.zeros((4, len(facs.CODES)))
    values[1, 6] = 4
    values[2, 6], values[2, 0] = 3, 5
    values[3, 0] = 1
    roles = by_intensity(values, 4)
    assert (roles[0] == NEUTRAL).all()
    assert roles[:, 6].tolist() == [NEUTRAL, AU_FACE, UNUSED, UNUSED]
    assert roles[:, 0].tolist() == [NEUTRAL, UNUSED, AU_FACE, UNUSED]


def test_frames_are_capped_and_spread() -> None:
    intensities = np.zeros((100, len(facs.CODES)))
    intensities[40:80, 6] = 5
    intensities[90, 0] = 4
    roles = choose(intensities, DisfaSettings(per_person=3))
    smiling, neutral = (np.flatnonzero(roles[:, 6] == role) for role in (AU_FACE, NEUTRAL))
    assert smiling.tolist() == [46, 60, 73]
    assert len(neutral) == 6
    assert neutral.min() < 20
    assert neutral.max() > 80
    assert np.flatnonzero(roles[:, 0] == AU_FACE).tolist() == [90]
    assert not (roles[:, 3] == AU_FACE).any()


# Encoding


class CountingInversion(tiny.TinyInversion):
    """Remembers what it was asked for; interrupts the run after `patience` faces."""

    patience = 99
    seen = 0

    def encode(self, face: np.ndarray, **options: Any) -> Any:
        if self.seen == self.patience:
            raise KeyboardInterrupt
        self.seen += 1
        return super().encode(face, **options)


def tiny_studio(folder: Path, steps: int = 1) -> tiny.TinyStudio:
    studio = tiny.TinyStudio(EncodeSettings(steps=steps))
    studio.inversion = CountingInversion(GENERATOR, studio.settings)
    studio.cache = EncodeCache(folder / "codes")
    return studio


@pytest.fixture
def golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duchenne.faces.align.align", tiny.golden_align)


@pytest.mark.usefixtures("golden")
def test_a_killed_run_goes_on_where_it_was(copy: Path, tmp_path: Path) -> None:
    settings = DisfaSettings(per_person=1)
    studio = tiny_studio(tmp_path / "work")
    studio.inversion.patience = 3
    with pytest.raises(KeyboardInterrupt):
        collect(copy, studio, tmp_path / "work", settings)
    again = tiny_studio(tmp_path / "work")
    told = []
    data = collect(
        copy, again, tmp_path / "work", settings, progress=lambda *done: told.append(done)
    )
    assert told[-1] == ("encoding", 6, 6)  # an AU face and two neutral ones of each
    assert again.inversion.seen == 3
    assert data.w.shape == (6, GENERATOR.rows, 512)
    assert sorted(set(data.people)) == ["SN001", "SN002"]
    assert data.roles[:, facs.INDEX["AU12"]].tolist().count(AU_FACE) == 2
    third = tiny_studio(tmp_path / "work")
    same = collect(copy, third, tmp_path / "work", settings)
    assert third.inversion.seen == 0
    np.testing.assert_array_equal(same.w, data.w)
    other = tiny_studio(tmp_path / "work", steps=2)  # other settings give other codes
    collect(copy, other, tmp_path / "work", settings)
    assert other.inversion.seen == 6


@pytest.mark.usefixtures("golden")
def test_frames_keep_their_numbers(copy: Path, tmp_path: Path) -> None:
    """The tiny inversion's code is the brightness of the frame, which the fixture chose."""
    data = collect(copy, tiny_studio(tmp_path), tmp_path, DisfaSettings(per_person=4))
    for name, w in zip(data.names, data.w, strict=True):
        person, _, number = name.split()
        wanted = 20 * (person == "SN002") + 30 * (int(number) - 1)
        assert w[0, 0] * 255 == pytest.approx(wanted, abs=2), name
    shares = [
        collect(copy, tiny_studio(tmp_path), tmp_path, DisfaSettings(), share=(k, 2)).people
        for k in range(2)
    ]
    assert [set(people.tolist()) for people in shares] == [{"SN001"}, {"SN002"}]


def test_frames_without_a_face_are_skipped_once(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def align(photo: Any, *, size: int, face: None) -> Any:
        asked.append(photo.name)
        if photo.pixels.mean() < 40:
            raise NoFaceFound(f"{photo.name}: no face")
        return tiny.golden_align(photo, size=size)

    monkeypatch.setattr("duchenne.faces.align.align", align)
    for _ in range(2):
        data = collect(copy, tiny_studio(tmp_path), tmp_path, DisfaSettings())
    assert "SN001 frame 1" not in data.names
    assert data.w.min() * 255 > 38
    assert len(asked) == len(set(asked))
    assert "SN001: no face in 2 of 5 frames" in caplog.text


def test_labels_that_are_longer_than_the_film(copy: Path, tmp_path: Path) -> None:
    for unit in facs.ACTION_UNITS:
        table = copy / "ActionUnit_Labels" / "SN002" / f"SN002_au{unit.number}.txt"
        table.write_text("".join(f"{i},0\n" for i in range(1, 21)))
    with pytest.raises(InputError, match="has 6 frames, but the labels of SN002 go on to frame 20"):
        collect(copy, tiny_studio(tmp_path), tmp_path)


# The fit, on codes whose Action Units are known


def known_faces(seed: int = 0) -> tuple[Labelled, np.ndarray]:
    """(faces of eight people, the true directions [U, L, 512]).

    Nobody shows AU9 or AU20, nor an Action Unit that is not the paper's.
    """
    rng = np.random.default_rng(seed)
    truth = tiny.boundaries(GENERATOR).normals
    rows = np.repeat(GENERATOR.mapping(draw_z(1, 8)).numpy()[:, None], GENERATOR.rows, axis=1)
    w, intensities, people = [], [], []
    for person, base in enumerate(rows):
        for k in range(28):
            values = np.zeros(len(facs.CODES))
            if k >= 8:
                shown = facs.PAPER[k % 12]
                values[facs.INDEX[shown]] = 5
                if shown == "AU12":
                    values[facs.INDEX["AU25"]] = 5
            values[[facs.INDEX["AU9"], facs.INDEX["AU20"]]] = 0
            moved = base + np.tensordot(values * 2, truth, axes=1)
            w.append(moved + 0.05 * rng.standard_normal(base.shape))
            intensities.append(values)
            people.append(f"SN{person:03d}")
    roles = by_intensity(np.array(intensities), 4)
    names = np.array([str(i) for i in range(len(w))])
    return Labelled(np.array(w, np.float32), roles, np.array(people), names), truth


@pytest.fixture(scope="module")
def fitted() -> boundaries.Boundaries:
    return labelled.fit(tiny.TinyStudio().renderer, known_faces()[0])


def cosines(found: boundaries.Boundaries, truth: np.ndarray) -> np.ndarray:
    return np.tensordot(found.normals, truth, axes=([1, 2], [1, 2]))


def test_boundaries_point_the_right_way(fitted: boundaries.Boundaries) -> None:
    data, truth = known_faces()
    table = cosines(fitted, truth)
    there = ~np.isin(facs.CODES, fitted.missing)
    # The truth is random in all directions of W; the fit has its main ones and the noise's part.
    assert table.diagonal()[there].min() > 0.3
    apart = signed_distances(data.w, fitted.normals, fitted.biases)
    for i in np.flatnonzero(there):
        shown, neutral = (apart[data.roles[:, i] == role, i] for role in (AU_FACE, NEUTRAL))
        assert shown.mean() > 0 > neutral.mean()
        assert fitted.lengths[i, -1] == pytest.approx(shown.mean() - neutral.mean(), rel=0.2)
    told = fitted.provenance["action_units"]["AU4"]
    assert told["people"] == 8
    assert told["held_out_auc"] == told["held_out_agreement"] == 1.0
    assert told["lengths_from"] == "labelled faces"
    rows = editable_rows(GENERATOR)
    assert not np.delete(fitted.normals, list(rows), axis=1).any()
    assert fitted.regional


def test_lengths_are_measured_where_rendered_faces_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    measured = np.zeros((len(facs.CODES), 4), np.float32)
    measured[facs.INDEX["AU12"]] = [1, 2, 4, 9]
    monkeypatch.setattr(labelled.calibrate, "open_faces", lambda *a: [])
    monkeypatch.setattr(labelled.calibrate, "curves", lambda *a, **k: None)
    monkeypatch.setattr(labelled.calibrate, "measure_with", lambda scorer: None)
    monkeypatch.setattr(labelled.calibrate, "fit_lengths", lambda *a: measured)
    scorer: Any = SimpleNamespace(scale=None)
    found = labelled.fit(tiny.TinyStudio().renderer, known_faces()[0], scorer=scorer)
    units = found.provenance["action_units"]
    assert found.lengths[facs.INDEX["AU12"]].tolist() == [1, 2, 4, 9]
    assert units["AU12"]["lengths_from"] == "rendered faces"
    first = found.lengths[0]
    assert units["AU1"]["lengths_from"] == "labelled faces"
    np.testing.assert_allclose(first, first[-1] * np.array([0.25, 0.5, 0.75, 1]), rtol=1e-6)
    assert first[-1] > 0
    assert "AU1: does not answer on rendered faces" in caplog.text
    assert not found.lengths[facs.INDEX["AU20"]].any()


def test_an_action_unit_without_faces_is_named_and_refused(
    fitted: boundaries.Boundaries, tmp_path: Path
) -> None:
    shown = set(facs.PAPER) - {"AU9", "AU20"}
    missing = tuple(code for code in facs.CODES if code not in shown)
    assert fitted.missing == missing
    assert list(fitted.provenance["missing"]) == list(missing)
    boundaries.save_boundaries(fitted, tmp_path / "b.safetensors")
    read = boundaries.load_boundaries(tmp_path / "b.safetensors")
    assert read.missing == missing
    assert "AU20" in json.loads((tmp_path / "b.json").read_text())["missing"]
    assert read.distances(boundaries.slot_intensities({"AU12": 0.5})).any()
    with pytest.raises(DescriptorError, match="AU20: these boundaries have none"):
        read.distances(boundaries.slot_intensities({"AU20L": 0.5}))


def test_what_was_fitted_on_nothing_of_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    data, _ = known_faces()
    neutral = data.only((data.roles != AU_FACE).all(axis=1))
    with pytest.raises(InputError, match="no Action Unit can be fitted: no face shows it"):
        labelled.fit(tiny.TinyStudio().renderer, neutral)
    labelled.fit(tiny.TinyStudio().renderer, data.only(data.people == "SN003"))
    assert "AU1: only one person shows it" in caplog.text
    assert "AU9: no face shows it strongly enough" in caplog.text


def test_the_papers_recipe_and_the_projected_one() -> None:
    data, truth = known_faces()
    renderer = tiny.TinyStudio().renderer
    paper = labelled.fit(renderer, data, method="paper")
    assert not paper.regional
    there = ~np.isin(facs.CODES, paper.missing)
    assert cosines(paper, truth).diagonal()[there].min() > 0.5
    distances = signed_distances(data.w, paper.normals, paper.biases)
    judged = data.roles[:, 0] != UNUSED
    assert ((distances[judged, 0] > 0) == (data.roles[judged, 0] == AU_FACE)).mean() > 0.98
    projected = labelled.fit(renderer, data, method="conditional")
    others = cosines(projected, paper.normals)
    np.testing.assert_allclose(others[there][:, there] - np.diag(others.diagonal()[there]), 0,
                               atol=1e-5)  # fmt: skip


def test_identity_cancels_where_a_person_was_coded_both_ways() -> None:
    """Men smile, women do not: the plain boundary learns the sex, the paired one does not."""
    rng = np.random.default_rng(3)
    rows = editable_rows(GENERATOR)
    basis = labelled.svm.whitening(GENERATOR, 20)
    smile, sex = np.zeros((2, GENERATOR.rows, 512), np.float32)
    smile[rows.start : rows.stop] = basis[0] * 2
    sex[rows.start : rows.stop] = basis[1] * 6
    w, roles, people = [], [], []
    for person in range(20):
        man = person % 2
        for smiles in (1,) * (1 + 3 * man) + (0,) * (4 - 3 * man):
            noise = 0.1 * rng.standard_normal((GENERATOR.rows, 1)) * basis[2]
            w.append(man * sex + smiles * smile + noise)
            roles.append([AU_FACE if smiles else NEUTRAL] + [UNUSED] * (len(facs.CODES) - 1))
            people.append(f"{person:02d}")
    data = Labelled(
        np.array(w, np.float32), np.array(roles, np.int8), np.array(people), np.array(people)
    )
    normals = {
        method: labelled.fit(tiny.TinyStudio().renderer, data, method=method).normals[0]
        for method in ("pairs", "paper")
    }
    leak = {m: abs(np.vdot(n, sex) / np.vdot(n, smile)) for m, n in normals.items()}
    assert leak["pairs"] < 0.05
    assert leak["paper"] > 4 * leak["pairs"]


@pytest.mark.parametrize(
    ("unit", "other", "expected"),
    [("AU26", "AU25", True), ("AU25", "AU26", False), ("AU12", "AU25", False),
     ("AU1", "AU2", False), ("AU12", "AU15", True)],
)  # fmt: skip
def test_what_anatomy_ties(unit: str, other: str, expected: bool) -> None:
    assert labelled.tied(facs.UNITS[unit], facs.UNITS[other]) is expected


# From films to an edit


@pytest.mark.usefixtures("tiny_studio", "golden")
def test_the_command(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def studio(run: Any, encoding: Any, **options: Any) -> Any:
        return tiny_studio(tmp_path, encoding.steps or 1)

    monkeypatch.setattr("duchenne.cli.fitting_coded.new_studio", studio)
    monkeypatch.chdir(tmp_path)
    line = ["fit", "boundaries", "--disfa", "DISFA", "-o", "b.safetensors", "--work", "work"]
    half = CliRunner().invoke(commands, [*line, "--share", "0/2"], catch_exceptions=False)
    assert "this share is complete" in half.stdout
    assert not Path("b.safetensors").exists()
    result = CliRunner().invoke(
        commands,
        [*line, "--method", "paper", "--distances", "e.csv", "--strong", "3", "--camera", "left",
         "--per-person", "2", "--json", "run.json"],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = boundaries.load_boundaries(Path("b.safetensors"))
    assert "AU9: no face shows it" in result.stderr
    assert set(found.missing) == {*facs.CODES} - {"AU12", "AU25"}
    assert found.provenance["disfa"] == {"camera": "left", "strong": 3.0, "per_person": 2}
    assert json.loads(Path("run.json").read_text())["boundaries"]["people"] == 2
    assert Path("e.csv").read_text().startswith("face,person,AU1,")


@pytest.mark.parametrize(
    "options",
    [
        ["--disfa", "a", "--scores", "b", "--pictures", "c"],
        ["--scores", "b"],
        ["--pictures", "c"],
        ["--per-person", "3"],
        ["--strong", "3"],
        ["--disfa", "a", "--scale", "s.safetensors"],
        ["--disfa", "a", "--faces", "20"],
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(commands, ["fit", "boundaries", "-o", "b.safetensors", *options])
    assert result.exit_code == 2, result.output


@pytest.mark.slow
@pytest.mark.weights
def test_films_of_generated_faces_give_the_action_unit(
    tmp_path: Path, landmarker_task: Path
) -> None:
    """Real films, real alignment, codes by v(I); two people smile and drop the jaw."""
    studio = animate.Studio(settings=LOOK_ALIKE, cache=EncodeCache(tmp_path / "codes"), threads=1)
    studio.inversion.warm_up()  # or each of six frames would open v(I) again
    films, coding = {}, {}
    for name, seed in (("SN001", 21), ("SN002", 33)):
        subject = studio.sample(seed)
        acted = [{}, {"AU12": 1.0}, {"AU26": 1.0, "AU25": 0.6}]
        films[name] = [
            np.asarray(Image.fromarray(subject.edit(d) if d else subject.scene.base).resize(
                (384, 384), Image.Resampling.LANCZOS)) for d in acted]  # fmt: skip
        coding[name] = {"AU12": [0, 5, 0], "AU26": [0, 0, 5], "AU25": [0, 0, 3]}
    root = write_disfa(tmp_path / "DISFA", films, coding)
    data = collect(root, studio, tmp_path / "work", DisfaSettings(per_person=1))
    assert len(data.w) == 6
    found = labelled.fit(studio.renderer, data)
    assert set(found.missing) == {*facs.CODES} - {"AU12", "AU26"}
    table = cosines(found, boundaries.built_in().normals)
    for code, other in (("AU12", "AU26"), ("AU26", "AU12")):
        i, j = facs.INDEX[code], facs.INDEX[other]
        assert table[i, i] > max(0.0, table[i, j]), table
    stranger = studio.replace(boundaries=found).sample(7)
    before = stranger.measure(stranger.scene.base)
    after = stranger.measure(stranger.edit({"AU26": 1.0}))
    assert after[facs.INDEX["AU26"]] > before[facs.INDEX["AU26"]]
    assert landmarks.mesh_of_aligned(stranger.edit({"AU12": 1.0})) is not None
