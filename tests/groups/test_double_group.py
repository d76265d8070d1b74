"""Double groups against spgrep's spinor representations, published characters, and what any group must obey."""

import pickle

import numpy as np
import pytest
from scipy.linalg import block_diag, expm

from irrepnet.errors import IrrepnetError
from irrepnet.groups import (
    PAULI,
    POINT_GROUPS,
    SETTINGS,
    DoubleGroup,
    PointGroup,
    angular_momentum,
    harmonic_matrices,
    jz_to_real,
    spinor_matrices,
    wigner_matrices,
)

ROOT2, ROOT3 = np.sqrt(2), np.sqrt(3)
EIGHTH, TWELFTH = np.exp(1j * np.pi / 4), np.exp(1j * np.pi / 6)
OMEGA = np.exp(2j * np.pi / 3)
# Koster, Dimmock, Wheeler and Statz, Properties of the Thirty-Two Point Groups (1963): {group: ({class of the table:
# an operation of it}, {irrep: characters})}. Of conjugate irreps which is which, and of C2' and σ the sign, are matters
# of sense; those of C2 and σ that are not zero are taken up to sign.
KOSTER = {
    "O": (("6C4", "8C3", "6C2", "12C2'"), {"Γ6": (ROOT2, 1, 0, 0), "Γ7": (-ROOT2, 1, 0, 0), "Γ8": (0, -1, 0, 0)}),
    "Td": (("6S4", "8C3", "6C2", "12σd"), {"Γ6": (ROOT2, 1, 0, 0), "Γ7": (-ROOT2, 1, 0, 0), "Γ8": (0, -1, 0, 0)}),
    "T": (("4C3", "4C3^2", "6C2"), {"Γ5": (1, 1, 0), "Γ6": (OMEGA, OMEGA**2, 0), "Γ7": (OMEGA**2, OMEGA, 0)}),
    "D4": (("2C4", "2C2", "4C2'"), {"Γ6": (ROOT2, 0, 0), "Γ7": (-ROOT2, 0, 0)}),
    "C4v": (("2C4", "2C2", "4σv"), {"Γ6": (ROOT2, 0, 0), "Γ7": (-ROOT2, 0, 0)}),
    "D2d": (("2S4", "2C2", "4C2'"), {"Γ6": (ROOT2, 0, 0), "Γ7": (-ROOT2, 0, 0)}),
    "D6": (("2C6", "2C3", "2C2"), {"Γ7": (ROOT3, 1, 0), "Γ8": (-ROOT3, 1, 0), "Γ9": (0, -2, 0)}),
    "C6v": (("2C6", "2C3", "2C2"), {"Γ7": (ROOT3, 1, 0), "Γ8": (-ROOT3, 1, 0), "Γ9": (0, -2, 0)}),
    "D3h": (("2S3", "2C3", "2σh"), {"Γ7": (ROOT3, 1, 0), "Γ8": (-ROOT3, 1, 0), "Γ9": (0, -2, 0)}),
    "C3v": (("2C3", "3σv"), {"Γ4": (1, 0), "Γ5": (-1, 1j), "Γ6": (-1, -1j)}),
    "D3": (("2C3", "3C2'"), {"Γ4": (1, 0), "Γ5": (-1, 1j), "Γ6": (-1, -1j)}),
    "D2": (("2C2(z)", "2C2(x)"), {"Γ5": (0, 0)}),
    "C2v": (("2C2(z)", "2σ(yz)"), {"Γ5": (0, 0)}),
    "C3": (("C3", "C3^2"), {"Γ4": (TWELFTH**2, TWELFTH**-2), "Γ5": (TWELFTH**-2, TWELFTH**2), "Γ6": (-1, -1)}),
    "C4": (
        ("C4", "C2"),
        {"Γ5": (EIGHTH, 1j), "Γ6": (EIGHTH**-1, -1j), "Γ7": (-EIGHTH, 1j), "Γ8": (-(EIGHTH**-1), -1j)},
    ),
    "C6": (
        ("C6", "C3", "C2"),
        {
            "Γ7": (TWELFTH, TWELFTH**2, 1j),
            "Γ8": (TWELFTH**-1, TWELFTH**-2, -1j),
            "Γ9": (-TWELFTH, TWELFTH**2, -1j),
            "Γ10": (-(TWELFTH**-1), TWELFTH**-2, 1j),
            "Γ11": (1j, -1, -1j),
            "Γ12": (-1j, -1, 1j),
        },
    ),
    "C3h": (
        ("C3", "σh"),
        {
            "Γ7": (TWELFTH**2, 1j),
            "Γ8": (TWELFTH**-2, -1j),
            "Γ9": (TWELFTH**2, -1j),
            "Γ10": (TWELFTH**-2, 1j),
            "Γ11": (-1, -1j),
            "Γ12": (-1, 1j),
        },
    ),
    "C2": (("C2",), {"Γ3": (1j,), "Γ4": (-1j,)}),
    "Cs": (("σh",), {"Γ3": (1j,), "Γ4": (-1j,)}),
    "C1": ((), {"Γ2": ()}),
}  # fmt: skip


