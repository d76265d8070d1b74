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
    irreps: Annotated[
        bool, typer.Option("--irreps", help="Add orbitals and tensors at the sites, vibration modes at Γ.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a crystal's space group, frame, orbits with their site symmetry, and neighbour shells."""
    import json

    from irrepnet.crystals import SymmetricCrystal

    crystal = SymmetricCrystal.from_structure(file, symprec)
    report = _report(crystal, str(file))
    if irreps:
        _add_irreps(report, crystal)
    if json_:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def _report(crystal: "SymmetricCrystal", file: str) -> dict[str, Any]:
    import numpy as np

    from irrepnet.crystals import frame_convention, frame_rotation, model_group
    from irrepnet.graphs import FrameOptions
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
            "model_group": model_group(crystal).name,
            "network_convention": frame_convention(crystal),
            "network_rotation": frame_rotation(crystal).tolist(),
            "max_frames": FrameOptions.max_frames,
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

    pairs = neighbour_shells(crystal, n_max=N_MAX)
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        indices = crystal.site_groups[number]
        site = crystal.point_group.subgroup(indices)
        mine = pairs.receiver == atom
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "multiplicity": int(crystal.multiplicities[number]),
                "atoms": np.flatnonzero(crystal.orbits == number).tolist(),
                "site_symmetry": crystal.site_symmetry[number],
                "site_group": {
                    "name": site.group.name,
                    "schoenflies": site.group.schoenflies,
                    "order": site.group.order,
                    "operations": crystal.point_group.operations[indices].tolist(),
                    "rotation": site.rotation.tolist(),
                },
                "frac_coords": crystal.frac_coords[atom].tolist(),
                "conventional_frac_coords": conventional[atom].tolist(),
                "neighbours": int(mine.sum()),
                "cut_splits_shell": bool(mine.sum() > N_MAX),
                "shells": _shells(pairs.distance[mine], [crystal.species[b] for b in pairs.sender[mine]]),
            }
        )
    return orbits


def _add_irreps(report: dict[str, Any], crystal: "SymmetricCrystal") -> None:
    """Adds `orbitals`, `tensors` and `vibrations` to the orbits, and the `vibrations` of the crystal."""
    from irrepnet.crystals import site_irreps, vibration_modes

    modes = vibration_modes(crystal)
    for number, orbit in enumerate(report["orbits"]):
        site = site_irreps(crystal, number)
        tensors = {
            "vector": site.vector,
            "field_gradient": site.field_gradient,
            "born_charge": site.born_charge,
        }
        orbit["orbitals"] = site.orbitals
        orbit["tensors"] = {
            name: {"independent": len(tensor.basis), "pattern": tensor.pattern, "basis": tensor.basis.tolist()}
            for name, tensor in tensors.items()
        }
        orbit["vibrations"] = modes.orbits[number]
    report["vibrations"] = {
        name: getattr(modes, name) for name in ("mechanical", "acoustic", "optical", "infrared", "raman", "silent")
    }


