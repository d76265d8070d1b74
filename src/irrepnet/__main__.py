"""`python -m irrepnet`: the command, of this Python."""

from irrepnet.cli.main import run

run()
