"""The statistics of rating studies against published examples and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from duchenne.study import agreement, confusion
from duchenne.study.ratings import mean_of, spearman
from duchenne.study.responses import Response

# Shrout & Fleiss (1979), table 2: six targets, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
# The worked example of the encyclopaedias: ten subjects, fourteen raters, five categories.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip
# Krippendorff (2011): four observers, twelve units, five values, some missing (0).
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def test_intraclass_correlation_of_shrout_and_fleiss() -> None:
    found = agreement.icc(SHROUT_FLEISS)
    assert found is not None
    assert (found.targets, found.raters) == (6, 4)
    assert found.single == pytest.approx(0.29, abs=0.005)
    assert found.average == pytest.approx(0.62, abs=0.005)
    # The intervals that R's psych prints for this table.
    assert found.single_interval == pytest.approx((0.019, 0.761), abs=0.001)
    assert found.average_interval == pytest.approx((0.071, 0.927), abs=0.001)


def test_intraclass_correlation_at_its_ends() -> None:
    column = np.arange(6.0)
    same = agreement.icc(np.stack([column, column], axis=1))
    assert same is not None
    assert same.single == pytest.approx(1, abs=1e-6)
    # By hand: a constant shift d of one of two raters costs absolute agreement. Variance of the
    # targets 3.5, of the shift d^2/2 = 2: 3.5 / 5.5.
    shifted = agreement.icc(np.stack([column, column + 2], axis=1))
    assert shifted is not None
    assert shifted.single == pytest.approx(3.5 / 5.5, abs=1e-6)
    assert agreement.icc(np.ones((6, 2))) is None
    assert agreement.icc(np.ones((6, 1))) is None
    assert agreement.icc(np.empty((0, 3))) is None


def test_kappa_of_fleiss() -> None:
    assert agreement.percent_agreement(FLEISS) == pytest.approx(0.378, abs=0.0005)
    assert agreement.fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=0.0005)
    assert agreement.fleiss_kappa(np.array([[3, 0], [0, 3]])) == 1
    uneven = np.array([[3, 0], [0, 2]])
    assert math.isnan(agreement.fleiss_kappa(uneven))
    assert agreement.krippendorff_alpha(uneven) == 1
    for nothing in (np.array([[3, 0], [3, 0]]), np.array([[1, 0], [0, 1]]), np.empty((0, 2), int)):
        assert math.isnan(agreement.fleiss_kappa(nothing))
        assert math.isnan(agreement.krippendorff_alpha(nothing))


def test_alpha_of_krippendorff() -> None:
    counts = np.stack([(value == KRIPPENDORFF).sum(axis=0) for value in range(1, 6)], axis=1)
    assert agreement.krippendorff_alpha(counts) == pytest.approx(0.743, abs=0.0005)


def test_unbiased_hit_rates() -> None:
    """By hand. Somebody who says `fear` always has every fear right, and Hu no more than chance."""
    names = ["happiness", "fear"]
    always = np.array([[0, 10], [0, 10]])
    happy, fear = confusion.hit_rates(always, names, names)
    assert (happy.hits, happy.unbiased, happy.chance) == (0, 0, 0)
    assert (fear.hits, fear.unbiased, fear.chance) == (1, 0.5, 0.5)
    # 8 of 10 right, and 2 of the 10 others taken for it: 8/10 x 8/10, chance 10/20 x 10/20.
    some = confusion.hit_rates(np.array([[8, 2], [2, 8]]), names, names)[0]
    assert (some.hits, some.unbiased, some.chance) == (0.8, pytest.approx(0.64), 0.25)
    # A column that is no expression, and a row without an answer, count in the margins alone.
    wider = confusion.hit_rates(np.array([[6, 2, 2], [4, 6, 0], [0, 10, 0]]), [*names, "AU12"],
                                [*names, "other"])  # fmt: skip
    assert [rate.answer for rate in wider] == names
    assert wider[1].unbiased == pytest.approx(6 / 10 * 6 / 18)
    assert wider[1].chance == pytest.approx(10 / 30 * 18 / 30)


def test_above_chance_is_a_paired_t_test_of_arcsines() -> None:
    """By hand for three raters: t = mean / (sd / sqrt 3) of the differences."""
    names = ["a", "b"]
    by_rater = {
        "x": np.array([[8, 2], [2, 8]]),  # Hu 0.64, pc 0.25
        "y": np.array([[9, 1], [1, 9]]),  # Hu 0.81
        "z": np.array([[5, 5], [5, 5]]),  # Hu 0.25
    }
    found = confusion.above_chance(by_rater, names, names)[0]
    apart = [math.asin(math.sqrt(hu)) - math.asin(0.5) for hu in (0.64, 0.81, 0.25)]
    assert found.raters == 3
    assert found.unbiased == pytest.approx((0.64 + 0.81 + 0.25) / 3)
    assert found.t == pytest.approx(np.mean(apart) / (np.std(apart, ddof=1) / 3**0.5))
    alone = confusion.above_chance({"x": by_rater["x"]}, names, names)[0]
    assert (alone.t, alone.p) == (None, None)


def response(participant: str, intensity: int | None) -> Response:
    return Response(participant, "a.png", "a", "fear", 0.5, "fear", "fear", intensity, None)


def test_a_mean_counts_every_rater_once() -> None:
    """By hand: raters' means 2 and 4; sd sqrt 2; t(1) at 97.5 % is 12.706."""
    answers = [response("x", 1), response("x", 3), response("y", 4), response("z", None)]
    found = mean_of(answers, lambda r: r.intensity)
    assert found is not None
    assert (found.mean, found.raters, found.answers) == (3, 2, 3)
    assert found.sd == pytest.approx(2**0.5)
    assert found.high == pytest.approx(3 + 12.706 * 1, abs=0.001)
    assert mean_of(answers[:2], lambda r: r.intensity).sd is None  # type: ignore[union-attr]
    assert mean_of([], lambda r: r.intensity) is None


def test_rank_correlation_where_it_is_defined() -> None:
    """By hand: ranks 1 2 3 against 1 3 2: 1 - 6 * 2 / (3 * 8)."""
    assert spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert spearman([1, 2], [1, 2]) is None
