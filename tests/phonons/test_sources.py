"""Force constants and charges from files, written by phonopy and by hand."""

import builtins
import json
import re

import numpy as np
import pytest
from pymatgen.core import Structure
from tests.phonons.springs import conventional, spring_constants

from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.phonons import gamma_phonons, read_phonons, summed_constants

phonopy = pytest.importorskip("phonopy")
pytestmark = pytest.mark.filterwarnings("ignore:primitive_matrix defaulted")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with every file that phonopy writes of rutile in a 1×1×2 supercell, turned; and the phonopy object."""
    from phonopy.file_IO import write_FORCE_CONSTANTS, write_force_constants_to_hdf5, write_FORCE_SETS
    from phonopy.interface.vasp import write_vasp
    from phonopy.structure.atoms import PhonopyAtoms

    folder = tmp_path_factory.mktemp("phonopy")
    source = conventional("rutile")
    unit = PhonopyAtoms(
        [site.specie.symbol for site in source], cell=source.lattice.matrix, scaled_positions=source.frac_coords
    )
    phonon = phonopy.Phonopy(unit, np.diag([1, 1, 2]), primitive_matrix="auto")
    cell = phonon.supercell
    constants = spring_constants(Structure(cell.cell, cell.symbols, cell.scaled_positions))
    p2s = phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(constants, folder / "FORCE_CONSTANTS")
    write_FORCE_CONSTANTS(constants[p2s], folder / "FORCE_CONSTANTS_compact", p2s_map=p2s)
    write_force_constants_to_hdf5(constants, str(folder / "full.hdf5"))
    write_force_constants_to_hdf5(
        constants[p2s], str(folder / "compact.hdf5"), p2s_map=p2s, physical_unit="eV/angstrom^2"
    )
    write_force_constants_to_hdf5(constants, str(folder / "qe.hdf5"), physical_unit="Ry/au^2")
    write_vasp(folder / "SPOSCAR", cell)
    phonon.generate_displacements(distance=0.01)
    phonon.save(folder / "phonopy_disp.yaml")
    forces = []
    for displaced in phonon.supercells_with_displacements:
        shift = displaced.positions - cell.positions
        forces.append(-np.einsum("ijxy,jy->ix", constants, shift))
    phonon.forces = forces
    write_FORCE_SETS(phonon.dataset, folder / "FORCE_SETS")
    phonon.save(folder / "phonopy_sets.yaml", settings={"force_sets": True})
    phonon.force_constants = constants
    phonon.nac_params = {"born": charges_of(phonon.primitive), "dielectric": np.diag([7.0, 7.0, 8.0]), "factor": 14.4}
    phonon.save(folder / "phonopy_params.yaml", settings={"force_constants": True})
    phonon.nac_params = None
    phonon.force_constants = constants[p2s]
    phonon.save(folder / "phonopy_compact.yaml", settings={"force_constants": True})
    return folder, source, constants


def charges_of(cell) -> np.ndarray:
    """Isotropic, for a test of what belongs to which atom."""
    return np.array([(4.0 if symbol == "Ti" else -2.0) * np.eye(3) for symbol in cell.symbols])


def wavenumbers(folder, file: str, constants: str | None = None) -> np.ndarray:
    given = read_phonons(folder / file, None if constants is None else folder / constants)
    crystal = SymmetricCrystal.from_structure(given.cell)
    assert given.constants is not None
    found = gamma_phonons(crystal, given.constants.at_gamma(crystal)[0], masses_of(crystal))
    return np.array([v.wavenumber for v in found.vibrations])


@pytest.mark.parametrize(
    ("file", "constants"),
    [
        ("SPOSCAR", "FORCE_CONSTANTS"),
        ("SPOSCAR", "FORCE_CONSTANTS_compact"),
        ("SPOSCAR", "full.hdf5"),
        ("SPOSCAR", "compact.hdf5"),
        ("phonopy_disp.yaml", "FORCE_CONSTANTS"),
        ("phonopy_disp.yaml", "FORCE_CONSTANTS_compact"),
        ("phonopy_disp.yaml", "compact.hdf5"),
        ("phonopy_disp.yaml", "FORCE_SETS"),
        ("phonopy_sets.yaml", None),
        ("phonopy_params.yaml", None),
        ("phonopy_compact.yaml", None),
    ],
)
def test_every_file_tells_the_same(made, file, constants, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder, source, direct = made
    crystal = SymmetricCrystal.from_structure(source)
    summed = summed_constants(crystal, read_cell(folder / "SPOSCAR"), direct)
    expected = gamma_phonons(crystal, summed, masses_of(crystal))
    assert np.allclose(wavenumbers(folder, file, constants), [v.wavenumber for v in expected.vibrations], atol=2e-4)


def masses_of(crystal: SymmetricCrystal) -> list[float]:
    return [{"Ti": 47.867, "O": 15.9994}[symbol] for symbol in crystal.species]


def test_masses_of_the_file(made):
    """phonopy's, an isotope's say; without them the standard ones."""
    folder, source, _ = made
    crystal = SymmetricCrystal.from_structure(source)
    lines = (folder / "phonopy_params.yaml").read_text()
    (folder / "isotope.yaml").write_text(re.sub(r"mass: 15\.\d+", "mass: 17.999160", lines))
    for file, oxygen in (("phonopy_params.yaml", 15.9994), ("isotope.yaml", 17.99916)):
        constants = read_phonons(folder / file).constants
        assert constants is not None
        masses = constants.at_gamma(crystal)[1]
        assert masses is not None
        assert masses == pytest.approx([{"Ti": 47.867, "O": oxygen}[symbol] for symbol in crystal.species])
    constants = read_phonons(folder / "SPOSCAR", folder / "full.hdf5").constants
    assert constants is not None
    assert constants.at_gamma(crystal)[1] is None


def test_units_of_other_codes(made, tmp_path):
    """The same crystal in Bohr and Rydberg."""
    from phonopy.physical_units import get_calculator_physical_units
    from phonopy.structure.atoms import PhonopyAtoms

    folder, source, constants = made
    units = get_calculator_physical_units("qe")
    unit = PhonopyAtoms(
        [site.specie.symbol for site in source],
        cell=source.lattice.matrix / units.distance_to_A,
        scaled_positions=source.frac_coords,
    )
    phonon = phonopy.Phonopy(unit, np.diag([1, 1, 2]), primitive_matrix="auto", calculator="qe")
    phonon.force_constants = constants * units.distance_to_A / units.force_to_eVperA
    phonon.save(tmp_path / "phonopy_params.yaml", settings={"force_constants": True})
    expected = wavenumbers(folder, "phonopy_params.yaml")
    assert np.allclose(wavenumbers(tmp_path, "phonopy_params.yaml"), expected, atol=1e-3)
    text = read_phonons(tmp_path / "phonopy_params.yaml", folder / "full.hdf5")  # without a unit: that of the yaml
    with pytest.raises(IrrepnetError, match=r"is in Ry/au\^2"):
        read_phonons(folder / "SPOSCAR", folder / "qe.hdf5")
    assert text.constants is not None


def test_charges_of_phonopy(made, tmp_path):
    folder, source, _ = made
    crystal = SymmetricCrystal.from_structure(source)
    (tmp_path / "BORN").write_text("default\n7 0 0 0 7 0 0 0 8\n" + "".join(born_lines(folder)))
    for given in (
        read_phonons(folder / "phonopy_params.yaml"),
        read_phonons(folder / "phonopy_disp.yaml", born=tmp_path / "BORN"),
    ):
        assert given.charges is not None
        charges, epsilon = given.charges.at_gamma(crystal)
        expected = [(4.0 if symbol == "Ti" else -2.0) * np.eye(3) for symbol in crystal.species]
        assert np.allclose(charges, expected)
        assert epsilon is not None
        assert np.linalg.eigvalsh(epsilon) == pytest.approx([7, 7, 8])
    with pytest.raises(IrrepnetError, match=r"BORN needs its phonopy\.yaml"):
        read_phonons(folder / "SPOSCAR", folder / "FORCE_CONSTANTS", tmp_path / "BORN")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_phonons(folder / "phonopy_disp.yaml", born=tmp_path / "missing")


def born_lines(folder):
    data = phonopy.load(folder / "phonopy_disp.yaml", is_nac=False, produce_fc=False)
    for atom in data.primitive_symmetry.get_independent_atoms():
        yield " ".join(map(str, charges_of(data.primitive)[atom].ravel())) + "\n"


def test_files_of_the_folder_are_not_taken_up(made, monkeypatch):
    """phonopy would read FORCE_SETS and BORN wherever it runs; they may be another crystal's."""
    folder, _, _ = made
    monkeypatch.chdir(folder)
    given = read_phonons("phonopy_disp.yaml")
    assert given.constants is None
    assert given.charges is None


