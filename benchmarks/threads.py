"""What the second core brings: the same frames on one and on two threads."""

from __future__ import annotations

import sys

from measuring import EXPRESSIONS, SEED, arguments, interleaved, report, summary, wheels_own


def main(args: list[str]) -> None:
    options = arguments(__doc__).parse_args(args)
    from duchenne.animate import Studio, Subject

    contestants = {}
    for threads in (1, 2):
        subject: Subject = Studio(threads=threads).sample(SEED)
        network, w = wheels_own(threads), subject.code.w[:1]
        for name, descriptor in EXPRESSIONS.items():
            contestants[name, threads] = lambda s=subject, d=descriptor: s.edit(d)
        contestants["wheel's own", threads] = lambda n=network, w=w: n(w)
    named = {f"{name}, {threads} threads": run for (name, threads), run in contestants.items()}
    times = {name: summary(seconds) for name, seconds in interleaved(named, options.rounds).items()}
    gains = {
        name: round(
            times[f"{name}, 1 threads"]["median"] / times[f"{name}, 2 threads"]["median"], 2
        )
        for name, threads in contestants
        if threads == 1
    }
    report("threads", {"seconds": times, "times as fast on two": gains}, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
