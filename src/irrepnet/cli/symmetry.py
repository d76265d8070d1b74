"""`irrepnet symmetry`: what the symmetry search makes of a structure file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

    from irrepnet.crystals import SymmetricCrystal

N_MAX = 12
"""The usual number of neighbours to cut at."""


def symmetry(
    file: Annotated[Path, typer.Argument(help="A structure file: CIF, POSCAR, extended XYZ or JSON.")],
    symprec: Annotated[float, typer.Option(help="How far from symmetric an atom may be, Å.")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a crystal's space group, frame, orbits with their site symmetry, and neighbour shells."""
    import json

    from irrepnet.crystals import SymmetricCrystal

    report = _report(SymmetricCrystal.from_structure(file, symprec), str(file))
    if json_:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def _report(crystal: "SymmetricCrystal", file: str) -> dict[str, Any]:
    import numpy as np

    from irrepnet.groups import PointGroup

    group = crystal.point_group
    conventional = crystal.cart_coords @ np.linalg.inv(crystal.conventional_lattice) % 1.0
    frames = {name: _frames(group.operations, PointGroup(name)) for name in ("m-3m", "6/mmm")}
    return {
        "file": file,
        "formula": crystal.formula,
        "spacegroup": {
            "number": crystal.spacegroup_number,
            "symbol": crystal.spacegroup_symbol,
            "hall_number": crystal.hall_number,
        },
        "point_group": {
            "name": group.name,
            "schoenflies": group.schoenflies,
            "system": group.system,
            "order": group.order,
            "operations": group.operations.tolist(),
        },
        "frame": {
            "rotation": crystal.rotation.tolist(),
            "rotation_determinant": float(np.linalg.det(crystal.rotation)),
            "fixed_by_lattice": crystal.frame_is_fixed,
            "independent_frames": {name: count for name, count in frames.items() if count},
        },
        "symprec": crystal.symprec,
        "displacement": crystal.displacement,
        "strain": crystal.strain,
        "lattice": crystal.lattice.tolist(),
        "conventional_lattice": crystal.conventional_lattice.tolist(),
        "species": list(crystal.species),
        "frac_coords": crystal.frac_coords.tolist(),
        "wyckoff": list(crystal.wyckoff),
        "rotations": crystal.rotations.tolist(),
        "translations": crystal.translations.tolist(),
        "permutation": crystal.permutation.tolist(),
        "orbits": _orbits(crystal, conventional),
    }


def _frames(operations: "np.ndarray", model_group: Any) -> int | None:
    """|G|/|P|, the frames that a network of group G needs for this crystal; None if G does not contain P."""
    from irrepnet.errors import IrrepnetError

    try:
        model_group.indices(operations)
    except IrrepnetError:
        return None
    return model_group.order // len(operations)


def _orbits(crystal: "SymmetricCrystal", conventional: "np.ndarray") -> list[dict[str, Any]]:
    import numpy as np

    from irrepnet.crystals import neighbour_shells
    from irrepnet.groups import identify

    pairs = neighbour_shells(crystal, n_max=N_MAX)
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        matrices = crystal.point_group.operations[crystal.site_groups[number]]
        site_group, _ = identify(matrices)
        mine = pairs.receiver == atom
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "multiplicity": int(crystal.multiplicities[number]),
                "atoms": np.flatnonzero(crystal.orbits == number).tolist(),
                "site_symmetry": crystal.site_symmetry[number],
                "site_group": {
                    "name": site_group.name,
                    "schoenflies": site_group.schoenflies,
                    "order": len(matrices),
                    "operations": matrices.tolist(),
                },
                "frac_coords": crystal.frac_coords[atom].tolist(),
                "conventional_frac_coords": conventional[atom].tolist(),
                "neighbours": int(mine.sum()),
                "cut_splits_shell": bool(mine.sum() > N_MAX),
                "shells": _shells(pairs.distance[mine], [crystal.species[b] for b in pairs.sender[mine]]),
            }
        )
    return orbits


def _shells(distances: "np.ndarray", elements: list[str]) -> list[dict[str, Any]]:
    """Sorted distances in shells of which each begins more than 0.001 Å after the one before."""
    import numpy as np

    starts = np.flatnonzero(np.diff(distances, prepend=-1.0) > 1e-3).tolist()
    shells = []
    for start, stop in zip(starts, [*starts[1:], len(distances)], strict=True):
        within = elements[start:stop]
        shells.append(
            {
                "distance": float(distances[start]),
                "count": stop - start,
                "elements": {element: within.count(element) for element in sorted(set(within))},
            }
        )
    return shells


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    space, point, frame = report["spacegroup"], report["point_group"], report["frame"]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("formula", f"{report['formula']}, {len(report['species'])} atoms in the primitive cell")
    facts.add_row("space group", f"{space['symbol']} ({space['number']}), found at {report['symprec']:g} Å")
    facts.add_row(
        "point group", f"{point['name']} ({point['schoenflies']}), {point['system']}, order {point['order']}"
    )
    facts.add_row("idealised by", f"atoms {report['displacement']:.1e} Å, lattice {report['strain']:.1e}")
    facts.add_row("conventional cell", _matrix(report["conventional_lattice"]) + "\nrows, Å, standard frame")
    facts.add_row("frame", _matrix(frame["rotation"]) + "\nx_input = this · x_standard")
    if not frame["fixed_by_lattice"]:
        facts.add_row("", f"{point['system']}: the lattice does not fix the axes, ITA's convention is taken")
    for name, count in frame["independent_frames"].items():
        facts.add_row(f"frames for {name}", str(count))
    console.print(facts)

    orbits = Table("orbit", "site symmetry", "position", "neighbours", f"cut at {N_MAX}")
    for orbit in report["orbits"]:
        shells = []
        for shell in orbit["shells"]:
            elements = ", ".join(f"{count} {element}" for element, count in shell["elements"].items())
            shells.append(f"{shell['distance']:.3f} Å: {elements}")
        orbits.add_row(
            f"{orbit['element']} {orbit['multiplicity']}{orbit['wyckoff']}",
            f"{orbit['site_symmetry']} ({orbit['site_group']['schoenflies']})",
            " ".join(f"{x:.5g}" for x in orbit["conventional_frac_coords"]),
            "\n".join(shells),
            "splits the\nlast shell" if orbit["cut_splits_shell"] else "whole shells",
        )
    console.print(orbits)


def _matrix(rows: list[list[float]]) -> str:
    return "\n".join(" ".join(f"{round(x, 4) + 0.0:8.4f}" for x in row) for row in rows)
