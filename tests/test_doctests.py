"""The examples in the docstrings of the pure modules give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

# What needs no network, no picture and no file: numbers, names and text in, the same out.
PURE = (
    *(
        "errors",
        "facs",
        "reading.numbers",
        "reading.texts",
        "files.codes",
        "files.names",
        "faces.warp",
    ),
    *("motion.arkit", "motion.easing", "motion.timeline", "study.agreement"),
)


@pytest.mark.parametrize("name", PURE)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"duchenne.{name}")
    failed, tried = doctest.testmod(module)
    assert not failed
    assert tried
