"""Workers that die, items that are wrong, folders that are killed: with real processes."""

from __future__ import annotations

import csv
import importlib.util
import json
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workers import build, build_and_die, build_nothing, fill, items

from duchenne.cores import usable
from duchenne.engine.base import Engine, Item, Outcome, Slots, Throughput
from duchenne.engine.capacity import crew, free_memory
from duchenne.engine.folder import PRIVATE, OutputFolder, sha256_of
from duchenne.engine.local import LocalSlots
from duchenne.engine.on_ray import RaySlots
from duchenne.errors import DuchenneError, InputError, OutputError, WeightsError

TESTS = Path(__file__).parent
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: duchenne[ray]"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray on this machine, whose workers find this module."""
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(TESTS), "RAY_USAGE_STATS_ENABLED": "0"}},
    )
    yield
    ray.shutdown()


@pytest.fixture(params=["local", pytest.param("ray", marks=[needs_ray, pytest.mark.cluster])])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


def slots(kind: str, builder: Any = build, count: int = 2) -> Slots:
    if kind == "local":
        return LocalSlots(builder, count, 1)
    return RaySlots(builder, count, 1, worker_bytes=1_000_000)


def outcomes(kind: str, *payloads: Any, builder: Any = build) -> dict[str, Outcome]:
    with Engine(slots(kind, builder)) as engine:
        found = list(engine.process(items(*payloads)))
    by_key = {outcome.item.key: outcome for outcome in found}
    assert len(by_key) == len(found), "an item came twice"
    return by_key


# ---------------------------------------------------------------- one engine, two sizes


def test_every_item_comes_once_whatever_happens_to_others(kind: str, tmp_path: Path) -> None:
    once = ("dies once", str(tmp_path / "flag"))
    found = outcomes(kind, 2, "bad", "die", 3, once, "bug", 4)
    assert [found[f"item {i}"].value for i in (0, 3, 6)] == [4, 9, 16]
    assert found["item 0"].seconds == {"square": 0.5}
    assert found["item 1"].error == "this photo is bad"
    assert found["item 1"].tries == 1
    assert found["item 4"].value == "second try"
    assert found["item 4"].tries == 2
    for i, reason in ((2, "its worker died"), (5, "ZeroDivisionError: a bug")):
        assert found[f"item {i}"].error == f"set aside after 3 tries: {reason}"
        assert found[f"item {i}"].set_aside
    assert len(found) == 7


def test_what_would_befall_every_item_ends_the_run(kind: str) -> None:
    with pytest.raises(WeightsError, match="model files are missing"):
        outcomes(kind, 1, 2, builder=build_nothing)
    with pytest.raises(WeightsError, match="no weights here"):
        outcomes(kind, 1, "no weights", 2, 3)


def test_workers_stay_between_calls_and_a_broken_off_call_leaves_nothing(kind: str) -> None:
    with Engine(slots(kind, count=1)) as engine:
        (first,) = engine.process(items("pid"))
        for outcome in engine.process(items(*range(50))):
            assert outcome.value == 0
            break
        (last,) = engine.process(items("pid"))
        assert first.value == last.value
        assert not list(engine.process(items()))


def test_workers_that_never_start_are_given_up() -> None:
    with pytest.raises(DuchenneError, match="every worker died 3 times"):
        outcomes("local", 1, builder=build_and_die)


def test_items_are_drawn_only_as_workers_are_free() -> None:
    drawn = 0

    def counted() -> Iterator[Item]:
        nonlocal drawn
        for i in range(1000):
            drawn += 1
            yield Item(str(i), i)

    with Engine(LocalSlots(build, 2, 1)) as engine:
        for done, _ in enumerate(engine.process(counted()), 1):
            assert drawn <= done + 3  # two at work, one ahead
            if done == 20:
                break