@pytest.fixture(params=SETTINGS)
def double(request) -> DoubleGroup:
    return DoubleGroup(request.param)


def test_one_object_for_all_names():
    assert DoubleGroup("Oh") is DoubleGroup("m-3m") is DoubleGroup(PointGroup("Oh"))
    assert pickle.loads(pickle.dumps(DoubleGroup("Oh"))) is DoubleGroup("Oh")
    assert repr(DoubleGroup("Oh")) == "DoubleGroup('m-3m')"
    with pytest.raises(IrrepnetError, match="unknown point group"):
        DoubleGroup("m3n")


def test_spinors_turn_spins(double):
    """u (n·σ) uᴴ = (R n)·σ for the proper part R, det u = 1, and products are those of the table."""
    signs = np.linalg.det(double.operations)[:, None, None]
    u = double.spinors
    turned = np.einsum("gab,ibc,gdc->giad", u, PAULI, u.conj())
    assert np.allclose(turned, np.einsum("gji,jab->giab", signs * double.operations, PAULI), atol=1e-14)
    assert np.allclose(np.linalg.det(u), 1)
    table = double.multiplication
    assert np.allclose(u[:, None] @ u, u[table], atol=1e-14)
    assert np.allclose(double.operations[:, None] @ double.operations, double.operations[table], atol=1e-14)
    assert (table[0] == np.arange(double.order)).all()
    assert (table[np.arange(double.order), double.inverse] == 0).all()


def test_classes_are_those_of_the_matrices(double):
    pairs = np.concatenate([double.operations.reshape(-1, 9), double.spinors.reshape(-1, 4)], 1)
    keys = {tuple(row.round(6) + 0.0): number for number, row in enumerate(pairs)}
    assert sorted(i for c in double.classes for i in c.indices) == list(range(double.order))
    for own in double.classes:
        R, u = double.operations[own.indices[0]], double.spinors[own.indices[0]]
        moved_R = double.operations @ R @ double.operations.transpose(0, 2, 1)
        moved_u = double.spinors @ u @ double.spinors.conj().transpose(0, 2, 1)
        moved = np.concatenate([moved_R.reshape(-1, 9), moved_u.reshape(-1, 4)], 1)
        assert {keys[tuple(row.round(6) + 0.0)] for row in moved} == set(own.indices)
        assert (double.class_of[list(own.indices)] == double.classes.index(own)).all()
    names = [c.name for c in double.classes]
    assert len(set(names)) == len(names)
    assert names[:2] == ["E", "Ē"]


