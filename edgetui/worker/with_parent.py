"""`PYTHON with_parent.py MODULE [ARGUMENT...]`: runs a module that ends when its standard input does.

Whoever starts it keeps the other end of that pipe, so the module and what it has started end with that process,
whatever ends it. Standard library only: it runs with the interpreters of toolchains too.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def main() -> None:
    """Watch the pipe, then run the module; for a process that leads a group of its own."""
    watched = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    # A script's own folder comes first on the path, and ours has modules with names of the standard library's kind.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != here]
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
