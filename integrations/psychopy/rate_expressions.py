"""A rating experiment in PsychoPy on a set that `duchenne stimuli` made.

    python rate_expressions.py set/ --participant P01

Each face is shown after a cross, for two seconds at most; the participant names the expression by a
number key, then says by a key from 0 to 5 how strong it was. Escape ends it early. Every answer is
written at once to answers/P01.csv, which `duchenne study report answers/ -o report/` reads.
"""

from __future__ import annotations

import argparse
import csv
from datetime import datetime, timezone
from pathlib import Path

import conditions

CROSS_SECONDS = 0.5
FACE_SECONDS = 2.0
FACE_HEIGHT = 0.6  # of the screen's height
KEYS = "123456789abcdefghijklmnopqrstuvwxyz"


def run(trials, offered, participant, output, study, seed=1):
    """Show the trials; a row of answers after each. Returns how many were answered."""
    from psychopy import core, event, visual

    window = visual.Window(fullscr=True, units="height", color="grey", allowGUI=False)
    cross = visual.TextStim(window, text="+", height=0.06)
    text = visual.TextStim(window, height=0.03, pos=(0, -0.4), wrapWidth=1.4)
    face = visual.ImageStim(window, size=(FACE_HEIGHT, FACE_HEIGHT), pos=(0, 0.08))
    clock = core.Clock()

    def ask(question, keys, stimulus=None):
        """The key and its milliseconds; the stimulus goes after a while, the question stays."""
        text.text = question
        for shown in ([stimulus] if stimulus else []) + [None]:
            if shown is not None:
                shown.draw()
            text.draw()
            window.flip()
            if shown is stimulus:
                clock.reset()
            seconds = FACE_SECONDS if shown is not None else float("inf")
            known = [*keys, *(f"num_{key}" for key in keys if key.isdigit()), "escape"]
            pressed = event.waitKeys(maxWait=seconds, keyList=known, timeStamped=clock)
            if pressed:
                key, when = pressed[0]
                return key.replace("num_", ""), round(1000 * when)
        raise AssertionError("nobody waits for ever")

    started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    keys = KEYS[: len(offered)]
    # No-break spaces: a line never ends between a key and its name.
    names = "   ".join(f"{key}\N{NO-BREAK SPACE}{name}" for key, name in zip(keys, offered))
    done = 0
    try:
        with Path(output).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(conditions.COLUMNS))
            table.writeheader()
            for order, trial in enumerate(trials, 1):
                cross.draw()
                window.flip()
                core.wait(CROSS_SECONDS)
                face.image = trial["image"]
                key, answer_ms = ask(names, keys, face)
                if key == "escape":
                    break
                strength, intensity_ms = ask("How strong was it?   0 not at all ... 5", "012345")
                if strength == "escape":
                    break
                table.writerow(
                    conditions.answer_row(
                        trial, order, participant, started, offered, study, seed,
                        answer=offered[keys.index(key)], answer_ms=answer_ms,
                        intensity=strength, intensity_ms=intensity_ms,
                    )
                )  # fmt: skip
                file.flush()
                done += 1
    finally:
        window.close()
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", help="the folder that `duchenne stimuli` made")
    parser.add_argument("--participant", required=True, help="letters and digits: names the file")
    parser.add_argument("--seed", type=int, default=1, help="of the orders")
    parser.add_argument("--most", type=int, help="pictures that a participant sees")
    asked = parser.parse_args()
    if not asked.participant.isalnum():
        parser.error("--participant: letters and digits only, since it names a file")
    material = conditions.read_set(asked.set)
    trials = conditions.order_for(material, asked.participant, asked.seed)[: asked.most]
    output = Path("answers") / f"{asked.participant}.csv"
    if output.exists():
        parser.error(f"{output} is there already; give another --participant")
    output.parent.mkdir(exist_ok=True)
    offered, study = conditions.answers_to(material), conditions.study_name(material)
    done = run(trials, offered, asked.participant, output, study, asked.seed)
    print(f"{output}: {done} of {len(trials)} pictures answered")


if __name__ == "__main__":
    main()
