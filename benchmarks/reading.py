"""Structure files by several readers: what each makes of them, and how many crystals a second.

    python benchmarks/reading.py FOLDER [--json reading.json] [--differences]

Takes every CIF, mCIF, POSCAR and extended XYZ file below the folder, such as test files of pymatgen, ASE and gemmi,
and reads it with irrepnet, pymatgen, ASE and (CIFs) gemmi, one after the other in one process and one thread. A crystal
is compared by its atoms and volume; prints how often each reader agrees with irrepnet, and seconds of the processor.
"""

import argparse
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import ase.io
import gemmi
import numpy as np
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser

from irrepnet.crystals import cells_in
from irrepnet.errors import IrrepnetError

CIFS = (".cif", ".mcif")
Crystals = list[tuple[str, float]]


def seen(numbers: Any, volume: float) -> tuple[str, float]:
    counts = Counter(gemmi.Element(int(number)).name for number in numbers)
    return " ".join(f"{symbol}{count}" for symbol, count in sorted(counts.items())), round(float(volume), 1)


def is_cif(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(CIFS)


def by_irrepnet(path: Path) -> Crystals:
    found = [cell for cell in cells_in(path) if not isinstance(cell, IrrepnetError)]
    return [seen(cell.numbers, abs(np.linalg.det(cell.lattice))) for cell in found]


def by_pymatgen(path: Path) -> Crystals:
    if is_cif(path):
        structures = CifParser(str(path)).parse_structures(primitive=False, on_error="ignore")
    else:
        structures = [Structure.from_file(str(path))]
    ordered = [structure for structure in structures if structure.is_ordered]
    return [seen([site.specie.Z for site in structure], structure.volume) for structure in ordered]


def by_ase(path: Path) -> Crystals:
    form = "cif" if is_cif(path) else "extxyz" if "xyz" in path.name.lower() else "vasp"
    frames: Any = ase.io.read(str(path), index=":", format=form)
    return [seen(atoms.numbers, atoms.cell.volume) for atoms in frames if atoms.cell.rank == 3]


def by_gemmi(path: Path) -> Crystals:
    if not is_cif(path):
        raise NotImplementedError
    found = []
    for block in gemmi.cif.read(str(path)):
        structure = gemmi.make_small_structure_from_block(block)
        sites = structure.get_all_unit_cell_sites()
        if len(structure.sites) and all(abs(site.occ - 1) <= 1e-3 for site in sites):
            found.append(seen([site.element.atomic_number or 1 for site in sites], structure.cell.volume))
    return found


READERS: dict[str, Callable[[Path], Crystals]] = {
    "irrepnet": by_irrepnet,
    "pymatgen": by_pymatgen,
    "ase": by_ase,
    "gemmi": by_gemmi,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="structure files by several readers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--differences", action="store_true", help="print the files on which readers differ")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    names = ("*.cif*", "*.mcif*", "POSCAR*", "CONTCAR*", "*.vasp*", "*xyz*")
    files = sorted({path for name in names for path in arguments.folder.rglob(name) if path.is_file()})
    files = [path for path in files if path.suffix != ".py" and path.stat().st_size < 1e6]
    for reader in READERS.values():  # imports and tables, once a process
        attempt(reader, files[0])
    results: dict[str, list[Crystals | None]] = {}
    seconds: dict[str, float] = {}
    for name, reader in READERS.items():
        start = time.process_time()
        results[name] = [attempt(reader, path) for path in files]
        seconds[name] = time.process_time() - start
    print(f"{len(files)} files; " + ", ".join(f"{name} {version(name)}" for name in ("pymatgen", "ase", "gemmi")))
    table = {}
    for name, found in results.items():
        taken = [name != "gemmi" or is_cif(path) for path in files]
        pairs = [pair for pair, is_taken in zip(zip(results["irrepnet"], found), taken) if is_taken and any(pair)]
        table[name] = {
            "crystals": sum(len(crystals or ()) for crystals in found),
            "unreadable": sum(crystals is None for crystals in found),
            "files that it or irrepnet reads": len(pairs),
            "of these the same": sum((own or None) == (other or None) for own, other in pairs),
            "seconds": round(seconds[name], 2),
            "ratio": round(seconds[name] / seconds["irrepnet"], 2),
        }
        print(f"{name:9}", ", ".join(f"{key} {value}" for key, value in table[name].items()))
    if arguments.differences:
        for k, path in enumerate(files):
            if len({str(found[k] or None) for found in results.values()}) > 1:
                print(path, *(f"\n    {name:9}{found[k]}" for name, found in results.items()), sep="")
    if arguments.json:
        arguments.json.write_text(json.dumps({"files": len(files), "readers": table}, indent=1) + "\n")


def attempt(reader: Callable[[Path], Crystals], path: Path) -> Crystals | None:
    try:
        return reader(path)
    except Exception:  # every reader has errors of its own
        return None


if __name__ == "__main__":
    main()
