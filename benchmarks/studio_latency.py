"""How long the web page takes from a moved slider to the new preview, through its real HTTP server.

    python benchmarks/studio_latency.py -o studio_latency.json

One visitor draws a synthetic person and moves one slider after another (each of the twelve Action
Units, a different intensity every time), waiting for each picture. The first preview of every
region compiles what the later ones use; it is counted apart. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from duchenne import facs

HEADERS = {"x-duchenne-studio": "1", "content-type": "application/json"}


class Visitor:
    """One browser's worth of requests, on a connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.cookie = ""

    def ask(self, method: str, path: str, content: Any = None) -> bytes:
        body = None if content is None else json.dumps(content)
        self.connection.request(method, path, body, {**HEADERS, "cookie": self.cookie})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {data[:300]!r}")
        if given := answer.getheader("set-cookie"):
            self.cookie = given.partition(";")[0]
        return data

    def sit(self, seed: int) -> None:
        """Become the visitor of a synthetic person."""
        self.ask("POST", "/api/sample", {"seed": seed})
        while (job := json.loads(self.ask("GET", "/api/job")))["state"] in ("waiting", "running"):
            time.sleep(0.1)
        if job["state"] != "done":
            raise RuntimeError(job["message"])

    def preview(self, size: int, au: dict[str, float]) -> float:
        """Seconds from the question to the whole picture."""
        start = time.perf_counter()
        self.ask("POST", "/api/preview", {"size": size, "au": au})
        return time.perf_counter() - start


def measure(visitor: Visitor, size: int, rounds: int) -> dict[str, Any]:
    first = [visitor.preview(size, {code: 0.5}) for code in facs.CODES]
    single = [
        visitor.preview(size, {code: 0.3 + 0.6 * turn / rounds})
        for turn in range(rounds)
        for code in facs.CODES
    ]
    happy = facs.expression("happiness")
    several = [
        visitor.preview(size, dict.fromkeys(happy, 0.5 + 0.5 * turn / rounds))
        for turn in range(rounds)
    ]
    return {
        "first_use_worst": max(first),
        "one_unit": summary(single),
        "happiness": summary(several[1:] or several),
    }


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": statistics.median(ordered),
        "p90": ordered[int(0.9 * (len(ordered) - 1))],
        "worst": ordered[-1],
    }


def crowd(port: int, people: int, seconds: float) -> dict[str, Any]:
    """So many visitors at once, each moving a slider without a pause."""
    times: list[float] = []
    errors: list[str] = []

    def visit(seed: int) -> None:
        try:
            visitor = Visitor(port)
            visitor.sit(seed)
            end = time.monotonic() + seconds
            turn = 0
            while time.monotonic() < end:
                code = facs.CODES[turn % len(facs.CODES)]
                times.append(visitor.preview(256, {code: 0.2 + 0.1 * (turn % 8)}))
                turn += 1
        except (RuntimeError, OSError) as error:
            errors.append(str(error))

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"people": people, "seconds": seconds, "errors": errors, "preview_256": summary(times)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--people", type=int, default=0, help="also a crowd of so many visitors")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the crowd stays")
    asked = parser.parse_args()
    from duchenne.engine.stages import peak_memory
    from duchenne.web.app import create_app, listen
    from duchenne.web.settings import Access

    access = Access(port=0)
    server, listening = listen(create_app(access=access), access)
    port = listening.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        visitor = Visitor(port)
        visitor.sit(asked.seed)
        result: dict[str, Any] = {
            str(size): measure(visitor, size, asked.rounds) for size in (256, 512)
        }
        if asked.people:
            result["crowd"] = crowd(port, asked.people, asked.seconds)
        result["peak_memory_bytes"] = peak_memory()
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    result |= {
        "commit": commit, "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(), "seed": asked.seed, "rounds": asked.rounds,
    }  # fmt: skip
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
