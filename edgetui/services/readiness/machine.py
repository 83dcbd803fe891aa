"""Checks of the machine: models folder, disk, memory, processor."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from typing import TYPE_CHECKING

from edgetui.core.hardware_text import instruction_sets_text, processor_text, topology_text
from edgetui.core.readiness import Check, CheckState
from edgetui.core.units import GIB, format_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.config import Paths, Settings
    from edgetui.services.hardware import HardwareMonitor

DISK_GOOD_BYTES = 50 * GIB
DISK_LEAST_BYTES = 2 * GIB
MEMORY_GOOD_BYTES = 16 * GIB
MEMORY_LEAST_BYTES = 8 * GIB
_FIRMWARE_SHARE = 0.9
"""Firmware and kernel keep a part: a machine sold with 8 GiB shows 7.2 GiB or more."""
_VECTOR_SETS = {"x86_64": "AVX2", "aarch64": "NEON", "arm": "NEON", "riscv64": "RVV"}


async def check_models_folder(settings: Settings, paths: Paths) -> Check:
    """Whether models can be kept there."""
    return await asyncio.to_thread(_models_folder, settings, paths)


def _models_folder(settings: Settings, paths: Paths) -> Check:
    folder = paths.models_dir
    quoted = shlex.quote(str(folder))
    state: CheckState = "ok"
    action = ""
    if not os.path.lexists(folder):
        above = _nearest_existing(folder)
        if settings.models_dir:
            # A folder that a person chose is more likely an unmounted disk than one to be made.
            state, found = "warn", f"{folder} does not exist"
            action = f"mkdir -p {quoted}, or change models_dir in {paths.config_file}"
        elif (reason := _why_not_writable(above)) is None:
            found = f"{folder}, made with the first model"
        else:
            state, found = "fail", f"{folder} cannot be made: {above} is not writable ({reason})"
            action = f"sudo chown $USER {shlex.quote(str(above))}, or set models_dir in {paths.config_file}"
    elif not folder.is_dir():
        state, found = "fail", f"{folder} is not a folder"
        action = f"Move {quoted} away, or change models_dir in {paths.config_file}"
    elif (reason := _why_not_writable(folder)) is not None:
        state, found = "fail", f"{folder} is not writable ({reason})"
        action = f"sudo chown -R $USER {quoted}, or set models_dir in {paths.config_file}"
    else:
        found = str(folder)
    return Check(
        key="models_folder",
        title="Models folder",
        state=state,
        found=found,
        needed="exists and is writable",
        why="Quantized models are written there.",
        action=action,
    )


async def check_disk(paths: Paths) -> Check:
    """Free space where models go."""
    above = await asyncio.to_thread(_nearest_existing, paths.models_dir)
    try:
        free = (await asyncio.to_thread(shutil.disk_usage, above)).free
    except OSError as error:
        return disk_line(None, above, f"{above} cannot be asked ({error.strerror})")
    return disk_line(free, above)


def disk_line(free_bytes: int | None, folder: Path, reason: str = "") -> Check:
    """The line for so much free space."""
    state: CheckState = "unknown"
    found, action = reason, f"df -h {shlex.quote(str(folder))}"
    if free_bytes is not None:
        state = "ok" if free_bytes >= DISK_GOOD_BYTES else "warn" if free_bytes >= DISK_LEAST_BYTES else "fail"
        found = f"{format_bytes(free_bytes)} at {folder}"
        action = "" if state == "ok" else "Delete models that you no longer need, or set models_dir to a larger disk."
    return Check(
        key="disk",
        title="Free disk",
        state=state,
        found=found,
        needed=f"{format_bytes(DISK_LEAST_BYTES)} at least, {format_bytes(DISK_GOOD_BYTES)} recommended",
        why="A model at full precision and its quantizations together take many times the smallest one's size.",
        action=action,
    )


async def check_memory(hardware: HardwareMonitor) -> Check:
    """What this process may have, a container's limit included."""
    memory = (await hardware.describe()).memory
    limited = memory.limit_bytes.value is not None and memory.usable_bytes == memory.limit_bytes.value
    return memory_line(memory.usable_bytes, limited, memory.total_bytes.reason)


def memory_line(usable_bytes: int | None, limited: bool = False, reason: str = "") -> Check:
    """The line for so much memory."""
    state: CheckState = "unknown"
    found, action = reason, "free -h"
    if usable_bytes is not None:
        if usable_bytes >= MEMORY_GOOD_BYTES * _FIRMWARE_SHARE:
            state, action = "ok", ""
        else:
            state = "warn" if usable_bytes >= MEMORY_LEAST_BYTES * _FIRMWARE_SHARE else "fail"
            action = "Take small models and short contexts: a model's file must fit with room to spare."
        found = format_bytes(usable_bytes)
        if limited:
            found += " (the limit of this container)"
            action = action and f"Raise the container's limit (docker run --memory). {action}"
    return Check(
        key="memory",
        title="Memory",
        state=state,
        found=found,
        needed=f"{format_bytes(MEMORY_LEAST_BYTES)} at least, {format_bytes(MEMORY_GOOD_BYTES)} recommended",
        why="Weights and KV cache stay in memory; one that swaps decodes a hundred times slower.",
        action=action,
    )


async def check_processor(hardware: HardwareMonitor) -> Check:
    """Cores that may be used, and the vector instructions that llama.cpp is fast with."""
    info = await hardware.describe()
    cpu, architecture = info.cpu, info.system.architecture.value or ""
    wanted = next((name for start, name in _VECTOR_SETS.items() if architecture.startswith(start)), None)
    usable, sets = cpu.limits.usable_cpus, cpu.instruction_sets
    state: CheckState = "ok"
    problems = []
    if usable.value is None or sets.value is None:
        state = "unknown"
        problems.append(usable.reason if usable.value is None else sets.reason)
    else:
        if usable.value < 2:
            state = "warn"
            problems.append("Give this process more CPUs (docker run --cpus, taskset): decoding uses all it gets.")
        if wanted is None or not any(item.name == wanted and item.present for item in sets.value):
            state = "warn"
            problems.append(f"Nothing mends this: without {wanted or 'AVX2 or NEON'} decoding is several times slower.")
    return Check(
        key="cpu",
        title="Processor",
        state=state,
        found=f"{processor_text(cpu)}: {topology_text(info)}; {instruction_sets_text(cpu)}",
        needed=f"2 cores or more, {wanted or 'AVX2 or NEON'}",
        why="llama.cpp works on all cores at once, with the widest vector instructions it was built for.",
        action=" ".join(problems),
    )


def _why_not_writable(folder: Path) -> str | None:
    """Tries it with a nameless file, since permission bits say nothing of read-only disks and of root."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def _nearest_existing(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)
