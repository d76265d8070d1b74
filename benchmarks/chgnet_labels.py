"""Energies, forces and stresses by CHGNet, for `broken_symmetry.py`: run by an interpreter that has chgnet.

CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023)) is a machine-learned potential whose weights come with the
package `chgnet`; its labels are what the potential says, not density functional theory. Reads a JSON list of structures
(numbers, lattice, positions; Å) on standard input, writes a JSON list of energies (eV a cell), forces (eV/Å) and
stresses (eV/Å³, positive under tension) on standard output.
"""

import contextlib
import json
import sys
import warnings

import torch

torch.set_num_threads(1)
warnings.simplefilter("ignore")
with contextlib.redirect_stdout(sys.stderr):  # it prints to standard output
    from chgnet.model import CHGNet  # pyright: ignore[reportMissingImports] (of another environment)
    from pymatgen.core import Structure

    net = CHGNet.load(use_device="cpu", verbose=False)
    labels = []
    for given in json.load(sys.stdin):
        structure = Structure(given["lattice"], given["numbers"], given["positions"], coords_are_cartesian=True)
        found = net.predict_structure(structure)
        labels.append(
            {
                "energy": float(found["e"]) * len(structure),
                "forces": found["f"].tolist(),
                "stress": (found["s"] / 160.21766208).tolist(),
            }
        )
json.dump(labels, sys.stdout)
