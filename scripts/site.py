"""Hook of mkdocs.yml: the pages of the site that are not in docs/.

README.md, CONTRIBUTING.md, CHANGELOG.md and benchmarks/README.md as they are, with links that lead within the site; the
commands with their options, the cards of the models that come with the package, and a page of the public names of each
room.
"""

import re
from pathlib import Path
from typing import Any

import typer
from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from irrepnet.cli.main import app
from irrepnet.training.where import SHIPPED, shipped

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""File of the repository → page."""
ROOMS = [
    "groups", "tensors", "crystals", "phonons", "graphs", "data", "nn", "models", "hamiltonians", "tasks", "training",
    "checks",
]  # fmt: skip


class Sessions(Preprocessor, Extension):
    """Examples of docstrings, from >>> to an empty line, as code."""

    def __init__(self) -> None:
        Extension.__init__(self)

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(self, "sessions", 35)  # before fences

    def run(self, lines: list[str]) -> list[str]:
        found, fenced, inside = [], False, False
        for line in [*lines, ""]:
            fenced ^= line.startswith("```")
            if not fenced and inside != (line.startswith(">>>") or (inside and bool(line.strip()))):
                found.append("```" if inside else "```pycon")
                inside = not inside
            found.append(line)
        return found


def on_config(config: MkDocsConfig) -> None:
    """Examples of docstrings are code, and the rooms' pages are in the list of pages."""
    config.markdown_extensions.append(Sessions())  # type: ignore[arg-type]
    assert config.nav is not None
    (references,) = (part["References"] for part in config.nav if "References" in part)
    references[:] = ["cli.md", "cards.md", *(f"api/{room}.md" for room in ROOMS)]


def on_files(files: Files, config: MkDocsConfig) -> None:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=moved((ROOT / source).read_text(encoding="utf-8"), source)))
    for picture in (ROOT / "benchmarks").glob("*.png"):
        files.append(File.generated(config, picture.name, abs_src_path=str(picture)))
    files.append(File.generated(config, "cli.md", content=commands()))
    files.append(File.generated(config, "cards.md", content=cards()))
    for room in ROOMS:
        files.append(File.generated(config, f"api/{room}.md", content=f"# irrepnet.{room}\n\n::: irrepnet.{room}\n"))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return moved(markdown, f"docs/{page.file.src_uri}") if page.file.generated_by is None else markdown


def moved(text: str, source: str) -> str:
    """The text of a file of the repository with its links as they are in the site."""

    def link(match: re.Match[str]) -> str:
        heading = match[2] or ""
        target = (ROOT / source).parent.joinpath(match[1]).resolve().relative_to(ROOT).as_posix()
        if target in PAGES:
            return f"]({PAGES[target]}{heading})"
        if target.startswith(("docs/", "benchmarks/")) and target.endswith((".md", ".png")):
            return f"]({Path(target).name}{heading})"
        return "]"  # a file that is no page

    return re.sub(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)", link, text)


def commands() -> str:
    """All commands with their options, as `--help` has them."""
    command = typer.main.get_command(app)
    return get_docs_for_click(
        obj=command, ctx=typer.Context(command, info_name="irrepnet"), name="irrepnet", title="Commands"
    )


def cards() -> str:
    """The cards of the models that come with the package, one after the other."""
    texts = [(SHIPPED / name / "card.md").read_text(encoding="utf-8") for name in shipped()]
    return "# Cards of the models\n\n" + "\n".join(re.sub("^#", "##", text, flags=re.M) for text in texts)
