"""tmux's paste buffer: within tmux as it comes, what an app writes to the terminal's clipboard goes nowhere."""

from __future__ import annotations

import asyncio
import os
import shutil

_LIMIT_S = 3.0


async def fill_tmux_buffer(text: str) -> bool:
    """Have the tmux around this terminal keep a text, and hand it on to its own terminal; whether it took it.

    False where there is no tmux, and where it is too old to hand anything on (before 3.2).
    """
    tmux = shutil.which("tmux")
    if not os.environ.get("TMUX") or tmux is None:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            *(tmux, "load-buffer", "-w", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode("utf-8", "replace")), _LIMIT_S)
    except asyncio.TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0
