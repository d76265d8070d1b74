"""Hamiltonians of our own: from a list of crystals to files of independent numbers, by density functional theory.

For each crystal, in its primitive cell and standard frame: self-consistency on a mesh of k, H(k) of the final
potential and H0(k) of free atoms' density (one pass, no cycle) for one k of each star of a denser mesh, and from these
H(R), H0(R) and S(R): the sum over all k is the symmetric part of that over one k of each star, so that `reduced` does
the rest. What was reached is checked against direct calculations at k off the mesh and written with the numbers.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg

from irrepnet import __version__
from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.files import locked, part_of
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.dft.crystal_list import Request, Settings, named_crystals
from irrepnet.hamiltonians.dft.kohn_sham import KohnSham, kmesh, scf_mesh
from irrepnet.hamiltonians.formats.own import read_provenance, write_reduced
from irrepnet.hamiltonians.model import BOHR, Hamiltonian
from irrepnet.hamiltonians.reduced import ReducedHamiltonian, reduced
from irrepnet.hamiltonians.symmetry import irreducible
from irrepnet.workers import end_with

_OVERLAP = 1e-7  # of the most diffuse orbitals, at the radius of H(R)
_LEAST_RADIUS = 10.0  # Å
_NEGLIGIBLE = 1e-6  # eV, and of S: bonds with no larger element are left out
_CHECKED = 2  # k off the mesh
_IMAGES = 2  # operations that each of these is checked under, beside time reversal


def generate(request: Request) -> ReducedHamiltonian:
    """H, S and H0 of one crystal; `provenance` says what was asked and reached, its "checks" are those of `_checks`.

    Raises IrrepnetError if PySCF is missing or has no data for an element, or self-consistency is not reached.
    """
    started = time.process_time()
    dft, plan = _set_up(request)
    found = dft.converged(plan.scf_kmesh, request.settings.tolerance)
    free = dft.free_potential(plan.scf_kmesh)
    made = _reduced(dft, plan, found.potential, free, fermi=found.fermi)
    provenance = _provenance(request, dft, plan, made) | {
        "cycles": found.cycles,
        "last_change": found.change,
        "checks": _checks(dft, made, found.potential, free),
        "seconds": round(time.process_time() - started, 1),
    }
    return replace(made, provenance=provenance)


def start(request: Request) -> ReducedHamiltonian:
    """S and H0 of one crystal without self-consistency, H0 in place of H too: what a prediction of H − H0 begins with.

    Raises IrrepnetError as `generate` does.
    """
    dft, plan = _set_up(request)
    free = dft.free_potential(plan.scf_kmesh)
    made = _reduced(dft, plan, free, free)
    return replace(made, provenance=_provenance(request, dft, plan, made))


def seconds_of_start(request: Request) -> float:
    """About how long `start` takes on one core, as measured with crystals of 2 to 6 atoms on a machine of 2023."""
    dft, plan = _set_up(request)
    values = math.prod(dft.mesh) * len(irreducible(dft.action, plan.kmesh)[0]) * len(dft.basis)  # of orbitals
    return values * (2.4e-7 + 1.7e-9 * len(dft.basis))


@dataclass(frozen=True)
class _Plan:
    """What follows from a request, crystal and orbitals."""

    radius: float
    kmesh: tuple[int, int, int]
    scf_kmesh: tuple[int, int, int]
    formula: str
    spacegroup: str


def _set_up(request: Request) -> tuple[KohnSham, _Plan]:
    settings, crystal = request.settings, request.crystal
    cell = Cell(crystal.lattice, crystal.frac_coords, crystal.numbers, request.name)
    dft = KohnSham(cell, settings.basis, settings.cutoff, settings.grid, settings.temperature)
    diffuse = BOHR * float(np.sqrt(-2 * np.log(_OVERLAP) / dft.smallest_exponent))
    radius = settings.radius or max(_LEAST_RADIUS, diffuse)
    mesh = settings.kmesh or kmesh(cell.lattice, 2 * radius)
    coarse = settings.scf_kmesh or scf_mesh(cell.lattice)
    return dft, _Plan(radius, mesh, coarse, crystal.formula, crystal.spacegroup_symbol)


def _reduced(
    dft: KohnSham, plan: _Plan, potential: np.ndarray, free: np.ndarray, fermi: float | None = None
) -> ReducedHamiltonian:
    """H, S and H0 of two potentials, by the mesh of k for H(R)."""
    k, weights = irreducible(dft.action, plan.kmesh)
    (H, H0), S = dft.matrices(k, potential, free)
    cells = _cells_within(dft, plan.radius)
    phases = np.exp(-2j * np.pi * (cells @ k.T)) * weights
    H, S, H0 = (np.real(np.tensordot(phases, blocks, 1)) for blocks in (H, S, H0))
    whole = Hamiltonian(cells, H, S, dft.basis, fermi, dft.basis.cell.name, H0=H0)
    return reduced(whole, cutoff=plan.radius, negligible=_NEGLIGIBLE).in_single_precision()


def _provenance(request: Request, dft: KohnSham, plan: _Plan, made: ReducedHamiltonian) -> dict[str, Any]:
    return {
        "request": request.model_dump(mode="json"),
        "formula": plan.formula,
        "spacegroup": plan.spacegroup,
        "electrons": dft.electrons,
        "orbitals": len(dft.basis),
        "numbers": len(made),
        "grid": list(dft.mesh),
        "grid_cutoff": dft.cutoff,
        "kmesh": list(plan.kmesh),
        "radius": plan.radius,
        "versions": {"irrepnet": __version__, "pyscf": version("pyscf")},
    }


def _cells_within(dft: KohnSham, radius: float) -> np.ndarray:
    """(cells, 3) int, those that hold an atom at most `radius` Å from one in the home cell."""
    return np.unique(bonds_within(dft.basis, radius)[:, 2:], axis=0)


def _checks(dft: KohnSham, made: ReducedHamiltonian, potential: np.ndarray, free: np.ndarray) -> dict[str, float]:
    """Against direct calculations at random k off the mesh, in eV.

    hermiticity: largest element of H(k) − H(k)ᴴ and H(−k) − H(k)*, that is of H(R) − H(−R)ᵀ and of its imaginary part.
    symmetry: largest element of H(W⁻ᵀk) − U H(k) Uᴴ, each side calculated directly; of H, H0 and S.
    valence, conduction: root mean square difference of the occupied and the next four bands from those of the file;
    H0: the same of occupied bands of H0; worst: the largest of these differences.
    """
    random = np.random.default_rng(0)
    act, occupied = dft.action, -(-dft.electrons // 2)
    hamiltonian = made.expand()
    first = replace(hamiltonian, H=hamiltonian.H0, H0=None)
    hermiticity, symmetry, differences, free_differences = 0.0, 0.0, [], []
    for k in random.random((_CHECKED, 3)):
        operations = random.choice(len(act.group), min(_IMAGES, len(act.group)), replace=False)
        images = [k @ np.linalg.inv(act.group.rotations[g]) for g in operations]
        (H, H0), S = dft.matrices([k, -k, *images], potential, free)
        operators = act.on_bloch_sums(operations.tolist(), k)
        for blocks in (H, H0, S):
            hermiticity = max(
                hermiticity,
                float(abs(blocks[0] - blocks[0].conj().T).max()),
                float(abs(blocks[1] - blocks[0].conj()).max()),
            )
            turned = operators @ blocks[0] @ operators.conj().transpose(0, 2, 1)
            symmetry = max(symmetry, float(abs(blocks[2:] - turned).max()))
        for own, matrix, into in ((hamiltonian, H, differences), (first, H0, free_differences)):
            into.append(own.eigenvalues(k) - scipy.linalg.eigh(matrix[0], S[0], eigvals_only=True))
    bands, free_bands = np.array(differences), np.array(free_differences)[:, :occupied]
    conduction = bands[:, occupied : occupied + 4]
    return {
        "hermiticity": hermiticity,
        "symmetry": symmetry,
        "valence": _root_mean_square(bands[:, :occupied]),
        "conduction": _root_mean_square(conduction),
        "H0": _root_mean_square(free_bands),
        "worst": float(abs(bands[:, : occupied + 4]).max()),
    }


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


# -- many crystals


@dataclass(frozen=True)
class Progress:
    """How far a batch is."""

    name: str
    """The crystal that was finished last."""
    error: str | None
    """Why it failed."""


def path_of(request: Request, folder: Path) -> Path:
    return folder / f"{request.name}.safetensors"


def is_finished(request: Request, folder: Path) -> bool:
    """Whether the folder holds a readable file of exactly this request."""
    path = path_of(request, folder)
    try:
        return path.is_file() and read_provenance(path).get("request") == request.model_dump(mode="json")
    except IrrepnetError:
        return False


def generate_all(
    requests: Sequence[Request], folder: Path, workers: int = 1, dask: str | None = None
) -> Iterator[Progress]:
    """Make those that the folder does not hold yet, each in a process of its own; yields each as it ends.

    A file is there or is not: it is written under another name first, and one batch at a time works in the folder.
    A crystal that fails, or whose process is killed, is reported and does not stop the others.

    Args:
        workers: processes at a time, of this machine.
        dask: address of a Dask scheduler, to work there instead; its workers must see the folder.

    Raises IrrepnetError if the folder cannot be written, another process works in it, or the scheduler is not
    reached.
    """
    try:
        with locked(folder):
            for part in folder.glob(part_of(Path("*.safetensors")).name):
                part.unlink()  # of processes that were killed
            waiting = [request for request in requests if not is_finished(request, folder)]
            yield from _on_dask(waiting, folder, dask) if dask else _in_processes(waiting, folder, workers)
    except OSError as error:
        raise IrrepnetError(f"{folder}: cannot be written: {error.strerror or error}") from error


def generate_named(
    sources: Sequence[str],
    folder: Path,
    settings: Settings,
    scales: tuple[float, ...] = (1.0,),
    workers: int = 1,
    dask: str | None = None,
    track: Callable[[Iterator[Progress], int], Iterable[Progress]] = lambda ended, total: ended,
) -> dict[str, Any]:
    """`generate_all` of what the words name; {"out": folder, "made": names, "skipped": names, "failures": {name: why}}.

    A word that names nothing, or a crystal with the name of another, is a failure by the word.

    Args:
        sources, settings, scales: as `named_crystals` takes them.
        folder, workers, dask: as `generate_all` takes them.
        track: passes on the crystals as they end, of which there will be so many; to show how far it is.

    Raises IrrepnetError as `generate_all` does, or if the only word names nothing.
    """
    named: dict[str, Request] = {}
    origin: dict[str, str] = {}
    refused: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        try:
            for request in named_crystals(source, settings, scales):
                key = request.name.casefold()  # of file systems that do not tell letters by their case
                first = origin.setdefault(key, source)
                if named.setdefault(key, request) != request or first != source:
                    refused[source] = (
                        f"its crystal {request.name} would have the file of that of {first}; rename one of the two, or "
                        "give each an --out folder of its own"
                    )
        except IrrepnetError as error:
            if len(sources) == 1:
                raise
            refused[source] = str(error)
    requests = list(named.values())
    skipped = [request.name for request in requests if is_finished(request, folder)]
    ended = list(track(generate_all(requests, folder, workers, dask), len(requests) - len(skipped)))
    return {
        "out": str(folder),
        "made": [each.name for each in ended if each.error is None],
        "skipped": skipped,
        "failures": refused | {each.name: each.error for each in ended if each.error is not None},
    }


def _make(request: Request, folder: Path) -> str | None:
    """Make one file; why not, if it fails."""
    try:
        write_reduced(generate(request), path_of(request, folder))
    except IrrepnetError as error:
        return str(error)
    except Exception as error:  # whatever PySCF or linear algebra meets in one crystal must not stop the others
        return f"{type(error).__name__}: {error}"
    return None


def _in_processes(waiting: Sequence[Request], folder: Path, workers: int) -> Iterator[Progress]:
    context = get_context("spawn")
    queue, running = list(reversed(waiting)), {}
    try:
        while queue or running:
            while queue and len(running) < workers:
                request = queue.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(request, folder, theirs, os.getpid()), daemon=True)
                process.start()
                theirs.close()
                running[process.sentinel] = request, process, ours
            for sentinel in connection.wait(list(running)):
                request, process, ours = running.pop(sentinel)
                process.join()
                try:
                    error = ours.recv()
                except EOFError:
                    error = f"its process ended with code {process.exitcode}; was there enough memory?"
                yield Progress(request.name, error)
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for request, process, _ in running.values():
            process.join()
            part_of(path_of(request, folder)).unlink(missing_ok=True)


def _work(request: Request, folder: Path, answer: connection.Connection, parent: int) -> None:
    """In a process of its own, which ends with the one that has started it; Ctrl-C is for that one."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    end_with(parent)
    answer.send(_make(request, folder))


def _on_dask(waiting: Sequence[Request], folder: Path, address: str) -> Iterator[Progress]:
    try:
        from distributed import Client, as_completed  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise IrrepnetError("--dask needs Dask: pip install 'irrepnet[dask]'") from error
    try:
        client = Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise IrrepnetError(f"{address}: no Dask scheduler answers there: {error}") from error
    return _from_dask(client, as_completed, waiting, folder.resolve())


def _from_dask(client: Any, as_completed: Any, waiting: Sequence[Request], folder: Path) -> Iterator[Progress]:
    with client:
        tasks = {client.submit(_make, request, folder, pure=False): request for request in waiting}
        for task in as_completed(tasks):
            failure = task.exception()
            error = task.result() if failure is None else f"{type(failure).__name__}: {failure}"
            yield Progress(tasks[task].name, error)
