"""What "looks like" means to the encoder: the paper's Eq. 1, plain pixels, and the default.

A loss takes pictures [B, 3, S, S] in [-1, 1] and gives a scalar. It is prepared once for the given
picture and then asked at every step.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import WeightsError
from ..weights import store
from . import features, vgg

SMALLEST = 32  # pixels; smaller pictures are enlarged for VGG-16, which halves the side four times
PIXEL_WEIGHT, COARSE_WEIGHT = (
    2.0,
    4.0,
)  # relative to the VGG distance; coarse: a quarter of the side
EYES_WEIGHT = 1.0  # of the pixels of both eyes: VGG hardly sees the colour of an iris
EYE_TOP, EYES_LEFT = 0.44, (0.323, 0.567)  # in FFHQ framing
EYE_SIZE = (0.064, 0.11)  # height and width
FACE_TOP, FACE_LEFT = 0.34, 0.25  # of the inner face in FFHQ framing, half the side wide and high

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB on 0 to 1
CLASSES, HIDDEN, VGG_SIDE = 1000, 4096, 224


class Loss(ABC):
    """In two halves, so that what is known of the given picture is worked out once."""

    @abstractmethod
    def keep(self, wanted: Tensor) -> list[Tensor]:
        """wanted: [1, 3, S, S] -> what `compare` needs to know of it."""

    @abstractmethod
    def compare(self, drawn: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """drawn: [1, 3, S, S] -> the loss."""

    def against(self, wanted: Tensor) -> Callable[[Tensor], Tensor]:
        """wanted: [1, 3, S, S] -> function from drawn pictures [1, 3, S, S] to the loss."""
        with torch.no_grad():
            kept = self.keep(wanted)
        return lambda drawn: self.compare(drawn, kept)


def make(name: str, device: torch.device) -> Loss:
    """One of `settings.LOSSES`, on a device. Loads its weights; WeightsError if they lack."""
    if name == "pixel":
        return PixelLoss()
    if name == "paper":
        return PaperLoss(load_vgg16().to(device))
    assert name == "default", name
    trunk = features.load().to(device)
    return DefaultLoss(trunk.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class DefaultLoss(Loss):
    """Distance of VGG features at five depths; mean squares of pixels: fine, coarse, the eyes.

    The features are compared twice: of the whole picture at half its side, and of the inner face,
    brows to chin, at the picture's own. So the face has half the say, though it fills a quarter.
    """

    def __init__(self, trunk: features.VGG16Trunk) -> None:
        self._trunk = trunk

    def keep(self, wanted: Tensor) -> list[Tensor]:
        looks = self._looks(wanted)
        return [wanted, *_patches(wanted), *(f for look in looks for f in look)]

    def compare(self, drawn: Tensor, kept: Sequence[Tensor]) -> Tensor:
        wanted, coarse, eyes = kept[:3]
        looks = self._looks(drawn)
        blocks = len(looks[0])
        wanted_looks = (kept[3 : 3 + blocks], kept[3 + blocks :])
        pairs = zip(looks, wanted_looks, strict=True)
        drawn_coarse, drawn_eyes = _patches(drawn)
        return (
            torch.stack([features.distance(a, list(b)) for a, b in pairs]).mean()
            + PIXEL_WEIGHT * F.mse_loss(drawn, wanted)
            + COARSE_WEIGHT * F.mse_loss(drawn_coarse, coarse)
            + EYES_WEIGHT * F.mse_loss(drawn_eyes, eyes)
        )

    def _looks(self, image: Tensor) -> list[list[Tensor]]:
        half = max(1, image.shape[-1] // 2)
        face = _cut(image, FACE_TOP, FACE_LEFT, half, half)
        return [self._features(shrink(image, half)), self._features(face)]

    def _features(self, image: Tensor) -> list[Tensor]:
        """Features of the picture, its pixels repeated where it is too small for the trunk."""
        factor = -(-SMALLEST // image.shape[-1])
        if factor > 1:
            image = F.interpolate(image, scale_factor=factor, mode="nearest")
        return features.normalised(self._trunk(image))


def _patches(image: Tensor) -> tuple[Tensor, Tensor]:
    """What is compared as pixels beside the picture: itself at a quarter, and both eyes."""
    side = image.shape[-1]
    height, width = (max(1, round(part * side)) for part in EYE_SIZE)
    eyes = [_cut(image, EYE_TOP, left, height, width) for left in EYES_LEFT]
    return shrink(image, max(1, side // 4)), torch.cat(eyes, dim=-1)


def _cut(image: Tensor, top: float, left: float, height: int, width: int) -> Tensor:
    """A window of the picture; top and left as parts of its side, height and width in pixels."""
    side = image.shape[-1]
    y, x = round(top * side), round(left * side)
    return image[..., y : y + height, x : x + width]


class PixelLoss(Loss):
    """Mean square of the pixels: the conventional baseline (the paper's [34])."""

    def keep(self, wanted: Tensor) -> list[Tensor]:
        return [wanted]

    def compare(self, drawn: Tensor, kept: Sequence[Tensor]) -> Tensor:
        return F.mse_loss(drawn, kept[0])


class VGG16(nn.Module):
    """The whole VGG-16 (Simonyan & Zisserman 2014, configuration D), in torchvision's layout.

    `features` are the thirteen convolutions with their ReLUs and poolings, `classifier` the three
    fully connected layers; the state dict of `vgg16-397923af.pth` fits.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in vgg.CONVOLUTIONS:
            for inputs, outputs in block:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        side = VGG_SIDE >> len(vgg.CONVOLUTIONS)
        # Dropout does nothing when features are read; the places keep the file's layer numbers.
        self.classifier = nn.Sequential(
            nn.Linear(vgg.CONVOLUTIONS[-1][-1][1] * side * side, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Identity(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Identity(),
            nn.Linear(HIDDEN, CLASSES),
        )
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, S, S] RGB in [-1, 1] -> [B, 1000], the last fully connected layer."""
        x = F.interpolate(images, size=(VGG_SIDE, VGG_SIDE), mode="bilinear", antialias=True)
        x = ((x + 1) / 2 - self.mean) / self.deviation
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def load_vgg16() -> VGG16:
    """VGG-16 with torchvision's ImageNet weights, frozen; WeightsError says how to get them."""
    path = store.locate("vgg16-imagenet")
    with torch.device("meta"):
        network = VGG16()
    try:
        # Not mapped into memory: torchvision's file is older than the format that can be.
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state, strict=True, assign=True)
    except (
        *(RuntimeError, AttributeError, TypeError, ValueError, EOFError, OSError),
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: expected torchvision's VGG-16 weights ({reason})") from error
    network.mean = torch.tensor(_MEAN).view(1, 3, 1, 1)
    network.deviation = torch.tensor(_DEVIATION).view(1, 3, 1, 1)
    return network.requires_grad_(False).eval()


class PaperLoss(Loss):
    """Eq. 1: L1 distance of VGG-16's last fully connected layer, mean over its 1000 numbers."""

    def __init__(self, network: VGG16) -> None:
        self._network = network

    def keep(self, wanted: Tensor) -> list[Tensor]:
        return [self._network(wanted)]

    def compare(self, drawn: Tensor, kept: Sequence[Tensor]) -> Tensor:
        return F.l1_loss(self._network(drawn), kept[0])


def shrink(image: Tensor, size: int) -> Tensor:
    """Mean over cells: [B, 3, S, S] -> [B, 3, size, size]."""
    return image if image.shape[-1] == size else F.adaptive_avg_pool2d(image, size)
