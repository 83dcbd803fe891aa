"""onnxruntime-genai as a session worker's engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.cached_engine import CachedEngine
from edgetui.engines.onnx_runtime import genai_library, genai_settings, graph
from edgetui.engines.onnx_runtime.beside import folders_beside
from edgetui.engines.onnx_runtime.conversation import ENGINE, Conversation
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.vocabulary import read_vocabulary
from edgetui.formats.model_folder import GENAI_CONFIG, chat_template
from edgetui.formats.regular_file import open_regular
from edgetui.worker.protocol import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.stopping import StopFlag
    from edgetui.formats.onnx import OnnxModel
    from edgetui.worker.protocol import Load

_BLOCK_BYTES = 4 * 1024 * 1024


class GenaiEngine(CachedEngine[Conversation]):
    """A decoder's graph with a genai_config.json beside it."""

    ENGINE = ENGINE

    def __init__(self) -> None:
        super().__init__()
        self._model: genai_library.Model | None = None

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Load and warm up; the model loaded before is freed first, so that both never share the memory."""
        started = time.perf_counter()
        path, settings = Path(command.path), command.settings
        self.unload()
        name = path.parent.name
        if not (path.parent / GENAI_CONFIG).is_file():
            raise EdgetuiError(
                "unsupported",
                f"{path.name} has no {GENAI_CONFIG} beside it, so onnxruntime-genai cannot run it: build it with"
                " onnx-build.",
            )
        with told(name, "Loading"):
            model = graph.inspect(path)
            chosen = genai_settings.choose(path, model, settings)
        weights_bytes = graph.source_bytes(model)
        kv_cache_bytes = chosen.cache.bytes_per_token * chosen.context_tokens
        graph.require_memory(weights_bytes + kv_cache_bytes, name)
        vocabulary = read_vocabulary(path)
        template = next(filter(None, map(chat_template, folders_beside(path))), "")
        _read_ahead(model, on_progress, stop)
        try:
            with told(name, "Loading"):
                self._model = genai_library.Model(path.parent, chosen.overlay, without_providers=chosen.on_cpu_alone)
                self._conversation = Conversation(
                    name, self._model, vocabulary, template, chosen.context_tokens, settings.batch_tokens
                )
                self._conversation.warm_up(stop)
            backend = self._model.device
        except BaseException:
            self.unload()
            raise
        return Loaded(
            load_s=time.perf_counter() - started,
            context_tokens=chosen.context_tokens,
            trained_context_tokens=chosen.trained_context_tokens,
            batch_tokens=settings.batch_tokens,
            threads=chosen.threads,
            kv_cache_type=chosen.cache.type_name,
            kv_cache_bytes=kv_cache_bytes,
            weights_bytes=weights_bytes,
            parameter_count=model.parameter_count,
            description=f"ONNX {model.quant_type or ''}".strip(),
            has_chat_template=bool(template),
            engine=ENGINE,
            engine_version=genai_library.version(),
            backend=backend,
            abilities=("tokenize", "inspect"),
            remarks=chosen.remarks,
        )

    def unload(self) -> None:
        """Free cache and weights."""
        if self._conversation is not None:
            self._conversation.close()
        if self._model is not None:
            self._model.close()
        self._conversation = self._model = None
        host.return_memory()


def _read_ahead(model: OnnxModel, on_progress: Callable[[float], None], stop: StopFlag) -> None:
    """Read the files into the system's memory, where ONNX Runtime, which tells nothing, then finds them.

    Raises `EdgetuiError("cancelled")`.
    """
    files = [model.path, *(model.path.parent / name for name in model.external_files)]
    total = sum(file.stat().st_size for file in files)
    done, told_at = 0, 0.0
    for file in files:
        with open_regular(file) as stream:
            while block := stream.read(_BLOCK_BYTES):
                done += len(block)
                if stop.is_set:
                    raise EdgetuiError("cancelled", f"Loading {model.path.parent.name} was stopped.")
                if (now := time.monotonic()) - told_at > 0.05 or done == total:
                    told_at = now
                    on_progress(min(1.0, done / total))
