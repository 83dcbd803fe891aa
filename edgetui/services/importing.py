"""Taking a model, a file or a folder, from anywhere into the models folder, after a look at what it is."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.formats.fingerprint import fingerprint
from edgetui.formats.model_folder import remove_empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.config import Paths
    from edgetui.core.models import ModelEntry
    from edgetui.services.catalog import Catalog

ImportMode = Literal["link", "copy", "move"]
_BLOCK_BYTES = 4 * 1024 * 1024
_HEADROOM_BYTES = 256 * 1024 * 1024
"""Stays free on the disk of the models folder."""


class ImportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do; nothing is done yet."""

    entry: ModelEntry
    """The file as it is."""
    targets: tuple[Path, ...]
    """One for each of the entry's parts."""
    folder: Path | None = None
    """Where the folder goes, for a model that is one."""
    mode: ImportMode
    same_as: str = ""
    """Name of a model here with the same content."""

    @property
    def in_words(self) -> str:
        """One line on what is taken and how."""
        entry = self.entry
        what = ", ".join(filter(None, (entry.architecture, entry.quant_type, format_bytes(entry.size_bytes))))
        how = {"link": "a link, which takes no space", "copy": "a copy", "move": "the file itself"}[self.mode]
        if len(self.targets) > 1:
            how = {"link": "links, which take no space", "copy": "a copy", "move": "the files themselves"}[self.mode]
        verb = "go" if len(self.targets) > 1 and self.mode != "copy" else "goes"
        return f"{entry.name} ({what}): {how} {verb} to {self.targets[0].parent}"


class Importer:
    """Into edgetui's models folder."""

    def __init__(self, paths: Paths, catalog: Catalog) -> None:
        self._paths = paths
        self._catalog = catalog

    async def plan(self, path: str, mode: ImportMode | None = None) -> ImportPlan:
        """Check a file or folder, all parts of it, and say what importing it means.

        Without a mode it is linked where the disk can, else copied. Raises `EdgetuiError`: `not_found`, `bad_file`,
        `unsupported`, `no_space`, `no_permission`, `bad_request`.
        """
        entry = await self._catalog.find(await asyncio.to_thread(_as_path, path))
        rows = await self._catalog.scan()
        same = next((row.name for row in rows if row.fingerprint == entry.fingerprint), "")
        return await asyncio.to_thread(self._plan, entry, mode, same)

    async def run(self, plan: ImportPlan, on_bytes: Callable[[int], None] = lambda count: None) -> ModelEntry:
        """Do it; `on_bytes` gets what was copied. Cancelling leaves nothing; raises `EdgetuiError`."""
        stop = threading.Event()
        try:
            await asyncio.to_thread(self._run, plan, on_bytes, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        rows = await self._catalog.scan()
        return next(row for row in rows if row.path == plan.targets[0])

    def _plan(self, entry: ModelEntry, mode: ImportMode | None, same: str) -> ImportPlan:
        folder = self._paths.models_dir
        base = entry.folder or entry.path.parent
        own = folder / base.name if entry.folder is not None else None
        targets = tuple((own or folder) / part.relative_to(base) for part in entry.parts)
        named = entry.folder or entry.path
        around = named.parent.resolve()
        if folder.resolve() in (around, *around.parents):
            raise EdgetuiError("bad_request", f"{named.name} is in the models folder already.")
        for target in targets if own is None else (own,):
            refuse_existing(target)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_one_disk = all(part.resolve().stat().st_dev == folder.stat().st_dev for part in entry.parts)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise _failure(error, folder) from error
        chosen: ImportMode = mode or ("link" if is_one_disk else "copy")
        if chosen == "link" and not is_one_disk:
            raise EdgetuiError("bad_request", f"{entry.path} is on another disk than {folder}: copy or move it.")
        takes_space = chosen == "copy" or not is_one_disk
        if takes_space and entry.size_bytes + _HEADROOM_BYTES > free:
            raise EdgetuiError(
                "no_space",
                f"{entry.name} takes {format_bytes(entry.size_bytes)} and {format_bytes(free)} are free in {folder}:"
                " make room, or add its own folder to extra_model_dirs in the settings.",
            )
        return ImportPlan(entry=entry, targets=targets, folder=own, mode=chosen, same_as=same)

    def _run(self, plan: ImportPlan, on_bytes: Callable[[int], None], stop: threading.Event) -> None:
        done: list[Path] = []
        copied = 0
        # A folder has its name when all of it is there.
        landing = plan.folder and plan.folder.with_name(f".{plan.folder.name}.{os.getpid()}.part")
        places = [landing / target.relative_to(plan.folder) for target in plan.targets] if landing else plan.targets  # type: ignore[arg-type]
        try:
            for source, target in zip(plan.entry.parts, places, strict=True):
                real = source.resolve()
                target.parent.mkdir(parents=True, exist_ok=True)
                if plan.mode == "copy" or not _linked(real, target, must=plan.mode == "link"):
                    before = copied
                    _copy(real, target, lambda count, before=before: on_bytes(before + count), stop)  # type: ignore[misc]
                copied += target.stat().st_size
                done.append(target)
            if stop.is_set():
                raise EdgetuiError("cancelled", f"{plan.entry.name} was not imported.")
            if fingerprint(places) != plan.entry.fingerprint:
                raise EdgetuiError("bad_file", f"{plan.entry.path} changed while it was taken: try again.")
            if landing is not None and plan.folder is not None:
                take_name(landing, plan.folder)
            if plan.mode == "move":
                for source in plan.entry.parts:
                    source.unlink()
                if plan.entry.folder is not None:
                    remove_empty(plan.entry.folder)
        except BaseException as error:
            for target in done:
                target.unlink(missing_ok=True)
            if landing is not None:
                shutil.rmtree(landing, ignore_errors=True)
            if isinstance(error, OSError):
                raise _failure(error, self._paths.models_dir) from error
            raise


def _as_path(named: str) -> str:
    """Whole, so that it is not taken for a model's name; raises `EdgetuiError("bad_request")` for what holds none."""
    path = Path(os.path.expanduser(named)).absolute()
    if path.is_dir() or path.suffix.lower() in (".gguf", ".onnx", ".safetensors"):
        return str(path)
    raise EdgetuiError(
        "bad_request", f"{named} is no model: name a .gguf or .onnx file, or a folder with weights and config.json."
    )


def _linked(source: Path, target: Path, *, must: bool) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        refuse_existing(target)
        raise
    except OSError as error:
        # Other disks, and file systems without such links.
        if must and error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV):
            raise
        return False
    return True


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None], stop: threading.Event) -> None:
    """Under a hidden name until all of it is on the disk."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with source.open("rb") as reading, partial.open("xb") as writing:
            while block := reading.read(_BLOCK_BYTES):
                if stop.is_set():
                    raise EdgetuiError("cancelled", f"{source.name} was not imported.")
                writing.write(block)
                on_bytes(writing.tell())
        take_name(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _failure(error: OSError, folder: Path) -> EdgetuiError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgetuiError(
            "no_space", f"The disk of {folder} is full: make room and try again; nothing is left there."
        )
    return EdgetuiError("no_permission", f"{error.filename or folder} cannot be used ({error.strerror}).")
