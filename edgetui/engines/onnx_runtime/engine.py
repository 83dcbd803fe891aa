"""onnxruntime-genai as a session worker's engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.base import NOTHING_LOADED, lacks
from edgetui.engines.onnx_runtime import genai_library, genai_settings, graph
from edgetui.engines.onnx_runtime.beside import folders_beside
from edgetui.engines.onnx_runtime.conversation import Conversation
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.vocabulary import Vocabulary
from edgetui.formats.model_folder import GENAI_CONFIG, chat_template
from edgetui.formats.regular_file import open_regular
from edgetui.worker.protocol import Inspected, Loaded, Tokenized, TokenPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.engines.stopping import StopFlag
    from edgetui.formats.onnx import OnnxModel
    from edgetui.worker.protocol import Embedded, Finished, Generate, Load, SessionEvent

NAME = "onnxruntime-genai"
_BLOCK_BYTES = 4 * 1024 * 1024


class GenaiEngine:
    """One model and its conversation at a time (see `engines.base.Engine`)."""

    def __init__(self) -> None:
        self._model: genai_library.Model | None = None
        self._conversation: Conversation | None = None
        self._vocabulary: Vocabulary | None = None

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
        vocabulary = Vocabulary(path)
        template = next(filter(None, map(chat_template, folders_beside(path))), "")
        _read_ahead(model, on_progress, stop)
        try:
            with told(name, "Loading"):
                self._model = genai_library.Model(path.parent, chosen.overlay, without_providers=chosen.on_cpu_alone)
                self._vocabulary = vocabulary
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
            engine=NAME,
            engine_version=genai_library.version(),
            backend=backend,
            abilities=("tokenize", "inspect"),
            remarks=chosen.remarks,
        )

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer with the loaded model."""
        if self._conversation is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        return self._conversation.generate(command, arrived_ns, emit, stop)

    def tokenize(self, text: str) -> Tokenized:
        """By the tokenizer.json beside the graph."""
        if self._vocabulary is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        vocabulary = self._vocabulary
        tokens = vocabulary.tokenize(text, add_special=False)
        return Tokenized(tokens=tuple(TokenPiece(token, vocabulary.text_of(token)) for token in tokens))

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """Logits of the last answer, computed anew."""
        if self._conversation is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        return Inspected(tokens=self._conversation.inspect(alternatives, stop))

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """A decoder's graph gives logits, and no hidden states that could be pooled."""
        raise lacks(NAME, "embed")

    def unload(self) -> None:
        """Free cache and weights."""
        if self._conversation is not None:
            self._conversation.close()
        if self._model is not None:
            self._model.close()
        self._conversation = self._model = self._vocabulary = None
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
