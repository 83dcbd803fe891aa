"""llama.cpp as a session worker's engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.base import NOTHING_LOADED
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.conversation import Conversation
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.engines.llama_cpp.native_params import draft_settings
from edgetui.engines.llama_cpp.prompt_cache import PromptCache
from edgetui.engines.llama_cpp.speculation import DraftModel, PromptLookup, can_take_back, require_same_vocabulary
from edgetui.worker.protocol import Loaded, Tokenized, TokenPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.engines import Ability
    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.llama_cpp.speculation import Proposer
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Embedded, Finished, Generate, Inspected, Load, SessionEvent

NAME = "llama.cpp"


class LlamaCppEngine:
    """One model, perhaps a draft model beside it, and one conversation at a time (see `engines.base.Engine`)."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._draft: LoadedModel | None = None
        self._conversation: Conversation | None = None
        self._load: Load | None = None

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Load and warm up; the model loaded before is freed first, so that both never share the memory."""
        started = time.perf_counter()
        self.unload()
        try:
            model = self._read(command, on_progress, stop)
            self._conversation = self._begin(model, command)
        except BaseException:
            self.unload()
            raise
        self._load = command
        settings = command.settings
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
            use_mmap=model.use_mmap,
            huge_page_bytes=model.huge_page_bytes,
            has_chat_template=model.chat_template is not None,
            engine=NAME,
            engine_version=library.version(),
            backend=library.backend(),
            abilities=self._abilities(model),
            remarks=self._remarks(model, settings),
        )

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer with the loaded model."""
        return self._loaded[1].generate(command, arrived_ns, emit, stop)

    def tokenize(self, text: str) -> Tokenized:
        """By the model's own vocabulary, without what it wants before a text."""
        vocabulary = self._loaded[1].vocabulary
        return Tokenized(
            tokens=tuple(
                TokenPiece(token, vocabulary.piece(token, special=True).decode("utf-8", "replace"))
                for token in vocabulary.tokenize(text, add_special=False)
            )
        )

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """Logits of the last answer, computed anew a few tokens at a time."""
        from edgetui.engines.llama_cpp.inspection import inspect_answer

        model, conversation = self._loaded
        return inspect_answer(conversation, model, alternatives, stop)

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """Pooled as the model's file says."""
        from edgetui.engines.llama_cpp.embedding import embed

        model = self._loaded[0]
        assert self._load is not None
        return embed(model, self._load.settings, texts, stop)

    def unload(self) -> None:
        """Free contexts and weights, after keeping the KV cache on disk where that was asked for."""
        if self._conversation is not None:
            self._conversation.close()
        self._conversation = self._load = None
        for model in (self._model, self._draft):
            if model is not None:
                model.close()
        self._model = self._draft = None

    @property
    def _loaded(self) -> tuple[LoadedModel, Conversation]:
        if self._model is None or self._conversation is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        return self._model, self._conversation

    def _read(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> LoadedModel:
        """The model, and the draft model that the settings name, both warm."""
        settings = command.settings
        share = 0.8 if settings.draft_model else 1.0
        model = self._model = LoadedModel.load(
            Path(command.path), settings, on_progress=lambda done: on_progress(done * share), stop=stop
        )
        model.warm_up(stop)
        if settings.draft_model:
            draft = self._draft = LoadedModel.load(
                Path(settings.draft_model),
                draft_settings(settings, model.context_tokens),
                on_progress=lambda done: on_progress(share + done * (1 - share)),
                stop=stop,
            )
            draft.warm_up(stop)
        return model

    def _begin(self, model: LoadedModel, command: Load) -> Conversation:
        settings = command.settings
        keeps = settings.prompt_cache and command.cache_dir
        return Conversation(
            library.load(),
            model,
            self._proposer(model, settings),
            settings.draft_tokens,
            PromptCache(Path(command.cache_dir), model, settings) if keeps else None,
        )

    def _proposer(self, model: LoadedModel, settings: LoadSettings) -> Proposer | None:
        lib = library.load()
        if self._draft is not None:
            require_same_vocabulary(lib, model, self._draft)
        if not can_take_back(lib, model):
            return None
        if self._draft is not None:
            return DraftModel(lib, self._draft) if can_take_back(lib, self._draft) else None
        return PromptLookup() if settings.prompt_lookup else None

    def _abilities(self, model: LoadedModel) -> tuple[Ability, ...]:
        abilities: tuple[Ability, ...] = ("tokenize", "inspect", "embed", "grammar", "adapters", "prompt_cache")
        return (*abilities, "speculation") if can_take_back(library.load(), model) else abilities

    def _remarks(self, model: LoadedModel, settings: LoadSettings) -> tuple[str, ...]:
        speculates = bool(settings.draft_model) or settings.prompt_lookup
        assert self._conversation is not None
        found = model.remarks
        if speculates and not self._conversation.speculates:
            found += ("A model with a recurrent state cannot take tokens back, so nothing is guessed ahead.",)
        elif speculates and model.output_rows < 2:
            found += ("A physical batch of one token has no room for another, so nothing is guessed ahead.",)
        if settings.draft_model and settings.prompt_lookup and self._conversation.speculates:
            found += ("The draft model guesses, and prompt lookup does not: one of them can.",)
        return found
