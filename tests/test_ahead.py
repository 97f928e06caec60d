"""What workers do ahead of a fit is what the fit would have done: on the tiny generator."""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image
from test_disfa import copy, golden, tiny_studio

from duchenne.cli import commands
from duchenne.engine.base import Build, Reply, Throughput, build_safely, work_safely
from duchenne.files.kinds import PHOTO_SUFFIXES
from duchenne.fit import ahead, disfa, imported, pairs

__all__ = ["copy", "golden"]
SHARD = 4


class InThisProcess:
    """One worker without a process of its own: what it gets is pickled as if it had one."""

    count, lost = 1, ()

    def __init__(self, build: Build) -> None:
        self._build = build

    def start(self, slot: int) -> Future[Reply]:
        self._worker, reply = build_safely(pickle.loads(pickle.dumps(self._build)), 1)
        return done(reply)

    def submit(self, slot: int, payload: Any) -> Future[Reply]:
        assert self._worker is not None
        return done(work_safely(self._worker, pickle.loads(pickle.dumps(payload))))

    def close(self) -> None:
        """Nothing was started."""


def done(reply: Reply) -> Future[Reply]:
    future: Future[Reply] = Future()
    future.set_result(reply)
    return future


class TinyOpening:
    """The `Opening` of the tiny generator."""

    def __call__(self, threads: int) -> Any:
        return tiny.TinyStudio(tiny.EncodeSettings(steps=1))


def work(files: ahead.Preparation) -> tuple[Throughput, list[tuple[str, int, int]]]:
    throughput, told = Throughput(1, 1, "here"), []
    ahead.run(files, InThisProcess(files.build), throughput, lambda *args: told.append(args))
    return throughput, told


def test_pairs_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "SHARD", SHARD)
    generator, opening = tiny.GENERATOR, TinyOpening()
    pairs.collect(generator, 3 * SHARD, tmp_path / "alone", threads=1)
    (tmp_path / "ahead").mkdir()
    kept = tmp_path / "ahead" / "pairs_00001.safetensors"
    kept.write_bytes((tmp_path / "alone" / kept.name).read_bytes())
    preparation = ahead.pair_files(generator, opening, 3 * SHARD, tmp_path / "ahead")
    throughput, told = work(preparation)
    made, alone = (pairs.load(generator, 3 * SHARD, tmp_path / f) for f in ("ahead", "alone"))
    np.testing.assert_allclose(made.w.astype(float), alone.w.astype(float), atol=0.01)
    # Sums over other threads round differently: a grey level.
    assert np.abs(made.pictures.astype(int) - alone.pictures).max() <= 1
    np.testing.assert_array_equal(made.true, alone.true)
    assert (throughput.items, throughput.failed) == (2, 0)
    assert told == [("pairs", 0, 2), ("pairs", 1, 2), ("pairs", 2, 2)]
    assert ahead.pair_files(generator, opening, 3 * SHARD, tmp_path / "ahead").count == 0


@pytest.mark.usefixtures("golden")
def test_frames_of_disfa_are_found_encoded(copy: Path, tmp_path: Path) -> None:
    settings = disfa.DisfaSettings(per_person=1)
    alone = disfa.collect(copy, tiny_studio(tmp_path / "alone"), tmp_path / "alone", settings)
    studio = tiny_studio(tmp_path / "work")
    throughput, told = work(ahead.codes_of_disfa(copy, studio, TinyOpening(), settings))
    assert throughput.items == 6
    assert told[-1] == ("encoding", 6, 6)
    data = disfa.collect(copy, studio, tmp_path / "work", settings)
    assert studio.inversion.seen == 0  # all were there
    np.testing.assert_array_equal(data.w, alone.w)
    again, _ = work(ahead.codes_of_disfa(copy, studio, TinyOpening(), settings))
    assert again.items == 0


@pytest.mark.usefixtures("golden")
def test_pictures_are_found_encoded_and_a_bad_one_is_left_to_the_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    for i in range(3):
        Image.new("RGB", (64, 64), (40 * i,) * 3).save(faces / f"{i}.png")
    studio = tiny_studio(tmp_path)
    encode = tiny.TinyInversion.encode

    def fails_on_black(self: tiny.TinyInversion, face: np.ndarray, **options: Any) -> Any:
        if not face.any():
            raise ZeroDivisionError("black")
        return encode(self, face, **options)

    monkeypatch.setattr(tiny.TinyInversion, "encode", fails_on_black)
    throughput, _ = work(ahead.codes_of_pictures(faces, studio, TinyOpening()))
    assert (throughput.items, throughput.set_aside, throughput.retried) == (3, 1, 2)
    assert "0.png: set aside after 3 tries: ZeroDivisionError: black" in caplog.text
    assert len(list(studio.cache.folder.iterdir())) == 2
    files = imported.find_files(faces, PHOTO_SUFFIXES)
    assert len(files) == 3


def test_workers_where_there_is_nothing_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["fit", "boundaries", "-o", "b.safetensors", "--workers", "2"]
    for options, message in (
        (["--method", "paper"], "one process's work"),
        (["--share", "0/2"], "leave --share out"),
    ):
        result = CliRunner().invoke(commands, [*line, *options])
        assert result.exit_code == 2
        assert message in result.stderr
