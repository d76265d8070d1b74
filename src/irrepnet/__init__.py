"""irrepnet: neural networks that obey the actual symmetry of a crystal."""

__version__ = "0.1.0"