def test_charges_in_json(tmp_path):
    """In the order of the structure, or with their own; the first index is the field's, in the axes of the file."""
    source = conventional("wurtzite")
    crystal = SymmetricCrystal.from_structure(source)
    turn = crystal.rotation
    sites = [2.0 if site.specie.symbol == "Zn" else -2.0 for site in source]
    tensor = turn @ np.diag([1.0, 1.0, 1.5]) @ turn.T
    record = {
        "species": [site.specie.symbol for site in source],
        "frac_coords": source.frac_coords.tolist(),
        "lattice": source.lattice.matrix.tolist(),
        "born_charges": [(z * tensor).tolist() for z in sites],
        "e_electronic": (4 * tensor).tolist(),
    }
    (tmp_path / "all.json").write_text(json.dumps(record))
    only = {key: record[key] for key in ("born_charges", "e_electronic")}
    (tmp_path / "only.json").write_text(json.dumps(only))
    source.to(str(tmp_path / "cell.vasp"), fmt="poscar")
    other = Structure.from_sites([source[k] for k in np.random.default_rng(0).permutation(len(source))])
    other.to(str(tmp_path / "other.vasp"), fmt="poscar")
    found = [
        read_phonons(tmp_path / "all.json"),
        read_phonons(tmp_path / "cell.vasp", born=tmp_path / "only.json"),
        read_phonons(tmp_path / "other.vasp", born=tmp_path / "all.json"),
    ]
    for given in found:
        assert given.charges is not None
        own = SymmetricCrystal.from_structure(given.cell)
        charges, epsilon = given.charges.at_gamma(own)
        expected = [(2 if s == "Zn" else -2) * np.diag([1, 1, 1.5]) for s in own.species]
        assert np.allclose(charges, expected, atol=1e-6)
        assert np.allclose(epsilon, np.diag([4, 4, 6]), atol=1e-6)
    for key, value, message in (
        ("born_charges", [[1, 2]], r"born_charges are \(4, 3, 3\)"),
        ("born_charges", "many", "no numbers"),
        ("e_electronic", [1, 2], "e_electronic is 3×3"),
        ("born_charges", None, "has no key born_charges"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps(only | {key: value}))
        with pytest.raises(IrrepnetError, match=message):
            read_phonons(tmp_path / "cell.vasp", born=tmp_path / "bad.json")


TEXT = "2\n" + "\n".join(f"{i} {j}\n1 0 0\n0 1 0\n0 0 1" for i in (1, 2) for j in (1, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as FORCE_CONSTANTS"),
        ("what is this\n", "cannot be read as FORCE_CONSTANTS"),
        ("2 2 2\n", "cannot be read as FORCE_CONSTANTS"),
        ("0\n", "0 × 0 matrices"),
        (TEXT + "\n1", "there are 45 numbers, 44 are expected"),
        (TEXT.replace("2 1", "1 2"), "not in order"),
        (TEXT.replace("1 0 0", "nan 0 0"), "not finite"),
        (TEXT.replace("2\n", "1 2\n", 1), "there are 44 numbers, 22 are expected"),
    ],
)
def test_bad_text(tmp_path, text, message):
    (tmp_path / "POSCAR").write_text("NaCl\n2.8\n0 1 1\n1 0 1\n1 1 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    (tmp_path / "FC").write_text(text)
    with pytest.raises(IrrepnetError, match=re.escape(str(tmp_path / "FC")) + ".*" + message):
        read_phonons(tmp_path / "POSCAR", tmp_path / "FC")


def test_other_cells_are_refused(made, tmp_path):
    folder, source, _ = made
    source.to(str(tmp_path / "POSCAR"), fmt="poscar")
    with pytest.raises(IrrepnetError, match=r"a cell of 12 atoms, and .* has 6; give .*SPOSCAR"):
        read_phonons(tmp_path / "POSCAR", folder / "FORCE_CONSTANTS")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_phonons(tmp_path / "phonopy.yaml")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_phonons(tmp_path / "POSCAR", tmp_path / "missing")
    with pytest.raises(IrrepnetError, match="cannot be read as HDF5"):
        read_phonons(tmp_path / "POSCAR", tmp_path / "missing.hdf5")
    (tmp_path / "phonopy.yaml").write_text("unit_cell: 3\n")
    with pytest.raises(IrrepnetError, match=r"phonopy\.yaml: phonopy says"):
        read_phonons(tmp_path / "phonopy.yaml")
    (tmp_path / "phonopy.yaml").write_text("nothing: true\n")
    with pytest.raises(IrrepnetError, match="holds no unit cell"):
        read_phonons(tmp_path / "phonopy.yaml")


def test_without_phonopy(made, monkeypatch):
    folder, _, _ = made
    imported = builtins.__import__

    def without(name, *more, **named):
        if name.split(".")[0] == "phonopy":
            raise ImportError("no phonopy")
        return imported(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert read_phonons(folder / "SPOSCAR", folder / "FORCE_CONSTANTS").constants is not None
    with pytest.raises(IrrepnetError, match=r"extra irrepnet\[phonons\]"):
        read_phonons(folder / "phonopy_params.yaml")
