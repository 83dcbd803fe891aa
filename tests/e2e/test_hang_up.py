from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

import pytest

from tests.e2e.terminal import DEADLINE_S

pytestmark = pytest.mark.usefixtures("home")


def test_a_terminal_that_vanishes_without_a_signal_ends_the_app() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    # In a session of its own and without a controlling terminal, so that the kernel sends no SIGHUP.
    app = subprocess.Popen(
        [sys.executable, "-m", "edgetui"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    drawn = b""
    while b"Hardware" not in drawn:
        drawn += os.read(master, 65536)
    os.close(master)
    assert app.wait(DEADLINE_S) == 128 + signal.SIGHUP
