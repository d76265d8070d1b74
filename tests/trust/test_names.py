"""Every command with hostile names of files, folders, crystals and values: they are text, wherever they come out."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests.conftest import ROOT, crystals
from tests.hamiltonians.made import random_hamiltonian
from tests.trust.processes import command

from irrepnet.cli.main import app
from irrepnet.hamiltonians import write_hamiltonian

NAMES = [
    "[/x]", "[bold red]y", "\x1b[31mred", "=1+1", "-n", "a\nb", "$$x$", "<script>", "\udcff", "\u202egpj", "%s {0}",
    " ", "*", "'\";",
]  # fmt: skip
EXAMPLES = ROOT / "examples"
COMMANDS = """
symmetry CIF --irreps
phonons CIF
phonons CIF --force-constants CONSTANTS --animation OUT/NAME.html --picture OUT/NAME.png
induce CIF
symmetrize DATA --out OUT/NAME.json
graph CIF
train cgcnn --data DATA --target NAME --epochs 1 --set model.channels=4 --set model.layers=1 --out OUT/NAME
config cgcnn --data DATA --target NAME
evaluate formation-energy --data DATA --target NAME
predict formation-energy CIF -o OUT/NAME.csv
predict formation-energy DATA
models NAME
verify cgcnn CIF
report CIF --out OUT/NAME.html
serve --port NAME
path cgcnn CIF CIF --steps 2 --picture OUT/NAME.png
doctor NAME
groups list NAME
groups show NAME
groups couple NAME T1u T1u A1g
groups product m-3m NAME T1u
groups subduce m-3m NAME
data list NAME
data show DATA
data check DATA --page OUT/NAME.html
data fetch NAME --out OUT/NAME.jsonl
data build cgcnn --data DATA --target NAME
data info NAME
data gc NAME
tensor allowed NAME m-3m
tensor decompose NAME
tensor surface NAME
tensor check DATA
hamiltonian check HAMILTONIAN --symmetrised OUT/NAME.safetensors
hamiltonian count CIF --basis NAME
hamiltonian bands HAMILTONIAN --out OUT/NAME.png
hamiltonian slice HAMILTONIAN --energy 0.1 --steps 10 --out OUT/NAME.png
hamiltonian convert HAMILTONIAN --out OUT/NAME_hr.dat
hamiltonian convert NAME --out OUT/NAME
hamiltonian list NAME
hamiltonian generate NAME --out OUT/NAME
hamiltonian train --data NAME --out OUT/NAME
hamiltonian evaluate NAME
hamiltonian predict NAME CIF
""".strip().splitlines()


def names(own: typer.Typer, before: str = "") -> Iterator[str]:
    """Of all commands."""
    for each in own.registered_commands:
        yield before + (each.name or each.callback.__name__)  # type: ignore[union-attr]
    for group in own.registered_groups:
        yield from names(group.typer_instance, f"{before}{group.name} ")  # type: ignore[arg-type]


def test_every_command_is_here():
    assert not [name for name in names(app) if not any(line.startswith(name) for line in COMMANDS)]


@pytest.fixture
def words(tmp_path):
    def made(name: str) -> dict[str, Path | str]:
        folder = tmp_path / f"f{name}"
        for place in (folder / f"{name}x", folder / f"out/{name}x"):  # a name may be of several folders
            place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / "SrTiO3.cif", folder / f"{name}.cif")
        shutil.copy(EXAMPLES / "SrTiO3_FORCE_CONSTANTS", folder / f"{name}FORCE_CONSTANTS")
        lines = [{**line, "material_id": f"{name}{k}", name: float(k)} for k, line in enumerate(crystals()[:12])]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
        write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:p"), folder / f"{name}.safetensors")
        return {
            "CIF": folder / f"{name}.cif",
            "CONSTANTS": folder / f"{name}FORCE_CONSTANTS",
            "DATA": folder / f"{name}.jsonl",
            "HAMILTONIAN": folder / f"{name}.safetensors",
            "OUT": folder / "out",
            "NAME": name,
        }

    return made


def test_hostile_names(trust, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cases = [(line, name) for name in NAMES for line in COMMANDS]
    chosen = [cases[k] for k in trust.rng.permutation(len(cases))[: trust.count(len(cases), 8)]]
    wrong = []
    for name in NAMES:
        own = [line for line, other in chosen if other == name]
        given = words(name) if own else {}
        for line in own:
            arguments = line.replace("OUT/NAME", "OUTNAME").split()
            out = f"{given['OUT']}/{name}"
            called = [
                out + word[7:] if word.startswith("OUTNAME") else str(given.get(word, word)) for word in arguments
            ]
            try:
                code, said = command(*called)
            except Exception as error:
                wrong.append(f"{line} with {name!r}: {type(error).__name__}: {error}")
                continue
            bad = [sign for sign in ("\x1b", "Traceback", "\u202e", "\udcff") if sign in said]
            if code not in (0, 1, 2) or bad:
                wrong.append(f"{line} with {name!r}: code {code}, {bad}: {said[-300:]}")
        for page in (Path(root) / file for root, _, files in os.walk(given.get("OUT", "/dev/null")) for file in files):
            if page.suffix == ".html" and name == "<script>" and "<script>.cif" in page.read_text():
                wrong.append(f"{page}: markup")
    assert not wrong, "\n".join(wrong)
    trust.tell("hostile names, every command", commands=len(COMMANDS), cases=len(chosen))
