"""How a face is encoded: every default, and the named choices of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

INITS = ("encoder", "mean", "random")
LOSSES = ("default", "paper", "pixel")  # see `losses`


@dataclass(frozen=True)
class EncodeSettings:
    """How a face is encoded. Every default lives here; `preset` gives the named ones.

    init: where it starts. encoder: v(I), or the mean for a generator that has no network; mean; or
        random: a face drawn with `seed`. loss: one of `LOSSES`.
    steps: optimisation steps at most. rate: learning rate in units of the latent's deviation,
        reached after `warmup` steps; it falls along a cosine at the end.
    draft_part: the part of them, at the start, that sees a small read-out (128 px); the others see
        the true picture.
    check_every: steps between two exact looks at the true picture. Where its loss fell by less
        than the part `tolerance` of the least one seen, for `patience` looks one after the other,
        or is greater than at the start, the rate is halved; where it rose, the best code is taken
        up again as well. After more than `halvings` of that it has converged.
    loss_size: side in pixels at which pictures are compared; smaller ones at their own.
    prior_weight: of how unlikely the code is (`problem.Likely`), relative to the loss.
    tuning_steps: of a pivotal tuning afterwards (`tuning`); 0 is none.
    """

    init: str = "encoder"
    loss: str = "default"
    seed: int = 0
    steps: int = 76
    rate: float = 0.12
    warmup: int = 4
    draft_part: float = 0.0
    check_every: int = 8
    tolerance: float = 0.02
    patience: int = 3
    halvings: int = 3
    loss_size: int = 256
    prior_weight: float = 0.15
    tuning_steps: int = 0

    def __post_init__(self) -> None:
        for name, known in (("init", INITS), ("loss", LOSSES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )


LOOK_ALIKE = EncodeSettings(steps=0)
"""v(I) alone: a similar face of the generator's, whose change is given to the photo (`moving`)."""
PRESETS = {
    "fast": EncodeSettings(steps=56, draft_part=1.0),
    "balanced": EncodeSettings(),
    "high": EncodeSettings(steps=320, tolerance=0.01, tuning_steps=60),
}


def preset(quality: str, **changes: object) -> EncodeSettings:
    """The settings of one of PRESETS, changed where asked; ValueError for another name."""
    if quality not in PRESETS:
        raise ValueError(f"quality {quality!r}: expected one of {', '.join(PRESETS)}")
    return replace(PRESETS[quality], **changes)  # type: ignore[arg-type]
