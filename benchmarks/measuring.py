"""What the benchmarks share: how a time is taken, and what is written beside it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from duchenne import cores

SEED = 7  # the synthetic person that every benchmark animates
EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    "mouth": {"AU12": 1.0, "AU25": 0.5},
    "happiness": {"AU6": 1.0, "AU12": 1.0, "AU25": 1.0},
    "whole face": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU9": 0.3, "AU25": 1.0, "AU26": 1.0},
}


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Options of every benchmark."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repetitions")
    parser.add_argument("--threads", type=int, default=cores.usable(), help="cores to use")
    return parser


def interleaved(
    contestants: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each contestant, `rounds` times in turns, after one round that does not count.

    Turns, because other work on the machine then slows all of them alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, fastest and slowest."""
    return {
        "median": round(statistics.median(seconds), 4),
        "fastest": round(min(seconds), 4),
        "slowest": round(max(seconds), 4),
    }


def wheels_own(threads: int) -> Callable[[Any], Any]:
    """The generator as its wheel has it, on OpenVINO in float32: w [1, 512] -> image."""
    import openvino as ov

    from duchenne.weights import store

    core = ov.Core()
    model = core.read_model(
        store.read("mobilestylegan-synthesis-xml"), store.read("mobilestylegan-synthesis-bin")
    )
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(model, "CPU", options)
    return lambda w: compiled([w])[0]


def report(name: str, results: Mapping[str, Any], output: Path | None) -> None:
    """Print the results with what they were measured on, and write them."""
    record = {"benchmark": name, **_circumstances(), "results": dict(results)}
    text = json.dumps(record, indent=1)
    print(text)
    if output is not None:
        output.write_text(f"{text}\n", encoding="utf-8")


def _circumstances() -> dict[str, Any]:
    packages = ("duchenne", "openvino", "torch", "numpy", "av")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len((_git("status", "--porcelain") or "").splitlines()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {package: metadata.version(package) for package in packages},
        "seed": SEED,
    }


def _git(*command: str) -> str | None:
    folder = Path(__file__).parent
    done = subprocess.run(
        ["git", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
