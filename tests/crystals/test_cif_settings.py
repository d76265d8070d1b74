"""Every setting of International Tables, by every name that files give it: two atoms in general positions.

Oracle: gemmi's operations of the setting, applied here one by one.
"""

import gemmi
import numpy as np
import pytest

from irrepnet.crystals import cells_in
from irrepnet.errors import IrrepnetError

SETTINGS = list(gemmi.spacegroup_table())
ATOMS = {"Si": (0.1237, 0.2783, 0.4019), "O": (0.0571, 0.4187, 0.2123)}
ICSD = {"1": "S", "2": "Z", "H": "H", "R": "R"}


def a_cell(setting: gemmi.SpaceGroup) -> list[float]:
    """Parameters of a cell of about 15 Å that has the symmetry and no more."""
    start = np.array([[15.0, 0, 0], [1.1, 16.3, 0], [0.7, 1.9, 18.1]])
    metric = start @ start.T
    rotations = [np.array(operation.rot) / operation.DEN for operation in setting.operations()]
    metric = np.mean([rotation.T @ metric @ rotation for rotation in rotations], axis=0)
    lengths = np.sqrt(np.diag(metric))
    cosines = metric / np.outer(lengths, lengths)
    return [*lengths, *np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))]


def a_cif(setting: gemmi.SpaceGroup, **named: object) -> str:
    keys = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *(f"_cell_{key} {value:.6f}" for key, value in zip(keys, a_cell(setting)))]
    lines += [f"_{tag} '{value}'" if "'" not in str(value) else f'_{tag} "{value}"' for tag, value in named.items()]
    lines += ["loop_", "_atom_site_label", *(f"_atom_site_fract_{axis}" for axis in "xyz")]
    lines += [f"{symbol}1 {x} {y} {z}" for symbol, (x, y, z) in ATOMS.items()]
    return "\n".join(lines) + "\n"


def positions(setting: gemmi.SpaceGroup) -> set[tuple]:
    found = set()
    for symbol, point in ATOMS.items():
        for operation in setting.operations():
            image = np.array(operation.apply_to_xyz(list(point))) % 1.0
            found.add((symbol, *np.rint(image * 1e4).astype(int) % 10000))
    return found


def read(tmp_path, text: str) -> set[tuple]:
    file = tmp_path / "x.cif"
    file.write_text(text)
    (cell,) = cells_in(file)
    if isinstance(cell, IrrepnetError):
        raise cell
    symbols = {14: "Si", 8: "O"}
    points = np.rint(cell.frac_coords * 1e4).astype(int) % 10000
    return {(symbols[int(number)], *point) for number, point in zip(cell.numbers, points)}


def forms(setting: gemmi.SpaceGroup) -> dict[str, dict[str, object]]:
    """How databases and programs write the setting."""
    hm, hall, number, name = (
        "symmetry_space_group_name_H-M",
        "space_group_name_Hall",
        "space_group_IT_number",
        setting.hm,
    )
    ending = setting.ext.strip("\x00 ")
    short = " ".join(part for part in name.split() if part != "1")
    is_short = setting.crystal_system_str() == "monoclinic"
    found = {
        "symbol": {hm: setting.xhm()},
        "spaced ending": {hm: f"{name} :{ending}" if ending else name},
        "no spaces": {hm: setting.xhm().replace(" ", "")},
        "new tag": {"space_group_name_H-M_alt": setting.xhm()},
        "symbol and number": {hm: setting.xhm(), number: setting.number},
        "Hall": {hall: setting.hall},
        "Hall and symbol": {hall: setting.hall, hm: name},
        "Hall, symbol and number": {hall: setting.hall, hm: name, number: setting.number},
        "upper case": {hm: setting.xhm().upper()},
    }
    if ending:
        found["ICSD"] = {hm: f"{name} {ICSD[ending]}"}
    if ending in "12" and ending:
        found["FINDSYM"] = {hm: f"{name} (origin choice {ending})"}
    if ending in ("H", "R"):
        found["axes by the cell"] = {hm: name}
        found["axes by the cell, and number"] = {hm: name, number: setting.number}
    if is_short:
        found["short"] = {hm: short}
        found["short and number"] = {hm: short.replace(" ", ""), number: setting.number}
    if setting.is_reference_setting() and not ending:
        found["number"] = {number: setting.number}
    if len(name.split()) == 4 and name.split()[2] == "-3":
        found["of before 1983"] = {hm: name.replace("-3", "3") + (f":{ending}" if ending else "")}
    return found


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting.number} {setting.xhm()}")
def test_every_setting_by_every_name(tmp_path, setting):
    expected = positions(setting)
    for form, named in forms(setting).items():
        if read(tmp_path, a_cif(setting, **named)) != expected:
            pytest.fail(f"{form}: {named}")
