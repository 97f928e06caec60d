"""Nothing is sent to anybody: other packages' statistics are switched off."""

from __future__ import annotations

import sys


def without_telemetry() -> None:
    """Keep OpenVINO from reporting its use; call it before OpenVINO is imported.

    `import openvino` and `convert_model` send events to an analytics service through the package
    `openvino_telemetry` unless the user has refused in a file of the home folder. OpenVINO has a
    silent stand-in for where that package is missing; hiding the package makes it take that one.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