def _shells(distances: "np.ndarray", elements: list[str]) -> list[dict[str, Any]]:
    """Sorted distances in shells of which each begins more than 0.001 Å after the one before."""
    from irrepnet.crystals import shell_starts

    starts = shell_starts(distances).tolist()
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
    facts.add_row("point group", f"{point['name']} ({point['schoenflies']}), {point['system']}, order {point['order']}")
    facts.add_row("idealised by", f"atoms {report['displacement']:.1e} Å, lattice {report['strain']:.1e}")
    facts.add_row("conventional cell", _matrix(report["conventional_lattice"]) + "\nrows, Å, standard frame")
    facts.add_row("frame", _matrix(frame["rotation"]) + "\nx_input = this · x_standard")
    if not frame["fixed_by_lattice"]:
        facts.add_row("", f"{point['system']}: the lattice does not fix the axes, ITA's convention is taken")
    facts.add_row("network", f"{frame['model_group']}; {frame['network_convention']}")
    for name, count in frame["independent_frames"].items():
        alone = name == frame["model_group"] and count > frame["max_frames"]
        note = f": more than {frame['max_frames']}, so the preset runs its O(3)-invariant part alone" if alone else ""
        facts.add_row(f"frames for {name}", f"{count}{note}")
    console.print(facts)

    orbits = Table("orbit", "site symmetry", "position", "neighbours", f"cut at {N_MAX}")
    for orbit in report["orbits"]:
        shells = []
        for shell in orbit["shells"]:
            elements = ", ".join(f"{count} {element}" for element, count in shell["elements"].items())
            shells.append(f"{shell['distance']:.3f} Å: {elements}")
        orbits.add_row(
            _orbit_name(orbit),
            f"{orbit['site_symmetry']} ({orbit['site_group']['schoenflies']})",
            " ".join(f"{x:.5g}" for x in orbit["conventional_frac_coords"]),
            "\n".join(shells),
            "splits the\nlast shell" if orbit["cut_splits_shell"] else "whole shells",
        )
    console.print(orbits)
    if "vibrations" in report:
        console.print(_site_table(report["orbits"]))
        console.print(_vibrations(report))


def _site_table(orbits: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(
        "orbit",
        "site group, its axes",
        "orbitals",
        "vector",
        "field gradient",
        "Born charge",
        show_lines=True,
        caption="tensors of the first atom of the orbit, Cartesian, standard frame; a, b, … are free",
    )
    for orbit in orbits:
        group = orbit["site_group"]
        axes = [f"{x} ∥ {_direction(column)}" for x, column in zip("xyz", zip(*group["rotation"], strict=True))]
        tensors = [orbit["tensors"][name]["pattern"] for name in ("field_gradient", "born_charge")]
        table.add_row(
            _orbit_name(orbit),
            "\n".join([f"{group['name']} ({group['schoenflies']})", *axes]),
            "\n".join(f"{l}: {_sum(counts)}" for l, counts in orbit["orbitals"].items()),
            _columns([[component] for component in orbit["tensors"]["vector"]["pattern"]]),
            *map(_columns, tensors),
        )
    return table


def _vibrations(report: dict[str, Any]) -> Any:
    from rich.table import Table

    modes = report["vibrations"]
    table = Table.grid(padding=(0, 2))
    table.title = f"vibrations at Γ, irreps of {report['point_group']['name']} in the standard frame"
    table.title_justify = "left"
    table.add_row("all", _sum(modes["mechanical"]))
    for orbit in report["orbits"]:
        table.add_row(f"  of {_orbit_name(orbit)}", _sum(orbit["vibrations"]))
    table.add_row("acoustic", _sum(modes["acoustic"]))
    for name, label in (("infrared", "infrared active"), ("raman", "Raman active"), ("silent", "silent")):
        table.add_row(label, _sum(modes[name]))
    return table


def _orbit_name(orbit: dict[str, Any]) -> str:
    return f"{orbit['element']} {orbit['multiplicity']}{orbit['wyckoff']}"


def _sum(counts: dict[str, int]) -> str:
    """ "A1g + 2Eu", "none" """
    return " + ".join(f"{n if n > 1 else ''}{label}" for label, n in counts.items()) or "none"


def _direction(vector: tuple[float, ...]) -> str:
    """A Cartesian direction, scaled to a largest component of 1: "[1 1 0]", "[1 0.577 0]"."""
    largest = max(map(abs, vector))
    return "[" + " ".join(f"{round(x / largest, 3) + 0.0:g}" for x in vector) + "]"


def _columns(rows: list[list[str]]) -> str:
    """The rows with the entries of each column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(" ".join(x.rjust(w) for x, w in zip(row, widths, strict=True)) for row in rows)


def _matrix(rows: list[list[float]]) -> str:
    return "\n".join(" ".join(f"{round(x, 4) + 0.0:8.4f}" for x in row) for row in rows)
