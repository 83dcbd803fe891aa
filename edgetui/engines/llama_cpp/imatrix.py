"""An importance matrix from a text: what goes into each matrix product of a model, collected while it reads.

ggml's scheduler calls back for every node of a graph; of the products that llama-imatrix looks at
(tools/imatrix/imatrix.cpp), the squares of the input's columns are summed up here.
"""

from __future__ import annotations

import ctypes
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.eval_tensors import Eval, EvalTensor
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.engines.llama_cpp.tokens import Vocabulary
from edgetui.formats.imatrix import ImatrixEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy
    from numpy.typing import NDArray

FEWEST_ROWS = 16
"""llama-imatrix leaves out products with fewer rows; the last rows of a text are no loss."""
OUTPUT_BYTES = 128 * 1024**2
"""Room for logits: every token must have some, or the last layer would leave out what nobody reads."""


@dataclass(frozen=True)
class CollectedImatrix:
    """What came of a text."""

    entries: dict[str, ImatrixEntry]
    chunk_count: int
    chunk_tokens: int
    """What was asked for, or the context that the model was trained for where that is less."""
    unused_experts: int
    """Matrices of experts that no token of the text went through."""


def collect(
    path: Path,
    text: str,
    *,
    chunks: int = 0,
    chunk_tokens: int = 512,
    threads: int = 0,
    on_chunk: Callable[[int, int], None] = lambda done, total: None,
) -> CollectedImatrix:
    """Let a model read a text in chunks (0 for all) that know nothing of each other.

    `on_chunk` gets the chunks done and their number. Raises `EdgetuiError` as a load does; `bad_request` for a text
    that is too short, `bad_file` for a model whose activations are no numbers, `unsupported` for one that reads no
    text.
    """
    from edgetui.formats.gguf import check_loadable

    header = check_loadable(path)
    trained = header.context_length
    chunk_tokens = min(chunk_tokens, trained) if trained else chunk_tokens
    piece_tokens = _piece_tokens(header.vocabulary_size or 1, chunk_tokens)
    collector = Collector()
    # The context keeps the address only.
    callback = library.load().ggml_backend_sched_eval_callback(collector.see)

    def adjust(params: Any) -> None:
        params.cb_eval = callback
        params.n_batch = params.n_ubatch = piece_tokens
        params.n_outputs_max = piece_tokens
        params.swa_full = False

    settings = LoadSettings(context_tokens=chunk_tokens, batch_tokens=piece_tokens, threads=threads)
    model = LoadedModel.load(path, settings, adjust_context=adjust)
    try:
        reader = _Reader(model, piece_tokens)
        whole = reader.chunks(text, chunk_tokens)
        total = min(chunks, len(whole)) if chunks else len(whole)
        if total == 0:
            raise EdgetuiError(
                "bad_request",
                f"The text is too short for an importance matrix: it has fewer than {chunk_tokens} tokens of"
                f" {path.name}; take a longer one.",
            )
        on_chunk(0, total)
        for number, tokens in enumerate(whole[:total], start=1):
            reader.read(tokens)
            collector.require_sound(path.name)
            on_chunk(number, total)
    finally:
        model.close()
    entries = collector.entries()
    if not entries:
        raise EdgetuiError("unsupported", f"No matrix product of {path.name} could be followed: take another model.")
    unused = sum(count == 0 for entry in entries.values() for count in entry.counts)
    return CollectedImatrix(entries, total, chunk_tokens, unused)


