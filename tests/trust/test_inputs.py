"""Bad inputs that are made at random: each is used or refused by name; no traceback, no hang, no NaN, no crash."""

import json
import math
import os
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import ROOT, crystals
from tests.hamiltonians.formats.test_mutations import TEXTS, WT
from tests.hamiltonians.made import random_hamiltonian
from tests.test_inlets import HOSTILE_YAML
from tests.trust.processes import alone, command

EXAMPLES = ROOT / "examples"
SECONDS, MEGABYTES = 10, 2000
"""What a single input may cost at most, and a process that reads all of them."""
TOKENS = [
    "0", "-1", "1e400", "-1e308", "1e-320", "nan", "NaN", "inf", "-Infinity", "9" * 400, "1_000", "٣", "0x10", "1d5",
    "2*", "''", '"', ";", "\x00", "\x1b[31m", "\udc80", "é", "$$", "[/x]", "null", "true", "{", "}", "[", "]", "&a",
    "*a", "!!python/x", "loop_", "data_", "_cell_length_a", "\n", "\r", "\t", " ", "", "?", ".", "Xx", "Na",
    "100000000", "999999999", "1e15", "../..", "%s", "'-x,-y,-z'",
]  # fmt: skip
POSCAR = "NaCl\n1.0\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
EXTXYZ = (
    '2\nLattice="0 2.8 2.8 2.8 0 2.8 2.8 2.8 0" Properties=species:S:1:pos:R:3:forces:R:3 energy=-3.5 pbc="T T T"\n'
    "Na 0 0 0 0 0 0.1\nCl 2.8 2.8 2.8 0 0 -0.1\n"
)


WORDS = ["-42m", "m-3m", "T1u", "ij=ji", "[[1,0,0],[0,1,0],[0,0,nan]]", "formation-energy", "x" * 300]
FORMS = """
symmetry ?
symmetry NACL --symprec ?
symmetry NACL --cutoff ?
graph ?
graph NACL --hyperedges ?
graph NACL --cutoff ?
graph NACL --n-max ?
graph NACL --neighbours nearest --scale ?
phonons ?
phonons NACL --born ?
phonons NACL --force-constants ?
induce ? ?
induce 225 ? ?
symmetrize ?
symmetrize DATA --as ?
symmetrize DATA --only ?
config ?
config cgcnn --set ?
config cgcnn --target ?
predict ? NACL
predict formation-energy ?
predict formation-energy NACL --device ?
evaluate ?
evaluate formation-energy --data ?
evaluate formation-energy --split ?
evaluate formation-energy --target ?
models ?
verify ? NACL
verify cgcnn ?
report ?
path cgcnn NACL ?
path cgcnn NACL NACL --symprec ?
path cgcnn NACL NACL --steps ?
doctor ?
data show ?
data check ?
data gc --days ?
groups show ?
groups couple ? ? ? ?
groups couple m-3m T1u ? ?
groups product m-3m ? ?
groups subduce m-3m ?
tensor allowed ? ?
tensor allowed ij=ji ?
tensor decompose ?
tensor decompose ij=ji ?
tensor surface ?
tensor check ?
hamiltonian check ?
hamiltonian count NACL --basis ?
hamiltonian count NACL --basis sp --cutoff ?
hamiltonian convert ? --out OUT
hamiltonian convert Al-fcc-1.00 --out ?
hamiltonian bands ? --out OUT
hamiltonian slice Al-fcc-1.00 --normal ? --out OUT
hamiltonian slice Al-fcc-1.00 --through ? --out OUT
hamiltonian slice Al-fcc-1.00 --steps ? --out OUT
hamiltonian slice Al-fcc-1.00 --energy ? --steps 8 --out OUT
train ? --out OUT
hamiltonian check Si-diamond-1.00 --moments ?
hamiltonian check Si-diamond-1.00 --spin-orbit ?
hamiltonian generate ? --cutoff -1 --out OUT
hamiltonian evaluate ?
hamiltonian predict ? NACL
train cgcnn --data DATA --target ? --out OUT
?
? ?
data ?
tensor ?
""".strip().splitlines()
"""Commands; a bad word stands at ?."""


