"""What does it cost to make force constants symmetric, beside phonopy?

    python benchmarks/symmetrize.py [--cells 2 3]

Random force constants of cubic supercells of rock salt. Prints seconds of processor time: of ours, with the search for
the symmetry and with the report; of phonopy's mean over the space group, which does not look at indices and sum rules,
and of its projection by symfc; and the largest difference from our mean and our projection.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import CellSymmetry, symmetrised_force_constants


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[2, 3], help="conventional cells along each axis")
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    numbers = [site.specie.Z for site in salt]
    for cells in parser.parse_args().cells:
        unit = PhonopyAtoms(cell=salt.lattice.matrix, scaled_positions=salt.frac_coords, numbers=numbers)
        phonon = phonopy.Phonopy(unit, np.eye(3, dtype=int) * cells, primitive_matrix="F")
        supercell = phonon.supercell
        n = len(supercell)
        given = np.random.default_rng(0).normal(size=(n, n, 3, 3))
        phonon.force_constants = given.copy()
        structure = Structure(supercell.cell, supercell.numbers.tolist(), supercell.scaled_positions)
        search, symmetry = timed(lambda structure=structure: CellSymmetry.of(structure))
        projection = symmetrised_force_constants(symmetry, given)
        project, _ = timed(lambda projection=projection: projection.values)
        report, _ = timed(lambda projection=projection: projection.violations)
        means, _ = timed(lambda phonon=phonon: phonon.symmetrize_force_constants_by_space_group(show_drift=False))
        apart = [abs(phonon.force_constants - projection.symmetric[projection.slots.slot]).max()]
        phonon.force_constants = given.copy()
        symfc, _ = timed(
            lambda phonon=phonon: phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
        )
        apart.append(abs(phonon.force_constants - projection.values).max())
        print(
            f"{n} atoms: search {search:.3f} s, projection {project:.3f} s, report {report:.3f} s; phonopy: mean "
            f"{means:.1f} s, by symfc {symfc:.1f} s; differences {apart[0]:.0e}, {apart[1]:.0e}"
        )


if __name__ == "__main__":
    main()
