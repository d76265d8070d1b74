"""Small data and a small trained network that several rooms' tests share."""

import gzip
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# Examples are searched anew at every local run; the continuous check takes the same ones each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Descriptors that tests compute are not kept in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IRREPNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


ROOT = Path(__file__).resolve().parents[1]
MP_2018 = ROOT / ".." / "shared" / "data" / "mp_2018.jsonl.gz"
METALS = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br")
FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
PROTOTYPES = {
    "rock salt": (FCC, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "caesium chloride": (np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


def crystals() -> list[dict[str, Any]]:
    """96 crystals of point group m-3m with made-up values: an energy, and a band gap that some lack."""
    lines = []
    for prototype, (vectors, positions) in PROTOTYPES.items():
        for m, metal in enumerate(METALS):
            for x, anion in enumerate(ANIONS):
                length = (4.6 if prototype == "rock salt" else 3.2) + 0.1 * m + 0.07 * x
                number = len(lines)
                line = {
                    "material_id": f"made-{number}",
                    "species": [metal, anion],
                    "frac_coords": positions,
                    "lattice": (length * vectors).tolist(),
                    "formation_energy_per_atom": -2 + 0.2 * m - 0.1 * x + 0.3 * (prototype == "rock salt"),
                    "band_gap": None if number % 7 == 0 else max(0.0, x - 2.0),
                }
                lines.append(line)
    return lines


def unusable() -> list[str]:
    """Two lines that cannot be read, and a tetragonal crystal."""
    tetragonal = {
        "material_id": "tetragonal",
        "species": ["Ti"],
        "frac_coords": [[0, 0, 0]],
        "lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 4]],
        "formation_energy_per_atom": 0.0,
        "band_gap": 0.0,
    }
    return ["{not json", json.dumps({"material_id": "no-lattice", "species": ["Ti"]}), json.dumps(tetragonal)]


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of JSON lines: `crystals` and `unusable`."""
    path = tmp_path_factory.mktemp("data") / "small.jsonl"
    path.write_text("\n".join([json.dumps(line) for line in crystals()] + unusable()) + "\n")
    return path


@pytest.fixture(scope="session")
def small_config(small_data: Path) -> Callable[..., Any]:
    """A function of a preset and overrides → the configuration of a run of a few seconds."""
    from irrepnet.training import load_config

    def make(preset: str = "point-group", **overrides: Any) -> Any:
        settings = {
            "data.source": str(small_data),
            "data.targets": ["formation_energy_per_atom", "metal"],
            "data.point_groups": ["m-3m"],
            "model.channels": 8,
            "model.layers": 1,
            "training.epochs": 3,
            "training.batch_size": 16,
            "training.threads": 1,
            "training.device": "cpu",
        }
        return load_config(preset, settings | {key.replace("__", "."): v for key, v in overrides.items()})

    return make


@pytest.fixture(scope="session")
def small_run(small_config: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on two targets, with its report."""
    from irrepnet.report import write_report
    from irrepnet.training import train

    folder = tmp_path_factory.mktemp("runs") / "small"
    train(small_config(), folder, quiet=True)
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def script() -> Callable[[str], Any]:
    """What makes a module of a file in scripts/, by its name."""

    def load(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def examples() -> dict[str, Path]:
    """The structure files that ship with the project, by formula."""
    return {path.stem: path for path in sorted((ROOT / "examples").glob("*.cif"))}


@pytest.fixture(scope="session")
def mp_2018() -> list[dict]:
    """All records of mp_2018."""
    if not MP_2018.exists():
        pytest.skip("../shared not present: no mp_2018")
    return mp_2018_lines()


def mp_2018_lines() -> list[dict]:
    """The same where no fixture reaches, such as in what hypothesis draws from; only if `MP_2018` is there."""
    with gzip.open(MP_2018, "rt") as lines:
        return [json.loads(line) for line in lines]
