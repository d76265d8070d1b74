"""Wannier functions of copper (s, p, d) in the symmetry of their site, by GPAW and WannierBerri.

    python examples/wannier_copper_gpaw.py FOLDER
    irrepnet hamiltonian check FOLDER/cu_tb.dat --structure FOLDER/POSCAR

Needs GPAW with its setups, WannierBerri and irrep (here 25.7, 26.10 and 3.2). Unlike Wannier90 3.1, WannierBerri
allows a frozen window with the symmetry, and needs the irreducible k alone.
"""

# pyright: reportMissingImports=false
import sys
from pathlib import Path

from ase.build import bulk
from gpaw import GPAW, PW
from irrep.spacegroup import SpaceGroup
from wannierberri.symmetry.projections import Projection, ProjectionsSet
from wannierberri.system import System_R
from wannierberri.w90files.wandata import WannierData


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    atoms = bulk("Cu", "fcc", a=3.609)
    atoms.write(folder / "POSCAR", format="vasp")
    smearing = {"name": "fermi-dirac", "width": 0.1}
    mesh = {"size": (8, 8, 8), "gamma": True}
    atoms.calc = GPAW(mode=PW(350), xc="LDA", kpts=mesh, occupations=smearing, txt=str(folder / "scf.txt"))
    atoms.get_potential_energy()
    mesh = {"size": (4, 4, 4), "gamma": True}
    bands = atoms.calc.fixed_density(kpts=mesh, nbands=24, convergence={"bands": 16}, txt=str(folder / "bands.txt"))

    group = SpaceGroup.from_gpaw(bands)
    shells = ProjectionsSet([Projection(position_num=[0, 0, 0], orbital=l, spacegroup=group) for l in "spd"])
    files = ("mmn", "eig", "amn", "symmetrizer")
    options = {"irreducible": True, "ecut_pw": 350, "ecut_sym": 350, "IBend": 16}
    data = WannierData.from_gpaw(bands, seedname=str(folder / "cu"), projections=shells, files=files, **options)
    data.wannierise(sitesym=True, froz_min=-50, froz_max=12, outer_max=70, num_iter=100)  # eV
    System_R.from_wannierdata(data).to_tb_file(tb_file=str(folder / "cu_tb.dat"))


if __name__ == "__main__":
    main()
