"""The command line from end to end; `tiny_studio` tests run on an untrained generator."""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import click
import foreign
import numpy as np
import pytest
import study_sets
import tiny
from command_line import done, run
from PIL import Image

from duchenne import animate
from duchenne.cli import commands
from duchenne.encoding.settings import LOOK_ALIKE, EncodeSettings
from duchenne.errors import InputError
from duchenne.files import codes, films, pictures
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.motion import easing, timeline

PROGRAM = [sys.executable, "-c", "from duchenne.cli import main; main()"]
KEYS = 'AU12 = [[0.0, 0.0], [0.1, 1.0, "smooth"]]\n'
PYFEAT = (
    "input,AU01,AU02,AU04,AU05,AU06,AU09,AU12,AU15,AU17,AU20,AU25,AU26\n"
    "photo.jpg,0.1,0.1,0.2,0.1,0.6,0.1,0.9,0.1,0.2,0.1,0.8,0.3\n"
)
OPENFACE = "frame, timestamp, confidence, success, AU12_r\n" + "".join(
    f"{i + 1}, {i / 10:.1f}, 0.98, 1, {i / 2:.1f}\n" for i in range(5)
)


def files(folder: Path) -> set[str]:
    """All names below a folder, hidden ones included."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def every_command(group: click.Group = commands, name: str = "duchenne") -> Iterator[str]:
    for child, command in group.commands.items():
        yield f"{name} {child}"
        if isinstance(command, click.Group):
            yield from every_command(command, f"{name} {child}")


def examples_of(command: str) -> list[str]:
    """The example lines of a command's help."""
    text = done(*command.split()[1:], "--help").stdout
    lines = text.partition("Examples:")[2].partition("Options:")[0].splitlines()
    return [line.strip() for line in lines if line.startswith("    duchenne ")]


COMMANDS = ["duchenne", *every_command()]
EXAMPLES = sorted({line for command in COMMANDS for line in examples_of(command)})
NEEDS_TASK = "duchenne score"
NEEDS_STORE = (
    "duchenne doctor",
    *("duchenne demo", "duchenne weights fetch", "duchenne weights verify", NEEDS_TASK),
    "duchenne animate film",  # whose face is followed by the real network
)
NEEDS_STORE += ("duchenne faces",)  # the real detector
NEEDS_JSPSYCH = ("duchenne study set/", "duchenne study make")
NEEDS_STORE += NEEDS_JSPSYCH
# Their workers are processes of their own: test_stimuli.py and test_batch.py run them.
OTHER_PROCESSES = ("duchenne stimuli", "duchenne batch")
# Twenty minutes each; what they call is tested in test_fit.py and test_evaluate.py.
TOO_LONG = ("duchenne fit", "duchenne evaluate", *OTHER_PROCESSES)
TOO_LONG += ("duchenne serve",)  # runs until it is stopped: test_studio_serve.py
TOO_LONG += ("duchenne sign",)  # needs a certificate: test_credentials.py
REAL_FACE = ("--target", "--like", "--drive film.mp4")
NAMES = ("", " weights", " fit", " generator", " programs", " study")
GROUPS = {f"duchenne{group}" for group in NAMES}


@pytest.fixture
def inputs(folder: Path) -> Path:
    """Everything that the examples read."""
    (folder / "keys.toml").write_text(KEYS)
    (folder / "openface.csv").write_text(OPENFACE)
    (folder / "pyfeat.csv").write_text(PYFEAT)
    code = tiny.TinyStudio().sample(1).code
    codes.write_code(code, folder / "anna.safetensors")
    Image.new("L", (512, 512)).save(folder / "mask.png")
    with Image.open(folder / "photo.jpg") as photo:
        films.write_frames(
            [np.asarray(photo)] * 2, folder / "film.mp4", fps=10,
            timeline=timeline.from_descriptor({"AU12": 1.0}, frames=2, fps=10),
        )  # fmt: skip
        (folder / "frames").mkdir()
        photo.save(folder / "frames" / "photo.png")
    study_sets.write_set(folder / "set")
    study_sets.write_responses(folder / "responses.csv", study_sets.rows_of("ann"))
    (folder / "consent.txt").write_text("I agree.")
    (folder / "ffhq.pkl").write_bytes(foreign.nvidia_bytes(foreign.nvidia_generator()))
    return folder


