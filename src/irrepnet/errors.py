"""The one exception that a user's input can cause."""


class IrrepnetError(ValueError):
    """Input that cannot be used; the message names the file, site or key, and what to do.

    The command line prints the message and exits with 2; a batch lists it and goes on.
    """
