"""Designs of sets: what is taken is whole, within its limits, and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fuzzed import cases, changed, taken, toml, wrong
from hypothesis import given
from hypothesis import strategies as st

from duchenne.stimuli import limits
from duchenne.stimuli.design import Design, parse, read_design

DESIGN = {
    "title": "Smiles",
    "people": {
        "synthetic": 4, "first_seed": 3, "seeds": [1, 2], "exclude": [5], "truncation": 0.7,
        "frontal": 12.0, "neutral": 0.5, "glasses": False, "adult": True, "different": 0.6,
        "photos": ["a.jpg"], "codes": ["a.safetensors"],
    },
    "conditions": {"happy": "happiness", "smile": "AU12=1,AU6=0.5", "own": {"AU12": 0.5}},
    "intensities": [0.5, 1.0],
    "sides": ["both", "left"],
    "neutral": True,
    "target": False,
    "output": {
        "size": 512, "paste_back": False, "generated": False, "still": ".png", "film": ".mp4",
        "frames": 24, "fps": "25", "easing": "smooth", "hold": 0.5, "ping_pong": True,
        "pattern": "{identity}_{condition}_{side}_{intensity}",
    },
    "match": {"luminance": 60.0, "contrast": 10.0, "framing": True},
    "quality": {
        "reached": 0.25, "asked_at_least": 0.4, "identity": 0.6, "redraw": True,
        "tolerated": 0.1, "rounds": 3,
    },
}  # fmt: skip


def check(design: Design | None) -> None:
    if design is None:
        return
    people = design.people
    named = len(people.photos) + len(people.codes) + len(people.seeds) + people.synthetic
    cells = design.cells()
    assert 0 < named <= limits.MOST_PEOPLE
    assert 0 < len(cells) <= 2 * limits.MOST_CELLS + 1
    for cell in cells:
        assert all(0 <= value <= 1 for value in cell.descriptor.values())
        name = Path(design.file_of("identity", cell))
        assert not name.is_absolute()
        assert ".." not in name.parts
        assert all(len(part.encode()) <= 255 for part in name.parts)
    for part in (people, design.output, design.match, design.quality):
        for key, (low, high) in {**limits.RANGES, **limits.WHOLE}.items():
            value = getattr(part, key, None)
            assert value is None or low <= value <= high, key


@cases(400)
@given(wrong(DESIGN, most=3))
def test_designs(tree: dict[str, Any]) -> None:
    """As the parser of TOML gives them."""
    check(taken(parse, tree, Path()))


@cases(200)
@given(tree=wrong(DESIGN), data=st.data())
def test_files(tree: dict[str, Any], data: st.DataObject, tmp_path: Path) -> None:
    content = toml(tree).encode()
    if data.draw(st.integers(0, 4)) == 0:
        content = data.draw(changed(content))
    path = tmp_path / "design.toml"
    path.write_bytes(content)
    check(taken(read_design, path))
