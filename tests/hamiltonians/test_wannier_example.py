"""The recipe for symmetry-adapted Wannier functions, end to end where its programs are installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = ("pw.x", "pw2wannier90.x", "wannier90.x")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
SCRIPT = Path(__file__).parents[2] / "examples" / "wannier_copper.py"


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (Quantum ESPRESSO, Wannier90)")
def test_copper_with_and_without_the_symmetry_of_its_site(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    residuals = [float(line.split()[-2]) for line in done.stdout.splitlines()]  # meV
    assert residuals[0] < 1e-4
    assert residuals[1] > 10
