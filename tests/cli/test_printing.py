"""What commands print alike."""

import json

import pytest

from irrepnet.cli.main import app
from irrepnet.cli.printing import in_lines, in_sum, print_json
from irrepnet.errors import IrrepnetError


def test_documents(capsys):
    document = {"Γ": [1.5, None, "Å"], "n": 2}
    print_json(document)
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert json.loads(text) == document
    with pytest.raises(IrrepnetError, match="not finite"):
        print_json({"gap": float("nan")})
    assert capsys.readouterr().out == ""


def test_words():
    assert in_sum({"A1g": 1, "Eu": 2}) == "A1g + 2Eu"
    assert in_sum({}) == "none"
    assert in_lines([{"distance": 2.1084, "elements": {"O": 6}}, {"distance": 3.0, "elements": {"Mg": 2, "O": 1}}]) == (
        "2.108 Å: 6 O\n3.000 Å: 2 Mg, 1 O"
    )


def test_json_is_spelt_alike_in_all_commands():
    from typer.main import get_command

    def options(command):
        yield from (p for p in command.params if "--json" in p.opts)
        for own in getattr(command, "commands", {}).values():
            yield from options(own)

    found = list(options(get_command(app)))
    assert len(found) > 15
    assert {(tuple(p.opts), p.is_flag, p.default, p.help) for p in found} == {
        (("--json",), True, False, "Print one JSON document.")
    }
