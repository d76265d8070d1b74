"""What is imported before it is needed: nothing that takes long."""

import subprocess
import sys

import pytest

HEAVY = {"ase", "matplotlib", "pandas", "pymatgen", "scipy", "torch"}


def imported(code: str) -> set[str]:
    """The heavy libraries that a fresh Python has after the code."""
    tell = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True)
    return HEAVY & set(ended.stdout.split())


@pytest.mark.parametrize("room", ["groups", "tensors", "crystals", "training"])
def test_rooms(room):
    assert not imported(f"import irrepnet.{room}")


@pytest.mark.parametrize(
    "command",
    [
        "predict nosuch a.cif",
        "evaluate nosuch",
        "train nosuch --out a",
        "hamiltonian evaluate nosuch",
        "data info",
        "verify nosuch a.cif",
        "path nosuch a.cif b.cif",
    ],
)
def test_a_wrong_name_is_told_before(command):
    call = f"app({command.split()!r}, standalone_mode=False)"
    assert not imported(
        f"from irrepnet.cli.main import app\nfrom irrepnet.errors import IrrepnetError\n"
        f"try:\n    {call}\nexcept IrrepnetError as error:\n    assert 'nosuch' in str(error)"
    )
