"""Every example of README.md and of docs/*.md runs as it stands.

A page is one session, as a reader has it: its blocks run in order, in one namespace and one empty folder with the
repository's examples/ in it. The language of a block says what is done with it:

    python       executed
    pycon        executed, and what is printed compared with what the page shows
    sh           `irrepnet …` is run; any other command must be one that the continuous check or the Makefile runs
    yaml, text   written to the file that the comment in their first line names
"""

import doctest
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SLOW = {"hamiltonians", "site_targets", "tutorials", "tensors"}


class Block(NamedTuple):
    """A fenced example: its language, its text, and the number of lines of the page before the text."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    found = list(re.finditer(r"^```(\w+)\n(.*?)^```\n", page, re.S | re.M))
    assert page.count("```") == 2 * len(found), "a fence without a language, indented or not closed"
    outside = re.sub(r"^```\w+\n.*?^```\n", "", page, flags=re.S | re.M)
    unfenced = re.search(r"^    (irrepnet |>>> |import |from ).*", outside, re.M)
    assert not unfenced, f"an example that is not fenced: {unfenced[0]}"
    for match in found:
        yield Block(match[1], match[2], page.count("\n", 0, match.start(2)))


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW)) for page in PAGES]
)
def test_examples_run(page, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    session = ModuleType("__main__")  # as a reader's: what it defines can be imported from there
    monkeypatch.setitem(sys.modules, "__main__", session)
    names = vars(session)
    for block in blocks(page.read_text(encoding="utf-8")):
        match block.language:
            case "python":
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            case "pycon":
                compare(block, page, names)
            case "sh":
                for command in block.text.replace("\\\n", " ").splitlines():
                    call(command)
            case "yaml" | "text":
                name = re.match(r"# (\S+)", block.text)
                assert name, "the first line of a file is a comment with its name"
                Path(name[1]).write_text(block.text, encoding="utf-8")
            case other:
                raise AssertionError(f"{page.name}: nobody runs {other!r}")


def compare(block: Block, page: Path, names: dict[str, Any]) -> None:
    examples = doctest.DocTestParser().get_doctest(block.text, {}, page.name, str(page), block.line)
    examples.globs = names
    said: list[str] = []
    result = doctest.DocTestRunner().run(examples, out=said.append, clear_globs=False)
    assert result.attempted
    assert not result.failed, "".join(said)


def call(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True) or [""]
    if program == "irrepnet" and command not in continuous_check():
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        assert result.output, f"{command} says nothing"
    else:
        assert command.strip() in continuous_check(), f"nobody runs {command!r}"


def continuous_check() -> str:
    """What .ci/run and `make` run, written as a page writes it."""
    text = (ROOT / ".ci/run").read_text() + (ROOT / "Makefile").read_text()
    for ours, theirs in (("$(BIN)/", ""), (".venv/bin/", ""), ("$(RUN)", "runs/quickstart"), ("-q ", "")):
        text = text.replace(ours, theirs)
    return text
