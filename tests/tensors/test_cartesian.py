"""Index symmetry, rotation, Voigt and Mandel."""

from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.elasticity import ElasticTensor
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.tensors import COMPLIANCE, STIFFNESS, CartesianTensor, rotate
from irrepnet.tensors.cartesian import NAMES

FORMULAS = (
    "i",
    "ij",
    "ij=ji",
    "ij=-ji",
    "ijk",
    "ijk=ikj",
    "ijk=jik=ikj",
    "ijk=-jik=-ikj",
    "ijkl=jikl=ijlk=klij",
    "ijkl=jikl=ijlk",
    "ijkl=-jikl=-ijlk=klij",
    "ijklm=jiklm=ijkml",
    "ijklmn=jiklmn=klijmn=ijmnkl",
)


def orthogonal(rng: np.random.Generator, improper: bool = True) -> np.ndarray:
    matrix = Rotation.random(rng=rng).as_matrix()
    return -matrix if improper and rng.random() < 0.5 else matrix


@pytest.mark.parametrize("formula", FORMULAS)
def test_basis_spans_the_tensors_with_the_symmetry(formula):
    """Against the projector by brute force: the mean over all permutations, with their signs."""
    tensor = CartesianTensor(formula)
    basis = tensor.basis.reshape(tensor.dim, -1)
    assert np.allclose(basis @ basis.T, np.eye(tensor.dim), atol=1e-14)
    values = np.random.default_rng(0).standard_normal(tensor.shape)
    mean = sum(sign * values.transpose(p) for p, sign in tensor.permutations.items()) / len(tensor.permutations)
    assert np.allclose(tensor.project(values), mean, atol=1e-13)
    letters, *terms = formula.split("=")
    for term in terms:  # T_ij = ± T_ji, term by term
        sign = -1 if term.startswith("-") else 1
        swapped = np.einsum(f"{term.lstrip('-')}->{letters}", mean)
        assert np.allclose(mean, sign * swapped, atol=1e-13)


def test_dimensions_are_those_of_combinatorics():
    assert CartesianTensor("ijkl").dim == 81
    for rank, letters in enumerate(("i", "ij", "ijk", "ijkl", "ijklm", "ijklmn"), start=1):
        swaps = "=".join(
            [letters, *(letters[:k] + letters[k + 1] + letters[k] + letters[k + 2 :] for k in range(rank - 1))]
        )
        assert CartesianTensor(swaps).dim == comb(rank + 2, 2)
    assert (
        CartesianTensor("ijklmn=jiklmn=klijmn=ijmnkl").dim == 56
    )  # third-order elastic constants of a triclinic crystal
    assert CartesianTensor("ijkl=-jikl=-ijlk=klij").dim == 6  # Riemann's in three dimensions


@pytest.mark.parametrize(
    ("formula", "word"),
    [
        ("", "distinct letters"),
        ("piezo", "did you mean piezoelectric"),
        ("i1", "distinct letters"),
        ("ii", "distinct letters"),
        ("ij=jk", "permutation of the letters ij"),
        ("ij=--ji", "permutation"),
        ("ij=-ij", "contradict"),
        ("ijk=-jik=ikj", "contradict"),
        ("ijkl=-jikl=-ikjl=-ijlk", "only zero"),
    ],
)
def test_bad_formulas_are_refused(formula, word):
    with pytest.raises(IrrepnetError, match=word):
        CartesianTensor(formula)


def test_equal_formulas_are_equal_objects():
    assert CartesianTensor("ij = −ji") == CartesianTensor("ij=-ji")
    assert hash(CartesianTensor("ij=ji")) == hash(CartesianTensor("ij=ji"))
    assert CartesianTensor("ij") != CartesianTensor("ij", axial=True)


@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMULAS), st.booleans())
def test_rotation_is_that_of_the_definition(seed, formula, axial):
    rng = np.random.default_rng(seed)
    tensor = CartesianTensor(formula, axial=axial)
    values = tensor.project(rng.standard_normal((2, *tensor.shape)))
    g, h = orthogonal(rng), orthogonal(rng)
    letters, new = "abcdef"[: tensor.rank], "uvwxyz"[: tensor.rank]
    factors = ",".join(n + o for n, o in zip(new, letters))
    slow = np.einsum(f"...{letters},{factors}->...{new}", values, *[g] * tensor.rank)
    slow = slow * (np.linalg.det(g) if axial else 1)
    assert np.allclose(tensor.rotate(values, g), slow, atol=1e-12)
    assert np.allclose(tensor.project(slow), slow, atol=1e-12)  # index symmetry commutes with rotations
    assert np.allclose(tensor.rotate(tensor.rotate(values, g), h), tensor.rotate(values, h @ g), atol=1e-12)


def test_rotation_broadcasts():
    tensor, rng = CartesianTensor("ijk=ikj", axial=True), np.random.default_rng(1)
    operations = np.stack([orthogonal(rng) for _ in range(4)])
    values = rng.standard_normal((5, 1, 3, 3, 3))
    moved = tensor.rotate(values, operations)
    assert moved.shape == (5, 4, 3, 3, 3)
    assert np.allclose(moved[2, 3], tensor.rotate(values[2, 0], operations[3]))


