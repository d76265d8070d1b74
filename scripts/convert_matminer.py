"""Convert the four open data sets inside matminer 0.3.2's source package into irrepnet's embedded sets.

    pip download --no-deps --no-binary :all: matminer==0.3.2
    python scripts/convert_matminer.py matminer-0.3.2.tar.gz

The argument is the source package or the folder it unpacks to. Run once, by a maintainer, with the `dev`
extra installed (spglib). Written into src/irrepnet/data/embedded: one gzipped file of JSON lines a set (one
crystal a line), index.json and matminer's licence. The same input gives the same lines; index.json holds the
sha256 of each file as it lies in the repository.

What is added to the source's numbers:

* spacegroup_number, point_group: spglib at symprec 0.01.
* lattice_ieee (piezoelectric set): the lattice turned into the frame of the IEEE standard on piezoelectricity
  (176-1987), in which the source gives its tensors.
* frame_residual: max over g in P and over components of |g·T − T|, divided by max |T|, with P the point group
  of the structure at symprec 0.1 (looser than above: a structure relaxed off its symmetry still shows the
  frame). Zero for a tensor whose frame is the lattice's; large for one given in another frame.
* frame_doubtful: frame_residual above the set's limit.
"""

import argparse
import ast
import csv
import gzip
import hashlib
import io
import json
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Structure
from pymatgen.core.tensors import Tensor

FOLDER = Path(__file__).resolve().parents[1] / "src" / "irrepnet" / "data" / "embedded"
warnings.filterwarnings("ignore", category=DeprecationWarning)  # spglib announces its next error handling

SYMPREC = 0.01
FRAME_SYMPREC = 0.1
DECIMALS = 8  # of coordinates and lattices, as many as the source gives

VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])  # (i, j) -> Voigt index in the order xx yy zz yz xz xy

MATERIALS_PROJECT = (
    "A. Jain et al., Commentary: The Materials Project: A materials genome approach to accelerating "
    "materials innovation, APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
)
LICENCE = (
    "CC BY 4.0 (Materials Project terms of use). The files come from matminer 0.3.2 (modified BSD licence, "
    "matminer-LICENSE.txt), which states no other licence for them."
)

SETS: list[dict[str, Any]] = [
    {
        "name": "formation_energy_2015",
        "file": "flla_2015.csv",
        "sha256": "35b8dbc0b92f4dc7e219fd6606c3a27bee18a9618f376cfee1ff731e306210bb",
        "description": "DFT formation energies and energies above the convex hull ('flla' in matminer).",
        "targets": ["formation_energy_per_atom", "e_above_hull"],
        "frame": "The targets are scalars: no frame.",
        "citation": [
            "F. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, Crystal structure representations "
            "for machine learning models of formation energies, Int. J. Quantum Chem. 115, 1094–1101 "
            "(2015), doi:10.1002/qua.24917",
            MATERIALS_PROJECT,
        ],
    },
    {
        "name": "elastic_tensor_2015",
        "file": "elastic_tensor.csv",
        "sha256": "f7a18c91fe5dcd51012e5b7e3a37f73aaee9087a036d61bdf9d6464b6fca51a6",
        "description": "DFT elastic stiffness tensors, 6×6 in Voigt order xx yy zz yz xz xy, and bulk and "
        "shear moduli.",
        "targets": ["elastic_tensor_original", "elastic_tensor", "K_VRH", "G_VRH"],
        "frame": "elastic_tensor_original is in the Cartesian frame of `lattice`; elastic_tensor is "
        "symmetrised and in the IEEE frame. frame_residual_original and frame_residual are their residuals "
        "in the frame of `lattice`; frame_doubtful: frame_residual_original > 0.05.",
        "tensor": "elastic_tensor_original",
        "limit": 0.05,
        "citation": [
            "M. de Jong, W. Chen, T. Angsten, A. Jain, R. Notestine, A. Gamst, M. Sluiter, C. Krishna "
            "Ande, S. van der Zwaag, J. J. Plata, C. Toher, S. Curtarolo, G. Ceder, K. A. Persson, M. "
            "Asta, Charting the complete elastic properties of inorganic crystalline compounds, Sci. Data "
            "2, 150009 (2015), doi:10.1038/sdata.2015.9",
            MATERIALS_PROJECT,
        ],
    },
    {
        "name": "dielectric_constant",
        "file": "dielectric_constant.csv",
        "sha256": "ecbd410d33c95d5b05822cff6c7c0ba809a024b4ede3855ec5efc48d5e29ea77",
        "description": "DFPT relative permittivity tensors, 3×3, electronic and total (electronic and "
        "ionic), with the refractive index and the PBE band gap.",
        "targets": ["e_electronic", "e_total", "n", "band_gap"],
        "frame": "The tensors are in the Cartesian frame of `lattice`. frame_residual is that of e_total; "
        "frame_doubtful: frame_residual > 0.05.",
        "tensor": "e_total",
        "limit": 0.05,
        "citation": [
            "I. Petousis, D. Mrdjenovich, E. Ballouz, M. Liu, D. Winston, W. Chen, T. Graf, T. D. Schladt, "
            "K. A. Persson, F. B. Prinz, High-throughput screening of inorganic compounds for the "
            "discovery of novel dielectric and optical materials, Sci. Data 4, 160134 (2017), "
            "doi:10.1038/sdata.2016.134",
            MATERIALS_PROJECT,
        ],
    },
    {
        "name": "piezoelectric_tensor",
        "file": "piezoelectric_tensor.csv",
        "sha256": "4be45c8df76a9600f789255ddcb05a92fc3807e0b96fd01e85713a58c34a2ae1",
        "description": "DFPT piezoelectric stress tensors e, 3×6 in Voigt order xx yy zz yz xz xy.",
        "targets": ["piezoelectric_tensor", "eij_max"],
        "frame": "The tensors are in the IEEE frame, that of `lattice_ieee` (which a record takes as its "
        "lattice). frame_residual is taken there; frame_doubtful: frame_residual > 0.01: the source used "
        "another choice of axes.",
        "tensor": "piezoelectric_tensor",
        "limit": 0.01,
        "citation": [
            "M. de Jong, W. Chen, H. Geerlings, M. Asta, K. A. Persson, A database to enable discovery and "
            "design of piezoelectric materials, Sci. Data 2, 150053 (2015), doi:10.1038/sdata.2015.53",
            MATERIALS_PROJECT,
        ],
    },
]


