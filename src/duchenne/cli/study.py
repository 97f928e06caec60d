"""`study`: a rating study of a set of faces, and the report on its answers."""

from __future__ import annotations

from pathlib import Path

import click

from .run import Run, recorded


class WithDefault(click.Group):
    """A group whose first command need not be named: `study set/ -o study/` is `study make ...`."""

    default = "make"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=WithDefault)
def study() -> None:
    """Let people rate a set of faces, in a page that needs no server.

    `duchenne study SET -o FOLDER` makes the page, as `duchenne study make` does. `duchenne study
    report` says what the answers show.

    \b
    Examples:
      duchenne study set/ -o study/
      duchenne study report responses.csv -o report/
    """


@study.command()
@click.argument("source", metavar="SET")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="The study.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help="Answers, scales, checks and texts, .toml or .json; by default FOLDER/study.toml if it "
    "is there. A study writes its own, complete.",
)
@click.option("--consent", metavar="FILE", help="Text of the consent page; empty lines part it.")
@click.option("--films", is_flag=True, help="Show the set's films instead of its stills.")
@click.option(
    "--no-outliers",
    "outliers",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Leave out what the set's own measures call outliers.",
)
@recorded
def make(
    run: Run,
    source: str,
    output: str,
    config_file: str | None,
    consent: str | None,
    films: bool,
    outliers: bool,
) -> None:
    """Make a page on which people rate a set of faces.

    SET is a folder made by `duchenne stimuli`, or a CSV with the columns file and condition. Open
    index.html, as a file or on any web server: consent, instructions, then of each face the
    expression, its intensity and its realism, with attention checks. The answers are saved as a
    CSV.

    \b
    Examples:
      duchenne study make set/ -o study/
      duchenne study make set/ --consent consent.txt -o study/
    """
    from dataclasses import replace

    from ..files.folders import counts_text
    from ..reading import texts
    from ..study import building, material, settings

    folder = Path(output)
    shown = material.read(Path(source), films=films, outliers=outliers)
    own = folder / building.SETTINGS
    chosen = Path(config_file) if config_file else own if own.is_file() else None
    asked = settings.defaults(shown.conditions)
    if chosen is not None:
        asked = settings.read(chosen, shown.conditions)
        run.read("config", chosen)
        run.note(f"settings: {chosen}")
    if consent is not None:
        text = texts.read_text(Path(consent), "the text of the consent page")
        asked = replace(asked, texts={**asked.texts, "consent": text.strip()})
        run.read("consent", consent)
    if asked.texts["consent"] == settings.TEXTS["consent"]:
        run.note("the consent text is the general one: put your own with --consent FILE")
    run.facts["left_out"] = dict(shown.left_out)
    if shown.left_out:
        run.note(f"{source}: left out {counts_text(shown.left_out)}")
    with run.stages("make"):
        made = building.build(asked, shown, folder)
    run.facts |= {"study": made["id"], "pictures": len(shown.pictures)}
    run.wrote(output, f"{len(shown.pictures)} pictures; open {folder / building.PAGE}")


@study.command()
@click.argument("sources", metavar="RESPONSES...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="FOLDER", help="The report.")
@click.option(
    "--tolerate",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="How many attention checks a participant may miss; others are left out.",
)
@recorded
def report(run: Run, sources: tuple[str, ...], output: str, tolerate: int) -> None:
    """Say what the answers of a study show.

    RESPONSES are the CSV files of the participants, or folders of them. The report has agreement,
    the confusion matrix, unbiased hit rates, intensity and realism by condition, intraclass
    correlations, and what single raters do otherwise: report.html, report.json, tables, pictures.

    \b
    Examples:
      duchenne study report responses.csv -o report/
    """
    from ..study import analysis, responses
    from ..study import report as reports

    folder = Path(output)
    paths = responses.find(map(Path, sources))
    if any(path.resolve().parent == folder.resolve() for path in paths):
        raise click.UsageError("-o is the folder of the answers; give another one")
    with run.stages("read"):
        given = responses.read(paths)
    for one in given.set_aside:
        run.note(f"set aside: {one}")
    with run.stages("analyse"):
        found = analysis.analyse(given, tolerate)
    with run.stages("write"):
        reports.write(found, folder)
    facts = reports.facts(found)
    run.facts |= {name: facts[name] for name in ("study", "participants", "used", "excluded")}
    run.facts["set_aside"] = len(given.set_aside)
    if found.excluded:
        named = ", ".join(found.excluded)
        run.note(f"left out, for missed attention checks: {named}")
    run.wrote(
        output,
        f"{len(found.raters)} raters, {len(found.pictures)} pictures; open {folder / reports.PAGE}",
    )
