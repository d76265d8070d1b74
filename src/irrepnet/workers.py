"""What processes that work for another one do."""

import os
import threading
import time


def end_with(parent: int) -> None:
    """From now on this process ends, within a second, when the one that has started it is gone, killed perhaps.

    Args:
        parent: the number of that process.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