def test_irreps_are_all_and_unitary_and_obey_the_table(double):
    assert len(double.irreps) == len(double.classes)
    assert sum(irrep.dim**2 for irrep in double.irreps) == double.order
    assert sum(irrep.dim**2 for irrep in double.double_valued) == double.group.order
    for irrep in double.irreps:
        products = irrep.matrices[:, None] @ irrep.matrices
        assert np.allclose(products, irrep.matrices[double.multiplication], atol=1e-13)
        assert np.allclose(irrep.matrices @ irrep.matrices.conj().transpose(0, 2, 1), np.eye(irrep.dim), atol=1e-14)
        sign = -1 if irrep in double.double_valued else 1
        assert np.allclose(irrep.matrices[double.group.order], sign * np.eye(irrep.dim), atol=1e-14)
    table = np.array([irrep.characters for irrep in double.irreps])
    assert np.allclose(table @ table.conj().T, double.order * np.eye(len(table)), atol=1e-11)
    labels = [irrep.label for irrep in double.irreps]
    assert len(set(labels)) == len(labels)
    assert [i.label for i in double.single_valued] == [i.label for i in double.group.complex_irreps]


def in_a_lattice(double: DoubleGroup) -> tuple[np.ndarray, np.ndarray]:
    """Lattice vectors (rows) that the group keeps, and its operations in them."""
    lattice = np.eye(3)
    if double.group.system in ("trigonal", "hexagonal"):
        lattice = np.array([[1, 0, 0], [-0.5, ROOT3 / 2, 0], [0, 0, 1.3]])
    return lattice, np.rint(np.linalg.inv(lattice.T) @ double.group.operations @ lattice.T).astype(int)


def test_corepresentations_of_spgrep(double):
    """With time reversal, as many and as large."""
    spgrep = pytest.importorskip("spgrep")
    lattice, rotations = in_a_lattice(double)
    theirs, *_ = spgrep.get_spacegroup_spinor_irreps_from_primitive_symmetry(
        lattice,
        np.concatenate([rotations, rotations]),
        np.zeros((2 * len(rotations), 3)),
        np.repeat([0, 1], len(rotations)),
        kpoint=np.zeros(3),
    )
    ours = [labels for labels in double.corepresentations if double.is_double_valued(labels[0])]
    dims = sorted(sum(double.irrep(label).dim for label in labels) for labels in ours)
    assert dims == sorted(matrices.shape[1] for matrices in theirs)


def test_characters_of_spgrep(double):
    """Every double-valued irrep is one of spgrep's, and the other way round; its signs of u are its own."""
    spinor = pytest.importorskip("spgrep.spinor")
    lattice, rotations = in_a_lattice(double)
    theirs, _, unitary = spinor.enumerate_spinor_small_representations(lattice, rotations)
    n = double.group.order
    signs = np.einsum("gij,gij->g", unitary, double.spinors[:n].conj()).real / 2
    assert np.allclose(abs(signs), 1)
    ours = np.array([irrep.characters[:n] for irrep in double.double_valued])
    found = np.array([signs * np.trace(matrices, axis1=1, axis2=2) for matrices in theirs])
    assert len(found) == len(ours)
    overlaps = abs(found.conj() @ ours.T) / n
    assert np.allclose(np.sort(overlaps, axis=0)[-1], 1)
    assert np.allclose(overlaps.sum(), len(ours))


@pytest.mark.parametrize("name", KOSTER)
def test_characters_of_koster(name):
    double = DoubleGroup(name)
    columns, rows = KOSTER[name]
    assert [double.aliases(irrep.label)["koster"] for irrep in double.double_valued] == list(rows)
    by_name = {c.name: c.indices[0] for c in double.classes}
    for label, characters in rows.items():
        irrep = double.irrep(label)
        own = irrep.characters[[by_name[column] for column in columns]]
        conjugate = double.irrep(double.conjugate(label)).characters[[by_name[column] for column in columns]]
        senses = [own * sign for sign in _senses(columns)] + [conjugate * sign for sign in _senses(columns)]
        assert any(np.allclose(values, characters, atol=1e-12) for values in senses), (label, own, characters)


def _senses(columns):
    """Signs of the characters of C2 and σ, whose lifts ±u no angle tells apart."""
    free = [name.lstrip("0123456789").startswith(("C2", "σ")) for name in columns]
    return [np.where(free, sign, 1) for sign in (1, -1)]


