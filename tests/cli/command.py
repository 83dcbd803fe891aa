"""Runs `edgetui` as a command, the way a script does."""

from __future__ import annotations

import asyncio
import sys


async def edgetui(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run the command; gives exit status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edgetui",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
