"""What is known of a generator without its network."""

from __future__ import annotations

from typing import Protocol

SLOPE = 0.2  # LeakyReLU of every layer of every StyleGAN (Karras et al. 2019, appendix C)


class Spec(Protocol):
    """The shape of a StyleGAN, and which one it is.

    rows: number of W+ rows L; size: side of the full image in pixels.
    row_sizes: [L] the resolution whose layers each row steers first.
    layer_sizes: resolution of the output of every convolution layer that `base.View.visit` sees.
    fingerprint: names the network and a hash of its weights; codes and boundaries carry it.
    z_dim: length of the normal vectors that the mapping network takes.
    """

    @property
    def rows(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def row_sizes(self) -> tuple[int, ...]: ...
    @property
    def layer_sizes(self) -> tuple[int, ...]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def z_dim(self) -> int: ...