@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMULAS), st.booleans())
def test_voigt_and_mandel_come_back(seed, formula, strain):
    tensor = CartesianTensor(formula, strain=strain)
    values = tensor.project(np.random.default_rng(seed).standard_normal((2, *tensor.shape)))
    assert tensor.to_voigt(values).shape == (2, *tensor.voigt_shape)
    assert np.allclose(tensor.from_voigt(tensor.to_voigt(values)), values, atol=1e-12)
    mandel = tensor.to_mandel(values)
    assert np.allclose(tensor.from_mandel(mandel), values, atol=1e-12)
    assert np.allclose(np.linalg.norm(mandel), np.linalg.norm(values))


def test_voigt_is_that_of_pymatgen():
    rng = np.random.default_rng(2)
    stiffness = rng.standard_normal((6, 6))
    stiffness = stiffness @ stiffness.T + 6 * np.eye(6)
    oracle = ElasticTensor.from_voigt(stiffness)
    full = STIFFNESS.from_voigt(stiffness)
    assert np.allclose(full, oracle)
    g = orthogonal(rng, improper=False)
    assert np.allclose(STIFFNESS.to_voigt(rotate(full, g, 4)), oracle.rotate(g, tol=1e-6).voigt)
    assert np.allclose(COMPLIANCE.from_voigt(np.linalg.inv(stiffness)), np.asarray(oracle.compliance_tensor))


def test_voigt_factors():
    """d_i4 = 2 d_i23, e_i4 = e_i23; S44 = 4 S2323, S14 = 2 S1123; rank 2 stays a matrix."""
    d, e = CartesianTensor("ijk=ikj", strain=True, symbol="d"), CartesianTensor("ijk=ikj")
    values = np.zeros((3, 3, 3))
    values[0, 1, 2] = values[0, 2, 1] = 1
    assert np.isclose(d.to_voigt(values)[0, 3], 2)
    assert np.isclose(e.to_voigt(values)[0, 3], 1)
    s = np.zeros((3, 3, 3, 3))
    for i, j, k, l in {(*p, *q) for p in permutations((1, 2)) for q in permutations((1, 2))}:
        s[i, j, k, l] = 1
    assert np.isclose(COMPLIANCE.to_voigt(s)[3, 3], 4)
    assert COMPLIANCE.index((3, 3)) == (1, 2, 1, 2)
    assert [STIFFNESS.name(STIFFNESS.index((0, k))) for k in range(6)] == ["C11", "C12", "C13", "C14", "C15", "C16"]
    assert CartesianTensor("ij=ji").voigt_shape == (3, 3)
    assert CartesianTensor("ijk=jik").voigt_shape == (6, 3)


def test_mandel_contracts_as_the_tensor_does():
    """σ_ij = C_ijkl ε_kl is a matrix product in Mandel's form, so that eigenvalues and inverse are the tensor's."""
    rng = np.random.default_rng(3)
    c = STIFFNESS.project(rng.standard_normal((3, 3, 3, 3)))
    product_ = np.einsum("ijkl,klmn->ijmn", c, c)
    assert np.allclose(STIFFNESS.to_mandel(product_), STIFFNESS.to_mandel(c) @ STIFFNESS.to_mandel(c))


@pytest.mark.parametrize(
    "values", [[[1, 2], [3, 4]], "text", [[1, 2, None]] * 3, [[1, 0, 0], [0, 1, 0], [0, 0, np.nan]], [[1], 2]]
)
def test_bad_values_are_refused(values):
    with pytest.raises(IrrepnetError):
        CartesianTensor("ij=ji").read(values)


def test_wrong_shapes_are_refused():
    with pytest.raises(IrrepnetError, match="shape"):
        STIFFNESS.project(np.zeros((6, 6)))
    with pytest.raises(IrrepnetError, match="shape"):
        STIFFNESS.from_voigt(np.zeros((3, 6)))
    with pytest.raises(IrrepnetError, match="21 coefficients"):
        STIFFNESS.from_irreps(np.zeros(20))


def test_components_hold_every_index_once():
    for formula in FORMULAS:
        tensor = CartesianTensor(formula)
        held = [index for orbit in tensor.components.values() for index in orbit]
        zero = [i for i in product(range(3), repeat=tensor.rank) if not tensor.basis[(slice(None), *i)].any()]
        assert sorted(held + zero) == sorted(product(range(3), repeat=tensor.rank))


@pytest.mark.parametrize(("name", "formula"), [(name, formula) for name, (formula, _) in NAMES.items()])
def test_names(name, formula):
    tensor = CartesianTensor(name)
    assert tensor.formula == formula
    assert tensor == CartesianTensor(name.upper().replace("-", "_"))
    assert (tensor.axial, tensor.strain) == (
        name == "gyration",
        name in ("compliance", "piezoelectric-strain", "thermal-expansion"),
    )
