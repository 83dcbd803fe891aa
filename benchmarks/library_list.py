"""Listing 2,000 models: by a process that finds them in its index, and again by the same process.

The files are holes behind the demo model's own header, in folders of a hundred, so that they are many without being
large; the first listing of all, which must read every header, is told beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import Result, show
from edgetui.formats.gguf import read_gguf
from edgetui.services.model_places import EMBEDDED_PACKAGE

MODELS, A_FOLDER = 2000, 100
COLD_BAR_S, WARM_BAR_S = 1.0, 0.1
ROUNDS = 5
CHILD = """
import asyncio, json, time
from edgetui.services.lab import Lab

async def main():
    lab, times = Lab(), []
    first = []
    began = time.perf_counter()
    lab.catalog.changed.subscribe(lambda rows: first or first.append(time.perf_counter() - began))
    for _ in range(2):
        began = time.perf_counter()
        rows = await lab.catalog.scan()
        times.append(time.perf_counter() - began)
    sound = sum(row.problem is None and row.is_read for row in rows)
    print(json.dumps({"rows": sound, "first": first[0], "times": times}))
    await lab.close()

asyncio.run(main())
"""


def measure() -> list[Result]:
    """The slowest of several cold and warm listings."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "data" / "models"
        _make(models)
        environ = os.environ | {"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"}
        runs = [_listed(environ) for _ in range(ROUNDS + 1)]
    assert all(run["rows"] == MODELS + 1 for run in runs), "not every model was listed"
    first, *rest = runs
    cold, warm = max(run["times"][0] for run in rest), max(run["times"][1] for run in rest)
    lines = (
        f"{MODELS} files and the demo model, {ROUNDS} processes one after another, the slowest counts",
        f"without an index: rows after {first['first']:.2f} s, all headers read after {first['times'][0]:.1f} s",
    )
    return [
        Result("2,000 models listed, cold", cold, "s", COLD_BAR_S, "lower", lines),
        Result("2,000 models listed, warm", warm, "s", WARM_BAR_S, "lower", lines),
    ]


def _make(models: Path) -> None:
    import importlib.util

    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    assert spec is not None and spec.submodule_search_locations, "the demo model is not installed"
    demo = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    header = demo.read_bytes()[: read_gguf(demo).data_offset]
    for number in range(MODELS):
        path = models / f"folder-{number // A_FOLDER}" / f"model-{number}.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % A_FOLDER == 0:
            path.write_bytes(header)
            os.truncate(path, demo.stat().st_size)
        else:
            # One inode a folder: the disk holds twenty headers, the listing sees two thousand files.
            path.hardlink_to(models / f"folder-{number // A_FOLDER}" / f"model-{number - number % A_FOLDER}.gguf")


def _listed(environ: dict[str, str]) -> dict[str, Any]:
    child = subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True)
    return json.loads(child.stdout)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(show(measure()))
