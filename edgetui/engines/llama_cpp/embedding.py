"""Vectors of texts: the hidden state behind them, pooled as the model's file says."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.allocation import BufferSizes
from edgetui.engines.llama_cpp.failures import context_failure
from edgetui.engines.llama_cpp.native_params import context_params
from edgetui.engines.llama_cpp.tokens import Vocabulary
from edgetui.formats.gguf import read_gguf
from edgetui.worker.protocol import Embedded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.llama_cpp.model import LoadedModel
    from edgetui.engines.stopping import StopFlag

MOST_TOKENS = 2048
"""Of one text: each is computed in one piece, and its memory grows with that."""


def embed(model: LoadedModel, settings: LoadSettings, texts: Sequence[str], stop: StopFlag) -> Embedded:
    """Vectors of length 1, in a context of their own beside the conversation's, freed afterwards.

    A model that says nothing of pooling is averaged over the tokens. Raises `EdgetuiError`: `bad_request`,
    `context_overflow`, `out_of_memory`, `cancelled`.
    """
    lib = library.load()
    vocabulary = Vocabulary(lib, model.vocab)
    tokens = [vocabulary.tokenize(text, add_special=True, parse_special=False) for text in texts]
    most = min(MOST_TOKENS, model.trained_context_tokens or MOST_TOKENS)
    for number, each in enumerate(tokens, 1):
        if not each:
            raise EdgetuiError("bad_request", f"Text {number} is empty: a vector needs something to stand for.")
        if len(each) > most:
            raise EdgetuiError(
                "context_overflow", f"Text {number} has {len(each)} tokens and at most {most} go into one: shorten it."
            )
    longest = max((len(each) for each in tokens), default=1)
    context = _context(lib, model, settings, longest)
    try:
        stop_data = ctypes.c_void_p(stop.native_data)
        lib.llama_set_abort_callback(context, lib.ggml_abort_callback(stop.native_callback), stop_data)
        vectors = [_vector(lib, model, context, each, stop) for each in tokens]
    finally:
        lib.llama_free(context)
    return Embedded(vectors=tuple(vectors), token_counts=tuple(len(each) for each in tokens))


def _context(lib: Any, model: LoadedModel, settings: LoadSettings, tokens: int) -> Any:
    header = read_gguf(model.path)
    params = context_params(lib, header, settings)
    if header.of_architecture("pooling_type") in (None, lib.LLAMA_POOLING_TYPE_NONE):
        params.pooling_type = lib.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx = params.n_batch = params.n_ubatch = tokens
    params.embeddings = True
    # Vectors of all tokens, and no logits.
    params.n_outputs_max = 0
    log = BufferSizes()
    with library.capture_log(log.read):
        context = lib.llama_init_from_model(model.model, params)
    if not context:
        raise context_failure(model.path, settings, tokens, log.text)
    if lib.llama_pooling_type(context) == lib.LLAMA_POOLING_TYPE_RANK:
        lib.llama_free(context)
        raise EdgetuiError(
            "unsupported", f"{model.path.name} ranks pairs of texts and gives no vectors: take an embedding model."
        )
    return context


def _vector(lib: Any, model: LoadedModel, context: Any, tokens: list[int], stop: StopFlag) -> tuple[float, ...]:
    memory = lib.llama_get_memory(context)
    if memory:
        lib.llama_memory_clear(memory, True)
    count, width = len(tokens), int(lib.llama_model_n_embd_out(model.model))
    # Kept in a name of its own: the batch holds only its address.
    array = (lib.llama_token * count)(*tokens)
    batch = lib.llama_batch_get_one(array, count)
    # A model of encoders only has no cache to decode into.
    status = lib.llama_decode(context, batch) if memory else lib.llama_encode(context, batch)
    if stop.is_set:
        raise EdgetuiError("cancelled", "Making vectors was stopped.")
    if status != 0:
        raise EdgetuiError("unsupported", f"llama.cpp makes no vectors with {model.path.name} (status {status}).")
    vector = _array(lib.llama_get_embeddings_seq(context, 0), width).astype(numpy.float64)
    length = float(numpy.linalg.norm(vector))
    if not numpy.isfinite(length) or length == 0:
        raise EdgetuiError("bad_file", f"{model.path.name} gives no finite vectors: its weights are damaged.")
    return tuple((vector / length).tolist())


def _array(pointer: Any, width: int) -> NDArray[numpy.float32]:
    if not pointer:
        raise EdgetuiError("unsupported", "llama.cpp gives no vectors with this model: take an embedding model.")
    result: NDArray[numpy.float32] = numpy.ctypeslib.as_array(pointer, (width,)).copy()
    return result