@pytest.mark.parametrize("name", [name for name in POINT_GROUPS if "i" in PointGroup(name).setting.generators])
def test_inversion_makes_two_of_each(name):
    """Γ± of G × Ci from Γ of G: what Koster's tables say of the groups with inversion."""
    double = DoubleGroup(name)
    half = len(double.double_valued) // 2
    inversion = double.group.index(-np.eye(3))
    for even, odd in zip(double.double_valued[:half], double.double_valued[half:]):
        assert (even.label[:-1], even.label[-1] + odd.label[-1]) == (odd.label[:-1], "gu")
        assert np.allclose(even.matrices[inversion], np.eye(even.dim))
        assert np.allclose(odd.matrices[inversion], -np.eye(odd.dim))
        plus, minus = (double.aliases(irrep.label)["koster"] for irrep in (even, odd))
        assert (plus[:-1], plus[-1] + minus[-1]) == (minus[:-1], "+-")


def test_labels_of_altmann_and_herzig():
    def names(group):
        double = DoubleGroup(group)
        return [double.aliases(irrep.label)["altmann-herzig"] for irrep in double.double_valued]

    assert names("O") == ["E1/2", "E5/2", "F3/2"]
    assert names("D6") == ["E1/2", "E5/2", "E3/2"]
    assert names("D3") == ["E1/2", "1E3/2", "2E3/2"]
    assert names("T") == ["E1/2", "1F3/2", "2F3/2"]
    assert names("C3") == ["1E1/2", "2E1/2", "A3/2"]
    assert names("C1") == ["A1/2"]


def test_other_names_are_understood():
    double = DoubleGroup("Oh")
    assert {double.irrep(name).label for name in ("F̄g", "Γ8+", "G8+", "F3/2g")} == {"F̄g"}
    assert double.aliases("T1u") == {"koster": "Γ4-", "miller-love": "GM4-"}
    assert DoubleGroup("T").aliases("1E") == {}
    with pytest.raises(IrrepnetError, match="no irrep 'Γ9'"):
        double.irrep("Γ9")


@pytest.mark.parametrize("j", [0, 0.5, 1, 1.5, 2, 3.5])
def test_wigner_matrices_are_exponentials(j):
    """exp(−iθ n·J) with J from ladders, of rotations that are in no group."""
    rng = np.random.default_rng(5)
    m = np.arange(j, -j - 1, -1)
    raising = np.diag(np.sqrt(j * (j + 1) - m[1:] * (m[1:] + 1)), 1)
    J = np.array([(raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m)])
    for _ in range(5):
        axis = rng.normal(size=3)
        axis, angle = axis / np.linalg.norm(axis), rng.uniform(0, 4 * np.pi)
        u = expm(-0.5j * angle * np.tensordot(axis, PAULI, 1))
        assert np.allclose(wigner_matrices(u[None], j)[0], expm(-1j * angle * np.tensordot(axis, J, 1)), atol=1e-12)
    assert np.allclose(wigner_matrices(-np.eye(2)[None], j), (-1) ** round(2 * j) * np.eye(round(2 * j) + 1))


@pytest.mark.parametrize("l", range(4))
def test_integer_spins_are_the_harmonics(l):
    proper = PointGroup("432").operations
    change = jz_to_real(l).conj()[:, ::-1]  # of coefficients, and with m = l … −l
    assert np.allclose(
        change @ wigner_matrices(spinor_matrices(proper), l) @ change.conj().T, harmonic_matrices(proper, l, 1)
    )


def test_no_such_spin():
    with pytest.raises(IrrepnetError, match="angular momentum"):
        wigner_matrices(np.eye(2)[None], 0.7)
    with pytest.raises(IrrepnetError, match="angular momentum"):
        DoubleGroup("Oh").subduce(-0.5, 1)


