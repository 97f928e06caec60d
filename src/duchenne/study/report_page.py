"""The report as one page of HTML, which needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from .analysis import Analysis
from .report_tables import Cell, hit_rates, raters_table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }
th { vertical-align: bottom; }
th:first-child, td:first-child, .words { text-align: left; }
.words { min-width: 16rem; }
.wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; }
small, .about { color: #555; }
"""


def _number(value: Cell, digits: int = 2) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _html(columns: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()) -> str:
    """A table; the columns of `words` are text."""
    kinds = [" class='words'" if column in words else "" for column in columns]
    headed = zip(kinds, columns, strict=True)
    head = "".join(f"<th{kind}>{escape(column)}</th>" for kind, column in headed)
    body = ""
    for row in rows:
        cells = (f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        body += f"<tr>{''.join(cells)}</tr>\n"
    return f"<div class='wide'><table><tr>{head}</tr>\n{body}</table></div>"


def page(analysis: Analysis, drawn: Mapping[str, str]) -> str:
    given = analysis.responses
    parts = [_summary(analysis), _recognition(analysis, drawn), _ratings(analysis, drawn)]
    parts += [_people(analysis), _aside(analysis), _METHODS]
    title = f"Rating study {given.study}"
    return (
        f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>\n"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _summary(analysis: Analysis) -> str:
    given, used = analysis.responses, len(analysis.raters)
    gone = len(analysis.excluded)
    checks = sum(given.checks.values())
    text = (
        f"<p>{used} raters, {len(analysis.pictures)} pictures, {int(analysis.matrix.sum())} "
        f"answers. Left out: {gone} of {len(given.participants)} participants, who missed more "
        f"than {analysis.tolerated} attention checks. Checks missed by all together: "
        f"{sum(given.missed.values())} of {checks}.</p>"
    )
    if given.set_aside or given.copies:
        text += (
            f"<p>Rows or files set aside, as listed below: {len(given.set_aside)}. Rows that were "
            f"there twice: {given.copies}.</p>"
        )
    if not used:
        return text + "<p><strong>No rater is left: there is nothing to report.</strong></p>"
    agreed = analysis.agreement
    rows = [
        ["agreement on the expression, pairs of raters", _percent(agreed.percent)],
        ["Fleiss’ κ", _number(agreed.kappa)],
        ["Krippendorff’s α", _number(agreed.alpha)],
    ]
    for name, icc in analysis.icc.items():
        if icc is None:
            rows.append([f"ICC of {name}", "– (no pictures that all of two raters or more rated)"])
            continue
        for label, value, ends in (
            ("ICC(2,1)", icc.single, icc.single_interval),
            (f"ICC(2,{icc.raters})", icc.average, icc.average_interval),
        ):
            interval = f"[{ends[0]:.2f}, {ends[1]:.2f}]"
            rows.append([f"{label} of {name}, {icc.targets} pictures", f"{value:.2f} {interval}"])
    return text + "<h2>Agreement</h2>" + _html(["measure", "value"], rows)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _p(value: Cell) -> str:
    return "< .001" if isinstance(value, float) and value < 0.001 else _number(value, 3)


def _recognition(analysis: Analysis, drawn: Mapping[str, str]) -> str:
    if "confusion" not in drawn:
        return ""
    _, rows = hit_rates(analysis)
    shown = [
        [
            str(row[0]),
            str(row[1]),
            *(_number(cell) for cell in row[2:7]),
            _number(row[8]),
            _p(row[9]),
        ]
        for row in rows
    ]
    columns = ["", "answers", "hits", "Hu", "pc", "mean Hu", "mean pc", "t", "p"]
    return (
        "<h2>Recognition</h2>"
        + drawn["confusion"]
        + _html(columns, shown)
        + "<p class='about'>Hits: share of the pictures that were named right. Hu: unbiased hit "
        "rate, pc: its chance level, of all answers together; then means over raters, with a "
        "paired t test of their arcsines.</p>"
    )


def _ratings(analysis: Analysis, drawn: Mapping[str, str]) -> str:
    text = ""
    if "intensity" in drawn:
        rows = [
            [c.condition, _number(c.rho), _number(c.picture_rho), f"{c.offset:+.2f}"]
            for c in analysis.curves
        ]
        columns = ["", "ρ, mean of raters", "ρ of picture means", "rated less asked, steps"]
        text += "<h2>Intensity</h2>" + drawn["intensity"] + _html(columns, rows)
        text += (
            "<p class='about'>Thin: single raters. Bold: their mean, with 95 % intervals. Dotted: "
            "what was asked. Pictures at rest are the 0 of every condition. ρ: Spearman’s.</p>"
        )
    if "realism" in drawn:
        text += "<h2>Realism</h2>" + drawn["realism"]
        text += "<p class='about'>Means over raters, with 95 % intervals.</p>"
    return text


def _people(analysis: Analysis) -> str:
    columns, rows = raters_table(analysis)
    names = ["", "used", "checks", "missed", "pictures", "hits", "agreement", "ρ"]
    names += ["intensity shift", "realism shift", "remarks"]
    shown = [[_number(cell) if cell != "" else "" for cell in row] for row in rows]
    assert len(names) == len(columns)
    return (
        "<h2>Raters</h2>"
        + _html(names, shown, ["remarks"])
        + "<p class='about'>Agreement: share of the others’ answers to the same pictures that are "
        "the same. ρ: asked and rated intensity. Shift: steps above the median of the others. "
        "Remarks: what is clear after a correction for the number of tests.</p>"
    )


def _aside(analysis: Analysis) -> str:
    lines = "".join(f"<li>{escape(str(one))}</li>" for one in analysis.responses.set_aside)
    return f"<h2>Set aside</h2><ul>{lines}</ul>" if lines else ""


_METHODS = """<h2>Methods</h2>
<ul class='about'>
<li>Fleiss (1971), Psychological Bulletin 76, 378–382: κ, if all pictures have as many raters.</li>
<li>Krippendorff (2011), Computing Krippendorff’s alpha-reliability: α for names; pictures may have
different numbers of raters.</li>
<li>Wagner (1993), Journal of Nonverbal Behavior 17, 3–28: Hu and pc.</li>
<li>Shrout &amp; Fleiss (1979), Psychological Bulletin 86, 420–428: ICC(2,1), of one rater, and
ICC(2,k), of the mean of these k; random raters, absolute agreement, 95 % intervals.</li>
<li>Raters: Fisher’s exact test for names, a sign test for shifts, both corrected after
Bonferroni.</li>
</ul>"""
