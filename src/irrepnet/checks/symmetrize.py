"""What other codes give for a crystal, made exactly symmetric: a file of values in, the same out, and a report."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import CellSymmetry, Projection, TensorKind, Violations, symmetrised_force_constants
from irrepnet.crystals.extxyz import read_frames, write_frames
from irrepnet.crystals.phonopy_files import (
    read_born,
    read_force_constants,
    write_born,
    write_force_constants,
)
from irrepnet.data import Record
from irrepnet.data.sites import SITE_QUANTITIES
from irrepnet.data.sources.crystal import BORN_CHARGES, record_of
from irrepnet.data.sources.files import id_of, lines_of, stem
from irrepnet.data.tensors import TENSORS, TOLERANCE, aligned_tensor
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_bytes
from irrepnet.groups import PointGroup
from irrepnet.groups.operations import geometry
from irrepnet.hamiltonians import (
    action,
    read_hamiltonian,
    symmetrised,
    symmetry_residual,
    violations,
    write_hamiltonian,
)
from irrepnet.hamiltonians.embedded import embedded_hamiltonians
from irrepnet.hamiltonians.formats.table import FORMATS, readable
from irrepnet.hamiltonians.symmetry import refuse_magnet
from irrepnet.inlets import json_value

BORN = SITE_QUANTITIES["born_charges"].kind
FIELD_GRADIENT = SITE_QUANTITIES["field_gradients"].kind
FORCES = TensorKind("sites", "vector", sum_rule=True)
PERMITTIVITY = TensorKind("crystal", "ij=ji")
PIEZOELECTRIC = TensorKind("crystal", "ijk=ikj")
SHIELDING = TensorKind("sites", "ij")
STIFFNESS = TensorKind("crystal", TENSORS["elastic_tensor"].formula)
STRESS = TensorKind("crystal", "ij=ji")

KNOWN: dict[str, TensorKind] = {
    **{name: TensorKind("crystal", tensor.formula) for name, tensor in TENSORS.items()},
    **{name: quantity.kind for name, quantity in SITE_QUANTITIES.items()},
    **dict.fromkeys(("force", "forces"), FORCES),
    **dict.fromkeys(("stress", "virial", "virials"), STRESS),
    "stresses": TensorKind("sites", "ij=ji"),
    "force_constants": TensorKind("pairs", "ij", sum_rule=True),
    **dict.fromkeys(BORN_CHARGES, BORN),
    **dict.fromkeys(("dielectric", "dielectric_tensor", "epsilon", "polarizability"), PERMITTIVITY),
    **dict.fromkeys(("elastic", "elastic_constants", "stiffness"), STIFFNESS),
    **dict.fromkeys(("piezoelectric", "shg"), PIEZOELECTRIC),  # shg of any frequency, not the static one alone
    **dict.fromkeys(("ms", "shielding", "shieldings", "magnetic_shielding", "nmr_shielding"), SHIELDING),
    **dict.fromkeys(("efg", "field_gradient", "electric_field_gradient"), FIELD_GRADIENT),
}
"""What is made symmetric without being told. A polarisation is not among it: it is known up to a quantum."""

MOMENTS = ("magmom", "magmoms", "initial_magmoms", "magnetic_moments")


@dataclass
class SymmetrizeOptions:
    """How values are made symmetric."""

    symprec: float = 0.01
    """Å, how far from symmetric an atom may be."""
    kinds: Mapping[str, TensorKind] = field(default_factory=dict)
    """What further quantities are, by name, or what known ones are instead."""
    only: Sequence[str] = ()
    """Names of the quantities that are looked at; all that are known by default."""
    idealise: bool = False
    """Also move lattice and atoms onto the symmetry."""
    structure: Path | None = None
    """For files that do not hold it."""
    basis: str | None = None
    """Shells of Hamiltonians, see `read_hamiltonian`."""

    @property
    def known(self) -> dict[str, TensorKind]:
        """What the quantities are that are looked at."""
        known = KNOWN | dict(self.kinds)
        if unknown := [name for name in self.only if name not in known]:
            raise IrrepnetError(f"{unknown[0]}: say what it is, as in --as '{unknown[0]}=sites ij'")
        return {name: kind for name, kind in known.items() if not self.only or name in self.only}


def symmetrize_file(
    file: str | Path, out: str | Path | None = None, options: SymmetrizeOptions | None = None
) -> dict[str, Any]:
    """Values of crystals, projected on what their space groups allow.

    Args:
        file: extended XYZ; JSON (records, pymatgen's structures, lists of them); JSON lines; phonopy's FORCE_CONSTANTS
            or BORN; a Hamiltonian of any format that is known.
        out: where the corrected file goes, in the same format; crystals that were rejected are not in it.

    Returns:
        {"file", "out", "crystals": [...], "rejected": [{"id", "reason"}]}. For each crystal its group, and for each
        quantity what was violated, in parts of its norm: see `describe_violations`.

    Raises:
        IrrepnetError: the file cannot be read, holds no quantity that is known, or cannot be written.
    """
    path, options = Path(file), options or SymmetrizeOptions()
    make = next((make for matches, make in _FORMATS if matches(path)), None)
    if make is None:
        raise IrrepnetError(
            f"{path}: of no kind that is known by its name: extended XYZ (.xyz, .extxyz), JSON (.json, .jsonl, "
            f".jsonl.gz), phonopy (FORCE_CONSTANTS*, BORN*) or a Hamiltonian: {readable()}"
        )
    crystals, rejected = [], []
    for item in make(path, None if out is None else Path(out), options):
        (rejected if "reason" in item else crystals).append(item)
    if not any(crystal["quantities"] for crystal in crystals) and not rejected:
        raise IrrepnetError(
            f"{path}: holds no quantity that is known; say what there is, as in --as 'shielding=sites ij'. Known are "
            f"{', '.join(KNOWN)}"
        )
    return {"file": str(file), "out": None if out is None else str(out), "crystals": crystals, "rejected": rejected}


# -- quantities of a crystal ----------------------------------------------------------------------------------


def symmetric_values(
    symmetry: CellSymmetry, values: Mapping[str, Any], kinds: Mapping[str, TensorKind]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Those of the values that `kinds` names, made symmetric, in the shapes in which they are; and the reports.

    Raises IrrepnetError if one of them has another shape than it should, or is given in other axes than the crystal.
    """
    found, reports = {}, []
    for name, value in values.items():
        if name not in kinds or value is None:
            continue
        try:
            projection = symmetry.project(value, kinds[name])
            _refuse_other_axes(symmetry, projection)
        except IrrepnetError as error:
            raise IrrepnetError(f"{name}: {error}") from error
        found[name] = kinds[name].write(projection.values, np.shape(value))
        reports.append(describe_projection(name, projection, symmetry))
    return found, reports


def _refuse_other_axes(symmetry: CellSymmetry, projection: Projection) -> None:
    """A tensor that fits in another frame is not noisy, and its mean in the wrong one would be nonsense."""
    kind = projection.kind
    if kind.of != "crystal" or kind.rank < 2 or projection.violations.residual <= TOLERANCE:
        return
    assert kind.tensor is not None
    try:
        found = aligned_tensor(symmetry.crystal, projection.given, kind.tensor)
    except IrrepnetError:
        return
    if found.is_reoriented:
        raise IrrepnetError(
            f"{100 * found.residual_as_given:.2g} % of it is forbidden in the axes of the lattice, "
            f"{100 * found.residual:.2g} % in another frame ({found.frame}): turn it first"
        )


def describe_projection(name: str, projection: Projection, symmetry: CellSymmetry) -> dict[str, Any]:
    """`describe_violations` with the kind, and the atoms at which the change is largest."""
    slots, kind = projection.slots, projection.kind
    report = describe_violations(name, projection.violations, slots.group, slots.operations)
    report["kind"] = str(kind)
    if kind.of != "crystal":
        axes = tuple(range(slots.slot.ndim, projection.given.ndim))
        worst = np.unravel_index(int((projection.changes**2).sum(axes).argmax()), slots.slot.shape)
        report["worst"] = [int(atom) + 1 for atom in worst]
    return report


def describe_violations(
    name: str, found: Violations, group: PointGroup, operations: np.ndarray, elements: np.ndarray | None = None
) -> dict[str, Any]:
    """What was violated, in parts of the norm of the quantity.

    Args:
        operations: (N, 3, 3) Cartesian.
        elements: (N,) of each the element of the group; by default they are the group's in its order.

    Returns:
        `norm` and `largest_change` in the unit of the quantity; `residual`, whose square is the sum of the squares of
        `translations`, all `irreps` and all `rules`; of each operation g its class, its matrix and |g T − T|.
    """
    size = found.norm or 1.0
    elements = np.arange(len(operations)) if elements is None else elements
    return {
        "name": name,
        "norm": found.norm,
        "largest_change": found.largest,
        "residual": found.residual,
        "translations": found.translations / size,
        "irreps": {label: norm / size for label, norm in found.irreps.items()},
        "rules": {label: norm / size for label, norm in found.rules.items()},
        "operations": [
            {
                "name": operation_name(matrix),
                "class": group.classes[group.class_of[element]].name,
                "matrix": matrix.tolist(),
                "residual": float(norm) / size,
            }
            for matrix, element, norm in zip(operations, elements, found.operations)
        ],
    }


def operation_name(matrix: np.ndarray) -> str:
    """Such as "C4 [0 0 1]", "S6^-1 [1 1 1]", "σ [1 0 0]" (its normal), "E" and "i"."""
    found = geometry(matrix)
    if abs(found.angle) < 1e-6:
        return "E" if found.proper else "i"
    axis = " ".join(f"{x + 0.0:.3g}" for x in (found.axis / abs(found.axis).max()).round(4))
    kind = "σ" if not found.proper and found.order == 1 else f"{'C' if found.proper else 'S'}{found.order}"
    back = "^-1" if found.turn < -1e-6 and found.order > 2 else ""
    return f"{kind}{back} [{axis}]"


def _describe_crystal(
    id: str, symmetry: CellSymmetry, quantities: list[dict[str, Any]], asked: float
) -> dict[str, Any]:
    crystal = symmetry.crystal
    notes = []
    if crystal.symprec < asked:
        notes.append(f"no group is consistent with it at symprec {asked:g} Å; this one is at {crystal.symprec:.2g} Å")
    return {
        "id": id,
        "formula": crystal.formula,
        "atoms": len(symmetry),
        "spacegroup": {"number": crystal.spacegroup_number, "symbol": crystal.spacegroup_symbol},
        "point_group": crystal.point_group.name,
        "symprec": crystal.symprec,
        "displacement": crystal.displacement,
        "strain": crystal.strain,
        "quantities": quantities,
        "notes": notes,
    }


def _note_moments(report: dict[str, Any], values: Mapping[str, Any]) -> None:
    if any(np.any(np.asarray(values[name], float)) for name in MOMENTS if values.get(name) is not None):
        report["notes"].append(
            "magnetic moments are not looked at: where they lower the symmetry, values obey fewer operations than these"
        )


# -- extended XYZ ---------------------------------------------------------------------------------------------


def _symmetrize_frames(path: Path, out: Path | None, options: SymmetrizeOptions) -> Iterator[dict[str, Any]]:
    kinds, made = options.known, []
    lines = (line.decode("utf-8-sig", errors="replace") for line in lines_of(path))
    for number, atoms in enumerate(read_frames(lines), start=1):
        id = f"{stem(path)}:{number}"
        try:
            if isinstance(atoms, IrrepnetError):
                raise atoms
            results: Any = getattr(atoms.calc, "results", {})
            record = {
                "id": id,
                "species": atoms.get_chemical_symbols(),
                "frac_coords": np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T,
                "lattice": atoms.cell.array,
            }
            symmetry = CellSymmetry.of(record, options.symprec)
            quantities, given = [], {}
            for part in (results, atoms.arrays, atoms.info):
                values, reports = symmetric_values(symmetry, part, kinds)
                given |= part
                part.update(values)
                quantities += reports
            if options.idealise:
                lattice, frac_coords = _idealised(symmetry, atoms.cell.array)
                atoms.set_cell(lattice)
                atoms.positions = frac_coords @ lattice
                if atoms.calc is not None:  # its results belong to these atoms
                    atoms.calc.atoms = atoms.copy()  # pyright: ignore[reportAttributeAccessIssue]
        except IrrepnetError as error:
            yield {"id": id, "reason": f"{path}: {error}"}
            continue
        report = _describe_crystal(id, symmetry, quantities, options.symprec)
        _note_moments(report, given)
        made.append(atoms)
        yield report
    if out is not None and made:
        if not out.name.lower().endswith((".xyz", ".extxyz")):
            raise IrrepnetError(f"{out}: extended XYZ is written as .xyz or .extxyz")
        write_frames(out, made)


def _idealised(symmetry: CellSymmetry, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lattice and fractional coordinates moved onto the symmetry, with the handedness of the lattice given."""
    ideal, sign = symmetry.idealised(), np.sign(np.linalg.det(lattice))
    return sign * ideal.lattice, sign * ideal.frac_coords


# -- JSON -----------------------------------------------------------------------------------------------------


def _symmetrize_json(path: Path, out: Path | None, options: SymmetrizeOptions) -> Iterator[dict[str, Any]]:
    """Records and pymatgen's structures: one, a list, or one a line."""
    in_lines, made = ".jsonl" in path.name.lower(), []
    lines = list(lines_of(path))
    try:
        content = [json_value(line) for line in lines if line.strip()] if in_lines else json_value(b"".join(lines))
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as JSON: {error}") from error
    entries = content if isinstance(content, list) else [content]
    for number, entry in enumerate(entries, start=1):
        id = id_of(entry, str(number))
        try:
            if not isinstance(entry, dict):
                raise IrrepnetError("not a JSON object")
            yield _symmetrize_entry(entry, id, options)
            made.append(entry)
        except IrrepnetError as error:
            yield {"id": id, "reason": f"{path}: {error}"}
    if out is not None and made:
        text = "\n".join(map(_json, made)) if in_lines else _json(made if isinstance(content, list) else made[0])
        data = (text + "\n").encode("utf-8", "backslashreplace")
        try:
            write_bytes(out, gzip.compress(data, mtime=0) if out.name.endswith(".gz") else data)
        except OSError as error:
            raise IrrepnetError(f"{out}: cannot be written: {error.strerror}") from error


def _symmetrize_entry(entry: dict[str, Any], id: str, options: SymmetrizeOptions) -> dict[str, Any]:
    """Makes the entry symmetric, in place, and reports it."""
    record = record_of(entry, id)
    symmetry = CellSymmetry.of(record, options.symprec)
    values, quantities = symmetric_values(symmetry, record.properties, options.known)
    plain = {name: value.tolist() for name, value in values.items()}
    if "sites" in entry:
        for name, value in plain.items():
            if name in (entry.get("properties") or {}):
                entry["properties"][name] = value
            else:
                for site, own in zip(entry["sites"], value):
                    site["properties"][name] = own
    else:
        entry.update(plain)
    if options.idealise:
        _idealise_entry(entry, record, symmetry)
    report = _describe_crystal(id, symmetry, quantities, options.symprec)
    _note_moments(report, record.properties)
    return report


def _idealise_entry(entry: dict[str, Any], record: Record, symmetry: CellSymmetry) -> None:
    lattice, frac_coords = _idealised(symmetry, record.lattice)
    if "sites" in entry:
        from pymatgen.core import Lattice

        entry["lattice"] = Lattice(lattice).as_dict(verbosity=1)
        for site, position in zip(entry["sites"], frac_coords):
            site["abc"], site["xyz"] = position.tolist(), (position @ lattice).tolist()
        return
    entry.pop("cell", None)
    entry["lattice_ieee" if "lattice_ieee" in entry else "lattice"] = lattice.tolist()
    entry["frac_coords"] = frac_coords.tolist()


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


# -- phonopy --------------------------------------------------------------------------------------------------


def _symmetrize_force_constants(path: Path, out: Path | None, options: SymmetrizeOptions) -> Iterator[dict[str, Any]]:
    rows, constants = read_force_constants(path)
    beside = path.with_name("SPOSCAR")
    structure = options.structure or (beside if beside.exists() else None)
    if structure is None:
        raise IrrepnetError(f"{path}: give its supercell with --structure; there is no SPOSCAR beside it")
    symmetry = CellSymmetry.of(structure, options.symprec)
    if constants.shape[1] != len(symmetry):
        raise IrrepnetError(f"{path} is of {constants.shape[1]} atoms, {structure} of {len(symmetry)}")
    projection = symmetrised_force_constants(symmetry, constants, rows)
    report = describe_projection("force_constants", projection, symmetry)
    report["worst"][0] = int(rows[report["worst"][0] - 1]) + 1
    if out is not None:
        write_force_constants(out, rows, projection.values)
    yield _describe_crystal(path.name, symmetry, [report], options.symprec)


def _symmetrize_born(path: Path, out: Path | None, options: SymmetrizeOptions) -> Iterator[dict[str, Any]]:
    content = read_born(path)
    if options.structure is None:
        raise IrrepnetError(f"{path}: give its primitive cell with --structure, in the order and the axes of the file")
    symmetry = CellSymmetry.of(options.structure, options.symprec)
    crystal, atoms = symmetry.crystal, symmetry.described.atoms
    _, first, orbit = np.unique(crystal.orbits[atoms], return_index=True, return_inverse=True)
    order = np.argsort(first)
    if len(content.charges) != len(first):
        raise IrrepnetError(
            f"{path}: holds the charges of {len(content.charges)} atoms, {options.structure} has {len(first)} orbits"
        )
    charges = np.empty((len(atoms), 3, 3))
    for atom, number in enumerate(orbit):
        start = first[number]
        g = symmetry.operations[(crystal.permutation[:, atoms[start]] == atoms[atom]).argmax()]
        charges[atom] = g @ content.charges[np.flatnonzero(order == number)[0]] @ g.T
    values, quantities = symmetric_values(
        symmetry, {"dielectric": content.permittivity, "born_charges": charges}, KNOWN
    )
    if out is not None:
        made = content._replace(permittivity=values["dielectric"], charges=values["born_charges"][first[order]])
        write_born(out, made)
    yield _describe_crystal(path.name, symmetry, quantities, options.symprec)


# -- Hamiltonians ---------------------------------------------------------------------------------------------


def _symmetrize_hamiltonian(path: Path, out: Path | None, options: SymmetrizeOptions) -> Iterator[dict[str, Any]]:
    hamiltonian = read_hamiltonian(path, options.structure, options.basis)
    basis = hamiltonian.known_basis
    act = action(basis, options.symprec)
    if basis.spinful:
        refuse_magnet(hamiltonian, symmetry_residual(hamiltonian, act))
    made, group = symmetrised(hamiltonian, act), act.group
    quantities = []
    for name in ("H", "S")[: 1 if hamiltonian.S is None else 2]:
        found = violations(hamiltonian, made, act, overlap=name == "S")
        unitary = group.operations[: len(group.elements)]
        report = describe_violations(name, found, group.point_group, unitary, group.elements)
        quantities.append(report | {"kind": "H(R)" if name == "H" else "S(R)"})
    if out is not None:
        write_hamiltonian(made, out)
    yield _describe_crystal(path.name, CellSymmetry.of(basis.cell, options.symprec), quantities, options.symprec)


# -- the table of formats -------------------------------------------------------------------------------------


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.name.lower().endswith(endings)


def _starts(name: str) -> Callable[[Path], bool]:
    return lambda path: path.name.upper().startswith(name)


def _is_hamiltonian(path: Path) -> bool:
    return str(path) in embedded_hamiltonians() or any(each.matches(path) for each in FORMATS)


Symmetrize = Callable[[Path, Path | None, SymmetrizeOptions], Iterable[dict[str, Any]]]
_FORMATS: list[tuple[Callable[[Path], bool], Symmetrize]] = [
    (_ends(".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz"), _symmetrize_frames),
    (_ends(".json", ".jsonl", ".jsonl.gz"), _symmetrize_json),
    (_starts("FORCE_CONSTANTS"), _symmetrize_force_constants),
    (_starts("BORN"), _symmetrize_born),
    (_is_hamiltonian, _symmetrize_hamiltonian),
]
"""Which files are of a format, and how they are made symmetric; the first that matches counts."""