@pytest.mark.parametrize("j", [0.5, 1.5, 2, 2.5, 3.5, 4.5])
@pytest.mark.parametrize("parity", [1, -1])
def test_subduction(double, j, parity):
    """Intertwiners, complete; multiplicities by the characters sin((2j+1) φ/2) / sin(φ/2)."""
    bases = double.subduce(j, parity)
    matrices = (
        wigner_matrices(double.spinors, j) * np.where(np.linalg.det(double.operations) < 0, parity, 1)[:, None, None]
    )
    for label, copies in bases.items():
        irrep = double.irrep(label)
        assert double.is_double_valued(label) == (round(2 * j) % 2 == 1)
        for basis in copies:
            assert np.allclose(irrep.matrices @ basis, basis @ matrices, atol=1e-12)
    rows = np.concatenate([copies.reshape(-1, round(2 * j) + 1) for copies in bases.values()])
    assert np.allclose(rows @ rows.conj().T, np.eye(round(2 * j) + 1), atol=1e-12)
    half = np.arccos(np.clip(np.trace(double.spinors, axis1=1, axis2=2).real / 2, -1, 1))
    m = np.arange(-j, j + 1)
    characters = np.cos(2 * np.multiply.outer(half, m)).sum(1)
    characters = characters * np.where(np.linalg.det(double.operations) < 0, parity, 1)
    for irrep in double.irreps:
        count = np.vdot(irrep.characters, characters).real / double.order
        assert round(count) == pytest.approx(count, abs=1e-10) == len(bases.get(irrep.label, ()))


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_coupling(name):
    """Γ^c U = U (Γ^a ⊗ Γ^b), unitary, first coefficient positive, and as many as `product` says; all pairs."""
    double = DoubleGroup(name)
    irreps = double.irreps if double.order <= 24 else double.irreps[:: 1 if double.order <= 48 else 3]
    for a in irreps:
        for b in irreps:
            counts = double.product(a.label, b.label)
            characters = a.characters * b.characters
            assert sum(double.irrep(c).dim * n for c, n in counts.items()) == a.dim * b.dim
            rows = []
            for c, number in counts.items():
                assert number == pytest.approx(np.vdot(double.irrep(c).characters, characters).real / double.order)
                U = double.coupling(a.label, b.label, c)
                assert U.shape == (number, double.irrep(c).dim, a.dim, b.dim)
                left = np.einsum("gcd,ndij->gncij", double.irrep(c).matrices, U)
                right = np.einsum("ncij,gik,gjl->gnckl", U, a.matrices, b.matrices, optimize=True)
                assert np.allclose(left, right, atol=1e-12)
                leading = [copy.flat[np.argmax(copy != 0)] for copy in U]
                assert all(abs(z.imag) < 1e-12 < z.real for z in leading)
                rows.append(U.reshape(-1, a.dim * b.dim))
            rows = np.concatenate(rows)
            assert np.allclose(rows @ rows.conj().T, np.eye(len(rows)), atol=1e-12)
    assert double.coupling(double.trivial.label, irreps[-1].label, irreps[-1].label).shape[0] == 1


def test_coupling_of_spin_and_orbital_is_clebsch_gordan():
    """p ⊗ spin in Oh: Γ4- ⊗ Γ6+ = Γ6- + Γ8-, the levels j = 1/2 and 3/2 of L·S."""
    double = DoubleGroup("Oh")
    L = jz_to_real(1).conj() @ angular_momentum(1) @ jz_to_real(1).T  # on coefficients of x, y, z
    LS = np.einsum("iab,icd->acbd", L, PAULI / 2).reshape(6, 6)
    assert double.product("T1u", "Γ6+") == {"Ē1u": 1, "F̄u": 1}
    for label, value in (("Ē1u", -1.0), ("F̄u", 0.5)):
        rows = double.coupling("T1u", "Γ6+", label)[0].reshape(-1, 6)
        assert np.allclose(rows @ LS @ rows.conj().T, value * np.eye(len(rows)))


