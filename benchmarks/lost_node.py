"""A Ray cluster of two machines loses one in the middle of a batch: is everything there, once?

    python benchmarks/lost_node.py -o lost_node.json
    python benchmarks/lost_node.py --items 40 --lose 2     # two of three machines

Starts Ray nodes on this machine, each with a raylet and ports of its own and room for one worker;
runs `duchenne batch` on saved codes of synthetic people; kills (-9) a raylet and its worker in the
middle; and compares the folder with that of a local run, byte for byte, hidden files included.
Exits with an error if they differ.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from duchenne.engine.capacity import WORKER_BYTES

ROOM = WORKER_BYTES  # that each node offers: one worker
STORE = 100_000_000  # of a node's object store
PROGRAM = (sys.executable, "-c", "from duchenne.cli import main; main()")


@contextmanager
def cluster(nodes: int) -> Iterator[tuple[str, list[Any]]]:
    """(address, nodes without the first one): Ray on this machine, as many nodes as asked."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    here = Cluster()
    options = {"num_cpus": 1, "memory": ROOM, "object_store_memory": STORE}
    try:
        here.add_node(include_dashboard=False, **options, **ports())
        yield here.address, [here.add_node(**options, **ports()) for _ in range(nodes - 1)]
    finally:
        here.shutdown()


def ports() -> dict[str, int]:
    """Free ports for the agents of a node.

    If Ray chooses them, a raylet waits 15 s for its agents to tell them, and then gives up: too
    little on a busy machine (ray-project/ray issue 65983).
    """
    names = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


def moments(items: int, count: int, seed: int) -> list[int]:
    """After how many items each node is lost: at random, between a fifth and four fifths."""
    rng = random.Random(seed)
    stretch = 0.6 * items / max(1, count)
    return [int(0.2 * items + stretch * (number + rng.random())) for number in range(count)]


def lose(node: Any, process: subprocess.Popen[Any], journal: Path, goal: int) -> dict[str, int]:
    """Kill a node once the run of a process has finished so many items; what was killed when.

    journal: of the run's folder; one line for the settings, then one for each finished item.
    Raises RuntimeError if there was nothing to kill any more.
    """
    while process.poll() is None and finished(journal) < goal:
        time.sleep(0.005)
    raylet = node.all_processes["raylet"][0].process.pid
    workers = actors_of(raylet)
    if process.poll() is not None or not workers:
        raise RuntimeError(f"nothing to kill after {finished(journal)} items")
    for pid in (*workers, raylet):  # nobody gets to tell the rest of the cluster
        os.kill(pid, signal.SIGKILL)
    after = finished(journal)
    node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
    return {"after_items": after, "workers": len(workers)}


def finished(journal: Path) -> int:
    """How many items a run has recorded."""
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


def actors_of(raylet: int) -> list[int]:
    """The processes below a raylet that hold one of our workers, as their titles say."""
    listing = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    lines = (line.split(maxsplit=2) for line in listing.stdout.splitlines())
    return [
        int(pid)
        for pid, parent, title in lines
        if int(parent) == raylet and title.startswith("ray::Actor")
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden files included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def compare(folder: Path, other: Path, items: int) -> dict[str, Any]:
    """Counts of the first folder's results, and whether it equals the other."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = Counter(row["file"] for row in rows if row["file"])
    return {
        "results": len(names),
        "missing": items - len(names),
        "twice": sum(count > 1 for count in names.values()),
        "errors": sum(bool(row["error"]) for row in rows),
        "same_bytes_as_local": contents(folder) == contents(other),
    }


def write_people(folder: Path, count: int) -> None:
    """Saved codes of synthetic people."""
    from duchenne.animate import Studio
    from duchenne.files import codes

    folder.mkdir()
    studio = Studio(threads=1)
    for seed in range(count):
        codes.write_code(studio.sample(seed).code, folder / f"person{seed:04d}{codes.SUFFIX}")


def batch(folder: Path, name: str, *options: str) -> list[str]:
    """The command line of one run into folder/name."""
    asked = ("--au", "AU12=1", "--size", "256", "--format", ".jpg")
    output = ("-o", str(folder / name), "--json", str(folder / f"{name}.json"))
    return [*PROGRAM, "batch", str(folder / "people"), *asked, *output, *options]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--lose", type=int, default=1, help="so many of the nodes, of one more")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_people(folder / "people", options.items)
        subprocess.run(batch(folder, "local"), check=True)
        journal = folder / "ray" / ".duchenne" / "journal"
        with cluster(options.lose + 1) as (address, others):
            there = batch(folder, "ray", "--ray", address, "--workers", str(options.lose + 1))
            with subprocess.Popen(there) as process:
                try:
                    goals = moments(options.items, len(others), options.seed)
                    killed = [
                        lose(node, process, journal, goal)
                        for node, goal in zip(others, goals, strict=True)
                    ]
                except RuntimeError as error:
                    process.kill()
                    sys.exit(str(error))
        if process.returncode:
            sys.exit(f"the batch on the cluster ended with exit code {process.returncode}")
        facts: Mapping[str, Any] = {
            "items": options.items,
            "killed": killed,
            **compare(folder / "ray", folder / "local", options.items),
            "ray": json.loads((folder / "ray.json").read_text())["throughput"],
            "local": json.loads((folder / "local.json").read_text())["throughput"],
        }
    text = json.dumps(facts, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    if facts["missing"] or facts["twice"] or facts["errors"] or not facts["same_bytes_as_local"]:
        sys.exit("the cluster's folder is not what the local run made")


if __name__ == "__main__":
    main()
