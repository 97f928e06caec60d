"""The differentiable copy of an OpenVINO graph, node by node and on the face networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops
from PIL import Image

from duchenne.errors import WeightsError
from duchenne.fit import graph
from duchenne.fit.graph import TorchGraph
from duchenne.measuring import measures, score
from duchenne.weights import store

DATA = Path(__file__).parent / "data"


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model_of(shape: tuple[int, ...], build) -> ov.Model:
    x = ops.parameter(shape, np.float32)
    return ov.Model([build(x)], [x], "test")


def agree(model: ov.Model, x: np.ndarray, tolerance: float = 1e-5) -> np.ndarray:
    """Both engines' answer, which must be the same."""
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = compiled(x)[0]
    (found,) = TorchGraph(model)(torch.from_numpy(x))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=tolerance, rtol=tolerance)
    return expected


# Padding by hand


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "begin", "end"),
    [
        (5, 3, 1, 1, 1, 1),
        (5, 3, 2, 1, 1, 1),  # three outputs reach (3 - 1) 2 + 3 = 7 pixels
        (6, 3, 2, 1, 0, 1),  # the odd one goes to the end
        (4, 2, 1, 1, 0, 1),
        (7, 3, 1, 2, 2, 2),  # a kernel of 3 with holes covers 5
        (5, 1, 2, 1, 0, 0),
        (6, 1, 2, 1, 0, 0),  # never negative
        (8, 4, 2, 1, 1, 1),
        (192, 3, 2, 1, 0, 1),
    ],
)
def test_same_padding_by_hand(
    size: int, kernel: int, stride: int, dilation: int, begin: int, end: int
) -> None:
    x, weight = torch.zeros(1, 1, size, 9), torch.zeros(1, 1, kernel, 1)
    found = graph._same_padding(x, weight, [stride, 1], [dilation, 1])
    assert found == ([begin, 0], [end, 0])


# Operations against OpenVINO


@pytest.mark.parametrize("auto_pad", ["same_upper", "same_lower", "valid", "explicit"])
@pytest.mark.parametrize(
    ("stride", "dilation", "kernel"), [(1, 1, 3), (2, 1, 3), (1, 2, 3), (2, 1, 4)]
)
def test_convolutions(auto_pad: str, stride: int, dilation: int, kernel: int) -> None:
    weight = ops.constant(draw(4, 3, kernel, kernel, seed=1))
    options = [[stride] * 2, [1, 0], [0, 2], [dilation] * 2, auto_pad]
    agree(
        model_of((1, 3, 10, 13), lambda x: ops.convolution(x, weight, *options)), draw(1, 3, 10, 13)
    )


@pytest.mark.parametrize("auto_pad", ["same_upper", "explicit"])
def test_depthwise_convolutions(auto_pad: str) -> None:
    weight = ops.constant(draw(6, 1, 1, 3, 3, seed=1))
    agree(
        model_of(
            (1, 6, 9, 12),
            lambda x: ops.group_convolution(x, weight, [2, 2], [1, 1], [1, 1], [1, 1], auto_pad),
        ),
        draw(1, 6, 9, 12),
    )


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
@pytest.mark.parametrize("auto_pad", ["same_upper", "valid", "explicit"])
def test_max_pooling(size: tuple[int, int], auto_pad: str) -> None:
    def build(x: ov.Node) -> ov.Output:
        pads = [0, 1] if auto_pad == "explicit" else [0, 0]
        pool = ops.max_pool(x, [2, 2], [1, 1], [0, 0], pads, [2, 2], auto_pad=auto_pad)
        return pool.output(0)

    agree(model_of((1, 3, *size), build), draw(1, 3, *size) - 5)  # negative: zeros would win


