"""What every process would import anew: the server that forks them has it."""

# ruff: noqa: F401
import ase.io
import matplotlib.backends.backend_agg
import pymatgen.core
import scipy.optimize
import tests.conftest
import tests.hamiltonians.made
import tests.trust.jobs
import torch._dynamo
import torch.fx.experimental.symbolic_shapes
import typer.testing
import vesin

import irrepnet.cli.main
import irrepnet.hamiltonians.reports
import irrepnet.models.energy
import irrepnet.models.point_group
import irrepnet.models.site_symmetry
import irrepnet.report.crystal
import irrepnet.report.page
import irrepnet.tasks.energies
import irrepnet.tasks.hamiltonians
import irrepnet.tasks.sites
import irrepnet.training.run
import irrepnet.training.use