# ---------------------------------------------------------------- help


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "openvino", "av", "PIL", "scipy", "sklearn", "safetensors", "psutil"}
    code = (
        "import sys, atexit; from duchenne.cli import main; sys.argv = ['duchenne', '--help']; "
        f"atexit.register(lambda: print('heavy:', {heavy} & set(sys.modules))); main()"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert b"Usage:" in result.stdout
    assert result.stdout.strip().endswith(b"heavy: set()")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_fits_a_terminal(command: str) -> None:
    text = done(*command.split()[1:], "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert any(line.startswith(command) for line in examples_of(command))


@pytest.mark.parametrize("command", sorted({*COMMANDS} - GROUPS))
def test_every_command_writes_json(command: str) -> None:
    assert "--json FILE" in done(*command.split()[1:], "--help").stdout


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.weights) if line.startswith(NEEDS_STORE) else line
        for line in EXAMPLES
        if not line.startswith(TOO_LONG) and not any(option in line for option in REAL_FACE)
    ],
)
@pytest.mark.usefixtures("tiny_studio")
def test_example_runs(line: str, inputs: Path, request: pytest.FixtureRequest) -> None:
    if line.startswith(NEEDS_TASK):
        request.getfixturevalue("landmarker_task")
    if line.startswith(NEEDS_JSPSYCH):
        request.getfixturevalue("jspsych")
    before = {path: path.stat().st_mtime_ns for path in inputs.iterdir()}
    arguments = shlex.split(line)[1:]
    done(*arguments)
    if "-o" in arguments:
        output = inputs / arguments[arguments.index("-o") + 1]
        assert output.stat().st_mtime_ns != before.get(output)


def test_help_states_the_defaults_of_the_library() -> None:
    text = " ".join(done("animate", "--help").stdout.split())
    ramp = inspect.signature(timeline.from_descriptor).parameters
    assert f"{ramp['frames'].default} by default; not with" in text
    assert f"{ramp['fps'].default} by default, or" in text
    assert f"{ramp['easing'].default} (the paper's and the default)" in text
    assert all(name in text for name in easing.EASINGS)
    truncation = inspect.signature(animate.Studio.sample).parameters["truncation"].default
    assert f"{truncation} by default" in " ".join(done("sample", "--help").stdout.split())


def test_version() -> None:
    assert done("--version").stdout.split()[0] == "duchenne"


# ---------------------------------------------------------------- motion


@pytest.mark.usefixtures("tiny_studio")
def test_one_side_changes_one_half(inputs: Path) -> None:
    for name in ("AU12L", "AU12R", "AU12"):
        done("edit", "anna.safetensors", "--au", name, "-o", f"{name}.png")
    studio = tiny.TinyStudio()
    base = studio.face("anna.safetensors").scene.base
    changed = {n: (pictures.load_photo(f"{n}.png").pixels != base).any(axis=2)
               for n in ("AU12L", "AU12R", "AU12")}  # fmt: skip
    assert changed["AU12L"].any()
    assert changed["AU12R"].any()
    columns = {n: np.nonzero(c)[1].mean() for n, c in changed.items()}
    assert columns["AU12R"] < columns["AU12"] < columns["AU12L"]  # the subject's right is left


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 24),
        (["--frames", "6"], 6),
        (["--frames", "6", "--hold", "0.5", "--fps", "10"], 11),
        (["--frames", "6", "--ping-pong"], 10),
        (["--frames", "6", "--hold", "0.5", "--fps", "10", "--ping-pong", "--loop", "2"], 40),
    ],
)
def test_frame_counts(options: list[str], count: int, inputs: Path) -> None:
    done("animate", "anna.safetensors", "--au", "AU12=0.5", *options, "-o", "drawn/")
    assert len(list(Path("drawn").iterdir())) == count
    with Path("drawn.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert float(rows[0]["AU12"]) == 0.0
    assert max(float(row["AU12"]) for row in rows) == 0.5


@pytest.mark.usefixtures("tiny_studio")
def test_a_continuum_and_a_sweep(inputs: Path) -> None:
    def values(*options: str) -> list[tuple[float, float]]:
        done("animate", "anna.safetensors", *options, "-o", "drawn/")
        with Path("drawn.csv").open() as file:
            return [(float(row["AU12"]), float(row["AU4"])) for row in csv.DictReader(file)]

    between = values("--from", "AU12=1", "--to", "AU4=C", "--frames", "3")
    assert between == [(1.0, 0.0), (0.5, 0.3), (0.0, 0.6)]
    assert values("--from", "happiness/social", "--to", "neutral", "--frames", "2") == [
        (0.8, 0.0),
        (0.0, 0.0),
    ]
    assert values("--sweep", "AU12=0:1:0.5") == [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)]


