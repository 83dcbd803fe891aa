"""What Olive's process may not do, tried in a process of its own: the rules cannot be taken back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = "from edgetui.engines.olive import isolation; isolation.isolate(allow_hub={allowed})\n"


def ran(script: str, *, allowed: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(allowed=allowed) + script],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_network_is_refused_and_what_was_wanted_is_known(port: int) -> None:
    script = f"""
import socket
for host in ("127.0.0.1", "hub.example"):
    try:
        socket.create_connection((host, {port}))
    except isolation.NetworkRefusedError:
        print("refused")
print(isolation.asked_hosts)
"""
    assert ran(script) == "refused\nrefused\n['127.0.0.1', 'hub.example']"


def test_whoever_allows_the_hub_gets_to_it(port: int) -> None:
    script = (
        f"import os, socket; socket.create_connection(('127.0.0.1', {port})); print('HF_HUB_OFFLINE' in os.environ)"
    )
    assert ran(script, allowed=True) == "False"


def test_sockets_between_processes_of_this_machine_stay_open(tmp_path: Path) -> None:
    address = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        script = f"import socket; socket.socket(socket.AF_UNIX).connect({str(address)!r}); print('connected')"
        assert ran(script) == "connected"


def test_there_is_no_telemetry_to_import() -> None:
    script = """
from olive.telemetry import action
assert action(len) is len
try:
    import olive.telemetry.telemetry
except ImportError:
    print("nothing there")
"""
    assert ran("import sys, types; sys.modules['olive'] = types.ModuleType('olive')\n" + script) == "nothing there"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
async def test_children_do_not_outlive_it_even_where_it_is_killed() -> None:
    script = """
import multiprocessing, subprocess, time
one = subprocess.Popen(["sleep", "600"])
two = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
two.start()
print(one.pid, two.pid, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do meanwhile
        [sys.executable, "-c", BEGIN.format(allowed=False) + script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    await until(lambda: not any(_lives(pid) for pid in children), asyncio.sleep)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
