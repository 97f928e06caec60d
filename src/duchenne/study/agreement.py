"""How well raters agree: kappa, alpha, intraclass correlation. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Table = NDArray[np.float64]


def percent_agreement(counts: Counts) -> float:
    """How often two raters of the same item say the same, 0 to 1; NaN without two for any item.

    counts: [items, categories], how many raters chose each.

        >>> percent_agreement(np.array([[3, 0], [1, 2]]))
        0.6666666666666666
    """
    n = counts.sum(axis=1)
    pairs = (n * (n - 1)).sum()
    return float((counts * (counts - 1)).sum() / pairs) if pairs else np.nan


def fleiss_kappa(counts: Counts) -> float:
    """Fleiss (1971). counts: [items, categories]; every item has the same number of raters.

    NaN for fewer than two raters, for numbers that differ, and where everybody says one thing.

        >>> round(fleiss_kappa(np.array([[3, 0], [0, 3], [2, 1]])), 3)
        0.55
    """
    n = counts.sum(axis=1)
    if not len(n) or n[0] < 2 or (n != n[0]).any():
        return np.nan
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (percent_agreement(counts) - chance) / (1 - chance) if chance < 1 else np.nan


def krippendorff_alpha(counts: Counts) -> float:
    """Krippendorff's alpha for names (2011), with any number of raters an item.

    counts: [items, categories]. Items with fewer than two raters say nothing. NaN where everybody
    says one thing.

        >>> round(krippendorff_alpha(np.array([[3, 0], [0, 3], [2, 1]])), 3)
        0.6
    """
    counts = counts[counts.sum(axis=1) >= 2]
    n = counts.sum(axis=1)
    total = counts.sum(axis=0)
    if not len(n):
        return np.nan
    observed = ((n**2 - (counts**2).sum(axis=1)) / (n - 1)).sum() / n.sum()
    expected = (total.sum() ** 2 - (total**2).sum()) / (total.sum() * (total.sum() - 1))
    return float(1 - observed / expected) if expected else np.nan


@dataclass(frozen=True)
class ICC:
    """Intraclass correlation of a table, with 95 % confidence intervals.

    single: ICC(2,1), of one rater; average: ICC(2,k), of the mean of these k raters.
    """

    single: float
    single_interval: tuple[float, float]
    average: float
    average_interval: tuple[float, float]
    targets: int
    raters: int


def icc(table: Table) -> ICC | None:
    """ICC(2,1) and ICC(2,k) of Shrout & Fleiss (1979): random raters, absolute agreement.

    table: [targets, raters], complete. None for fewer than two of either, or without variance.
    """
    from scipy import stats

    n, k = table.shape
    if n < 2 or k < 2 or not np.ptp(table):
        return None
    grand = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns[None, :] + grand
    bms = k * ((rows - grand) ** 2).sum() / (n - 1)
    jms = n * ((columns - grand) ** 2).sum() / (k - 1)
    ems = (residual**2).sum() / ((n - 1) * (k - 1))
    ems = max(float(ems), 1e-12 * float(table.var()))  # raters who differ by nothing but a shift
    single = (bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n)
    average = (bms - ems) / (bms + (jms - ems) / n)
    # Shrout & Fleiss (1979), p. 424: the degrees of freedom come from Satterthwaite.
    ratio = jms / ems
    a, b = k * single, n * (1 + (k - 1) * single) - k * single
    freedom = (k - 1) * (n - 1) * (a * ratio + b) ** 2 / ((n - 1) * (a * ratio) ** 2 + b**2)
    above = stats.f.ppf(0.975, n - 1, freedom)
    below = stats.f.ppf(0.975, freedom, n - 1)
    spread = k * jms + (k * n - k - n) * ems
    low = n * (bms - above * ems) / (above * spread + n * bms)
    high = n * (below * bms - ems) / (spread + n * below * bms)
    ends = (float(low), float(high))
    averaged = tuple(end * k / (1 + (k - 1) * end) for end in ends)
    return ICC(float(single), ends, float(average), (averaged[0], averaged[1]), n, k)
