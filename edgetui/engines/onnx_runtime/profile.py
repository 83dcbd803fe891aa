"""ONNX Runtime's trace of a session, summed by operator, node and provider."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import OnnxProfile, OperatorTime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NODES_KEPT = 15
_KERNEL = "_kernel_time"
"""End of the names of events that are one call of a node."""
_RUN = "model_run"


class _Arguments(msgspec.Struct, frozen=True):
    op_name: str = ""
    provider: str = ""


class _Event(msgspec.Struct, frozen=True):
    """One line of Chrome's trace format as ONNX Runtime writes it."""

    cat: str = ""
    name: str = ""
    dur: int = 0
    args: _Arguments = _Arguments()


def read_profile(trace: Path, kept_as: Path) -> OnnxProfile:
    """Sum a trace; `kept_as` is where it will lie. Raises `EdgetuiError("internal")` for one that cannot be read.

    A node that holds a graph of its own, such as Loop, counts the time of that graph too.
    """
    try:
        events = msgspec.json.decode(trace.read_bytes(), type=list[_Event])
    except msgspec.DecodeError as error:
        raise EdgetuiError(
            "internal", f"ONNX Runtime wrote a trace that cannot be read ({error}): measure without profiling."
        ) from error
    types: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    nodes: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    providers: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    runs = 0
    for event in events:
        if event.cat == "Session" and event.name == _RUN:
            runs += 1
        if event.cat != "Node" or not event.name.endswith(_KERNEL):
            continue
        kind = event.args.op_name
        for sums, key in (
            (types, kind),
            (nodes, (event.name.removesuffix(_KERNEL), kind)),
            (providers, event.args.provider.removesuffix("ExecutionProvider")),
        ):
            sums[key][0] += 1
            sums[key][1] += event.dur
    return OnnxProfile(
        runs=runs,
        by_type=_dearest(types),
        by_node=_dearest(nodes)[:NODES_KEPT],
        by_provider=_dearest(providers),
        trace=str(kept_as),
    )


def _dearest(sums: Mapping[Any, list[int]]) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(*((key, count, us) if isinstance(key, str) else (key[0], count, us, key[1])))
        for key, (count, us) in sorted(sums.items(), key=lambda each: (-each[1][1], each[0]))
    )
