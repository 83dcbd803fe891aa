"""Logits of given tokens by llama.cpp, several chunks at once as sequences of one batch, as llama-perplexity does."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

from edgetui.core.bench import PHYSICAL_BATCH_TOKENS
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.engines.token_prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BATCH_TOKENS = 2048
"""llama-perplexity's -b: tokens handed over at once, of as many sequences as go into it."""
MOST_SEQUENCES = 16
"""Each takes cells of the cache, 256 at least; more fill no batch of any use."""
OUTPUT_BYTES = 256 * 1024**2
"""Logits held at once, where one sequence alone is not more: with a large vocabulary fewer sequences go together."""


def open_logits(path: Path, *, context_tokens: int, threads: int) -> LlamaLogits:
    """Load a model for chunks of at most `context_tokens` tokens; `threads` 0 takes one a physical core.

    Raises `EdgetuiError` as a load does, `bad_request` for a context beyond the trained one, and `unsupported` for a
    model without a tokenizer or one that does not tell the next token.
    """
    from edgetui.formats.gguf import check_loadable

    header = check_loadable(path)
    if header.context_length and context_tokens > header.context_length:
        raise EdgetuiError(
            "bad_request",
            f"{path.name} was trained for {header.context_length} tokens of context, and beyond that its figures mean"
            f" nothing: take a context of at most that.",
        )
    vocabulary = header.vocabulary_size or 0
    sequences = min(MOST_SEQUENCES, max(1, BATCH_TOKENS // context_tokens))
    while sequences > 1 and sequences * context_tokens // 2 * vocabulary * 4 > OUTPUT_BYTES:
        sequences -= 1

    def adjust(params: Any) -> None:
        params.n_seq_max = sequences
        params.n_batch = min(BATCH_TOKENS, sequences * context_tokens)
        params.n_ubatch = min(PHYSICAL_BATCH_TOKENS, params.n_batch)
        # 0: as many as a batch has tokens.
        params.n_outputs_max = 0
        params.swa_full = False

    settings = LoadSettings(context_tokens=sequences * context_tokens, batch_tokens=BATCH_TOKENS, threads=threads)
    return LlamaLogits(LoadedModel.load(path, settings, adjust_context=adjust), sequences, context_tokens)


class LlamaLogits:
    """`LogitSource` over a loaded model."""

    engine = "llama.cpp"

    def __init__(self, model: LoadedModel, sequences: int, context_tokens: int) -> None:
        self._lib: Any = library.load()
        self._model = model
        self._sequences = sequences
        self._context_tokens = context_tokens
        self._kept = 0
        self.engine_version = library.version()
        self.vocabulary_size = int(self._lib.llama_vocab_n_tokens(model.vocab))
        try:
            self._require_language_model()
        except EdgetuiError:
            model.close()
            raise
        self._batch = self._lib.llama_batch_init(model.batch_tokens, 0, 1)

    @property
    def bos(self) -> int | None:
        """The beginning of sequence, where the vocabulary says that a text begins with it."""
        if not self._lib.llama_vocab_get_add_bos(self._model.vocab):
            return None
        token = int(self._lib.llama_vocab_bos(self._model.vocab))
        return token if token >= 0 else None

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text; a special token written out in it is text like any other, as for llama-perplexity."""
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 8
        while True:
            tokens = (self._lib.llama_token * size)()
            count = self._lib.llama_tokenize(self._model.vocab, raw, len(raw), tokens, size, add_special, False)
            if count >= 0:
                return list(tokens[:count])
            size = -count

    def logits(self, chunks: Sequence[Sequence[int]], first: int) -> Iterator[NDArray[numpy.float32]]:
        """Logits of each chunk from position `first` on; see `LogitSource`."""
        self._require_memory(max((len(chunk) - first for chunk in chunks), default=0))
        shared = _shared_beginning(chunks, first)
        self._forget()
        group: list[Sequence[int]] = []
        for chunk in chunks:
            assert 0 <= first < len(chunk) <= self._context_tokens
            if len(group) == self._sequences or sum(map(len, group)) + len(chunk) > self._model.batch_tokens:
                yield from self._of_group(group, first, shared)
                group = []
            group.append(chunk)
        yield from self._of_group(group, first, shared)

    def close(self) -> None:
        """Free the model."""
        if self._batch is not None:
            self._lib.llama_batch_free(self._batch)
            self._batch = None
        self._model.close()

    def _of_group(self, group: Sequence[Sequence[int]], first: int, shared: int) -> Iterator[NDArray[numpy.float32]]:
        """Of sequences that go into one batch together, or of one that takes several."""
        if not group:
            return
        most, longest = self._model.batch_tokens, len(group[0])
        if longest > most:
            yield self._of_long(group[0], first)
            return
        self._keep_only(group[0][:shared])
        batch = [
            (token, at, number) for number, chunk in enumerate(group) for at, token in enumerate(chunk) if at >= shared
        ]
        rows = self._decode(batch, first)
        begin = 0
        for chunk in group:
            yield rows[begin : begin + len(chunk) - first]
            begin += len(chunk) - first

    def _of_long(self, chunk: Sequence[int], first: int) -> NDArray[numpy.float32]:
        self._forget()
        most = self._model.batch_tokens
        whole: NDArray[numpy.float32] = numpy.empty((len(chunk) - first, self.vocabulary_size), numpy.float32)
        filled = 0
        for begin in range(0, len(chunk), most):
            part = [(token, begin + at, 0) for at, token in enumerate(chunk[begin : begin + most])]
            rows = self._decode(part, first)
            whole[filled : filled + len(rows)] = rows
            filled += len(rows)
        return whole

    def _forget(self) -> None:
        self._lib.llama_memory_clear(self._model.memory, True)
        self._kept = 0

    def _keep_only(self, beginning: Sequence[int]) -> None:
        """Have these tokens in every sequence's cache and nothing else; what is there already is not decoded."""
        lib, memory = self._lib, self._model.memory
        kept = self._kept and all(
            # A cache that keeps no more than a window cannot take its last tokens back.
            lib.llama_memory_seq_rm(memory, number, len(beginning), -1)
            for number in range(self._sequences)
        )
        if kept:
            return
        self._forget()
        if beginning:
            self._decode([(token, at, 0) for at, token in enumerate(beginning)], len(beginning))
            for number in range(1, self._sequences):
                lib.llama_memory_seq_cp(memory, 0, number, -1, -1)
            self._kept = len(beginning)

    def _decode(self, tokens: Sequence[tuple[int, int, int]], first: int) -> NDArray[numpy.float32]:
        """Decode (token, position, sequence) triples; gives the logits after positions from `first` on.

        The array is llama.cpp's own and lives until the next call.
        """
        batch = self._batch
        batch.n_tokens = len(tokens)
        count = 0
        for place, (token, position, sequence) in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = position
            batch.n_seq_id[place] = 1
            batch.seq_id[place][0] = sequence
            batch.logits[place] = position >= first
            count += position >= first
        status = self._lib.llama_decode(self._model.context, batch)
        if status != 0:
            raise self._failure(status)
        if count == 0:
            self._lib.llama_synchronize(self._model.context)
            return numpy.empty((0, self.vocabulary_size), numpy.float32)
        address = self._lib.llama_get_logits(self._model.context)
        if not address:
            raise self._no_next_token()
        return numpy.ctypeslib.as_array(address, shape=(count, self.vocabulary_size))

    def _failure(self, status: int) -> EdgetuiError:
        name = self._model.path.name
        if status == -2:
            return EdgetuiError(
                "out_of_memory", f"The logits of {name} do not fit into this machine's memory: take a smaller context."
            )
        return EdgetuiError("unsupported", f"llama.cpp loads {name} but cannot compute with it (status {status}).")

    def _require_memory(self, rows: int) -> None:
        """llama.cpp takes the room for logits only when it computes them, and ends the process where there is none."""
        batched = min(rows * self._sequences, self._model.batch_tokens)
        needed = max(rows, batched) * self.vocabulary_size * ctypes.sizeof(ctypes.c_float)
        available = host.available_memory_bytes()
        if needed > available:
            raise EdgetuiError(
                "out_of_memory",
                f"The logits of a chunk of {self._model.path.name} take {format_bytes(needed)} and"
                f" {format_bytes(available)} are free: take a smaller context.",
            )

    def _require_language_model(self) -> None:
        lib, name = self._lib, self._model.path.name
        if lib.llama_vocab_type(self._model.vocab) == lib.LLAMA_VOCAB_TYPE_NONE:
            raise EdgetuiError(
                "unsupported", f"{name} holds no tokenizer, so no text can be measured: take a file that has one."
            )
        if lib.llama_model_has_encoder(self._model.model) or not lib.llama_model_has_decoder(self._model.model):
            raise self._no_next_token()

    def _no_next_token(self) -> EdgetuiError:
        return EdgetuiError(
            "unsupported",
            f"{self._model.path.name} does not tell the next token of a text, so it has no perplexity: take another.",
        )


def _shared_beginning(chunks: Sequence[Sequence[int]], first: int) -> int:
    """How many tokens before `first` all of several chunks begin with, such as the examples before tasks."""
    if len(chunks) < 2:
        return 0
    beginnings = [list(chunk[:first]) for chunk in chunks]
    # What the first and the last in order share, all share.
    return common_prefix(min(beginnings), max(beginnings))
