"""ONNX Runtime's trace of a session, summed by operator, node and provider."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import OnnxProfile, OperatorTime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NODES_KEPT = 15
MOST_EVENTS = 1_000_000
"""ONNX Runtime records no further ones."""
_KERNEL = "_kernel_time"
"""End of the names of events that are one call of a node."""
_RUN = "model_run"


class _Arguments(msgspec.Struct, frozen=True):
    op_name: str = ""
    provider: str = ""


class _Event(msgspec.Struct, frozen=True):
    """One line of Chrome's trace format as ONNX Runtime writes it, when what it tells of has ended."""

    cat: str = ""
    name: str = ""
    ts: int = 0
    dur: int = 0
    tid: int = 0
    args: _Arguments = _Arguments()


class _Call(NamedTuple):
    """A node's call, with the time of its own."""

    event: _Event
    own_us: int


def read_profile(trace: Path, kept_as: Path) -> OnnxProfile:
    """Sum a trace; `kept_as` is where it will lie. Raises `EdgetuiError("internal")` for one that cannot be read.

    Only whole runs count. A node that holds a graph of its own, such as Loop, counts without the time of the nodes in
    it, as far as those ran on its thread.
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
    calls: list[_Call] = []
    ended: dict[int, list[_Event]] = defaultdict(list)
    for event in events:
        if event.cat == "Node" and event.name.endswith(_KERNEL):
            calls.append(_Call(event, max(0, event.dur - _nested_us(event, ended[event.tid]))))
            ended[event.tid].append(event)
        if event.cat != "Session" or event.name != _RUN:
            continue
        runs += 1
        for call, own_us in calls:
            kind = call.args.op_name
            for sums, key in (
                (types, kind),
                (nodes, (call.name.removesuffix(_KERNEL), kind)),
                (providers, call.args.provider.removesuffix("ExecutionProvider")),
            ):
                sums[key][0] += 1
                sums[key][1] += own_us
        calls.clear()
        ended.clear()
    return OnnxProfile(
        runs=runs,
        by_type=_dearest(types),
        by_node=_dearest(nodes)[:NODES_KEPT],
        by_provider=_dearest(providers),
        trace=str(kept_as),
        # Calls without the run that they belong to, of which the end was not recorded.
        is_cut=bool(calls) or len(events) >= MOST_EVENTS,
    )


def _nested_us(event: _Event, ended: list[_Event]) -> int:
    """Time of the calls that began after this one, on its thread, and ended before it; they are taken off `ended`."""
    nested_us = 0
    while ended and ended[-1].ts >= event.ts:
        nested_us += ended.pop().dur
    return nested_us


def _dearest(sums: Mapping[Any, list[int]]) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(*((key, count, us) if isinstance(key, str) else (key[0], count, us, key[1])))
        for key, (count, us) in sorted(sums.items(), key=lambda each: (-each[1][1], each[0]))
    )