def cartesian_tensor(components: Any) -> np.ndarray:
    """The full tensor (3, ..., 3) of a 3×3 permittivity, a 3×6 piezoelectric or a 6×6 stiffness matrix.

    Stress-like Voigt components (e_ij, c_ij) carry no factors of 2.
    """
    array = np.array(components, dtype=float)
    for axis in reversed(range(array.ndim)):
        if array.shape[axis] == 6:
            array = np.moveaxis(np.moveaxis(array, axis, -1)[..., VOIGT], (-2, -1), (axis, axis + 1))
    return array


def point_operations(structure: Structure, symprec: float) -> np.ndarray:
    """Cartesian matrices (N, 3, 3) of the structure's point group, in the frame of its lattice."""
    lattice = structure.lattice.matrix
    cell = (lattice, structure.frac_coords, structure.atomic_numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)  # type: ignore[arg-type]
    if dataset is None:
        raise SystemExit(f"{structure.formula}: spglib finds no symmetry at symprec {symprec}")
    rotations = np.unique(dataset.rotations, axis=0)
    return np.einsum("ij,njk,kl->nil", lattice.T, rotations, np.linalg.inv(lattice.T))


def frame_residual(tensor: np.ndarray, operations: np.ndarray) -> float:
    """max |g·T − T| / max |T| over operations (N, 3, 3) and components of tensor (3, ..., 3), to 3 digits."""
    scale = np.abs(tensor).max()
    if scale == 0:
        return 0.0
    worst = 0.0
    for g in operations:
        turned = tensor
        for axis in range(tensor.ndim):
            turned = np.moveaxis(np.tensordot(g, turned, axes=(1, axis)), 0, axis)
        worst = max(worst, np.abs(turned - tensor).max())
    return float(f"{round(worst / scale, 9):.3g}")  # what is below 1e-9 is rounding, and the machine's own


def rounded(array: Any) -> list:
    return np.round(np.asarray(array, dtype=float), DECIMALS).tolist()


def structure_of(row: dict[str, str]) -> tuple[list, list[str], list]:
    """Lattice (3×3, Å), symbols and fractional coordinates of a row's POSCAR, or else of its structure."""
    if "poscar" in row:
        lines = row["poscar"].splitlines()
        scale, lattice = float(lines[1]), [[float(x) for x in line.split()] for line in lines[2:5]]
        counts = [int(n) for n in lines[6].split()]
        species = [s for s, n in zip(lines[5].split(), counts, strict=True) for _ in range(n)]
        if scale != 1.0 or lines[7] != "direct":
            raise SystemExit(f"{row['material_id']}: a POSCAR that this script does not know")
        sites = lines[8 : 8 + len(species)]
        return lattice, species, [[float(x) for x in line.split()[:3]] for line in sites]
    content = ast.literal_eval(row["structure"])
    species = [site["species"][0]["element"] for site in content["sites"]]
    return content["lattice"]["matrix"], species, [site["abc"] for site in content["sites"]]


