"""Signals end a command as Ctrl-C does: one line, the exit code of the signal, and nothing left running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# what is ignored here, as hang-ups under nohup and Ctrl-C in the background, is ignored in a child too
PROGRAM = (
    "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); from irrepnet.cli.main import run; run()"
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_training(small_config, tmp_path, name):
    out, config = tmp_path / "run", small_config(training__epochs=4000)
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    arguments = ["train", str(path), "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE, text=True)
    while not (out / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert "Traceback" not in said
    assert f"--out {out} --resume" in said
    assert not (out / ".lock").exists()


def of_session(leader: int) -> list[str]:
    """The processes that one has started, itself among them, and what these have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(path.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("predict", "SIGTERM"),
        pytest.param("predict", "SIGINT", marks=pytest.mark.slow),
        pytest.param("predict", "SIGKILL", marks=pytest.mark.slow),
        pytest.param("generate", "SIGTERM", marks=pytest.mark.slow),
        pytest.param("generate", "SIGKILL", marks=pytest.mark.slow),
    ],
)
def test_no_worker_is_left(tmp_path, command, name):
    data, out, number = tmp_path / "data.jsonl", tmp_path / "out", getattr(signal, name)
    if command == "generate":
        pytest.importorskip("pyscf", reason="PySCF is not installed")
    crystal = {"species": ["Na", "Cl"], "frac_coords": [[0, 0, 0], [0.5] * 3]}
    lines = [{"id": str(k), **crystal, "lattice": [[3 + k / 1e4, 0, 0], [0, 3, 0], [0, 0, 3]]} for k in range(30_000)]
    data.write_text("\n".join(map(json.dumps, lines)))
    arguments = {
        "predict": ["predict", "formation-energy", data, "-o", tmp_path / "out.csv", "--workers", "2"],
        "generate": ["hamiltonian", "generate", "diamond:Si:5.4", "diamond:C:3.6", "--workers", "2", "--out", out],
    }[command]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(of_session(process.pid)) < 4:  # it, what keeps count of shared things, and two workers
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-number if name == "SIGKILL" else 128 + number)
    assert "Traceback" not in said
    for _ in range(100):
        if not of_session(process.pid):
            break
        time.sleep(0.1)
    assert not of_session(process.pid)
    if name != "SIGKILL":
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["data.jsonl"]