def test_time_reversal_joins_levels(double):
    """Levels of generic Hermitian matrices that commute with G and with T are corepresentations, one each."""
    rng = np.random.default_rng(3)
    spins = (0.5, 1.5, 2.5)
    blocks = [(j, parity) for j in spins for parity in (1, -1)]
    improper = np.linalg.det(double.operations) < 0
    matrices = [
        wigner_matrices(double.spinors, j) * np.where(improper, parity, 1)[:, None, None] for j, parity in blocks
    ]
    D = np.array([block_diag(*(own[g] for own in matrices)) for g in range(double.order)])
    # T = exp(−iπ J_y) K
    turn = block_diag(*(wigner_matrices(np.array([[[0, -1], [1, 0]]], complex), j)[0] for j, _ in blocks))
    H = rng.normal(size=D[0].shape) + 1j * rng.normal(size=D[0].shape)
    H = np.mean(D @ (H + H.conj().T) @ D.conj().transpose(0, 2, 1), axis=0)
    H = H + turn @ H.conj() @ turn.conj().T
    energies, states = np.linalg.eigh(H)
    dims = {tuple(sorted(c)): sum(double.irrep(label).dim for label in c) for c in double.corepresentations}
    for level in np.split(np.arange(len(energies)), np.flatnonzero(np.diff(energies) > 1e-8) + 1):
        own = states[:, level]
        found = double.multiplicities(np.einsum("ik,gij,jk->g", own.conj(), D, own))
        assert dims[tuple(sorted(label for label, n in found.items() for _ in range(n)))] == len(level)


def test_time_reversal_of_known_groups():
    def joined(group):
        double = DoubleGroup(group)
        return {labels for labels in double.corepresentations if double.is_double_valued(labels[0])}

    assert joined("C1") == {("Ā", "Ā")}
    assert joined("C3") == {("1Ē", "2Ē"), ("Ā", "Ā")}
    assert joined("C3v") == {("Ē",), ("1Ē", "2Ē")}
    assert joined("T") == {("Ē",), ("1F̄", "2F̄")}
    assert joined("Oh") == {("Ē1g",), ("Ē2g",), ("F̄g",), ("Ē1u",), ("Ē2u",), ("F̄u",)}
    assert ("1E", "2E") in DoubleGroup("C3").corepresentations
    assert ("E",) in DoubleGroup("C3v").corepresentations


@pytest.mark.parametrize("whole", ["m-3m", "6/mmm", "-43m", "-6m2"])
def test_subgroups(whole):
    """Restricted characters, and bases that make the matrices block diagonal, for all groups that fit."""
    double = DoubleGroup(whole)
    for name in POINT_GROUPS:
        try:
            sub = double.subgroup(name)
        except IrrepnetError:
            continue
        n, indices = sub.group.group.order, sub.indices
        assert len(set(indices.tolist())) == 2 * n
        turn = spinor_matrices(sub.rotation[None])[0]
        moved = turn @ sub.group.spinors @ turn.conj().T
        assert np.allclose(moved, double.spinors[indices], atol=1e-12)
        for irrep in double.irreps:
            assert sub.correlation[irrep.label] == sub.group.multiplicities(irrep.characters[indices])
            basis = sub.basis(irrep.label)
            blocks = [sub.group.irrep(label).matrices for label in sub.blocks(irrep.label)]
            expected = np.array([block_diag(*(own[h] for own in blocks)) for h in range(2 * n)])
            assert np.allclose(basis @ irrep.matrices[indices] @ basis.conj().T, expected, atol=1e-12)


def test_known_compatibilities():
    """Koster's compatibility tables: Oh to Td, D4h and D3d."""
    double = DoubleGroup("Oh")
    assert double.subgroup("Td").correlation["Ē2u"] == {"Ē1": 1}
    assert double.subgroup("Td").correlation["F̄u"] == {"F̄": 1}
    assert double.subgroup("D4h").correlation["F̄g"] == {"Ē1g": 1, "Ē2g": 1}
    assert double.subgroup("D3d").correlation["F̄g"] == {"Ēg": 1, "1Ēg": 1, "2Ēg": 1}


def test_projector_and_regular():
    double = DoubleGroup("D3")
    total = np.zeros((12, 12), complex)
    for irrep in double.irreps:
        for k in range(irrep.dim):
            p = double.projector(irrep.label, k, double.regular)
            assert np.allclose(p @ p, p, atol=1e-12)
            assert round(np.trace(p).real) == irrep.dim
            total += p
    assert np.allclose(total, np.eye(12), atol=1e-12)
