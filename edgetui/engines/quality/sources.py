"""Which engine gives the logits of which format; a new one is a module with `open_logits` and a line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from edgetui.core.models import ModelFormat
    from edgetui.core.quality import MeasuredModel
    from edgetui.engines.logits import LogitSource

SOURCES: dict[ModelFormat, str] = {
    "gguf": "edgetui.engines.llama_cpp.logits",
    "onnx": "edgetui.engines.onnx_runtime.logits",
    "mlx": "edgetui.engines.mlx.logits",
}


class _OpenLogits(Protocol):
    def __call__(self, path: Path, *, context_tokens: int, threads: int) -> LogitSource:
        """Load a model; `threads` 0 takes one a physical core. Raises `EdgetuiError`."""


def open_source(model: MeasuredModel, *, context_tokens: int, threads: int) -> LogitSource:
    """The model, loaded by its format's engine; raises `EdgetuiError` as that one does."""
    module = SOURCES.get(model.format)
    if module is None:
        raise EdgetuiError(
            "unsupported",
            f"{model.name} is in the {model.format} format, which no engine here runs: convert it to GGUF, ONNX or MLX"
            " first.",
        )
    opened = cast("_OpenLogits", import_module(module).open_logits)
    return opened(Path(model.path), context_tokens=context_tokens, threads=threads)
