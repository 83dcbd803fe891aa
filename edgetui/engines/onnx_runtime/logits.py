"""Logits of an ONNX decoder by a plain session of ONNX Runtime: one run a chunk, without a past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import configured_provider, head_size, open_session, reads_tokens, token_feeds
from edgetui.engines.onnx_runtime.tokens import read_tokenizer
from edgetui.engines.token_spelling import first_token
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy
    from numpy.typing import NDArray

LOGITS = "logits"


def open_logits(path: Path, *, context_tokens: int, threads: int) -> OnnxLogits:
    """Load the decoder whose graph is `path`, for chunks of up to `context_tokens`; 0 threads take one a core.

    Raises `EdgetuiError`: `bad_file`, `not_found` without a tokenizer, `unsupported` for what is no decoder,
    `bad_request` for a context beyond the trained one, `out_of_memory`, `engine_missing` for an execution provider that
    is not there.
    """
    model = graph.inspect(path)
    trained = configuration(path, GENAI_CONFIG).get("model", {}).get("context_length")
    if isinstance(trained, int) and context_tokens > trained:
        raise EdgetuiError(
            "bad_request",
            f"{path.name} was trained for {trained} tokens of context: take a context of at most that.",
        )
    tokenizer = read_tokenizer(path)
    graph.require_memory(graph.source_bytes(model), path.name)
    session = open_session(path, threads=threads, provider=configured_provider(path))
    found = next((node for node in session.get_outputs() if node.name == LOGITS), None)
    if found is None or not reads_tokens(session) or len(found.shape) != 3:
        raise EdgetuiError(
            "unsupported", f"{path.name} is no decoder: it does not turn input_ids into logits of every token."
        )
    # Asked once here: a graph that takes something unknown is refused before any work.
    token_feeds(session, [0], head_size(path))
    return OnnxLogits(path, session, tokenizer, context_tokens)


class OnnxLogits:
    """A `LogitSource` (engines/logits.py)."""

    engine = "onnxruntime"

    def __init__(self, path: Path, session: Any, tokenizer: Any, context_tokens: int) -> None:
        import onnxruntime

        self.engine_version = str(onnxruntime.__version__)
        self._path = path
        self._session: Any = session
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens
        self._head_size = head_size(path)
        (shape,) = (node.shape for node in session.get_outputs() if node.name == LOGITS)
        self.vocabulary_size = shape[2] if isinstance(shape[2], int) else self._run([0]).shape[-1]

    @property
    def bos(self) -> int | None:
        """What the tokenizer puts before a text."""
        return first_token(self._tokenizer)

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids by tokenizer.json."""
        with told(self._path.name, "Tokenizing for"):
            return list(self._tokenizer.encode(text, add_special_tokens=add_special).ids)

    def logits(self, chunks: Sequence[Sequence[int]], first: int) -> Iterator[NDArray[numpy.float32]]:
        """As `LogitSource.logits`."""
        import numpy

        for chunk in chunks:
            if len(chunk) > self._context_tokens:
                raise EdgetuiError(
                    "context_overflow", f"A chunk of {len(chunk)} tokens is more than the {self._context_tokens} asked."
                )
            found = self._run(chunk)
            if found.shape[1] != len(chunk):
                raise EdgetuiError(
                    "unsupported",
                    f"{self._path.name} gives logits of its last token only: build it without prune_lm_head.",
                )
            scored = found[0, first:].astype(numpy.float32, copy=False)
            # A sum is no number when any of its parts is none.
            if not numpy.isfinite(scored.sum(dtype=numpy.float64)):
                raise EdgetuiError(
                    "bad_file", f"What {self._path.name} computes is no number: its weights are damaged, or overflow."
                )
            yield scored

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _run(self, chunk: Sequence[int]) -> Any:
        with told(self._path.name, "Running"):
            (found,) = self._session.run([LOGITS], token_feeds(self._session, chunk, self._head_size))
        return found
