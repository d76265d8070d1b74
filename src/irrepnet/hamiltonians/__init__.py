"""Tight-binding Hamiltonians that obey the crystal: orbitals, files of other codes, symmetry, blocks, bands."""

from irrepnet.hamiltonians.bands import (
    BandStructure,
    Gap,
    Level,
    band_gap,
    band_irreps,
    band_structure,
    density_of_states,
    effective_masses,
    fermi_energy,
    k_path,
    orbital_weights,
    partial_densities,
    topological_indices,
)
from irrepnet.hamiltonians.blocks import BlockCount, BlockSpace, BondOrbit, block_space, bond_orbits, count_blocks
from irrepnet.hamiltonians.dft.crystal_list import (
    CrystalList,
    Request,
    Settings,
    parse_crystal,
    read_list,
    released_list,
)
from irrepnet.hamiltonians.dft.generate import generate, generate_all, start
from irrepnet.hamiltonians.dft.kohn_sham import KohnSham
from irrepnet.hamiltonians.edges import with_shared_edges
from irrepnet.hamiltonians.embedded import embedded_hamiltonians, load_hamiltonian
from irrepnet.hamiltonians.formats.own import read_provenance, read_reduced, write_reduced
from irrepnet.hamiltonians.formats.pythtb import from_pythtb, to_pythtb
from irrepnet.hamiltonians.formats.sisl import from_sisl, to_sisl
from irrepnet.hamiltonians.formats.table import export_hamiltonian, read_hamiltonian, write_hamiltonian
from irrepnet.hamiltonians.model import Hamiltonian, orthogonalised
from irrepnet.hamiltonians.orbitals import CONVENTIONS, Mixing, OrbitalBasis, Shell, atomic_basis, crystal_basis
from irrepnet.hamiltonians.reduced import ReducedHamiltonian, reduced
from irrepnet.hamiltonians.slater_koster import TwoCentre, slater_koster
from irrepnet.hamiltonians.slices import Contour, FermiSlice, fermi_slice
from irrepnet.hamiltonians.spin import (
    moments_from_text,
    spin_channels,
    spin_orbit_term,
    strengths_from_text,
    with_spin,
    with_spin_orbit,
)
from irrepnet.hamiltonians.spin_orbit_table import ATOMIC_SPIN_ORBIT
from irrepnet.hamiltonians.symmetry import (
    Action,
    Residual,
    SpaceGroup,
    action,
    hermiticity,
    space_group,
    spectrum_residual,
    symmetrised,
    symmetry_residual,
    violations,
)

__all__ = [
    "ATOMIC_SPIN_ORBIT",
    "CONVENTIONS",
    "Action",
    "BandStructure",
    "BlockCount",
    "BlockSpace",
    "BondOrbit",
    "Contour",
    "CrystalList",
    "FermiSlice",
    "Gap",
    "Hamiltonian",
    "KohnSham",
    "Level",
    "Mixing",
    "OrbitalBasis",
    "ReducedHamiltonian",
    "Request",
    "Residual",
    "Settings",
    "Shell",
    "SpaceGroup",
    "TwoCentre",
    "action",
    "atomic_basis",
    "band_gap",
    "band_irreps",
    "band_structure",
    "block_space",
    "bond_orbits",
    "count_blocks",
    "crystal_basis",
    "density_of_states",
    "effective_masses",
    "embedded_hamiltonians",
    "export_hamiltonian",
    "fermi_energy",
    "fermi_slice",
    "from_pythtb",
    "from_sisl",
    "generate",
    "generate_all",
    "hermiticity",
    "k_path",
    "load_hamiltonian",
    "moments_from_text",
    "orbital_weights",
    "orthogonalised",
    "parse_crystal",
    "partial_densities",
    "read_hamiltonian",
    "read_list",
    "read_provenance",
    "read_reduced",
    "reduced",
    "released_list",
    "slater_koster",
    "space_group",
    "spectrum_residual",
    "spin_channels",
    "spin_orbit_term",
    "start",
    "strengths_from_text",
    "symmetrised",
    "symmetry_residual",
    "to_pythtb",
    "to_sisl",
    "topological_indices",
    "violations",
    "with_shared_edges",
    "with_spin",
    "with_spin_orbit",
    "write_hamiltonian",
    "write_reduced",
]
