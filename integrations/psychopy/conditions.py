"""From a set's manifest to the trials of one participant, and back to answers that can be reported.

    python conditions.py set/ -o conditions.csv

writes the condition file that a loop of PsychoPy's Builder reads: a row for each picture, with its
path as `image`. `rate_expressions.py` uses the same functions. Needs nothing but Python 3.8 or
newer, as PsychoPy brings it; neither PsychoPy nor duchenne.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
from pathlib import Path

SEVEN = ("happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt")
OTHER = "other"
# Of the answers, as `duchenne study report` reads them.
COLUMNS = (
    "study", "participant", "started", "seed", "order", "kind", "file", "identity", "condition",
    "side", "asked", "expected", "offered", "answer", "intensity", "realism", "answer_ms",
    "intensity_ms", "realism_ms", "intensity_scale", "realism_scale",
)  # fmt: skip
BUILDER = ("image", "file", "identity", "condition", "side", "asked", "expected")


def read_set(folder):
    """The stills of a set of `duchenne stimuli`, without outliers; SystemExit says why not."""
    table = Path(folder) / "manifest.csv"
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SystemExit(f"{table}: {error.strerror}; give the folder of a set") from None
    used = [
        row for row in rows
        if row.get("file") and row.get("kind", "still") == "still"
        and not row.get("error") and not row.get("outlier")
    ]  # fmt: skip
    if not used:
        raise SystemExit(f"{table}: no stills that are what was asked for")
    return [
        {
            "image": str(Path(folder) / row["file"]),
            "file": row["file"],
            "identity": row.get("identity", ""),
            "condition": row["condition"],
            "side": row.get("side", ""),
            "asked": row.get("intensity") or "1",
            "expected": row["condition"],
        }
        for row in used
    ]


def answers_to(conditions):
    """What a participant can choose: FACS's seven, the set's others, and last none of them."""
    more = sorted({row["condition"] for row in conditions} - {*SEVEN})
    return [*SEVEN, *more, OTHER]


def study_name(conditions):
    """The same for everybody who sees these pictures with these answers."""
    told = [*answers_to(conditions), *sorted(row["file"] for row in conditions)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def order_for(conditions, participant, seed=1):
    """The participant's own order, the same whenever they come back.

    Nobody comes twice in a row where another face is left.
    """
    rng = random.Random(f"{seed}:{participant}")
    left = list(conditions)
    rng.shuffle(left)
    ordered = []
    while left:
        before = ordered[-1]["identity"] if ordered else None
        place = next((i for i, row in enumerate(left) if row["identity"] != before), 0)
        ordered.append(left.pop(place))
    return ordered


def answer_row(trial, order, participant, started, offered, study, seed=1, **given):
    """One answer as `duchenne study report` reads it. given: answer, intensity, their `_ms`."""
    row = dict.fromkeys(COLUMNS, "")
    row.update({name: trial[name] for name in ("file", "identity", "condition", "side", "asked")})
    row.update(
        study=study, participant=participant, started=started, seed=f"{seed}:{participant}",
        order=order, kind="picture", expected=trial["expected"], offered="|".join(offered),
        intensity_scale="0-5", **given,
    )  # fmt: skip
    return row


def write_table(path, columns, rows):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(columns))
        table.writeheader()
        table.writerows(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", help="the folder that `duchenne stimuli` made")
    parser.add_argument("-o", "--output", default="conditions.csv")
    asked = parser.parse_args()
    conditions = read_set(asked.set)
    write_table(asked.output, BUILDER, conditions)
    print(
        f"{asked.output}: {len(conditions)} pictures, answers {', '.join(answers_to(conditions))}"
    )


if __name__ == "__main__":
    main()
