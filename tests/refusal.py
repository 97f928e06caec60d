"""What a user reads when something is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def refusal(kind: type[Exception], call: Callable[..., Any], *given: Any, **more: Any) -> str:
    """The message, which is one line, of the error that `call` raises."""
    with pytest.raises(kind) as caught:
        call(*given, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message
