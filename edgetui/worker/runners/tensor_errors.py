"""The job that measures errors of tensors: each is in the database as soon as it is known, and never measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import counted
from edgetui.engines import host
from edgetui.engines.llama_cpp.imatrix_weights import ImatrixWeights
from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
from edgetui.engines.llama_cpp.tensor_errors import TYPES, model_errors, takes, type_errors
from edgetui.engines.llama_cpp.tensor_file import TensorFile
from edgetui.engines.reporting import Outcome
from edgetui.formats.fingerprint import fingerprint
from edgetui.store.tensor_errors import TensorErrors

if TYPE_CHECKING:
    from edgetui.formats.gguf_header import GgufTensor
    from edgetui.worker.requests import TensorErrorsRequest
    from edgetui.worker.runners import RunningJob


def run(request: TensorErrorsRequest, job: RunningJob) -> Outcome:
    """Measure what is not known yet."""
    store = TensorErrors(job.database)
    codec = TensorCodec(host.usable_threads())
    job.progress(0, None, "tensors", "reading the headers")
    importance = ImatrixWeights.read(Path(request.imatrix)).means if request.imatrix else {}
    with TensorFile(Path(request.model), codec) as model, TensorFile(Path(request.parent), codec) as parent:
        if fingerprint(parent.header.parts) != request.parent_fingerprint:
            raise EdgetuiError(
                "bad_file", f"{parent.header.path.name} has changed since it was looked at: look again and start anew."
            )
        wanted = [tensor for tensor in model.header.tensors if not request.tensors or tensor.name in request.tensors]
        if len(wanted) < len(request.tensors):
            raise EdgetuiError(
                "not_found", f"{request.model_name} has no tensor {request.tensors[0]}: look at its list of tensors."
            )
        known: dict[str, set[str]] = {}
        for error in store.of(request.parent_fingerprint, request.made_by):
            known.setdefault(error.tensor, set()).add(error.type_name)
        total = sum(tensor.size_bytes for tensor in wanted)
        done_bytes = 0

        def report(place: int, tensor: GgufTensor, note: str = "") -> None:
            job.progress(
                place, len(wanted), "tensors", f"{tensor.name}{note}", bytes_done=done_bytes, bytes_total=total
            )

        for place, tensor in enumerate(wanted):
            if not request.types:
                if tensor.type.name not in known.get(tensor.name, ()):
                    report(place, tensor)
                    errors = model_errors(model, parent, importance, (tensor.name,))
                    store.put(request.parent_fingerprint, request.made_by, errors)
            else:
                weights = importance.get(tensor.name)
                for name in request.types:
                    kind = TYPES[name]
                    if name in known.get(tensor.name, ()) or not takes(
                        tensor, kind, has_importance=weights is not None
                    ):
                        continue
                    report(place, tensor, f" in {name}")
                    found = type_errors(parent, tensor, (kind,), codec, weights, request.most_weights or None)
                    store.put(request.parent_fingerprint, request.made_by, found)
            done_bytes += tensor.size_bytes
            report(place + 1, tensor)
    codec.close()
    if request.types:
        tried = f"{counted(len(wanted), 'tensor')} tried in {counted(len(request.types), 'type')}"
        return Outcome(summary=f"{request.subject}: {tried}.")
    measured = [error for error in store.of(request.parent_fingerprint, request.made_by) if error.relative is not None]
    worst = max(measured, key=lambda error: error.relative or 0.0, default=None)
    told = "" if worst is None else f"; the largest relative error is {worst.relative:.1%} ({worst.tensor})"
    return Outcome(summary=f"{request.model_name}: errors of {counted(len(measured), 'tensor')}{told}.")
