"""`python -m experiments.trace_programs`: trace the programs that come with the package.

To be run after a change of the networks' code, of the read-out, or of the mean of W. It writes
src/duchenne/data/programs and says how much of each program no file of weights holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from duchenne.editing.layout import Layout, editable_rows, mask_sizes
from duchenne.editing.regional import LocalPass, RecordingPass, record
from duchenne.editing.traced import regional_pass
from duchenne.encoding import encoder, look_alike
from duchenne.encoding.encoder_file import SIDE
from duchenne.faces.regions import SLOTS
from duchenne.files import codes
from duchenne.generators import built_in, mobile
from duchenne.measuring.measures import POINTS
from duchenne.measuring.score import INPUT_SIZE
from duchenne.measuring.skin import Folds, Furrows
from duchenne.moving import covering, finder
from duchenne.programs import shipped
from duchenne.programs.tracing import converted

PREVIEWS = (1, 2, 4)  # parts of the generator's side


def main() -> None:
    """Write all."""
    with resources.as_file(resources.files("duchenne") / "data") as data:
        write_mean(data.parent / built_in.MEAN)
        folder = data.parent / shipped.FOLDER
    folder.mkdir(exist_ok=True)
    facts = {"made_by": "python -m experiments.trace_programs", "openvino": ov.get_version()}
    for name, (model, arrays) in programs().items():
        left = shipped.save(model, arrays, folder / f"{name}{codes.SUFFIX}", facts)
        print(f"{name}: {left} bytes beside the weights")


def write_mean(path: Path) -> None:
    """The centre of W, which the published file lacks."""
    mean = mobile.estimated_mean(mobile.load()).numpy()
    provenance = {
        "made_by": "python -m experiments.trace_programs",
        "draws": mobile.MEAN_DRAWS,
        "seed": mobile.MEAN_SEED,
    }
    codes.write_tensors({"w_mean": mean}, {"format": built_in.MEAN_FORMAT}, provenance, path)


def programs() -> dict[str, tuple[ov.Model, dict[str, NDArray[Any]]]]:
    """Name -> program, and the arrays that it may take from files of weights."""
    face = np.zeros((1, 3, INPUT_SIZE, INPUT_SIZE), np.float32)
    points = np.random.default_rng(0).uniform(0, INPUT_SIZE, (POINTS, 3)).astype(np.float32)
    made: dict[str, tuple[ov.Model, dict[str, NDArray[Any]]]] = {}
    made["furrows"] = (converted(Furrows(), [face, points]), {})
    made["folds"] = (converted(Folds(), [face, points]), {})
    weights = dict(built_in.weights().arrays)
    generator = mobile.load()
    w = np.zeros((1, generator.rows, generator.z_dim), np.float32)
    noises = [weights[name] for name in built_in.NOISES]
    seen = record(generator, torch.from_numpy(w))
    made["recording"] = (converted(RecordingPass(generator), [w, *noises]), weights)
    rows = editable_rows(generator)
    for part in PREVIEWS:
        layout = Layout.of(generator, rows, generator.size // part, seen)
        inputs = _inputs(layout, w, [seen.features[i] for i in layout.feature_layers], noises)
        model = converted(regional_pass(generator, layout), inputs, layout.input_sizes)
        made[f"regional-{layout.size}"] = (model, weights)
    offsets = np.ones((len(SLOTS), *w.shape[1:]), np.float32)
    masks = [np.ones((len(SLOTS), s, s), np.float32) for s in mask_sizes(generator, rows)]
    made["local"] = (converted(LocalPass(generator, rows), [w, offsets, *masks, *noises]), weights)
    picture = np.zeros((1, 3, SIDE, SIDE), np.float32)
    look = _LookAlike(encoder.load_encoder(), generator.w_mean)
    made["encoder"] = (
        converted(look, [picture]),
        {**look_alike.arrays(), "w_mean": weights["w_mean"]},
    )
    pair = np.zeros((2, 3, covering.SEEN, covering.SEEN), np.float32)
    made["covering"] = (converted(finder.built_in(), [pair]), covering.arrays())
    return made


def _inputs(
    layout: Layout,
    w: NDArray[Any],
    features: Sequence[NDArray[Any]],
    noises: Sequence[NDArray[Any]],
) -> list[NDArray[Any]]:
    """As `render` gives them, for the whole canvas."""
    slots, ones = len(SLOTS), np.ones
    inputs: list[NDArray[Any]] = [ones((slots, *w.shape[1:]), np.float32), w]
    inputs += [np.arange(64), np.arange(64)]
    inputs += [ones((slots, side, side), np.float32) for side in layout.mask_sizes]
    inputs += [ones((1, 1, side, side), np.float32) for side in layout.blend_sizes]
    inputs += [*features, *(noises[layer] for layer in layout.noise_layers)]
    if layout.readout_from is not None:
        inputs.append(ones((1, 3, layout.size, layout.size), np.float32))
    return inputs


class _LookAlike(nn.Module):
    """`Encoder.predict` of a small picture as a module."""

    def __init__(self, network: encoder.Encoder, w_mean: Tensor) -> None:
        super().__init__()
        self.cells, self.head = network.cells, network.head
        self.register_buffer("deviation", network.deviation)
        self.register_buffer("w_mean", w_mean)

    def forward(self, pictures: Tensor) -> Tensor:
        w: Tensor = self.w_mean + self.head(self.cells(pictures)) * self.deviation
        return w[0]


if __name__ == "__main__":
    main()
