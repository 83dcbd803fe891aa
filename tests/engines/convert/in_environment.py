"""`TOOLCHAIN_PYTHON in_environment.py REPOSITORY < CASES`: runs the real makers case by case, one JSON a line.

Importing torch takes longer than most cases, so all of them share a process.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any


class Recorder:
    """Keeps what a maker reports."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None, str]] = []

    def progress(self, done: float, total: float | None, unit: str, note: str = "", **_bytes: Any) -> None:
        self.reports.append((done, total, note))


def main() -> None:
    # Last, so that nothing here hides a package of the environment.
    sys.path.append(sys.argv[1])
    from edgetui.core.failures import EdgetuiError
    from edgetui.core.workflows.conversion import ToGguf, ToSafetensors
    from edgetui.engines.convert import to_gguf, to_safetensors

    for case in json.load(sys.stdin):
        source, target, job = Path(case["source"]), Path(case["target"]), Recorder()
        told: dict[str, Any] = {"name": case["name"], "kind": "", "sentence": "", "reports": job.reports}
        usual = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            if limit := case.get("most_bytes"):
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
            if source.suffix == ".gguf":
                to_safetensors.make(source, target, ToSafetensors(**case["settings"]), job)  # type: ignore[arg-type]
            else:
                to_gguf.make(source, target, ToGguf(**case["settings"]), job)  # type: ignore[arg-type]
        except EdgetuiError as error:
            told["kind"], told["sentence"] = error.failure.kind, str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
