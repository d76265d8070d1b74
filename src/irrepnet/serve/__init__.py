"""A server on this machine: the pages of crystals and of point groups, and the same as JSON."""

from irrepnet.serve.app import create_app
from irrepnet.serve.worker import Limits

__all__ = ["Limits", "create_app"]
