"""Programs that come with the package, and compiled ones that are kept."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
import pytest
import torch
from canvas import difference
from click.testing import CliRunner
from openvino import opset13 as ops
from PIL import Image

from duchenne.cli import commands
from duchenne.encoding import encoder, look_alike
from duchenne.errors import WeightsError
from duchenne.faces import landmarks
from duchenne.files import codes
from duchenne.generators import base, built_in, mobile
from duchenne.generators.built_in import BuiltIn
from duchenne.measuring import sides, skin
from duchenne.measuring.score import Scorer
from duchenne.moving import covering, finder
from duchenne.programs import compiling, conversion, kept, shipped, tracing

if TYPE_CHECKING:
    from duchenne.generators.mobile import MobileStyleGAN

X = np.arange(4, dtype=np.float32)


def doubling() -> ov.Model:
    x = ops.parameter([4], np.float32)
    return ov.Model([ops.multiply(x, ops.constant(np.full(4, 2, np.float32)))], [x])


def refuse() -> ov.Model:
    raise AssertionError("it was compiled before")


def use(read: Callable[[], ov.Model], digest: str = "a") -> np.ndarray:
    return np.array(kept.compiled("test", digest, read, {})(X)[0])


# Kept


def test_a_program_is_compiled_once() -> None:
    np.testing.assert_array_equal(use(doubling), 2 * X)
    (path,) = kept.files()
    np.testing.assert_array_equal(use(refuse), 2 * X)
    assert kept.files() == [path]
    with pytest.raises(AssertionError, match="before"):  # another network, another key
        use(refuse, "b")


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_one_is_made_again(content: bytes | None) -> None:
    use(doubling)
    (path,) = kept.files()
    whole = path.read_bytes()
    path.write_bytes(whole[:-7] + b"damaged" if content is None else whole[:50] + content)
    np.testing.assert_array_equal(use(doubling), 2 * X)
    np.testing.assert_array_equal(use(refuse), 2 * X)


def test_one_that_openvino_refuses_is_made_again() -> None:
    use(doubling)
    (path,) = kept.files()
    other = b"of another version"
    path.write_bytes(kept._DIGEST(other).digest() + other)
    np.testing.assert_array_equal(use(doubling), 2 * X)
    np.testing.assert_array_equal(use(refuse), 2 * X)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    kept.folder().parent.mkdir(parents=True, exist_ok=True)
    kept.folder().write_text("a file where the folder should be")
    np.testing.assert_array_equal(use(doubling), 2 * X)
    assert kept.files() == []


def test_another_version_of_openvino_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    use(doubling)
    monkeypatch.setattr(ov, "get_version", lambda: "another")
    np.testing.assert_array_equal(use(doubling), 2 * X)
    assert len(kept.files()) == 2


ELSEWHERE = """
import sys
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from duchenne.programs import kept
if sys.argv[1:]:
    import resource
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
weights = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
x = ops.parameter([300], np.float32)
model = ov.Model([ops.matmul(ops.constant(weights), x, False, False)], [x])
for _ in range(3):
    result = kept.compiled("test", "a", lambda: model, {})(np.ones(300, np.float32))[0]
    np.testing.assert_allclose(result, weights.sum(axis=1), atol=1e-3)
"""


def test_two_processes_fill_an_empty_cache_at_once() -> None:
    both = [subprocess.Popen([sys.executable, "-c", ELSEWHERE]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert list(kept.folder().iterdir()) == kept.files()  # one, and nothing half done
    assert len(kept.files()) == 1


@pytest.mark.skipif(os.name != "posix", reason="has no limit on the size of files")
def test_a_full_disk_costs_nothing_but_time() -> None:
    subprocess.run([sys.executable, "-c", ELSEWHERE, "full"], check=True, timeout=60)
    assert list(kept.folder().iterdir()) == []


def test_a_program_outlives_its_file() -> None:
    use(doubling)
    program = kept.compiled("test", "a", refuse, {})
    kept.clear()
    np.testing.assert_array_equal(program(X)[0], 2 * X)
    request = program.create_infer_request()
    content = weakref.ref(program._content)
    del program
    gc.collect()
    assert content() is not None  # what a request needs is held by it
    np.testing.assert_array_equal(request.infer([X])[0], 2 * X)
    del request
    gc.collect()
    assert content() is None


def test_the_least_recently_used_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for age, digest in enumerate("abc"):
        use(doubling, digest)
        newest = max(kept.files(), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (1000 + age, 1000 + age))
    size = sum(path.stat().st_size for path in kept.files())
    use(refuse, "a")  # used again, so it stays
    monkeypatch.setattr(kept, "MOST", size)
    use(doubling, "d")
    use(refuse, "a")
    with pytest.raises(AssertionError):
        use(refuse, "b")


def test_the_command_lists_and_clears() -> None:
    use(doubling)
    listed = CliRunner().invoke(commands, ["programs", "list"])
    assert kept.files()[0].name in listed.output
    cleared = CliRunner().invoke(commands, ["programs", "clear"])
    assert cleared.output.startswith("1 removed")
    assert kept.files() == []


# Compiled for one face


class Forgetful:
    """A program that adds to what it was called with before, as OpenVINO's sometimes do."""

    def __init__(self, step: float) -> None:
        self.calls, self.step = 0, step

    def __call__(self, array: np.ndarray) -> np.ndarray:
        self.calls += 1
        return array + np.float32(self.step * self.calls)


