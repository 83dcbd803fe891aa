"""What is summed of ONNX Runtime's traces: whole runs, and no time twice."""

from __future__ import annotations

import json
from pathlib import Path

from edgetui.core.onnx_latency_text import profile_title
from edgetui.engines.onnx_runtime.profile import read_profile


def call(kind: str, begin: int, duration: int, thread: int = 1) -> dict[str, object]:
    arguments = {"op_name": kind, "provider": "CPUExecutionProvider"}
    return {
        "cat": "Node",
        "name": f"{kind}_kernel_time",
        "ts": begin,
        "dur": duration,
        "tid": thread,
        "args": arguments,
    }


def run(begin: int, duration: int) -> dict[str, object]:
    return {"cat": "Session", "name": "model_run", "ts": begin, "dur": duration, "tid": 1, "args": {}}


def written(folder: Path, *events: dict[str, object]) -> Path:
    path = folder / "trace.json"
    path.write_text(json.dumps(events))
    return path


def test_a_node_counts_without_the_nodes_within_it(tmp_path: Path) -> None:
    trace = written(
        tmp_path,
        call("Sin", 0, 4),
        call("Add", 12, 10),
        call("If", 11, 15),
        call("Add", 30, 10),
        call("Loop", 10, 40),
        # On another thread at the same time, which is not within the loop.
        call("Cos", 20, 5, thread=2),
        run(0, 52),
    )
    profile = read_profile(trace, trace)
    times = {each.name: (each.count, each.total_us) for each in profile.by_type}
    assert times == {"Add": (2, 20), "If": (1, 5), "Loop": (1, 15), "Sin": (1, 4), "Cos": (1, 5)}
    assert profile.total_us == 49 and profile.runs == 1 and not profile.is_cut


def test_a_run_whose_end_was_not_recorded_counts_for_nothing(tmp_path: Path) -> None:
    trace = written(tmp_path, call("Sin", 0, 4), run(0, 5), call("Sin", 10, 4))
    profile = read_profile(trace, trace)
    assert profile.is_cut and (profile.runs, profile.total_us) == (1, 4)
    assert "cut off" in profile_title(profile)
    nothing = read_profile(written(tmp_path, call("Sin", 0, 4)), trace)
    assert nothing.is_cut and nothing.by_type == () and "not known" in profile_title(nothing)
