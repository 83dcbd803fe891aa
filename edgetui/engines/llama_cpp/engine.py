"""llama.cpp as a session worker's engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.base import NOTHING_LOADED, lacks
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.conversation import Conversation
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.worker.protocol import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Embedded, Finished, Generate, Inspected, Load, SessionEvent, Tokenized

NAME = "llama.cpp"


class LlamaCppEngine:
    """One model and its conversation at a time (see `engines.base.Engine`)."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._conversation: Conversation | None = None

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Load and warm up; the model loaded before is freed first, so that both never share the memory."""
        started = time.perf_counter()
        path, settings = Path(command.path), command.settings
        self.unload()
        model = LoadedModel.load(path, settings, on_progress=on_progress, stop=stop)
        try:
            model.warm_up(stop)
        except BaseException:
            model.close()
            raise
        self._model = model
        self._conversation = Conversation(library.load(), model)
        return Loaded(
            load_s=time.perf_counter() - started,
            context_tokens=model.context_tokens,
            trained_context_tokens=model.trained_context_tokens,
            batch_tokens=model.batch_tokens,
            threads=model.threads,
            kv_cache_type=settings.kv_cache_type,
            kv_cache_bytes=model.kv_cache_bytes,
            weights_bytes=model.weights_bytes,
            parameter_count=model.parameter_count,
            description=model.description,
            has_chat_template=model.chat_template is not None,
            engine=NAME,
            engine_version=library.version(),
            backend=library.backend(),
        )

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer with the loaded model."""
        if self._conversation is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        if command.sampling.grammar or command.sampling.json_schema:
            raise lacks(NAME, "hold an answer to a grammar")
        return self._conversation.generate(command, arrived_ns, emit, stop)

    def tokenize(self, text: str) -> Tokenized:
        """By the model's own vocabulary."""
        raise lacks(NAME, "tokenize")

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """Logits of the last answer, computed anew in one prefill."""
        raise lacks(NAME, "inspect")

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """Pooled as the model's file says."""
        raise lacks(NAME, "embed")

    def unload(self) -> None:
        """Free context and weights."""
        if self._model is not None:
            self._model.close()
        self._model = self._conversation = None
