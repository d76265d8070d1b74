"""Wannier functions of copper (s, p, d) with and without the symmetry of their site.

    python examples/wannier_copper.py FOLDER

Runs Quantum ESPRESSO (pw.x, pw2wannier90.x) and Wannier90 (wannier90.x) and prints how far both Hamiltonians are from
obeying the crystal's symmetry. The method is that of Sakuma, Phys. Rev. B 87, 235109 (2013). On Debian:
apt install quantum-espresso quantum-espresso-data wannier90.
"""

import argparse
import os
import subprocess
from itertools import product
from pathlib import Path

from irrepnet.hamiltonians import action, read_hamiltonian, symmetry_residual

BOHR = 0.529177210903  # Å
CONSTANT = 6.82  # bohr
MESH = 4
BANDS = 16  # nine functions are made of these, up to 60 eV: p is high above the d bands

POINTS = [tuple(i / MESH for i in numbers) for numbers in product(range(MESH), repeat=3)]

PW = """\
&control
  calculation = '{calculation}', prefix = 'cu', outdir = 'out', pseudo_dir = '{pseudo}'
/
&system
  ibrav = 2, celldm(1) = {constant}, nat = 1, ntyp = 1, ecutwfc = 30, ecutrho = 240, nbnd = {bands}
  occupations = 'smearing', smearing = 'mv', degauss = 0.02
/
&electrons
  conv_thr = 1d-10
/
ATOMIC_SPECIES
Cu 63.55 Cu.pz-d-rrkjus.UPF
ATOMIC_POSITIONS crystal
Cu 0 0 0
K_POINTS {points}
"""

# lattice vectors as pw.x has them for ibrav = 2; a frozen window and site_symmetry exclude each other in Wannier90 3.1
WIN = """\
num_wann = 9
num_bands = {bands}
dis_win_max = 60
dis_num_iter = 20
num_iter = 0
write_tb = .true.
{symmetry}
begin projections
Cu : s
Cu : p
Cu : d
end projections
begin unit_cell_cart
bohr
{minus} 0 {half}
0 {half} {half}
{minus} {half} 0
end unit_cell_cart
begin atoms_frac
Cu 0 0 0
end atoms_frac
mp_grid = {mesh} {mesh} {mesh}
begin kpoints
{points}
end kpoints
"""

PW2WAN = """\
&inputpp
  outdir = 'out', prefix = 'cu', seedname = 'cu', write_amn = .true., write_mmn = .true., write_dmn = .true.
/
"""


def run(folder: Path, *command: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    path = folder / f"{Path(command[0]).stem}.log"
    with path.open("a") as log:
        try:
            done = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment)
        except FileNotFoundError:
            raise SystemExit(f"{command[0]} is not installed: see the first lines of this script") from None
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: see {path}")


def write_inputs(folder: Path, pseudo: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = {"constant": CONSTANT, "bands": BANDS, "pseudo": pseudo}
    mesh = "automatic\n8 8 8 0 0 0"
    (folder / "scf.in").write_text(PW.format(calculation="scf", points=mesh, **values))
    weighted = "\n".join("{:.8f} {:.8f} {:.8f} 1".format(*point) for point in POINTS)
    mesh = f"crystal\n{len(POINTS)}\n{weighted}"
    (folder / "nscf.in").write_text(PW.format(calculation="nscf", points=mesh, **values))
    (folder / "pw2wan.in").write_text(PW2WAN)
    listed = "\n".join("{:.8f} {:.8f} {:.8f}".format(*point) for point in POINTS)
    for seed, symmetry in (("cu", "site_symmetry = .true.\nsymmetrize_eps = 1d-9"), ("free", "")):
        half = CONSTANT / 2
        text = WIN.format(bands=BANDS, symmetry=symmetry, half=half, minus=-half, mesh=MESH, points=listed)
        (folder / f"{seed}.win").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pseudo", type=Path, default=Path("/usr/share/espresso/pseudo"), help="of Cu.pz-d-rrkjus.UPF")
    arguments = parser.parse_args()
    folder = arguments.folder
    write_inputs(folder, arguments.pseudo)
    run(folder, "pw.x", "-in", "scf.in")
    run(folder, "pw.x", "-in", "nscf.in")
    run(folder, "wannier90.x", "-pp", "cu")
    run(folder, "pw2wannier90.x", "-in", "pw2wan.in")
    for kind in ("amn", "mmn", "eig"):
        (folder / f"free.{kind}").write_bytes((folder / f"cu.{kind}").read_bytes())
    for seed, name in (("cu", "with site symmetry"), ("free", "without")):
        run(folder, "wannier90.x", seed)
        hamiltonian = read_hamiltonian(folder / f"{seed}_tb.dat")
        residual = symmetry_residual(hamiltonian, action(hamiltonian.known_basis)).symmetry
        print(f"{name:20} {1000 * residual:.1e} meV", flush=True)


if __name__ == "__main__":
    main()
