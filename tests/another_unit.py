"""What another Action Unit in the table reaches; `test_facs.py` runs it in a copy."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tiny
from starlette.testclient import TestClient

from duchenne import facs
from duchenne.cli import commands
from duchenne.editing.boundaries import slot_intensities
from duchenne.errors import DescriptorError
from duchenne.evaluate import bars, metrics
from duchenne.faces.regions import SLOTS
from duchenne.fit import boundaries, calibrate, labelled
from duchenne.measuring.measures import MEASURES, POINTS
from duchenne.measuring.score import Scale
from duchenne.motion.coded import read_table
from duchenne.motion.layouts import OPENFACE
from duchenne.motion.timeline import from_descriptor
from duchenne.stimuli import papers, screening
from duchenne.web.app import create_app
from duchenne.web.settings import Access, Limits

unit, at, count = facs.UNITS["AU13"], facs.INDEX["AU13"], len(facs.CODES)
assert len(facs.PAPER) == 12 < count

# It is written like the others, but has no place in the paper's vector.
assert facs.parse("13=0.5,AU12L") == {"AU13": 0.5, "AU12L": 1.0}
assert facs.parse_vector("0,0,0,0,1,0,1,0,0,0,1,0") == facs.expression("happiness")
assert facs.to_vector({"AU12": 1.0, "AU13": 0.0}) == [0.0] * 6 + [1.0] + [0.0] * 5
try:
    facs.to_vector({"AU13": 0.5})
except DescriptorError:
    pass
else:
    raise AssertionError("AU13 in the paper's vector")
(vector,) = (o for o in commands.commands["edit"].params if o.name == "descriptor")
assert "AU6, AU9" in str(vector.help)  # type: ignore[attr-defined]

# Edits and motions
slots = slot_intensities({"AU13": 1.0})
assert [SLOTS[i] for i in np.flatnonzero(slots[at])] == ["mouthR", "mouthL"]
assert from_descriptor({"AU13": 1.0}, frames=2).intensities[-1, at] == 1
with TemporaryDirectory() as folder:
    recorded = Path(folder, "recorded.csv")
    recorded.write_text("frame,timestamp,confidence,success,AU12_r,AU13_r\n1,0,1,1,4,3\n")
    assert read_table(recorded, [OPENFACE]).values[0, at].tolist() == [0.6, 0.6]

# Scores, fits, evaluation
ones = np.ones(len(MEASURES))
scale = Scale(np.eye(POINTS, 3), np.arange(POINTS), 0 * ones, ones, ones)
shown = np.array([unit.evidence.get(name, 0.0) > 0 for name in MEASURES], float)
assert scale.scores(shown).shape == (count,)
assert scale.scores(shown)[at] == facs.FULL
wanted, kept = boundaries.wishes(unit)
assert np.count_nonzero(wanted) == len(unit.evidence)
assert (~kept).sum() == len(unit.evidence) + len(unit.tied)
assert labelled.tied(unit, facs.UNITS["AU26"]) is False
normals = boundaries.Normals(np.eye(count, 512, dtype=np.float32)[:, None], *np.ones((3, count)))
along = np.tile(np.linspace(0 * shown, shown, calibrate.STEPS + 1), (count, 1, 1, 1))
lengths = calibrate.fit_lengths(along, scale, normals)
assert abs(lengths[at, -1] - calibrate.SATURATED * unit.reach) < 1e-4
scores = np.zeros((2, count, 2, count))
scores[:, :, 1] = np.eye(count)
scores[:, at, 1, facs.INDEX["AU12"]] = 1  # its kin
assert not metrics.leakage(scores).any()
assert "AU13: AU12" in bars.tied()

# Sets, screening, the page
assert {"asked_AU13", "rest_AU13", "offset_AU13"} <= {*papers.ASKED, *papers.REST, *papers.OFFSETS}
assert screening.strongest(np.eye(count)[at]) == ("AU13", 1.0)
page = create_app(tiny.TinyStudio(), Access(), Limits(), warm=False)
with TestClient(page, base_url="http://127.0.0.1:8460") as client:
    (told,) = (u for u in client.get("/api/about").json()["units"] if u["code"] == "AU13")
assert told["drawing"] == unit.drawing