def test_prelu_slices_means_and_shapes() -> None:
    slope = ops.constant(np.array([0.1, 0.5, -0.2], np.float32))
    agree(model_of((1, 3, 4, 5), lambda x: ops.prelu(x, slope)), draw(1, 3, 4, 5))

    def cut(x: ov.Node) -> ov.Node:
        return ops.strided_slice(x, [0, 1, 0], [0, 0, 3], [1, 1, 2], [1, 0, 0], [1, 1, 0])

    assert agree(model_of((2, 3, 4), cut), draw(2, 3, 4)).shape == (2, 2, 2)

    def one(x: ov.Node) -> ov.Node:
        return ops.strided_slice(x, [0, 1], [0, 2], [1, 1], [1, 0], [1, 0], [0, 0], [0, 1])

    assert agree(model_of((2, 3), one), draw(2, 3)).shape == (2,)
    for keep in (True, False):
        agree(model_of((2, 3, 4), lambda x, k=keep: ops.reduce_mean(x, [1, 2], k)), draw(2, 3, 4))
        agree(model_of((2, 3, 4), lambda x, k=keep: ops.reduce_sum(x, [-1], k)), draw(2, 3, 4))
    agree(model_of((2, 3, 4), lambda x: ops.reshape(x, [0, -1], True)), draw(2, 3, 4))
    agree(model_of((2, 3, 4), lambda x: ops.reshape(x, [4, 6], False)), draw(2, 3, 4))
    agree(model_of((2, 3), lambda x: ops.unsqueeze(x, [0, 2])), draw(2, 3))
    agree(model_of((2, 3, 4), lambda x: ops.transpose(x, [2, 0, 1])), draw(2, 3, 4))
    agree(model_of((1, 2, 3), lambda x: ops.concat([x, ops.negative(x)], 2)), draw(1, 2, 3))


def test_padding_and_arithmetic() -> None:
    def pad(x: ov.Node) -> ov.Node:
        return ops.pad(x, [0, 1, 0], [2, 0, 3], "constant", ops.constant(np.float32(7)))

    assert agree(model_of((1, 2, 3), pad), draw(1, 2, 3))[0, 0, 0] == 7

    def sums(x: ov.Node) -> ov.Node:
        two = ops.constant(np.float32(2))
        y = ops.divide(ops.subtract(ops.multiply(x, two), ops.add(x, two)), two)
        y = ops.add(ops.power(y, two), ops.squared_difference(x, two))
        return ops.sigmoid(ops.negative(ops.relu(y)))

    agree(model_of((2, 3), sums), draw(2, 3))


def test_an_operation_that_is_not_known_is_refused_when_the_graph_is_read() -> None:
    model = model_of((2, 3), lambda x: ops.erf(x))
    with pytest.raises(NotImplementedError, match="operation Erf"):
        TorchGraph(model)


def test_outputs_come_in_the_models_order() -> None:
    x = ops.parameter((2,), np.float32)
    model = ov.Model([ops.negative(x), ops.relu(x)], [x], "two")
    negative, positive = TorchGraph(model)(torch.tensor([-1.0, 2.0]))
    assert negative.tolist() == [1, -2]
    assert positive.tolist() == [0, 2]


def test_the_gradient_by_hand() -> None:
    """d/dx sum of (2 x)^2 is 8 x."""
    two = ops.constant(np.float32(2))
    model = model_of((3,), lambda x: ops.power(ops.multiply(x, two), two))
    x = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    TorchGraph(model)(x)[0].sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 8 * x.detach())


# The face networks


@pytest.fixture(scope="module")
def networks() -> tuple[ov.Model, ov.Model]:
    try:
        store.locate("face-landmarker-task")
    except WeightsError as error:
        pytest.skip(f"face_landmarker.task is not here: {error}")
    return score.read_networks()


@pytest.mark.weights
def test_both_face_networks_agree_with_openvino(networks: tuple[ov.Model, ov.Model]) -> None:
    landmarks, blendshapes = networks
    with Image.open(DATA / "generated_face_21.jpg") as image:
        face = np.asarray(image.crop((50, 60, 275, 310)).resize((256, 256)), np.float32) / 255
    compiled = [
        ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for model in networks
    ]
    expected = compiled[0](face[None])
    found = TorchGraph(landmarks)(torch.from_numpy(face)[None])
    assert len(found) == len(expected)
    points = expected[0].reshape(measures.POINTS, 3)
    assert points[:, :2].std() > 30
    np.testing.assert_allclose(found[0].reshape(-1, 3).numpy(), points, atol=1e-3)

    plane = points[list(measures.BLENDSHAPE_POINTS), :2].astype(np.float32)[None]
    shapes = compiled[1](plane)[0].reshape(-1)
    assert shapes.shape == (52,)
    np.testing.assert_allclose(
        TorchGraph(blendshapes)(torch.from_numpy(plane))[0].reshape(-1).numpy(), shapes, atol=1e-5
    )
