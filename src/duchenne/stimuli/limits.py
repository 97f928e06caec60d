"""How large a design may be, and the range of each of its numbers."""

from __future__ import annotations

from ..motion.timeline import MAX_FRAMES
from ..reading import numbers

MOST_PEOPLE = 100_000
MOST_FILES = 1_000_000  # of a set: people times cells
MOST_CELLS = 10_000  # pictures and films of one person
MOST_NAME = 80  # characters of a name of a condition; file names are made of them
FIELDS = ("identity", "condition", "side", "intensity", "percent")
"""What a pattern of file names may hold."""
# Each number of a design and its range.
RANGES = {
    "truncation": (0.0, 1.0),
    "frontal": (0.0, 90.0),  # degrees
    "neutral": (0.0, 5.0),
    "different": (0.0, 2.0),  # dlib's descriptors lie on about the unit sphere
    "hold": (0.0, 86_400.0),
    "luminance": (0.0, 100.0),  # CIE L*
    "contrast": (0.0, 50.0),
    "reached": (0.0, 5.0),
    "asked_at_least": (0.0, 1.0),
    "identity": (0.0, 2.0),
    "tolerated": (0.0, 1.0),
}
WHOLE = {
    "synthetic": (0, MOST_PEOPLE),
    "first_seed": (0, numbers.MOST_WHOLE - 100 * MOST_PEOPLE),
    "size": (64, 4096),  # pixels
    "frames": (1, MAX_FRAMES),
    "rounds": (0, 100),
}
