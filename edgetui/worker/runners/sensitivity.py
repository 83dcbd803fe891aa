"""The step of a search that measures what quantizing each group of tensors alone does to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.recipe_search import PROBE_TYPE, GroupSensitivity, group_of, may_be_quantized
from edgetui.core.statistics import mean
from edgetui.engines import host
from edgetui.engines.llama_cpp.imatrix_weights import ImatrixWeights
from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
from edgetui.engines.llama_cpp.tensor_file import TensorFile
from edgetui.engines.quality.rows import Rows
from edgetui.engines.recipe.divergence import Chunks, open_model
from edgetui.engines.recipe.probe import ProbedCopy
from edgetui.engines.reporting import Outcome
from edgetui.store.tensor_errors import TensorErrors

if TYPE_CHECKING:
    from edgetui.worker.requests import SensitivityRequest
    from edgetui.worker.runners import RunningJob


def run(request: SensitivityRequest, job: RunningJob) -> Outcome:
    """Write `request.result`."""
    settings = request.settings
    partial, copy = request.partials(job.folder.job_id)
    codec, rows = TensorCodec(host.usable_threads()), Rows(request.parent_name, host.usable_threads())
    importance = ImatrixWeights.read(Path(request.imatrix)).means if request.imatrix else {}
    errors = {
        error.tensor: error.output_error or 0.0
        for error in TensorErrors(job.database).of(request.parent_fingerprint, request.trial)
        if error.type_name == PROBE_TYPE
    }
    with TensorFile(Path(request.parent), codec) as parent:
        layers = parent.header.of_architecture("block_count") or 1
        groups: dict[str, list[str]] = {}
        for tensor in parent.header.tensors:
            if may_be_quantized(tensor.name, tensor.shape) and tensor.name in errors:
                groups.setdefault(group_of(tensor.name, layers), []).append(tensor.name)
        job.progress(0, len(groups) + 1, "groups", "what the parent expects")
        model = open_model(Path(request.parent), settings.context_tokens, settings.threads)
        try:
            chunks = Chunks(model, request.text, settings.context_tokens, 0, settings.choosing_chunks)
            baseline = list(chunks.encoded(model, rows))
        finally:
            model.close()
        probed = ProbedCopy(parent, copy, codec)
        found = []
        for number, (group, names) in enumerate(groups.items()):
            job.progress(number + 1, len(groups) + 1, "groups", f"{group} in {PROBE_TYPE}")
            probed.quantize(names, PROBE_TYPE, importance)
            model = open_model(copy, settings.context_tokens, settings.threads)
            try:
                kl = mean([chunk.kl for chunk in chunks.compared(model, baseline, rows)])
            finally:
                model.close()
            probed.restore(names)
            found.append(GroupSensitivity(group=group, kl=kl, error=sum(errors[name] for name in names)))
        job.progress(len(groups) + 1, len(groups) + 1, "groups")
    copy.unlink(missing_ok=True)
    partial.write_bytes(msgspec.json.encode(found))
    partial.replace(request.result)
    return Outcome(summary=f"{request.parent_name}: sensitivities of {len(found)} groups.", output=request.result)