def test_ending_a_run_ends_its_workers() -> None:
    engine = Engine(LocalSlots(build, 1, 1))
    start = time.monotonic()
    with engine:
        (pid,) = engine.process(items("pid"))
        running = engine.process(items("pid", "sleep"))
        next(running)
    assert time.monotonic() - start < 30
    assert not alive(pid.value)


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(TESTS)!r})
        import workers
        from duchenne.engine.base import Engine
        from duchenne.engine.local import LocalSlots
        if __name__ == "__main__":
            with Engine(LocalSlots(workers.build, 1, 1)) as engine:
                for outcome in engine.process(workers.items("pid", "sleep")):
                    print(outcome.value, flush=True)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    deadline = time.monotonic() + 30
    while alive(worker):
        assert time.monotonic() < deadline, "the worker still runs"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_ray
@pytest.mark.cluster
def test_ray_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'duchenne\[ray\]'"):
        RaySlots(build, 1, 1)


@needs_ray
@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_a_cluster_tells_how_many_workers_it_carries() -> None:
    assert RaySlots(build, None, 1, worker_bytes=1_000_000).count == 2
    with pytest.raises(InputError, match="no place for a worker of 64 cores"):
        RaySlots(build, None, 64, worker_bytes=1_000_000)


# ---------------------------------------------------------------- kills