def test_a_program_that_does_not_repeat_itself_is_exchanged() -> None:
    steady = Forgetful(0)
    checked = compiling._Checked(Forgetful(1), lambda: steady)
    for _ in range(3):
        np.testing.assert_array_equal(checked(X), X)
    assert steady.calls == 3
    checked = compiling._Checked(steady, lambda: pytest.fail("it repeats itself"))
    for _ in range(3):
        np.testing.assert_array_equal(checked(X), X)
    assert steady.calls == 3 + 2 + 2  # the first call twice


# Converted


def test_what_was_left_out_is_there_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openvino.tools.ovc", raising=False)
    conversion.leave_out()
    with pytest.raises(ModuleNotFoundError):
        __import__("openvino.tools.ovc")
    model = tracing.converted(torch.nn.ReLU(), [X - 1])
    np.testing.assert_array_equal(ov.Core().compile_model(model, "CPU")(X - 1)[0], [0, 0, 1, 2])


# Shipped


def test_a_program_takes_its_large_constants_from_arrays(tmp_path: Path) -> None:
    weights = {"w": np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)}
    x = ops.parameter([30], np.float32)
    turned = ops.constant(np.ascontiguousarray(weights["w"].T))
    y = ops.matmul(ops.matmul(ops.constant(weights["w"]), x, False, False), turned, False, True)
    path = tmp_path / "program.safetensors"
    left = shipped.save(ov.Model([y], [x]), weights, path, {})
    assert left < shipped.SMALL
    assert path.stat().st_size < weights["w"].nbytes


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"recording needs the array .*, which is not there"):
        shipped.load("recording", {})
    arrays = {"fine.0.0.weight": np.zeros(3, np.float32)}
    with pytest.raises(WeightsError, match=r"bytes, expected|not there"):
        shipped.load("covering", arrays)


def test_the_finder_is_its_program() -> None:
    pictures = np.random.default_rng(1).uniform(-1, 1, (2, 3, 256, 256)).astype(np.float32)
    with torch.inference_mode():
        expected = finder.built_in()(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(covering._finder()(pictures)[0], expected, atol=1e-3)


def test_furrows_are_their_program() -> None:
    rng = np.random.default_rng(2)
    look = rng.uniform(0, 1, (1, 3, 256, 256)).astype(np.float32)
    points = rng.uniform(0, 256, (478, 3)).astype(np.float32)
    program = ov.Core().compile_model(shipped.load("furrows", {}), "CPU")
    expected = skin.furrows(torch.from_numpy(look), torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(program([look, points])[0], expected, atol=1e-4)


def test_folds_are_their_program() -> None:
    rng = np.random.default_rng(2)
    look = rng.uniform(0, 1, (1, 3, 256, 256)).astype(np.float32)
    points = rng.uniform(0, 256, (478, 3)).astype(np.float32)
    program = ov.Core().compile_model(shipped.load("folds", {}), "CPU")
    expected = torch.cat(skin.folds(torch.from_numpy(look), torch.from_numpy(points))).numpy()
    np.testing.assert_allclose(program([look, points])[0], expected, atol=1e-4)


@pytest.mark.weights
def test_sides_are_measured_without_pytorch(
    monkeypatch: pytest.MonkeyPatch, astronaut: np.ndarray
) -> None:
    (face,) = landmarks.find_faces(astronaut)
    scorer = Scorer()
    monkeypatch.setitem(sys.modules, "torch", None)
    measured = sides.read(scorer, astronaut, face.mesh)
    np.testing.assert_allclose(measured.measures, scorer.measure(astronaut, face.mesh), atol=1e-6)


@pytest.mark.weights
def test_the_look_alike_is_the_encoders(generator: MobileStyleGAN) -> None:
    rng = np.random.default_rng(3)
    face = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((64, 64, 1))).astype(np.uint8)
    found = look_alike.LookAlike(BuiltIn()).encode(face)
    planes = torch.from_numpy(face.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)[None]
    expected = encoder.load_encoder().predict(planes, generator)[0].numpy()
    assert found.generator == generator.fingerprint
    np.testing.assert_allclose(found.w, expected, atol=2e-3)


@pytest.mark.weights
def test_the_mean_of_w_is_the_networks(generator: MobileStyleGAN) -> None:
    estimated = mobile.estimated_mean(generator).numpy()
    np.testing.assert_allclose(built_in.mean(), estimated, atol=1e-4)


@pytest.mark.slow
@pytest.mark.weights
def test_photos_are_edited_and_people_sampled_without_pytorch(
    tmp_path: Path, astronaut: np.ndarray, generator: MobileStyleGAN
) -> None:
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    blocked = "import sys; sys.modules['torch'] = None; from duchenne.cli import main; main()"
    edit = ["edit", "photo.png", "--au", "AU12=1", "-o", "smile.png"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *edit], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert difference(np.asarray(Image.open(tmp_path / "smile.png")), astronaut).max() > 50
    sample = ["sample", "--seed", "7", "--size", "256", "-o", "seven.png"]
    subprocess.run([sys.executable, "-c", blocked, *sample], cwd=tmp_path, check=True)
    expected = base.truncate(base.draw_w(generator, 7), generator.w_mean, 0.7).numpy()
    found = codes.read_code(tmp_path / "seven.safetensors")
    np.testing.assert_allclose(found.w, np.repeat(expected, 16, axis=0), atol=1e-5)
    needs = ["encode", "photo.png", "-o", "code.safetensors"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *needs], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stderr.startswith("duchenne: error: this needs PyTorch")
    assert done.stderr.count("\n") == 1
