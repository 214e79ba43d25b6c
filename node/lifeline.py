"""Python children of this process: they run the code that it runs, and need not outlive it.

A child that must not outlive its parent asks the kernel to end it, so that even a killed parent leaves nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.5
_TREE: Final = str(Path(__file__).resolve().parents[1])


def child_environment() -> dict[str, str]:
    """This process's environment, with the tree that this code lies in first on the child's path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([_TREE, *filter(None, [os.environ.get("PYTHONPATH")])])}


def die_with(parent: int) -> None:
    """End this process by SIGKILL as soon as the process `parent` ends; at once if it has ended already.

    Linux: prctl(2), PR_SET_PDEATHSIG; elsewhere a thread that looks twice a second.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    else:
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
