"""Signals end a command as Ctrl-C does: one line, the exit code of the signal, and nothing left running."""

import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_training(small_config, tmp_path, name):
    out, config = tmp_path / "run", small_config(training__epochs=4000)
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    # where hang-ups are ignored, as under nohup, they are in a child too
    program = f"import signal; signal.signal(signal.{name}, signal.SIG_DFL); from irrepnet.cli.main import run; run()"
    arguments = ["train", str(path), "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE, text=True)
    while not (out / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert "Traceback" not in said
    assert f"--out {out} --resume" in said
    assert not (out / ".lock").exists()