class Collector:
    """Sums up the squares of inputs; `see` is ggml's callback."""

    def __init__(self) -> None:
        self._eval = Eval()
        self._sums: dict[str, NDArray[numpy.float64]] = {}
        self._counts: dict[str, NDArray[numpy.int64]] = {}
        self._failure: Exception | None = None
        self._unsound = ""

    def see(self, address: int, ask: bool, _data: object) -> bool:
        """Asked first whether a node is of interest, then called once more when it is computed."""
        try:
            product = self._eval.product(address)
            if ask:
                return product is not None and self._is_wanted(product.weights.name, product.inputs, product.ids)
            if product is not None:
                self._add(product.weights, product.inputs, product.ids)
        except Exception as error:
            # It cannot pass through native code.
            self._failure = error
            return False
        return True

    def require_sound(self, model_name: str) -> None:
        """Raise what went wrong in the callback."""
        if self._failure is not None:
            raise self._failure
        if self._unsound:
            raise EdgetuiError(
                "bad_file",
                f"What goes into {self._unsound} of {model_name} are no numbers (NaN or infinite): the model is"
                " damaged, so no importance matrix can be made of it.",
            )

    def entries(self) -> dict[str, ImatrixEntry]:
        """The sums so far, by the name of the weight matrix."""
        return {
            name: ImatrixEntry(array("f", sums.astype("float32").tobytes()), tuple(map(int, self._counts[name])))
            for name, sums in self._sums.items()
        }

    @staticmethod
    def _is_wanted(name: str, inputs: EvalTensor, ids: EvalTensor | None) -> bool:
        if not inputs.is_f32:
            return False
        return ids is not None or (inputs.shape[1] >= FEWEST_ROWS and name.startswith("blk."))

    def _add(self, weights: EvalTensor, inputs: EvalTensor, ids: EvalTensor | None) -> None:
        columns, matrices = inputs.shape[0], weights.shape[2] * weights.shape[3]
        name = weights.name
        if name not in self._sums:
            import numpy

            self._sums[name] = numpy.zeros((matrices, columns))
            self._counts[name] = numpy.zeros(1 if ids is None else matrices, numpy.int64)
        sums, counts = self._sums[name], self._counts[name]
        values = inputs.floats()
        if ids is None:
            for third in range(inputs.shape[3]):
                for second in range(inputs.shape[2]):
                    matrix = third % weights.shape[3] * weights.shape[2] + second % weights.shape[2]
                    sums[matrix] += _squares(values[third, second])
            counts += inputs.shape[1] * inputs.shape[2] * inputs.shape[3] // matrices
        else:
            self._add_experts(sums, counts, values[0], ids.integers()[0, 0])
        if not bool((sums < float("inf")).all()):
            self._unsound = self._unsound or name

    @staticmethod
    def _add_experts(
        sums: NDArray[numpy.float64],
        counts: NDArray[numpy.int64],
        values: NDArray[numpy.float32],
        ids: NDArray[numpy.int32],
    ) -> None:
        """`values` is (tokens, inputs of a token, columns), `ids` the experts of each token (tokens, experts used)."""
        import numpy

        for expert in numpy.unique(ids):
            tokens, places = numpy.nonzero(ids == expert)
            sums[expert] += _squares(values[tokens, places % values.shape[1]])
            counts[expert] += len(tokens)


class _Reader:
    """Hands chunks of tokens to a loaded model."""

    def __init__(self, model: LoadedModel, piece_tokens: int) -> None:
        self._lib: Any = library.load()
        self._model = model
        self._piece_tokens = piece_tokens
        if self._lib.llama_vocab_type(model.vocab) == self._lib.LLAMA_VOCAB_TYPE_NONE:
            raise EdgetuiError(
                "unsupported", f"{model.path.name} holds no tokenizer, so it reads no text: take a file that has one."
            )

    def chunks(self, text: str, chunk_tokens: int) -> list[list[int]]:
        """Whole chunks of the text, each begun as the model wants a text to begin."""
        vocabulary = Vocabulary(self._lib, self._model.vocab)
        tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)
        whole = [tokens[at : at + chunk_tokens] for at in range(0, len(tokens) - chunk_tokens + 1, chunk_tokens)]
        if vocabulary.adds_bos:
            bos = int(self._lib.llama_vocab_bos(self._model.vocab))
            whole = [[bos, *chunk[1:]] for chunk in whole]
        return whole

    def read(self, tokens: Sequence[int]) -> None:
        """Compute a chunk, all tokens to the last layer."""
        lib = self._lib
        lib.llama_memory_clear(self._model.memory, True)
        for begin in range(0, len(tokens), self._piece_tokens):
            piece = tokens[begin : begin + self._piece_tokens]
            array_ = (lib.llama_token * len(piece))(*piece)
            wanted = (ctypes.c_int8 * len(piece))(*([1] * len(piece)))
            batch = lib.llama_batch_get_one(array_, len(piece))
            batch.logits = wanted
            status = lib.llama_decode(self._model.context, batch)
            if status != 0:
                raise EdgetuiError(
                    "unsupported",
                    f"llama.cpp loads {self._model.path.name} but cannot compute with it (status {status}).",
                )
        lib.llama_synchronize(self._model.context)


def _piece_tokens(vocabulary_size: int, chunk_tokens: int) -> int:
    """Tokens computed at once: fewer with a large vocabulary, but no product with fewer rows than are looked at."""
    most = OUTPUT_BYTES // (4 * vocabulary_size) // FEWEST_ROWS * FEWEST_ROWS
    return max(2 * FEWEST_ROWS, min(chunk_tokens, most))


def _squares(rows: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Sum of squares of each column of (rows, columns)."""
    import numpy

    return numpy.einsum("ij,ij->j", rows, rows)
