"""How a study asks: answers, scales, checks and every text; a TOML file beside the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import facs
from ..errors import InputError, meant, quoted
from ..reading import numbers, texts

NEUTRAL = "neutral"
OTHER = "other"
"""The answer that none of the expressions fits; it is wrong for every picture. A forced choice
without it makes people agree more than they do (Frank & Stennett 2001)."""

MOST_ANSWERS = 20
MOST_STEPS = 10  # of a scale: buttons in one row
MOST_TEXT = 20_000  # characters of one text
MOST_LABEL = 80

TEXTS: Mapping[str, str] = {
    "language": "en",
    "consent": (
        "You are invited to take part in a study of how people see facial expressions. You will "
        "see pictures of faces, one after the other, and answer a few questions about each.\n\n"
        "They may be photos, changed photos, or made by a computer. No answer is held against you."
        "\n\n"
        "Taking part is voluntary. You may stop at any time by closing this page, without giving a "
        "reason. Your answers, and how long you took for them, are kept in this browser under a "
        "code, not under your name, and saved as a file at the end.\n\n"
        "I am at least 18 years old, I have read this text, and I agree to take part."
    ),
    "agree": "I agree",
    "disagree": "I do not agree",
    "declined": "Thank you. Nothing was recorded; you may close this page.",
    "instructions": (
        "You will see one face at a time. Say which expression it shows, how strong it is, and how "
        "real the face looks.\n\nGo by your first impression. Now and then a question only checks "
        "that you read it: just do what it says.\n\nIf you close or reload this page, it goes on "
        "where you were."
    ),
    "start": "Start",
    "resumed": "Welcome back. The study goes on where you were.",
    "go_on": "Go on",
    "loading": "Loading the pictures ...",
    "failed": "Some pictures could not be loaded. Please reload the page, or tell the researcher.",
    "progress": "Progress",
    "expression_question": "Which expression does this face show?",
    "check_question": "This question checks that you read it. Please choose “{answer}”.",
    "intensity_question": "How strong is the expression?",
    "intensity_least": "no expression",
    "intensity_most": "as strong as can be",
    "realism_question": "How real does this face look?",
    "realism_least": "clearly artificial",
    "realism_most": "like a photo of a person",
    "done": "Thank you, that was all. Your answers were saved as a file; please send it to the "
    "researcher if you were asked to.\n\nThe faces were made or changed by a computer program.",
    "download": "Save the answers again",
    "another": "Next participant",
    "not_kept": "This browser keeps nothing when the page is closed: please finish in one go.",
}
"""Every text of the page, in English; `[texts]` of study.toml replaces them."""


@dataclass(frozen=True)
class Scale:
    """A question that is answered by a whole number from `least` to `most`."""

    least: int
    most: int
    ask: bool = True

    @property
    def text(self) -> str:
        """ "0-5", or nothing if it is not asked: as it stands in the answers."""
        return f"{self.least}-{self.most}" if self.ask else ""


@dataclass(frozen=True)
class Settings:
    """How a study asks.

    expressions: answer -> words on its button, in their order. conditions: condition of the set ->
    the answer that is right for it, "" for none. intensity: its ends stand for 0 and for 1 of what
    the set asked. pictures: how many each participant sees, 0 for all. check_every: one attention
    check for so many pictures, 0 for none. seed: of the orders. shuffle_answers: another order of
    the buttons for each participant. participant: the parameter of the address that names one.
    """

    title: str = "Facial expressions"
    seed: int = 1
    pictures: int = 0
    check_every: int = 15
    shuffle_answers: bool = True
    participant: str = "participant"
    expressions: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    intensity: Scale = Scale(0, 5)
    realism: Scale = Scale(1, 7)
    texts: Mapping[str, str] = field(default_factory=lambda: dict(TEXTS))


_COMMENTS: Mapping[str, str] = {
    "seed": "of the orders; a participant's order follows from it and from their name",
    "pictures": "for each participant, drawn evenly from the conditions; 0 is all",
    "check_every": "one attention check for so many pictures; 0 is none",
    "shuffle_answers": "another order of the buttons for each participant",
    "participant": "page.html?participant=P01 names one",
    "[expressions]": "answer = the words on its button; `other` fits none of the pictures",
    "[conditions]": 'condition of the set = the answer that is right; "" for none',
    "[intensity]": "whole numbers; the ends stand for 0 and 1 of what the set asked",
}
_BOUNDS = {"seed": 2**31 - 1, "pictures": 100_000, "check_every": 1000}


def defaults(conditions: Iterable[str]) -> Settings:
    """The settings for a set with these conditions, in their order.

    Where one of FACS's expressions is among them, all of those are offered: two answers would make
    guessing easy.
    """
    names = list(dict.fromkeys(conditions))
    offered = list(facs.EXPRESSIONS) if set(names) & set(facs.EXPRESSIONS) else []
    offered += [name for name in names if name not in offered]
    labels = {name: name.replace("_", " ").replace("-", " ").capitalize() for name in offered}
    return Settings(
        expressions={**labels, OTHER: "None of these"},
        conditions={name: name for name in names},
    )


# ---------------------------------------------------------------- reading


def read(path: Path, conditions: Iterable[str]) -> Settings:
    """Settings from a TOML file (or the same in JSON); what it leaves out is as by default.

    Raises InputError, which names the entry that is wrong.
    """
    text = texts.read_text(path, "a study's settings in TOML or JSON")
    json_file = path.suffix.lower() == ".json"
    table = (texts.parse_json if json_file else texts.parse_toml)(text, path)
    try:
        return parse(table, conditions)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse(table: Any, conditions: Iterable[str]) -> Settings:
    """Settings from a parsed table; see `read`."""
    names = list(dict.fromkeys(conditions))
    start = defaults(names)
    if not isinstance(table, dict):
        raise InputError(f"expected a table of settings, not {quoted(table)}")
    plain = ("title", "seed", "pictures", "check_every", "shuffle_answers", "participant")
    _known(table, (*plain, "expressions", "conditions", "intensity", "realism", "texts"), "")
    given = {
        name: _like(getattr(start, name), table[name], name) for name in plain if name in table
    }
    expressions = _words(table, "expressions", start.expressions)
    answers = {**start.conditions, **_words(table, "conditions", {})}
    if "expressions" in table:  # a condition without an answer there has none that is right
        named = table.get("conditions", {})
        answers = {n: a for n, a in answers.items() if n in named or a in expressions}
    settings = Settings(
        **given,
        expressions=expressions,
        conditions={name: answers.get(name, "") for name in names},
        intensity=_scale(table, "intensity", start.intensity),
        realism=_scale(table, "realism", start.realism),
        texts=_texts(table),
    )
    _check(settings)
    return settings


def _known(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    names = list(known)
    for name in table:
        if name not in names:
            shown = quoted(name, bare=True)
            end = meant(name, names)
            raise InputError(f"{where}{shown}: unknown entry; known are {', '.join(names)}{end}")


def _like(default: Any, value: Any, where: str) -> Any:
    """The value, if it is of the default's kind (a truth is no number here)."""
    if type(value) is not type(default):
        raise InputError(f"{where}: expected {type(default).__name__}, not {quoted(value)}")
    return numbers.whole(where, value, 0, _BOUNDS[where]) if where in _BOUNDS else value


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = table.get(name, {})
    if not isinstance(given, dict):
        raise InputError(f"[{name}]: expected a table, not {quoted(given)}")
    return given


