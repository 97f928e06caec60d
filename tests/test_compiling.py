"""Compiling: what a program may do to the process that it runs in."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duchenne import compiling


class _Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(x, torch.ones(4, 4, 3, 3), padding=1)


def _cores_after_running(threads: int, answer: Connection) -> None:
    before = os.sched_getaffinity(0)
    x = np.ones((1, 4, 64, 64), np.float32)
    program = compiling.Compiler(torch.device("cpu"), threads).compile(_Twice(), x)
    program(x)
    answer.send((before, os.sched_getaffinity(0)))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores are not known here")
def test_a_program_does_not_bind_its_process_to_a_core() -> None:
    """In a process of its own: what is bound stays bound."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_cores_after_running, args=(1, theirs))
    process.start()
    before, after = mine.recv()
    process.join()
    assert after == before
