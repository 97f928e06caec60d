"""Expressions that the page offers: by name, and random ones that people make."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from .. import facs

FAINTEST = 0.08  # below this an Action Unit does not show


def possible(
    named: Mapping[str, facs.Descriptor], units: Collection[str]
) -> dict[str, facs.Descriptor]:
    """Those expressions that need no Action Unit besides `units`, as JSON has them."""
    return {
        name: dict(descriptor)
        for name, descriptor in named.items()
        if all(facs.split_side(key)[0] in units for key in descriptor)
    }


def plausible(seed: int, units: Collection[str] = facs.CODES) -> facs.Descriptor:
    """An expression for a seed: one prototype or a blend of two, at natural strength.

    units: those that can be drawn; others are left out.

    Du, Tao and Martinez (2014, "Compound facial expressions of emotion") found blends of two to be
    what people show beside the basic expressions. Every tenth is one-sided at the mouth.
    """
    rng = random.Random(seed)
    first, second = rng.sample(sorted(facs.EXPRESSIONS), 2)
    strength = rng.uniform(0.35, 1.0)
    share = rng.choice((1.0, 1.0, rng.uniform(0.4, 0.8)))
    values = dict.fromkeys(facs.CODES, 0.0)
    for name, part in ((first, share), (second, 1 - share)):
        for key, value in facs.EXPRESSIONS[name].items():
            code, _ = facs.split_side(key)
            values[code] += strength * part * value * rng.uniform(0.8, 1.2)
    for one, other in ((u.code, other) for u in facs.ACTION_UNITS for other in u.opposes):
        if values[one] and values[other]:
            values[min(one, other, key=values.__getitem__)] = 0.0
    descriptor = {
        code: round(min(value, 1.0), 2)
        for code, value in values.items()
        if value >= FAINTEST and code in units
    }
    if "AU12" in descriptor and rng.random() < 0.1:
        descriptor[f"AU12{rng.choice(facs.SIDES)}"] = descriptor.pop("AU12")
    return facs.check(descriptor or {"AU12": 0.3})