class Checked(Exception):
    """An input had an end that it may not have."""


def changed(text: str, rng: np.random.Generator) -> str:
    """Cut, with other words, letters and lines; one to four times."""
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(text) + 1))
        token = TOKENS[int(rng.integers(len(TOKENS)))]
        lines = text.split("\n")
        line = int(rng.integers(len(lines)))
        kind = int(rng.integers(7))
        if kind == 0:
            text = text[:at] + token + text[at + int(rng.integers(4)) :]
        elif kind == 1:
            text = text[:at]
        elif kind == 2:
            lines[line : line + 1] = [lines[line]] * int(rng.integers(4))
            text = "\n".join(lines)
        elif kind == 3:
            other = int(rng.integers(len(lines)))
            lines[line], lines[other] = lines[other], lines[line]
            text = "\n".join(lines)
        else:
            words = lines[line].split(" ")
            words[int(rng.integers(len(words)))] = token
            lines[line] = " ".join(words)
            text = "\n".join(lines)
    return text


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def finite(value: Any) -> bool:
    """Whether every number in it is one."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


# -- kinds of input: what is done with the n-th of them


def structures(folder: Path, rng: np.random.Generator) -> Iterator[Callable[[], object]]:
    from irrepnet.data import read_records
    from irrepnet.training import load_run, predict

    run = load_run("formation-energy")
    texts = {path.name: path.read_text() for path in sorted(EXAMPLES.glob("*.cif"))}
    texts |= {"POSCAR": POSCAR, "x.extxyz": EXTXYZ, "x.json": json.dumps(crystals()[0])}
    names = sorted(texts)
    while True:
        name = names[int(rng.integers(len(names)))]
        path = put(folder / name, changed(texts[name], rng))

        def work(path: Path = path) -> None:
            records, _ = read_records(path)
            if any(len(record.species) > 60 for record in records):
                return
            for row in predict(run, records[:3]) if records else []:
                if not finite(row):
                    raise Checked(f"not finite: {row}")

        yield work


def hostile(rng: np.random.Generator, depth: int = 0) -> Any:
    """A value that no one expects."""
    plain = [
        None,
        True,
        0,
        -1,
        1e400,
        -1e400,
        float("nan"),
        1e308,
        10**30,
        "",
        "x" * 5000,
        "\udc80",
        "[/x]",
        "Na",
        [],
        {},
    ]
    kind = int(rng.integers(len(plain) + 3))
    if kind < len(plain) or depth > 3:
        return plain[kind % len(plain)]
    inner = [hostile(rng, depth + 1) for _ in range(int(rng.integers(1, 4)))]
    return inner if kind == len(plain) else {str(k): value for k, value in enumerate(inner)}


def records(folder: Path, rng: np.random.Generator) -> Iterator[Callable[[], object]]:
    """JSON, JSON lines and CSV, whose values are of any kind."""
    from irrepnet.data import read_records
    from irrepnet.data.targets import scalar_targets

    lines = crystals()
    more = {
        "born_charges": [[[1.0] * 3] * 3] * 2,
        "elastic": [[1.0] * 6] * 6,
        "energy": -1.0,
        "forces": [[0.0] * 3] * 2,
    }
    while True:
        made = []
        for _ in range(3):
            line: Any = dict(lines[int(rng.integers(len(lines)))]) | more
            for key in rng.permutation(sorted(line))[: int(rng.integers(1, 3))]:
                line[str(key)] = hostile(rng)
                if rng.integers(3) == 0 and isinstance(lines[0].get(str(key)), list):
                    line[str(key)] = [*lines[0][str(key)][:-1], hostile(rng)]
            made.append(line)
        name = ("x.jsonl", "x.json", "x.csv")[int(rng.integers(3))]
        if name == "x.csv":
            text = "\n".join(
                [",".join(made[0]), *(",".join(json.dumps(v).replace(",", ";") for v in m.values()) for m in made)]
            )
        else:
            text = "\n".join(map(json.dumps, made)) if name == "x.jsonl" else json.dumps(made)
        path = put(folder / name, text)

        def work(path: Path = path) -> None:
            found, _ = read_records(path)
            scalar_targets(found)
            for record in found:
                if not np.isfinite(record.lattice).all() or not np.isfinite(record.frac_coords).all():
                    raise Checked(f"not finite: {record}")

        yield work


def settings(folder: Path, rng: np.random.Generator) -> Iterator[Callable[[], object]]:
    """YAML of trainings and of lists of Hamiltonians, and what --set says."""
    from irrepnet.hamiltonians.dft.crystal_list import read_list
    from irrepnet.training import load_config, parse_assignment, presets

    given = {"data.source": "a", "data.targets": ["y"], "data.parent": "p.cif"}
    texts = []
    for preset in presets():
        with suppress(ValueError):
            texts.append(
                load_config(
                    preset, {k: v for k, v in given.items() if k != "data.parent" or preset == "energy"}
                ).to_yaml()
            )
    assert len(texts) > 5
    crystal_list = "settings: {basis: SZV-MOLOPT-SR, cutoff: 40}\ncrystals:\n- {type: fcc, compounds: {He: 3.0}}\n"
    short = [text for text in HOSTILE_YAML if len(text) < 20_000]
    while True:
        kind, text = int(rng.integers(4)), texts[int(rng.integers(len(texts)))]
        if kind == 0:
            path = put(folder / "list.yaml", changed(crystal_list, rng))
            yield lambda path=path: read_list(str(path)).requests()
        elif kind == 1:
            key = ("model.channels", "data.split", "training.seed", "data.tensors", "x")[int(rng.integers(5))]
            word = short[int(rng.integers(len(short)))] if rng.integers(2) else TOKENS[int(rng.integers(len(TOKENS)))]
            yield lambda key=key, word=word: load_config("cgcnn", given | dict([parse_assignment(f"{key}={word}")]))
        else:
            path = put(folder / "config.yaml", changed(text, rng))
            yield lambda path=path: load_config(str(path)).to_yaml()


def hamiltonians(folder: Path, rng: np.random.Generator) -> Iterator[Callable[[], object]]:
    """Of Wannier90, WannierTools, DeepH, DeePTB, TBmodels, ABACUS and our own."""
    from irrepnet.hamiltonians import read_hamiltonian, write_hamiltonian
    from irrepnet.hamiltonians.formats.table import read_what_can_be
    from irrepnet.hamiltonians.reports import check_hamiltonian

    made = random_hamiltonian("NaCl", "Na:s,Cl:p")
    paths = [folder / name for name in ("x.deeph", "x.deeptb", "x.hdf5", "y.safetensors", "data-HR-sparse_SPIN0.csr")]
    for path in paths:
        write_hamiltonian(made, path)
    parts = [(path, part) for path in paths for part in (sorted(path.iterdir()) if path.is_dir() else [path])]
    contents = {part: part.read_bytes() for _, part in parts}
    contents |= {folder / "STRU": (folder / "STRU").read_bytes()}
    parts += [(folder / "data-HR-sparse_SPIN0.csr", folder / "STRU")]
    texts = {**TEXTS, "wt.in": WT}
    while True:
        if rng.integers(2):
            for name, text in texts.items():
                put(folder / name, text)
            name = sorted(texts)[int(rng.integers(len(texts)))]
            put(folder / name, changed(texts[name], rng))
            if name == "wt.in":
                yield lambda: read_hamiltonian(folder / "x_hr.dat", folder / "wt.in", "Pb:ss")
            else:
                yield lambda: check_hamiltonian(read_what_can_be(folder / "x_hr.dat"))
            continue
        path, part = parts[int(rng.integers(len(parts)))]
        content = contents[part]
        with suppress(UnicodeDecodeError):
            text = changed(content.decode(), rng)
            part.write_bytes(text.encode("utf-8", "surrogatepass"))
        if part.read_bytes() == content:
            at = int(rng.integers(len(content)))
            noise = rng.bytes(int(rng.integers(1, 30)))
            part.write_bytes(
                content[:at] if rng.integers(4) == 0 else content[:at] + noise + content[at + len(noise) :]
            )
        shells = "Na:s,Cl:p" if path.suffix == ".deeptb" else None
        yield lambda path=path, shells=shells: read_hamiltonian(path, None, shells)
        part.write_bytes(content)


def arguments(folder: Path, rng: np.random.Generator) -> Iterator[Callable[[], object]]:
    """Commands with words that mean nothing."""
    nacl, data = EXAMPLES / "NaCl.cif", put(folder / "data.jsonl", json.dumps(crystals()[0]))
    places = {"NACL": nacl, "DATA": data, "OUT": folder / "out"}
    words = [*TOKENS[:-1], *WORDS, nacl, folder, data]
    while True:
        form = FORMS[int(rng.integers(len(FORMS)))].split()
        given = [words[int(rng.integers(len(words)))] if word == "?" else places.get(word, word) for word in form]

        def work(given: list[Any] = given) -> None:
            code, said = command(*given)
            if code not in (0, 1, 2):
                raise Checked(f"exit code {code}: {said}")
            if "Traceback" in said or "\x1b" in said:
                raise Checked(said)

        yield work


KINDS = {"structures": 3500, "records": 2000, "settings": 1500, "hamiltonians": 2000, "arguments": 1000}


def all_of(kind: str, folder: Path, seed: list[int], cases: int) -> dict[str, Any]:
    """In a process of its own: how many were refused, and all that had another end."""
    from irrepnet.errors import IrrepnetError

    warnings.simplefilter("ignore")
    os.chdir(folder)  # where `report` writes
    made = globals()[kind](folder, np.random.default_rng(seed))
    refused, wrong, slowest = 0, [], 0.0
    for number in range(cases):
        work = next(made)
        (folder / "number").write_text(str(number))
        start = time.process_time()
        try:
            work()
        except IrrepnetError as error:
            refused += 1
            if kind in ("structures", "records", "hamiltonians") and str(folder) not in str(error):
                wrong.append(f"{number}: names no file: {error}")
        except Exception as error:
            kept = folder.parent / f"{kind}-{number}"
            shutil.copytree(folder, kept)
            wrong.append(
                f"{number}: {type(error).__name__}: {error}; {traceback.format_tb(error.__traceback__)[-1]}; {kept}"
            )
        seconds = time.process_time() - start
        slowest = max(slowest, seconds)
        if seconds > SECONDS:
            wrong.append(f"{number}: took {seconds:.0f} s")
    return {"refused": refused, "wrong": wrong, "slowest": slowest}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_inputs(trust, tmp_path, kind):
    folder, cases = tmp_path / "inputs", trust.count(KINDS[kind])
    folder.mkdir()
    seed = trust.rng.integers(2**31, size=2).tolist()
    done = alone(all_of, kind, folder, seed, cases, timeout=60 + SECONDS * 60)
    last = (folder / "number").read_text()
    assert done.code == 0, f"at input {last}: {done.said}"
    assert not done.value["wrong"], "\n".join([f"{len(done.value['wrong'])} of {cases}", *done.value["wrong"][:40]])
    assert done.peak < MEGABYTES
    trust.tell(
        f"bad {kind}",
        cases=cases,
        refused=done.value["refused"],
        slowest=f"{done.value['slowest']:.1f} s",
        peak=f"{done.peak:.0f} MB",
    )
