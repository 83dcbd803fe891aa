"""What Olive's process may not do: report home, reach for the network unasked, or leave processes behind."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from types import ModuleType
from typing import Any

_PR_SET_PDEATHSIG = 1
"""<sys/prctl.h>"""
_NETWORK_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.sendto")

asked_hosts: list[str] = []
"""Hosts that were asked for in vain."""


class NetworkRefusedError(ConnectionError):
    """Something wanted the network, and nobody had allowed it."""


def isolate(*, allow_hub: bool) -> None:
    """Set all of it up for the rest of this process; before anything of Olive or of the hub is imported."""
    if "olive.telemetry" in sys.modules:
        return
    # On a machine that does something else too, torch's threads would wait for each other for whole time slices.
    os.environ.setdefault("GOMP_SPINCOUNT", "8000")
    # Olive decides by this module whether there is telemetry. Its own switch still makes an identity of the machine and
    # sends a first report, and waits for a network that is not there.
    sys.modules["olive.telemetry"] = _no_telemetry()
    _end_children_with_us()
    if allow_hub:
        for switch in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            os.environ.pop(switch, None)
        return
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    sys.addaudithook(_refuse_network)


def _no_telemetry() -> ModuleType:
    module = ModuleType("olive.telemetry", "Nothing is told to anyone.")
    module.__dict__["action"] = lambda function: function
    return module


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _NETWORK_EVENTS:
        return
    if event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        if arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
            return
        host = arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]
    asked_hosts.append(host.decode("ascii", "replace") if isinstance(host, bytes) else str(host))
    raise NetworkRefusedError(f"The network was asked for {asked_hosts[-1]}, and is not allowed here.")


def _end_children_with_us() -> None:
    """Whatever ends this process ends those that a pass has started, too (on Linux)."""
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    parent = os.getpid()

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    def end_with_parent() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # It may have ended before we asked to be told.
        if os.getppid() != parent:
            os._exit(0)

    os.register_at_fork(before=remember, after_in_child=end_with_parent)
    begin = subprocess.Popen.__init__

    def begin_bound(self: Any, *arguments: Any, **options: Any) -> None:
        # Handlers of forks run in a child of `Popen` only where it has a function of its own to run.
        if len(arguments) < 6:
            options.setdefault("preexec_fn", _nothing)
        begin(self, *arguments, **options)

    subprocess.Popen.__init__ = begin_bound  # type: ignore[method-assign]


def _nothing() -> None:
    """For the sake of the handlers that run with it."""
