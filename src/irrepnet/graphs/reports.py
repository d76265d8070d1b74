"""What a crystal's hypergraph consists of, as a plain document."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal, find_neighbours, shell_starts, split_shells
from irrepnet.graphs import HypergraphOptions, hyperedge_type, hypergraph


def describe_hypergraph(file: str | Path, options: HypergraphOptions) -> dict[str, Any]:
    """Hyperedges and features of a structure file, its neighbours, and the shells that a cut would split.

    Raises IrrepnetError if the file cannot be read or the options do not fit it.
    """
    crystal = SymmetricCrystal.from_structure(file, options.symprec)
    made = hypergraph(crystal, options)
    types = {}
    for name, incidences in made.types.items():
        kind = hyperedge_type(name)
        total = float(kind.build(crystal, options).weight.sum())
        types[name] = {
            "hyperedges": round(total) if abs(total - round(total)) < 1e-6 else total,
            "classes": len(incidences.features),
            "features": [{"name": column.name, "size": column.size} for column in kind.columns(options)],
        }
    return {
        "file": str(file),
        "formula": crystal.formula,
        "spacegroup": {"number": crystal.spacegroup_number, "symbol": crystal.spacegroup_symbol},
        "neighbours": options.neighbours,
        "cutoff": options.cutoff,
        "n_max": options.n_max,
        "atoms": len(crystal),
        "nodes": len(made),
        "types": types,
        "orbits": _orbits(crystal, options),
        "failures": list(made.failures),
    }


def _orbits(crystal: SymmetricCrystal, options: HypergraphOptions) -> list[dict[str, Any]]:
    found = find_neighbours(crystal, options)
    split = {
        shell.orbit: {"distance": shell.distance, "size": shell.size, "kept": shell.kept}
        for shell in split_shells(crystal, options.n_max, options.cutoff, options.tolerance)
    }
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        own = found.select(found.receiver == atom)
        starts = shell_starts(own.distance, options.tolerance)
        shells = []
        for start, senders in zip(starts, np.split(own.sender, starts[1:]), strict=True):
            elements = Counter(sorted(crystal.species[sender] for sender in senders))
            shells.append({"distance": float(own.distance[start]), "count": len(senders), "elements": elements})
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "atoms": int((crystal.orbits == number).sum()),
                "site_symmetry": crystal.site_symmetry[number],
                "neighbours": len(own.sender),
                "shells": shells,
                "split_shell": split.get(number),
            }
        )
    return orbits