@pytest.mark.slow
def test_ten_kills_leave_what_no_kill_leaves(tmp_path: Path) -> None:
    """kill -9 at ten random moments of a run of 60: equal in the end, byte for byte."""
    fill(str(tmp_path / "whole"), 60)
    script = tmp_path / "run.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        f"if __name__ == '__main__': import workers; "
        f"workers.fill({str(tmp_path / 'killed')!r}, 60, *map(int, sys.argv[1:]))\n"
    )
    journal = tmp_path / "killed" / PRIVATE / "journal"
    rng, reached = random.Random(0), [0]

    def recorded() -> int:
        return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0

    for kill in range(10):
        goal = reached[-1] + rng.randint(1, 4)
        with subprocess.Popen([sys.executable, script, str(goal + 2)]) as process:
            while recorded() < goal and process.poll() is None:
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.005))
            process.kill()
        reached.append(recorded())
        assert goal <= reached[-1] < 60, f"kill {kill} came in the middle"
    subprocess.run([sys.executable, script], check=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


# ---------------------------------------------------------------- capacity, throughput


def test_cores_and_memory_are_respected() -> None:
    cores = usable()
    assert crew(10 * cores).workers == 10 * cores
    assert crew(1).threads == 1  # whatever the cores: more threads give other bytes
    assert crew(threads=cores, worker_bytes=1).workers == 1
    assert crew(worker_bytes=1).workers == cores
    assert crew(worker_bytes=10**18).workers == 1  # one always, or there would be nothing
    assert crew(worker_bytes=free_memory()).workers == 1
    with pytest.raises(InputError, match="give 1 or more"):
        crew(0)


def test_throughput_counts_files_failures_and_stages() -> None:
    throughput = Throughput(2, 1, "here")
    throughput.count(Outcome(Item("a", 0), value=1, seconds={"render": 2.0}), 5)
    throughput.count(Outcome(Item("b", 0), error="dead", tries=3, set_aside=True))
    throughput.note(Outcome(Item("c", 0), value=1, seconds={"render": 1.0, "screen": 1.0}))
    facts = throughput.facts()
    assert (facts["items"], facts["failed"], facts["set_aside"], facts["retries"]) == (6, 1, 1, 2)
    assert facts["worker_seconds"] == {"render": 3.0, "screen": 1.0}
    assert facts["items_per_second"] > 0


# ---------------------------------------------------------------- the folder


def contents(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden files included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_goes_on_where_it_was(tmp_path: Path) -> None:
    with OutputFolder(tmp_path / "set", {"au": 1}) as out:
        out.record("a", {"file": "x/a.png"}, b"A")
        out.record("b", {"file": "", "error": "no face"})
        out.record("c", {"file": "c.png"}, b"C")
    (tmp_path / "set" / "c.png").write_bytes(b"changed")
    with OutputFolder(tmp_path / "set", {"au": 1}) as out:
        assert out.has("a")
        assert out.has("b")  # there is nothing to make
        assert not out.has("c")
        assert not out.has("d")
        assert out.rows["a"]["sha256"] == sha256_of(tmp_path / "set" / "x" / "a.png")


def test_two_orders_end_in_equal_folders(tmp_path: Path) -> None:
    for name, order in (("one", "abc"), ("two", "cab")):
        with OutputFolder(tmp_path / name, {}) as out:
            for key in order:
                out.record(key, {"file": f"{key}.png"}, key.encode())
            out.record("left out", {"file": ""})
            out.finish("abc")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_what_a_kill_leaves_is_swept_up(tmp_path: Path) -> None:
    with OutputFolder(tmp_path, {}) as out:
        out.record("a", {"file": "deep/a.png"}, b"A")
        out.record("b", {"file": "b.png"}, b"B")
    (tmp_path / "deep" / ".a.0123abcd.png").write_bytes(b"half")
    journal = tmp_path / PRIVATE / "journal"
    journal.write_bytes(journal.read_bytes()[:-7])  # the last line is cut off
    with OutputFolder(tmp_path, {}) as out:
        assert list(out.rows) == ["a"]
        out.record("b", {"file": "b.png"}, b"B")
    assert {*contents(tmp_path)} == {"deep/a.png", "b.png", ".duchenne/journal", ".duchenne/lock"}
    assert len(journal.read_text().splitlines()) == 3


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    with OutputFolder(tmp_path, {}):
        code = (
            "from duchenne.engine.folder import OutputFolder\n"
            f"with OutputFolder({str(tmp_path)!r}, {{}}): pass"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another duchenne is writing into this folder" in other.stderr
    with OutputFolder(tmp_path, {}):
        pass


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(OutputError, match="holds files of something else"):
        OutputFolder(tmp_path, {}).__enter__()
    with OutputFolder(tmp_path / "set", {"au": 1, "size": 2}):
        pass
    with pytest.raises(OutputError, match=r"begun with other settings \(au\)"):
        OutputFolder(tmp_path / "set", {"au": 2, "size": 2}).__enter__()
    (tmp_path / "set" / PRIVATE / "journal").write_text('nonsense\n{"key": "a"}\n')
    with pytest.raises(OutputError, match="line 1 is damaged"):
        OutputFolder(tmp_path / "set", {"au": 1, "size": 2}).__enter__()


def test_a_full_disk_ends_cleanly_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on file sizes is met like a full disk: the write fails in the middle."""
    code = textwrap.dedent(f"""
        import resource
        from duchenne.engine.folder import OutputFolder
        from duchenne.errors import OutputError
        with OutputFolder({str(tmp_path / "set")!r}, {{}}) as out:
            out.record("small", {{"file": "small.png"}}, b"s" * 1000)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
            try:
                out.record("large", {{"file": "large.png"}}, b"l" * 100_000)
            except OutputError as error:
                print(error)
        """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "large.png: could not be written (File too large;" in done.stdout
    assert {*contents(tmp_path / "set")} == {"small.png", ".duchenne/journal", ".duchenne/lock"}
    with OutputFolder(tmp_path / "set", {}) as out:
        assert list(out.rows) == ["small"]


def test_a_table_leaves_gaps_where_nothing_is_known(tmp_path: Path) -> None:
    with OutputFolder(tmp_path, {}) as out:
        out.write_table("t.csv", ["a", "b"], [{"a": 1, "c": 3}, {"b": "x, y"}])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": ""}, {"a": "", "b": "x, y"}]
    head = json.loads((tmp_path / PRIVATE / "journal").read_text().splitlines()[0])
    assert head["settings"] == {}
