"""What a user reads when something is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LONGEST = 500  # characters of a message


def refusal(kind: type[Exception], call: Callable[..., Any], *given: Any, **more: Any) -> str:
    """The message, which is one short line, of the error that `call` raises."""
    with pytest.raises(kind) as caught:
        call(*given, **more)
    return one_line(str(caught.value))


def one_line(message: str) -> str:
    """The message, if it is what any message to a user is."""
    assert message.strip()
    assert len(message) <= LONGEST
    assert len(message.splitlines()) == 1
    return message
