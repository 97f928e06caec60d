"""How much one checkpoint may ask for.

Some bytes of a pickle can stand for many: a value that was stored once can be named again and
again, and copied each time; a text can take four times the room that it has in the file. What a
file may ask for is therefore counted over all of its pickles, also those inside of byte strings.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from ...errors import WeightsError

MAX_INSTRUCTIONS = 400_000  # NVIDIA's three networks of 1024 px need about 60,000
SPARE = 16 << 20  # bytes that copies and texts may take beyond their bytes in the file
LONG_TEXT = 1 << 16  # characters; the shorter ones are bounded by the instructions


@dataclass
class Budget:
    """What is left for one file. Each method raises WeightsError where it is used up.

    size: bytes of the file. instructions: of pickles, and the items that calls copy.
    """

    size: int
    instructions: int = MAX_INSTRUCTIONS
    _copied: int = field(default=0, init=False)
    _widened: int = field(default=0, init=False)

    def step(self, count: int = 1) -> None:
        """One instruction, or `count` items that a call copies."""
        self.instructions -= count
        if self.instructions < 0:
            raise WeightsError(f"more than {MAX_INSTRUCTIONS} pickle instructions and copied items")

    def copy(self, length: int) -> None:
        """Bytes that a call makes of a text: those of the whole file once, not more."""
        self._copied += length
        if self._copied > self.size + SPARE:
            raise WeightsError("it copies the same text again and again")

    def text(self, text: str) -> None:
        """A text's room beyond one byte a character: weights that are text are Latin-1."""
        if len(text) > LONG_TEXT:
            self._widened += sys.getsizeof(text) - len(text)
            if self._widened > SPARE:
                raise WeightsError(f"texts that take {self._widened} bytes more than in the file")
