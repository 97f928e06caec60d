"""What the documentation says is true: its commands, code, tables, links and pictures."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import tiny

import duchenne
from duchenne import facs
from duchenne.cli import commands
from duchenne.editing.render import Renderer
from duchenne.files import codes, films
from duchenne.files.pictures import SourceType, read_synthetic_mark, save_image
from duchenne.weights import store
from experiments.__main__ import experiments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
PICTURES = {
    "photo.webp": 400_000,
    "happiness.webp": 2_500_000,
    "action_units.jpg": 1_000_000,
}  # bytes at most
CONSTANTS = {"ACTION_UNITS", "EXPRESSIONS", "__version__"}
MISTYPED = "--expresion"  # in first-minutes.md, to show what is said then
EXPERIMENTS = "python -m experiments "
# What runs on the tiny generator: the others need the real weights, and have tests of their own.
REAL_FACE = ("--target", "--like", "film.mp4")
OFFLINE = ("duchenne animate", "duchenne edit", "duchenne encode", "duchenne sample")
HELP = "\n".join(path.read_text() for path in (ROOT / "src" / "duchenne" / "cli").glob("*.py"))


def code_of(text: str) -> list[str]:
    """The lines of all fenced and indented blocks; of transcripts (```text) what was typed."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [(kind, line.strip()) for kind, block in fenced for line in block.splitlines()]
    typed = [
        line.removeprefix("$ ") for kind, line in lines if kind != "text" or line.startswith("$ ")
    ]
    return typed + [line.strip() for line in text.splitlines() if line.startswith("    ")]


def command_lines(text: str) -> list[str]:
    found = (line for line in code_of(text) if line.startswith(("duchenne ", EXPERIMENTS)))
    return [line for line in found if MISTYPED not in line]


def mentions(text: str) -> list[str]:
    """`duchenne ...` in running text; `duchenne COMMAND` stands for any."""
    found = (
        " ".join(span.split())
        for span in re.findall(rf"`((?:duchenne |{EXPERIMENTS})[^`]+)`", text)
    )
    return [span for span in found if not span.split()[1].isupper()]


def leaves(group: click.Group = commands, name: str = "duchenne") -> Iterator[str]:
    for child, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{name} {child}")
        else:
            yield f"{name} {child}"


def resolve(line: str) -> tuple[click.Command, list[str]]:
    """The command of a line and its arguments."""
    if line.startswith(EXPERIMENTS):
        return experiments, shlex.split(line.removeprefix(EXPERIMENTS), comments=True)
    command: click.Command = commands
    arguments = shlex.split(line, comments=True)[1:]
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        unnamed = getattr(command, "default", None)  # the command that need not be named
        if unnamed is not None and arguments[0] not in command.commands:
            return command.commands[unnamed], arguments
        assert arguments[0] in command.commands, f"{line}: there is no {arguments[0]!r}"
        command = command.commands[arguments.pop(0)]
    return command, arguments


def rows_of(text: str, header: str) -> list[list[str]]:
    """The cells of the table whose first line is `header`."""
    lines = text.partition(header)[2].splitlines()[2:]
    end = next(i for i, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def python_block() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return block


def per_document(items: Any) -> list[Any]:
    """One parameter for each item of each document, named after both."""
    return [
        pytest.param(path, item, id=f"{path.name}: {item}")
        for path in DOCS
        for item in dict.fromkeys(items(path.read_text()))
    ]


# Commands


@pytest.mark.parametrize(("path", "line"), per_document(command_lines))
def test_a_command_in_the_docs_is_accepted(path: Path, line: str) -> None:
    command, arguments = resolve(line)
    assert not isinstance(command, click.Group), f"{path}: {line} is a group of commands"
    command.make_context(command.name, arguments)  # raises for what the command does not take


@pytest.mark.parametrize(("path", "span"), per_document(mentions))
def test_a_command_in_running_text_exists(path: Path, span: str) -> None:
    command, arguments = resolve(span)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "-h"}
    unknown = {word for word in arguments if word.startswith("-")} - known
    assert not unknown, f"{path}: {span}"


def test_every_command_is_in_the_docs() -> None:
    text = " ".join(" ".join(path.read_text() for path in DOCS).split())
    missing = [name for name in leaves() if not re.search(rf"\b{name}\b", text)]
    assert not missing


@pytest.fixture
def inputs(folder: Path) -> Path:
    """Every file that the README's commands read."""
    (folder / "keys.toml").write_text('AU12 = [[0.0, 0.0], [0.1, 1.0, "smooth"]]\n')
    (folder / "openface.csv").write_text(
        "frame, timestamp, confidence, success, AU12_r\n1, 0.0, 0.98, 1, 0.5\n2, 0.1, 0.98, 1, 3\n"
    )
    codes.write_code(tiny.TinyStudio().sample(1).code, folder / "anna.safetensors")
    save_image(np.zeros((512, 512, 3), np.uint8), folder / "mask.png")
    return folder


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize(
    "line",
    [
        line
        for line in command_lines(README)
        if line.startswith(OFFLINE) and not any(option in line for option in REAL_FACE)
        if line not in HELP  # test_cli.py runs every example of the help
    ],
)
def test_a_command_of_the_readme_runs(line: str, inputs: Path) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    commands.main(arguments, standalone_mode=False)
    output = inputs / arguments[arguments.index("-o") + 1]
    assert any(output.iterdir()) if output.is_dir() else output.stat().st_size > 0


# Python


def test_the_readme_and_the_package_give_the_same_example() -> None:
    indented = [line for line in str(duchenne.__doc__).splitlines() if not line[:1].strip()]
    assert textwrap.dedent("\n".join(indented)).strip() == python_block().strip()


@pytest.mark.usefixtures("tiny_studio")
def test_the_readmes_python_runs(folder: Path) -> None:
    exec(python_block(), {})
    assert read_synthetic_mark("happiness.mp4") is not None


@pytest.mark.weights
def test_the_readmes_python_runs_with_the_real_weights(
    folder: Path,
    mobile_renderer: Renderer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The renderer is the one of the other tests, which is compiled already."""
    monkeypatch.setattr("duchenne.animate.Renderer", lambda *_, **__: mobile_renderer)
    exec(python_block(), {})
    assert read_synthetic_mark("happiness.mp4") is not None
    frames = list(films.read_video("happiness.mp4"))
    assert len(frames) == 24
    assert frames[0].shape == (512, 512, 3)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_the_docs_use_public_names_and_name_files_that_exist(path: Path) -> None:
    text = path.read_text().partition("### For users of the library")[0]  # of the changelog
    assert "from duchenne" not in text
    assert set(re.findall(r"(?<![\w/])duchenne\.([a-zA-Z]\w*)", text)) <= set(duchenne.__all__)
    files = re.findall(r"`([\w/.]+/\w+\.(?:py|toml|js))`", text)
    package = ROOT / "src" / "duchenne"
    assert not [name for name in files if not ((ROOT / name).exists() or (package / name).exists())]


@pytest.mark.parametrize("name", duchenne.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(duchenne, name)
    if name in CONSTANTS:
        assert len(value) > 0
        return
    # A dataclass without a docstring gets its signature as one.
    written = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
    assert written, f"{name} has no docstring"
    assert not written.startswith(f"{name}("), f"{name} has no docstring"


# Tables


def test_the_table_of_action_units() -> None:
    rows = rows_of(README, "| AU | Name | Muscle | Region |")
    assert rows == [[str(u.number), u.name, u.muscle, u.area] for u in facs.ACTION_UNITS]
    assert all(name in README for name in facs.EXPRESSIONS)


def test_the_table_of_evidence() -> None:
    rows = rows_of((ROOT / "docs" / "scores.md").read_text(), "| AU | Measures and weights |")
    found = {
        row[0]: {name: float(weight) for name, weight in re.findall(r"`(\w+)` (-?[\d.]+)", row[1])}
        for row in rows
    }
    assert found == {unit.code: dict(unit.evidence) for unit in facs.ACTION_UNITS}


def test_the_table_of_weights_and_licences() -> None:
    rows = rows_of(README, "| Source | Files | For | Licence |")
    for entry in store.entries():
        (row,) = [row for row in rows if f"`{entry.filename}`" in row[1]]
        assert row[0].strip("`") in str(entry.source)
        assert row[3] == entry.licence
        assert ("optional" in row[2]) == entry.optional
    assert sum(row[1].count("`") // 2 for row in rows) == len(store.entries())


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    (version,) = re.findall(r"^version: (\S+)$", text, re.MULTILINE)
    assert version == metadata.version("duchenne")
    assert all(work in README for work in re.findall(r"(?:doi: |arXiv:)([\w./]+)", text))


# Links and pictures


def links_of(text: str) -> list[str]:
    """Targets inside the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img [^>]*src="([^"]+)"', text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(text: str) -> set[str]:
    """The names that headings get on the usual sites."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("path", "target"), per_document(links_of))
def test_a_link_leads_somewhere(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    found = path.parent / name if name else path
    assert found.exists()
    assert not anchor or anchor in anchors_of(found.read_text())


@pytest.mark.parametrize(("name", "limit"), PICTURES.items())
def test_the_pictures_are_small_and_marked(name: str, limit: int) -> None:
    path = ROOT / "docs" / "images" / name
    assert f"docs/images/{name}" in README
    assert path.stat().st_size < limit
    photo = name.startswith("photo")
    assert read_synthetic_mark(path) == (SourceType.EDITED if photo else SourceType.GENERATED)


@pytest.mark.parametrize(
    ("path", "block"),
    [
        pytest.param(path, block, id=f"{path.name} {i}")
        for path in DOCS
        for i, block in enumerate(re.findall(r"^```bash\n(.*?)^```", path.read_text(), re.M | re.S))
    ],
)
def test_a_script_for_the_shell_can_be_read_by_it(path: Path, block: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    read = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
    assert read.returncode == 0, f"{path}: {read.stderr}"
