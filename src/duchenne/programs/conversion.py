"""OpenVINO's converter of other frameworks' models, which few processes need."""

from __future__ import annotations

import sys
from typing import Any

_CONVERTER = "openvino.tools.ovc"


def leave_out() -> None:
    """Let OpenVINO be imported without its converter, in half of the time.

    For a process that is ours: `openvino.convert_model` is then missing.
    """
    sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]


def convert_model(model: Any, **options: Any) -> Any:
    """`openvino.convert_model`, also after `leave_out`."""
    if _CONVERTER in sys.modules and sys.modules[_CONVERTER] is None:
        del sys.modules[_CONVERTER]
    from openvino.tools.ovc import convert_model as convert

    return convert(model, **options)
