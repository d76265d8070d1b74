"""`irrepnet symmetry`: what the symmetry search makes of a structure file."""

from typing import Annotated, Any

import typer

from irrepnet.cli.options import File, Json, Symprec
from irrepnet.cli.printing import in_lines, in_sum, leave_if_left_out, plain_console, print_json


def symmetry(
    file: File,
    symprec: Symprec = 0.01,
    irreps: Annotated[
        bool, typer.Option("--irreps", help="Add orbitals and tensors at the sites, vibration modes at Γ.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show a crystal's space group, frame, orbits with their site symmetry, and neighbour shells.

    Exit code 1 if the file holds more that cannot be read, 2 if nothing can.
    """
    from irrepnet.crystals.reports import describe_crystal
    from irrepnet.graphs import FrameOptions

    report = describe_crystal(file, FrameOptions.max_frames, symprec, irreps)
    if json_:
        print_json(report)
    else:
        _print(report)
    leave_if_left_out(report["notes"])


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from irrepnet.crystals.reports import N_MAX

    console = plain_console()
    space, point, frame = report["spacegroup"], report["point_group"], report["frame"]
    facts = Table.grid(padding=(0, 2))
    for note in report["notes"]:
        facts.add_row("note", Text(note))
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
        orbits.add_row(
            _orbit_name(orbit),
            f"{orbit['site_symmetry']} ({orbit['site_group']['schoenflies']})",
            " ".join(f"{x:.5g}" for x in orbit["conventional_frac_coords"]),
            in_lines(orbit["shells"]),
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
            "\n".join(f"{l}: {in_sum(counts)}" for l, counts in orbit["orbitals"].items()),
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
    table.add_row("all", in_sum(modes["mechanical"]))
    for orbit in report["orbits"]:
        table.add_row(f"  of {_orbit_name(orbit)}", in_sum(orbit["vibrations"]))
    table.add_row("acoustic", in_sum(modes["acoustic"]))
    for name, label in (("infrared", "infrared active"), ("raman", "Raman active"), ("silent", "silent")):
        table.add_row(label, in_sum(modes[name]))
    return table


def _orbit_name(orbit: dict[str, Any]) -> str:
    return f"{orbit['element']} {orbit['multiplicity']}{orbit['wyckoff']}"


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
