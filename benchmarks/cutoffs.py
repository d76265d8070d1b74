"""What the plane-wave cutoff of the released Hamiltonians leaves: each compound against a higher one.

    python benchmarks/cutoffs.py --against 600
    python benchmarks/cutoffs.py --only "Mg*" --against 1000 --cutoff 600

Each compound of the list once, at its measured lattice constant: self-consistent with either cutoff on 3 x 3 x 3 k,
then H(k) at two random k off the mesh, and its levels with the exact S(k). Differences in meV: the largest element of
H(k) after the best H + mu S; rms of the occupied bands and of the next four, and the largest, after one common shift.
"""

import argparse
from fnmatch import fnmatch

import numpy as np
import scipy.linalg

from irrepnet.crystals import Cell
from irrepnet.hamiltonians import KohnSham, Request, released_list
from jobs import markdown

MESH = (3, 3, 3)
K = np.random.default_rng(0).random((2, 3))


def compounds(pattern: str) -> list[Request]:
    """One crystal of each compound and structure type, as it is at scale 1."""
    return [
        request
        for request in released_list().requests()
        if request.facts["scale"] == 1 and "variant" not in request.facts and fnmatch(request.name, pattern)
    ]


def hamiltonian(request: Request, cutoff: float | None) -> tuple[KohnSham, np.ndarray, np.ndarray]:
    """H (2, n, n) in eV and S of it at ``K``, with the grid of the list or the smallest for a cutoff."""
    crystal, settings = request.crystal, request.settings
    cell = Cell(crystal.lattice, crystal.frac_coords, crystal.numbers, request.name)
    grid = settings.grid if cutoff is None else None
    dft = KohnSham(cell, settings.basis, cutoff or settings.cutoff, grid, settings.temperature)
    (H,), S = dft.matrices(K, dft.converged(MESH).potential)
    return dft, H, S


def row(request: Request, cutoff: float | None, against: float) -> list[str]:
    dft, H, S = hamiltonian(request, cutoff)
    _, reference, _ = hamiltonian(request, against)
    difference = H - reference
    difference -= np.real(np.sum(difference * S.conj()) / np.sum(abs(S) ** 2)) * S
    levels = [
        np.array([scipy.linalg.eigh(*pair, eigvals_only=True) for pair in zip(one, S)])
        for one in (reference + difference, reference)
    ]
    errors, occupied = levels[0] - levels[1], -(-dft.electrons // 2)
    errors -= errors[:, :occupied].mean()
    parts = (errors[:, :occupied], errors[:, occupied : occupied + 4])
    figures = [abs(difference).max(), *(np.sqrt(np.mean(part**2)) for part in parts), abs(np.hstack(parts)).max()]
    grid = " × ".join(map(str, dft.mesh))
    return [
        request.name.rsplit("-", 1)[0],
        f"{cutoff or request.settings.cutoff:.0f}",
        grid,
        *(f"{1e3 * x:.2f}" for x in figures),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=float, default=600, help="Ry, of the reference")
    parser.add_argument("--cutoff", type=float, help="Ry, instead of what the list has")
    parser.add_argument("--only", default="*", help='names to take, such as "Mg*"')
    options = parser.parse_args()
    header = ["compound", "Ry", "grid", "largest element", "occupied bands", "next four", "worst level"]
    rows = []
    for request in compounds(options.only):
        rows.append(row(request, options.cutoff, options.against))
        print(*rows[-1], flush=True)
    print(f"\nmeV, against {options.against:.0f} Ry:\n\n{markdown(header, rows)}")


if __name__ == "__main__":
    main()