def convert(row: dict[str, str], entry: dict[str, Any]) -> dict[str, Any]:
    """One line of the embedded set `entry` from one row of its source file."""
    lattice, species, frac_coords = structure_of(row)
    lattice, frac_coords = rounded(lattice), rounded(frac_coords)
    structure = Structure(lattice, species, frac_coords)
    line: dict[str, Any] = {"material_id": row["material_id"]}
    line |= {target: ast.literal_eval(row[target]) for target in entry["targets"]}
    line |= {"lattice": lattice, "species": species, "frac_coords": frac_coords}
    cell = (lattice, frac_coords, structure.atomic_numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)  # type: ignore[arg-type]
    if dataset is None:
        raise SystemExit(f"{row['material_id']}: spglib finds no symmetry")
    line |= {"spacegroup_number": int(dataset.number), "point_group": dataset.pointgroup}
    if "tensor" not in entry:
        return line
    operations = point_operations(structure, FRAME_SYMPREC)
    if entry["name"] == "piezoelectric_tensor":
        turn = Tensor.get_ieee_rotation(structure)
        line["lattice_ieee"] = rounded(np.array(lattice) @ turn.T)
        operations = turn @ operations @ turn.T
    residual = frame_residual(cartesian_tensor(line[entry["tensor"]]), operations)
    if entry["name"] == "elastic_tensor_2015":
        line["frame_residual"] = frame_residual(cartesian_tensor(line["elastic_tensor"]), operations)
        line["frame_residual_original"] = residual
    else:
        line["frame_residual"] = residual
    line["frame_doubtful"] = residual > entry["limit"]
    return line


def rows_of(content: bytes) -> Iterator[dict[str, str]]:
    """Rows of a source file: a comment line, a header, and rows that may start with an unnamed row number."""
    csv.field_size_limit(2**24)
    text = io.StringIO(content.decode("utf8"), newline="")
    next(text)
    reader = csv.reader(text)
    header = next(reader)
    for cells in reader:
        yield dict(zip(header, cells[len(cells) - len(header) :], strict=True))


def source_file(source: Path, name: str) -> bytes:
    """The content of matminer-0.3.2/`name` in the source package or its unpacked folder."""
    try:
        if source.is_dir():
            return (source / name).read_bytes()
        with tarfile.open(source) as archive:
            member = archive.extractfile(f"matminer-0.3.2/{name}")
            assert member is not None
            return member.read()
    except (OSError, KeyError, tarfile.TarError) as error:
        raise SystemExit(f"{source}: cannot read {name}: {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, help="matminer-0.3.2.tar.gz, or the folder it unpacks to")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (default: the package's own)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    index = []
    for entry in SETS:
        content = source_file(arguments.source, f"matminer/datasets/{entry['file']}")
        found = hashlib.sha256(content).hexdigest()
        if found != entry["sha256"]:
            raise SystemExit(f"{entry['file']}: sha256 {found}, expected {entry['sha256']}: not matminer 0.3.2's file")
        lines = [convert(row, entry) for row in rows_of(content)]
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
        file = f"{entry['name']}.jsonl.gz"
        (arguments.out / file).write_bytes(packed)
        keys = ("name", "description", "targets", "frame", "citation")
        index.append(
            {key: entry[key] for key in keys}
            | {
                "count": len(lines),
                "doubtful": sum(line.get("frame_doubtful", False) for line in lines),
                "licence": LICENCE,
                "source": f"matminer 0.3.2, matminer/datasets/{entry['file']}; changed by "
                "scripts/convert_matminer.py: a selection of columns, symmetry and frame checks added.",
                "file": file,
                "sha256": hashlib.sha256(packed).hexdigest(),
            }
        )
        doubtful = index[-1]["doubtful"]
        print(f"{file}: {len(lines)} crystals, {doubtful} doubtful frames, {len(packed) / 1e3:.0f} kB")
    (arguments.out / "index.json").write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
    (arguments.out / "matminer-LICENSE.txt").write_bytes(source_file(arguments.source, "LICENSE"))


if __name__ == "__main__":
    main()
