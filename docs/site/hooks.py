"""What the site needs beside mkdocs.yml: the pages of the root, and links as they are seen there.

The README is the front page. Links to files that are no pages (code, licences, tables) become plain
text: a reader of the site has no checkout.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "SECURITY.md": "security.md",
}
WIDE = "---\nhide: [navigation]\n---\n"  # its section has no other page; its table needs the room
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
CODE = (".py", ".toml", ".json", ".cff")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for name, page in PAGES.items():
        if (ROOT / name).exists():
            text = (ROOT / name).read_text(encoding="utf-8")
            head = WIDE if page == "index.md" else ""
            files.append(File.generated(config, page, content=head + from_docs(text)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    for name, to in PAGES.items():
        markdown = markdown.replace(f"](../{name}", f"]({to}")
    return LINK.sub(_plain_where_no_page, markdown)


def from_docs(text: str) -> str:
    """The text with its links as they are seen from docs/."""
    text = re.sub(r"\]\(docs/", "](", text)
    for name, page in PAGES.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text.replace("](experiments)", "](experiments/README.md)")


def _plain_where_no_page(match: re.Match[str]) -> str:
    label, target = match.groups()
    outside = not re.match(r"[a-z]+:|#", target)
    if outside and (target.startswith("src/") or target == "LICENSE" or target.endswith(CODE)):
        return label
    return match[0]
