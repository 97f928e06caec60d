"""A Ray cluster loses one of its machines in the middle of a batch: real raylets, tiny faces."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest
from test_batch import MEETING, contents, manifest, tiny_command, write_codes

TESTS = Path(__file__).parent


def lose_a_node(folder: Path, count: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch over two nodes, one of which is killed, equals one that this machine made alone."""
    import lost_node

    write_codes(folder / "codes", count)
    local = tiny_command(folder, "--workers", "1")
    subprocess.run([*local, "local", str(count + 1)], cwd=folder, check=True)
    (folder / "meeting").mkdir()
    monkeypatch.setenv(MEETING, str(folder / "meeting"))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    (goal,) = lost_node.moments(count, 1, seed)
    with lost_node.cluster(2) as (address, (other,)):
        there = tiny_command(folder, "--workers", "2", "--ray", address)
        with (
            (folder / "said").open("w") as said,
            subprocess.Popen([*there, "ray", str(goal + 2)], cwd=folder, stdout=said) as process,
        ):
            try:
                lost = lost_node.lose(other, process, folder / "ray/.duchenne/journal", goal)
                assert goal <= lost["after_items"] < count
                (folder / "go on").touch()
            except BaseException:
                process.kill()
                raise
    assert process.returncode == 0
    assert (folder / "said").read_text() == f"ray  {count} files, 0 inputs failed\n"
    names = [row["file"] for row in manifest(folder / "ray")]
    assert len(names) == len(set(names)) == count
    assert contents(folder / "ray") == contents(folder / "local")


@pytest.mark.cluster
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: duchenne[ray]"
)
@pytest.mark.skipif(
    "DUCHENNE_TEST_CLUSTER" not in os.environ,
    reason="takes minutes where Ray's daemons wait for one another: set DUCHENNE_TEST_CLUSTER=1",
)
def test_a_batch_outlives_one_of_its_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TESTS.parent / "benchmarks")
    lose_a_node(tmp_path, 30, 0, monkeypatch)
