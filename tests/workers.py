"""Workers that do as they are told by words, in a module that each new process reads quickly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from duchenne.engine.base import Engine, Item
from duchenne.engine.folder import OutputFolder
from duchenne.engine.local import LocalSlots
from duchenne.errors import InputError, WeightsError


class Worker:
    """Squares numbers; does as it is told by words."""

    def __call__(self, payload: Any) -> tuple[Any, dict[str, float]]:
        if payload == "bad":
            raise InputError("this photo is bad")
        if payload == "bug":
            raise ZeroDivisionError("a bug")
        if payload == "no weights":
            raise WeightsError("no weights here")
        if payload == "pid":
            return os.getpid(), {}
        if payload == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if payload == "sleep":
            time.sleep(60)
        if isinstance(payload, tuple):  # dies at its first try only
            flag = Path(payload[1])
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return "second try", {}
        return payload**2, {"square": 0.5}


def build(threads: int) -> Worker:
    assert threads == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"
    return Worker()


def build_nothing(threads: int) -> Worker:
    raise WeightsError("model files are missing")


def build_and_die(threads: int) -> Worker:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def items(*payloads: Any) -> Iterator[Item]:
    return (Item(f"item {i}", payload) for i, payload in enumerate(payloads))


def fill(folder: str, count: int, stop: int | None = None) -> None:
    """A run that can be killed: squares as files, in two processes.

    With `stop` it waits, once that many files are there, until it is killed.
    """
    with OutputFolder(folder, {}) as out, Engine(LocalSlots(build, 2, 1)) as engine:
        numbers = [i for i in range(count) if not out.has(str(i))]
        before = count - len(numbers)
        outcomes = engine.process(Item(str(i), i) for i in numbers)
        for done, outcome in enumerate(outcomes, start=before):
            if done == stop:
                time.sleep(600)
            content = str(outcome.value).encode() * 1000
            out.record(outcome.item.key, {"file": f"{outcome.item.key}.txt"}, content)
        out.finish(map(str, range(count)))
