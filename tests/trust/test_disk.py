"""Disks that are full and folders that are read-only: one line that names the file, and nothing half-written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import ROOT
from tests.hamiltonians.made import random_hamiltonian
from tests.trust.jobs import CRYSTAL, JOBS
from tests.trust.processes import alone, command

EXAMPLES = ROOT / "examples"
NACL, SRTIO3 = EXAMPLES / "NaCl.cif", EXAMPLES / "SrTiO3.cif"
PHONONS = ["phonons", SRTIO3, "--force-constants", EXAMPLES / "SrTiO3_FORCE_CONSTANTS"]
STIFFNESS = json.dumps(np.diag([3.0, 3, 3, 1, 1, 1]).tolist())
CSR = "data-HR-sparse_SPIN0.csr"
COMMANDS = {
    "predictions, csv": (["predict", "formation-energy", NACL, "-o", "OUT/x.csv"], 8),
    "predictions, json": (["predict", "formation-energy", NACL, "-o", "OUT/x.json"], 8),
    "predictions, jsonl": (["predict", "formation-energy", NACL, "-o", "OUT/x.jsonl"], 8),
    "predictions, parquet": (["predict", "formation-energy", NACL, "-o", "OUT/x.parquet"], 8),
    "predictions of all": (["predict", "all", NACL, "-o", "OUT/x"], 8),
    "page of a crystal": (["report", NACL, "--out", "OUT/x.html"], 9999),
    "page of data": (["data", "check", "DATA", "--page", "OUT/x.html"], 99),
    "character table": (["groups", "show", "m-3m", "--png", "OUT/x.png"], 99),
    "allowed form": (["tensor", "allowed", "ij=ji", "m-3m", "--picture", "OUT/x.png"], 99),
    "surface": (["tensor", "surface", STIFFNESS, "--picture", "OUT/x.png"], 99),
    "path": (["path", "cgcnn", NACL, NACL, "--steps", "3", "--picture", "OUT/x.png"], 99),
    "bands": (["hamiltonian", "bands", "Si-diamond-1.00", "--no-irreps", "--out", "OUT/x.png"], 99),
    "levels": ([*PHONONS, "--picture", "OUT/x.png"], 99),
    "animation": ([*PHONONS, "--animation", "OUT/x.html"], 999),
    "force constants": (["symmetrize", "CONSTANTS", "--structure", SRTIO3, "--out", "OUT/x"], 99),
    "symmetric structure": (["symmetrize", "FRAMES", "--out", "OUT/x.json"], 99),
    **{
        f"Hamiltonian, {name}": (["hamiltonian", "check", "HAMILTONIAN", "--symmetrised", f"OUT/{name}"], 99)
        for name in ("x_hr.dat", "x_hr.dat.gz", "x.hdf5", "x.deeph", "x.deeptb", "x.safetensors", CSR)
    },
    "training": (["train", "cgcnn", "--data", "DATA", "--target", "y", "--epochs", "1", "--out", "OUT/x"], 999),
    "generated": (["hamiltonian", "generate", "fcc:He:3.0", "--cutoff", "40", "--out", "OUT/x"], 99),
}
PLACES = ("full", "read-only", "no folder")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    from tests.conftest import crystals

    from irrepnet.hamiltonians import write_hamiltonian

    folder = tmp_path_factory.mktemp("inputs")
    lines = [{**line, "y": float(k)} for k, line in enumerate(crystals()[:30])]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "frames.json").write_text(json.dumps({**lines[0], "forces": [[0.1, 0, 0], [0, 0, 0.2]]}))
    write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:p"), folder / "x.safetensors")
    (folder / "file").write_text("")
    shutil.copy(EXAMPLES / "SrTiO3_FORCE_CONSTANTS", folder / "FORCE_CONSTANTS")
    return {
        "DATA": folder / "data.jsonl",
        "FRAMES": folder / "frames.json",
        "CONSTANTS": folder / "FORCE_CONSTANTS",
        "HAMILTONIAN": folder / "x.safetensors",
    }


def out_of(place: str, folder: Path) -> Path:
    """Where nothing can be written; of a full disk all that is longer than some bytes cannot."""
    if place == "read-only":
        return Path("/proc/sys")  # even for root
    return folder if place == "full" else folder / "file"


def wrong(name: str, place: str, words: dict[str, Path], folder: Path) -> str | None:
    """What a command does that it may not."""
    arguments, size = COMMANDS[name]
    folder.mkdir()
    (folder / "file").write_text("")
    out = out_of(place, folder)
    given = [str(words.get(str(word), word)).replace("OUT", str(out)) for word in arguments]
    done = alone(command, *given, file_size=size if place == "full" else None, timeout=120)
    if done.code:
        return done.said
    code, said = done.value
    if code != 2 or str(out) not in said:
        return f"code {code}, {said}"
    files = [path for path in folder.rglob("*") if path.is_file()]
    left = [path.name for path in files if path.suffix == ".part" or path.stat().st_size > size]
    return f"left {left}" if left and place == "full" and name != "predictions of all" else None


@pytest.mark.parametrize("place", PLACES)
def test_disks(trust, words, tmp_path, place):
    names = trust.some(list(COMMANDS))
    found = {name: wrong(name, place, words, tmp_path / str(k)) for k, name in enumerate(names)}
    assert not any(found.values()), {name: what for name, what in found.items() if what}
    trust.tell(f"{place}: refused by name, nothing half-written", cases=len(names))


@pytest.mark.parametrize("name", ["store", "cache"])
def test_what_is_only_kept(trust, tmp_path, name):
    """A store or cache that cannot be written costs a warning."""
    job = JOBS[name]
    done = alone(job.run, CRYSTAL.parent, tmp_path / "out", file_size=5000)
    assert done.code == 0, done.said
    done = alone(job.run, CRYSTAL.parent, Path("/proc/sys/x"))
    assert done.code == 0, done.said
    trust.tell(f"full disk and read-only folder, {name}: goes on", cases=2)