def _words(table: Mapping[str, Any], name: str, default: Mapping[str, str]) -> Mapping[str, str]:
    if name not in table:
        return default
    given = _table(table, name)
    for key, value in given.items():
        _like("", value, f"[{name}] {quoted(key, bare=True)}")
    return given


def _texts(table: Mapping[str, Any]) -> Mapping[str, str]:
    given = _table(table, "texts")
    _known(given, TEXTS, "[texts] ")
    return {
        name: _like("", given.get(name, text), f"[texts] {name}") for name, text in TEXTS.items()
    }


def _scale(table: Mapping[str, Any], name: str, default: Scale) -> Scale:
    given = _table(table, name)
    _known(given, ("ask", "least", "most"), f"[{name}] ")
    least = numbers.whole(f"[{name}] least", given.get("least", default.least), 0, 100)
    most = numbers.whole(f"[{name}] most", given.get("most", default.most), 0, 100)
    if not 1 <= most - least <= MOST_STEPS:
        raise InputError(f"[{name}] {least} to {most}: expected 1 to {MOST_STEPS} steps between")
    return Scale(least, most, _like(True, given.get("ask", default.ask), f"[{name}] ask"))


def _check(settings: Settings) -> None:
    answers = settings.expressions
    if not 2 <= len(answers) <= MOST_ANSWERS:
        raise InputError(f"[expressions] {len(answers)} answers; expected 2 to {MOST_ANSWERS}")
    labels = [label.strip() for label in answers.values()]
    if not all(0 < len(label) <= MOST_LABEL for label in labels) or len(set(labels)) < len(labels):
        raise InputError(f"[expressions] expected different words of 1 to {MOST_LABEL} characters")
    for name in (*answers, *settings.conditions):
        if not name or "|" in name or not name.isprintable() or len(name) > MOST_LABEL:
            raise InputError(
                f"{quoted(name)}: a name is printable, has no |, and up to {MOST_LABEL} characters"
            )
    for condition, answer in settings.conditions.items():
        if answer and answer not in answers:
            raise InputError(
                f"[conditions] {condition}: the answer {quoted(answer)} is not among [expressions] "
                f"({', '.join(answers)})"
            )
    for name, text in {**settings.texts, "title": settings.title}.items():
        if len(text) > MOST_TEXT:
            raise InputError(f"{name}: {len(text)} characters; at most {MOST_TEXT}")
    if not settings.participant.isidentifier():
        raise InputError(f"participant: expected one word, not {quoted(settings.participant)}")


# ---------------------------------------------------------------- writing


def as_toml(settings: Settings) -> str:
    """All settings as the file that `read` takes, with comments."""
    lines = ["# How the study asks. Change it, and call `duchenne study` again as before.", ""]
    for name in ("title", "seed", "pictures", "check_every", "shuffle_answers", "participant"):
        comment = f"  # {_COMMENTS[name]}" if name in _COMMENTS else ""
        lines.append(f"{name} = {_toml(getattr(settings, name))}{comment}")
    tables: dict[str, Mapping[str, Any]] = {
        "expressions": settings.expressions,
        "conditions": settings.conditions,
        "intensity": vars(settings.intensity),
        "realism": vars(settings.realism),
        "texts": settings.texts,
    }
    for name, table in tables.items():
        comment = f"  # {_COMMENTS[f'[{name}]']}" if f"[{name}]" in _COMMENTS else ""
        lines += ["", f"[{name}]{comment}"]
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _toml(name)


def _toml(value: Any) -> str:
    """A value of TOML; its strings in quotation marks are JSON's, but for the character DEL."""
    if isinstance(value, str) and "\n" in value:
        escaped = [_toml(line)[1:-1] for line in value.split("\n")]
        return '"""\n' + "\n".join(escaped) + '"""'
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