@pytest.mark.usefixtures("tiny_studio")
def test_a_recording_keeps_its_time(inputs: Path) -> None:
    done("animate", "anna.safetensors", "--drive", "openface.csv", "--fps", "30", "-o", "f/")
    assert len(list(Path("f").iterdir())) == 15  # five rows of a tenth of a second


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize(
    "arguments",
    [
        ["animate", "photo.jpg", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--au", "AU12", "--expression", "fear", "-o", "a.mp4"],
        ["edit", "photo.jpg", "-o", "a.png"],
        ["animate", "photo.jpg", "--keyframes", "keys.toml", "--frames", "3", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--drive", "openface.csv", "--easing", "smooth", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--from", "happiness", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--from", "fear", "--drive", "openface.csv", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--sweep", "AU12=0:1:0.5", "--frames", "3", "-o", "a.mp4"],
        ["animate", "photo.jpg", "--sweep", "AU12=0:1:0.5", "--from", "fear", "-o", "a.mp4"],
        ["edit", "anna.safetensors", "--au", "AU12", "--paste-back", "-o", "a.png"],
        ["edit", "anna.safetensors", "--au", "AU12", "--face", "1", "-o", "a.png"],
        ["edit", "anna.safetensors", "--au", "AU12", "--keep", "photo.jpg", "-o", "a.png"],
        ["edit", "photo.jpg", "--au", "AU12", "--keep", "m.png", "--generated", "-o", "a.png"],
    ],
)
def test_wrong_usage(arguments: list[str], inputs: Path) -> None:
    before = files(inputs)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("duchenne: error: ")
    assert files(inputs) == before


# ---------------------------------------------------------------- what is written


@pytest.mark.usefixtures("tiny_studio")
def test_a_photo_gets_its_face_back_and_a_crop_on_demand(inputs: Path) -> None:
    arguments = ["edit", "photo.jpg", "--au", "AU12", "--steps", "1"]
    done(*arguments, "-o", "pasted.png")
    done(*arguments, "--crop", "-o", "crop.png")
    assert size_of("pasted.png") == (512, 512)
    assert size_of("crop.png") == (tiny.TinyGenerator.size,) * 2
    assert read_synthetic_mark("pasted.png") == SourceType.EDITED
    assert read_synthetic_mark("crop.png") == SourceType.EDITED
    done(*arguments, "--crop", "--generated", "-o", "drawn.png")
    assert read_synthetic_mark("drawn.png") == SourceType.GENERATED
    photo, pasted = (pictures.load_photo(p).pixels for p in ("photo.jpg", "pasted.png"))
    changed = (photo != pasted).any(axis=2)
    assert 0 < changed.mean() < 0.1  # the mouth, and nothing else


@pytest.mark.usefixtures("tiny_studio")
def test_what_a_mask_keeps_stays_to_the_bit(inputs: Path) -> None:
    done("edit", "photo.jpg", "--au", "AU12", "-o", "all.png")
    photo, edited = (pictures.load_photo(p).pixels for p in ("photo.jpg", "all.png"))
    changed = (photo != edited).any(axis=2)
    keep = np.zeros(changed.shape, bool)
    keep[:, : int(np.argwhere(changed)[:, 1].mean())] = True
    assert (changed & keep).any()
    Image.fromarray(keep).save("mask.png")
    done("edit", "photo.jpg", "--au", "AU12", "--keep", "mask.png", "-o", "kept.png")
    kept = pictures.load_photo("kept.png").pixels
    assert np.array_equal(kept[keep], photo[keep])
    assert (kept != photo).any()
    Image.fromarray(keep[1:]).save("small.png")
    refused = run("edit", "photo.jpg", "--au", "AU12", "--keep", "small.png", "-o", "b.png")
    assert refused.exit_code == 3
    assert "small.png: 512x511 pixels, but its photo has 512x512" in refused.stderr


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize("kind", ["photo.jpg", "rgb.png", "grey.png", "deep.png"])
def test_nothing_asked_is_the_photo_to_the_bit(kind: str, inputs: Path) -> None:
    astronaut = Image.open("photo.jpg")
    astronaut.save("rgb.png")
    astronaut.convert("L").save("grey.png")
    Image.fromarray(np.asarray(astronaut.convert("L")).astype(np.uint16) * 257).save("deep.png")
    done("edit", kind, "--au", "AU12=0", "-o", "same.png")
    photo, same = (pictures.load_photo(name).pixels for name in (kind, "same.png"))
    assert np.array_equal(photo, same)


@pytest.mark.usefixtures("tiny_studio")
def test_film_and_table(inputs: Path) -> None:
    result = done("animate", "photo.jpg", "--au", "AU12", "--frames", "4", "-o", "a.mp4")
    assert result.stdout.splitlines()[0].startswith("a.mp4  4 frames, 512x512, 24 fps")
    assert result.stdout.splitlines()[1] == "a.csv"
    assert "photo.jpg: took face 0 of 3 (the largest); --face N chooses" in result.stderr
    assert len(list(films.read_video("a.mp4"))) == 4
    assert read_synthetic_mark("a.mp4") == SourceType.EDITED


@pytest.mark.usefixtures("tiny_studio")
def test_the_record(inputs: Path) -> None:
    options = ["--steps", "3", "--face", "1", "--json", "a.json"]
    done("animate", "photo.jpg", "--au", "AU12=0.5", "--frames", "2", "-o", "a.gif", *options)
    record = json.loads(Path("a.json").read_text())
    assert record["command"] == "animate"
    assert record["settings"]["au"] == "AU12=0.5"
    assert record["settings"]["frames"] == 2
    photo = hashlib.sha256(Path("photo.jpg").read_bytes()).hexdigest()
    assert record["input"] == {"path": "photo.jpg", "sha256": photo}
    assert record["face"] == {"index": 1, "count": 3}
    assert record["generator"] == tiny.GENERATOR.fingerprint
    assert len(record["boundaries"]["provenance_sha256"]) == 64
    assert record["code"]["settings"] == {"steps": 3}
    assert [output["path"] for output in record["outputs"]] == ["a.gif", "a.csv"]
    for output in record["outputs"]:
        content = Path(output["path"]).read_bytes()
        assert output["bytes"] == len(content)
        assert output["sha256"] == hashlib.sha256(content).hexdigest()
    assert set(record["seconds"]) == {"load", "align", "encode", "prepare", "render and write"}
    assert record["peak_memory_bytes"] > 10e6


def test_json_to_stdout_stands_alone() -> None:
    result = done("weights", "list", "--json", "-")
    assert {f["name"] for f in json.loads(result.stdout)["files"]} >= {"face-mesh", "hed-vgg16"}
    assert "face-mesh" in result.stderr


@pytest.mark.usefixtures("tiny_studio")
def test_sample_gives_the_same_bytes_and_its_code_the_same_picture(folder: Path) -> None:
    contents = []
    for name in ("a", "b"):
        done("sample", "--seed", "7", "-o", f"{name}.png")
        contents.append([Path(f"{name}{s}").read_bytes() for s in (".png", ".safetensors")])
    assert contents[0] == contents[1]
    done("edit", "a.safetensors", "--au", "AU12=0", "-o", "c.png")
    np.testing.assert_array_equal(*(pictures.load_photo(p).pixels for p in ("a.png", "c.png")))
    done("sample", "--seed", "8", "-o", "d.png")
    assert Path("d.png").read_bytes() != contents[0][0]


@pytest.mark.usefixtures("tiny_studio")
def test_encode_says_where_a_code_comes_from(folder: Path) -> None:
    done("encode", "photo.jpg", "--steps", "2", "--face", "2", "-o", "anna.safetensors")
    code = codes.read_code(Path("anna.safetensors"))
    assert code.generator == tiny.GENERATOR.fingerprint
    assert code.provenance["photo"] == "photo.jpg"
    assert code.provenance["face"] == 2
    assert code.provenance["settings"] == {"steps": 2}


@pytest.mark.usefixtures("tiny_studio")
def test_a_face_from_a_file_a_picture_an_array_and_a_photo(folder: Path) -> None:
    """The same face of each, and the stages in turn."""
    studio, begun = tiny.TinyStudio(), []
    photo = pictures.load_photo("photo.jpg")
    faces = [
        studio.face(source, index=1, stages=lambda s: (begun.append(s), nullcontext())[1])
        for source in ("photo.jpg", Path("photo.jpg"), Image.open("photo.jpg"), photo.pixels, photo)
    ]
    assert begun == ["load", "align", "encode"] * len(faces)
    assert len({face.code.w.tobytes() for face in faces}) == 1
    assert all(face.aligned.index == 1 for face in faces)
    for bad in (photo.pixels[..., 0], photo.pixels / 255):
        with pytest.raises(InputError, match=r"expected uint8 \[H, W, 3\]"):
            studio.face(bad)


def test_a_studio_with_something_exchanged_keeps_the_rest() -> None:
    encoder = SimpleNamespace(require_space=lambda generator: None, version="mine")
    studio = animate.Studio(generator=tiny.GENERATOR, encoder=encoder, threads=1)
    other = studio.replace(settings=EncodeSettings(steps=3)).replace(
        boundaries=tiny.boundaries(tiny.GENERATOR)
    )
    assert (other.inversion.settings.steps, other.inversion.encoder_version) == (3, "mine")
    assert other.renderer is studio.renderer
    assert other.cache is studio.cache
    assert studio.settings == LOOK_ALIKE
    assert other.boundaries.provenance == {"made_by": "tests"}


@pytest.mark.usefixtures("tiny_studio")
def test_the_same_face_is_encoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = tiny.TinyInversion.encode
    monkeypatch.setattr(
        tiny.TinyInversion, "encode", lambda *a, **k: (calls.append(1), encode(*a, **k))[1]
    )
    for name, steps in (("a", "2"), ("b", "2"), ("c", "3")):
        done("encode", "photo.jpg", "--steps", steps, "-o", f"{name}.safetensors")
    assert len(calls) == 2


# ---------------------------------------------------------------- ways out


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize("kind", ["a.mp4", "a.gif", "a/"])
def test_a_bug_is_not_hidden_and_leaves_nothing(
    kind: str, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((64, 64, 3), np.uint8)
        raise ZeroDivisionError

    before = files(inputs)
    clip = films.Clip(frames(), SourceType.GENERATED)
    monkeypatch.setattr(animate.Subject, "frames", lambda *_, **__: clip)
    with pytest.raises(ZeroDivisionError):
        run("animate", "anna.safetensors", "--au", "AU12", "-o", kind)
    assert files(inputs) == before


SIGNALLED = """
import os, sys
sys.path.insert(0, {tests!r})
import numpy as np, tiny
from duchenne import animate, cli
from duchenne.files import films
animate.Studio = tiny.TinyStudio
tiny.see_golden()
def frames():
    while True:
        yield np.zeros((64, 64, 3), np.uint8)
        os.kill(os.getpid(), {number})
animate.Subject.frames = lambda *_, **__: films.Clip(frames(), "generated")
cli.main()
"""


@pytest.mark.parametrize(
    ("number", "exit_code", "said"),
    [
        (signal.SIGINT, 130, "duchenne: interrupted; nothing was written"),
        (signal.SIGTERM, 143, ""),
    ],
)
def test_a_signal_leaves_nothing(
    number: signal.Signals, exit_code: int, said: str, inputs: Path
) -> None:
    before = files(inputs)
    script = SIGNALLED.format(tests=str(Path(__file__).parent), number=int(number))
    arguments = ["animate", "anna.safetensors", "--au", "AU12", "-o", "a.mp4"]
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr.strip()) == (exit_code, said)
    assert files(inputs) == before


@pytest.mark.usefixtures("tiny_studio")
def test_an_interrupt_names_what_is_complete(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("duchenne.cli.run.Run.wrote", interrupt)
    result = run("animate", "anna.safetensors", "--au", "AU12", "--frames", "2", "-o", "a.gif")
    assert result.exit_code == 130
    assert result.stderr == "duchenne: interrupted; complete are a.csv, a.gif\n"


def test_a_closed_pipe_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*PROGRAM, "weights", "list"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 1


# ---------------------------------------------------------------- the model files


def test_weights_verify_fails_for_what_is_needed_and_missing(folder: Path) -> None:
    result = run("weights", "verify", "--json", "v.json")
    assert result.exit_code == 7
    assert "face-mesh is missing" in result.stderr
    assert "vgg16-imagenet" not in result.stderr  # optional
    states = {f["name"]: f["state"] for f in json.loads(Path("v.json").read_text())["files"]}
    assert set(states.values()) == {"missing"}


def test_weights_verify_finds_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "face_landmark.tflite").write_bytes(b"not it")
    monkeypatch.setenv("DUCHENNE_WEIGHTS", str(folder))
    result = run("weights", "verify", "face-mesh")
    assert (result.exit_code, result.stdout) == (7, "face-mesh  damaged\n")
    assert "face-mesh is damaged" in result.stderr


@pytest.mark.weights
def test_weights_fetch_then_verify() -> None:
    fetched = done("weights", "fetch")
    assert "face-mesh" in fetched.stdout
    assert "vgg16-imagenet" not in fetched.stdout
    names = [line.split()[0] for line in fetched.stdout.splitlines()]
    assert set(done("weights", "verify", *names).stdout.split()[1::2]) == {"ok"}


# ---------------------------------------------------------------- the real thing


@pytest.mark.slow
@pytest.mark.weights
def test_real_sample_edit_and_animate(folder: Path) -> None:
    for name in ("a", "b"):
        done("sample", "--seed", "7", "-o", f"{name}.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    done("edit", "a.safetensors", "--au", "AU12=0", "-o", "neutral.png")
    done("edit", "a.safetensors", "--au", "AU12", "-o", "smile.png")
    before, neutral, smile = (
        pictures.load_photo(f"{name}.png").pixels for name in ("a", "neutral", "smile")
    )
    assert np.array_equal(before, neutral)
    changed = (smile != before).any(axis=2)
    assert changed[640:960, 256:768].mean() > 0.5  # where the mouth is
    assert not changed[:256].any()  # the hair
    arguments = ["--expression", "happiness", "--frames", "4", "-o", "happy.webm"]
    done("animate", "a.safetensors", *arguments)
    assert len(list(films.read_video("happy.webm"))) == 4


@pytest.mark.slow
@pytest.mark.weights
def test_real_photo_keeps_its_background(folder: Path) -> None:
    arguments = ["--au", "AU12=1", "--steps", "2"]
    result = done("edit", "photo.jpg", *arguments, "-o", "smile.png", "--json", "smile.json")
    photo, smile = (pictures.load_photo(p).pixels for p in ("photo.jpg", "smile.png"))
    changed = (photo != smile).any(axis=2)
    assert 0 < changed.mean() < 0.15
    assert not changed[:, :64].any()
    assert "encode" in result.stderr
    assert json.loads(Path("smile.json").read_text())["code"]["settings"]["steps"] == 2


@pytest.mark.slow
@pytest.mark.weights
def test_real_demo(folder: Path) -> None:
    result = done("demo", "--json", "demo.json")
    made = {path.name for path in Path("out/demo").iterdir()}
    assert made == {
        "happiness.mp4", "happiness.csv", "aligned.png",
        "contact_sheet.png",
    }  # fmt: skip
    assert {Path(line.strip()).name for line in result.stdout.splitlines()} == made
    frames = list(films.read_video("out/demo/happiness.mp4"))
    assert len(frames) == 36  # a second to full intensity, half a second of it
    assert frames[0].shape == (512, 512, 3)
    assert size_of("out/demo/aligned.png") == (1024, 1024)
    seconds = json.loads(Path("demo.json").read_text())["seconds"]
    assert all(f"{stage} " in result.stderr for stage in seconds)
    assert "peak memory" in result.stderr


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_target_is_reached_on_a_real_face(folder: Path) -> None:
    done("sample", "--seed", "300004", "-o", "anna.png")  # she smiles broadly
    arguments = ["--target", "AU12=0,AU25=0", "-o", "neutral.png", "--json", "neutral.json"]
    done("edit", "anna.safetensors", *arguments)
    reached = json.loads(Path("neutral.json").read_text())["reached"]
    assert reached["offsets"]["AU12"] < -0.3
    assert all(abs(value) < 0.1 for value in reached["measured"].values())
