"""What do reading a Hamiltonian, H(k) and the mean over a space group cost, beside other ways and codes?

    python benchmarks/speed/hamiltonians.py [--rounds 5] [--peers PYTHON]

* A _hr.dat of 40 functions and 2,007 cells, 161 MB, made of random numbers in a temporary folder: read by irrepnet, by
  PythTB, TBmodels and WannierBerri where they are installed (for the interpreter PYTHON, by default this one), and as a
  bare table of numbers.
* H(k) of that size on 4,000 k, real and complex, beside the plain sum of exp(2πi k·R) H(R) by one complex product.
* The mean over the space group, beside that by one operation at a time (in cells that are given), and the violations of
  all operations.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from measure import costs, parser, print_versions, run, table

N, CELLS = 40, 2007
FOLDER = Path(os.environ.get("MADE", "."))
HR = FOLDER / "made_hr.dat"
PEERS = ("pythtb", "tbmodels", "wannierberri")
CRYSTALS = {
    "SrTiO3": ("Sr:sp,Ti:spd,O:spd", 18.0),
    "TiO2": ("Ti:spdd,O:sp", 14.0),
    "Si": ("spd", 25.0),
}
"""{file of the examples: (shells, Å up to which there are cells)}; 40, 44 and 18 orbitals."""


def blocks():
    """R (cells, 3), the nearest to 0 and with each its reverse, and Hermitian random H (cells, n, n)."""
    import numpy as np

    points = np.stack(np.unravel_index(np.arange(25**3), (25, 25, 25)), axis=1) - 12
    points = points[np.lexsort([*points.T, (points**2).sum(1)])]
    half = points[(points @ [10_000, 100, 1]) > 0][: CELLS // 2]
    R = np.concatenate([-half[::-1], [[0, 0, 0]], half])
    H = np.random.default_rng(0).normal(size=(CELLS, N, N, 2)) @ [1, 1j]
    return R, (H + H[::-1].conj().transpose(0, 2, 1)) / 2


def make_files() -> None:
    """A _hr.dat, and the lattice and centres that PythTB wants."""
    R, H = blocks()
    with HR.open("w") as file:
        file.write(f"random\n{N:12d}\n{CELLS:12d}\n")
        for start in range(0, CELLS, 15):
            file.write("    1" * min(15, CELLS - start) + "\n")
        for (x, y, z), block in zip(R.tolist(), H):
            rows = enumerate(block.T.ravel().tolist())
            file.writelines(
                f"{x:5d}{y:5d}{z:5d}{m % N + 1:5d}{m // N + 1:5d}{value.real:12.6f}{value.imag:12.6f}\n"
                for m, value in rows
            )
    (FOLDER / "made.win").write_text("begin unit_cell_cart\nang\n5 0 0\n0 5 0\n0 0 5\nend unit_cell_cart\n")
    (FOLDER / "made_centres.xyz").write_text(f"{N}\ncentres\n" + "X 0.0 0.0 0.0\n" * N)


# -- reading


def read_irrepnet() -> Callable[[], object]:
    from irrepnet.hamiltonians import read_hamiltonian

    bare = FOLDER / "bare"  # without the .win, which has no projections
    bare.mkdir(exist_ok=True)
    if not (bare / HR.name).exists():
        (bare / HR.name).symlink_to(HR)
    return lambda: read_hamiltonian(bare / HR.name)


def read_table() -> Callable[[], object]:
    import numpy as np

    return lambda: np.loadtxt(HR, skiprows=3 - (-CELLS // 15))


def read_pythtb() -> Callable[[], object]:
    pythtb = import_module("pythtb")
    reader = getattr(pythtb, "W90", None) or pythtb.w90  # from version 2 on
    return lambda: reader(str(FOLDER), "made")


def read_tbmodels() -> Callable[[], object]:
    model = import_module("tbmodels").Model
    return lambda: model.from_wannier_files(hr_file=str(HR))


def read_wannierberri() -> Callable[[], object]:
    import numpy as np

    system = import_module("wannierberri.system").System_R
    return lambda: system.from_hr_file(str(FOLDER / "made"), np.zeros((N, 3)), 5 * np.eye(3))


# -- H(k)


def bloch(is_complex: bool, plain: bool) -> Callable[[], object]:
    import numpy as np

    from irrepnet.hamiltonians import Hamiltonian

    R, H = blocks()
    hamiltonian = Hamiltonian(R, H if is_complex else H.real.copy())
    k = np.random.default_rng(1).normal(size=(4000, 3))
    if not plain:
        return lambda: hamiltonian.H_at(k)
    return lambda: np.tensordot(np.exp(2j * np.pi * (k @ R.T)), hamiltonian.H, 1)


# -- symmetry


def symmetrise(name: str, what: str) -> Callable[[], object]:
    import numpy as np

    from irrepnet.crystals import SymmetricCrystal
    from irrepnet.hamiltonians import Hamiltonian, action, crystal_basis, symmetrised, violations
    from irrepnet.hamiltonians.model import cell_index
    from irrepnet.hamiltonians.orbitals import shells_by_element

    shells, radius = CRYSTALS[name]
    crystal = SymmetricCrystal.from_structure(Path(__file__).parents[2] / "examples" / f"{name}.cif")
    basis = crystal_basis(crystal, shells_by_element(shells, crystal.species))
    points = np.stack(np.unravel_index(np.arange(25**3), (25, 25, 25)), axis=1) - 12
    R = points[np.linalg.norm(points @ basis.cell.lattice, axis=1) <= radius]
    H = np.random.default_rng(0).normal(size=(len(R), len(basis), len(basis)))
    hamiltonian, act = Hamiltonian(R, H, basis=basis), action(basis)
    made = symmetrised(hamiltonian, act)
    if what == "mean":
        return lambda: symmetrised(hamiltonian, act)
    if what == "violations":
        return lambda: violations(hamiltonian, made, act)

    def one_at_a_time() -> np.ndarray:
        index = cell_index(made.R)
        total = np.zeros(made.H.shape)
        sites = range(len(basis.centres))
        for a, b in ((a, b) for a in sites for b in sites):
            own = H[:, basis.orbitals[a][:, None], basis.orbitals[b]]
            for g in range(len(act.group)):
                a2, b2, images = act.images(g, a, b, R)
                moved = act.matrices[a][g] @ own @ act.matrices[b][g].T
                total[index(images)[:, None, None], basis.orbitals[a2][:, None], basis.orbitals[b2]] += moved
        total /= len(act.group)
        return (total + total[index(-made.R)].transpose(0, 2, 1)) / 2

    assert np.allclose(one_at_a_time(), made.H, rtol=0, atol=1e-12)
    return one_at_a_time


READING = {
    "irrepnet": read_irrepnet,
    "a table, NumPy": read_table,
    "pythtb": read_pythtb,
    "tbmodels": read_tbmodels,
    "wannierberri": read_wannierberri,
}
BLOCH = {
    "H(k), real": lambda: bloch(False, False),
    "plain sum, real": lambda: bloch(False, True),
    "H(k), complex": lambda: bloch(True, False),
    "plain sum, complex": lambda: bloch(True, True),
}
SYMMETRY = {
    f"{name}: {what}": lambda name=name, what=what: symmetrise(name, what)
    for name in CRYSTALS
    for what in ("mean", "one operation at a time", "violations")
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--peers", default=sys.executable, help="an interpreter that has them")
    arguments = arguments.parse_args()
    print_versions("numpy", "scipy", "moyopy")
    print_versions(*PEERS, python=arguments.peers)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MADE"] = folder
        costs(__file__, ["make files"], 1)
        print(f"\nreading {N} functions, {CELLS} cells")
        table(costs(__file__, READING, arguments.rounds, dict.fromkeys(PEERS, arguments.peers)), "irrepnet")
        print(f"\nH(k) on 4,000 k, {N} functions, {CELLS} cells")
        table(costs(__file__, BLOCH, arguments.rounds), "H(k), real")
    print("\nmean over the space group")
    found = costs(__file__, SYMMETRY, arguments.rounds)
    for name in CRYSTALS:
        table({job: cost for job, cost in found.items() if job.startswith(name)}, f"{name}: mean")


if __name__ == "__main__":
    JOBS = {"make files": lambda: make_files, **READING, **BLOCH, **SYMMETRY}
    run(JOBS) if sys.argv[1:2] == ["--job"] else main()
