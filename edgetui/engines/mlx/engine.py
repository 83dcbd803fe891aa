"""MLX by way of mlx-lm as a session worker's engine; it runs in the toolchain's environment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.base import lacks
from edgetui.engines.cached_engine import CachedEngine
from edgetui.engines.mlx import device
from edgetui.engines.mlx.conversation import ENGINE, Conversation
from edgetui.engines.mlx.decoder import Decoder
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import floating_type, load
from edgetui.engines.mlx.vocabulary import read_vocabulary
from edgetui.formats.mlx import mlx_facts
from edgetui.formats.model_folder import chat_template
from edgetui.formats.safetensors import read_safetensors
from edgetui.worker.protocol import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.mlx.folder import Loaded as LoadedFolder
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Load

NAME = "mlx"
DOING = "Loading"
DEFAULT_CONTEXT = 8192
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
"""mlx's in llama.cpp's spelling."""


class MlxEngine(CachedEngine[Conversation]):
    """A folder of weights in MLX's layout."""

    ENGINE = ENGINE

    def __init__(self) -> None:
        super().__init__()
        self._decoder: Decoder | None = None

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Load and warm up; the model loaded before is freed first, so that both never share the memory."""
        started = time.perf_counter()
        settings = command.settings
        self.unload()
        _refuse_what_is_not_ours(settings)
        folder = load(Path(command.path), DOING)
        vocabulary = read_vocabulary(folder.folder, folder.config)
        template = chat_template(folder.folder)
        trained = _trained_context(folder.config)
        context = settings.context_tokens or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
        weights_bytes = _read_weights(folder, on_progress, stop)
        with told(folder.name, DOING):
            from mlx_lm.generate import wired_limit

            decoder = self._decoder = Decoder(folder.model)
            vocabulary_size = _warm_up(folder.name, decoder)
            kv_cache_bytes = decoder.bytes_per_token() * context
            decoder.cut_back(0)
            cache_type = _TYPE_NAMES.get(str(floating_type(folder.model)).rpartition(".")[2], "")
        is_accelerated = device.is_accelerated()
        self._conversation = Conversation(
            folder.name,
            decoder,
            vocabulary,
            template,
            context_tokens=context,
            batch_tokens=settings.batch_tokens,
            vocabulary_size=vocabulary_size,
            wired=(lambda: wired_limit(folder.model)) if is_accelerated else None,
        )
        facts = mlx_facts(read_safetensors(sorted(folder.folder.glob("model*.safetensors"))))
        return Loaded(
            load_s=time.perf_counter() - started,
            context_tokens=context,
            trained_context_tokens=trained,
            batch_tokens=settings.batch_tokens,
            threads=0 if is_accelerated else 1,
            kv_cache_type=cache_type,
            kv_cache_bytes=kv_cache_bytes,
            weights_bytes=weights_bytes,
            parameter_count=facts.parameter_count,
            description=f"MLX {folder.config.get('model_type', '')} {facts.quant_type or ''}".strip(),
            has_chat_template=bool(template),
            engine=NAME,
            engine_version=device.version(),
            backend="GPU" if is_accelerated else "CPU",
            abilities=("tokenize", "inspect"),
            remarks=_remarks(settings, context, trained, cache_type, is_accelerated=is_accelerated),
        )

    def unload(self) -> None:
        """Free cache and weights."""
        decoder, self._decoder = self._decoder, None
        self._conversation = None
        if decoder is None:
            return
        decoder.close()
        host.return_memory()


def _read_weights(folder: LoadedFolder, on_progress: Callable[[float], None], stop: StopFlag) -> int:
    """Have mlx read what it has only mapped out so far, tensor by tensor; returns the bytes.

    Raises `EdgetuiError`: `out_of_memory`, `cancelled`.
    """
    with told(folder.name, DOING):
        import mlx.core as mx
        from mlx.utils import tree_flatten

        tensors = [tensor for _, tensor in tree_flatten(folder.model.parameters())]
        total, free = sum(int(tensor.nbytes) for tensor in tensors), host.available_memory_bytes()
        if total > free:
            raise EdgetuiError(
                "out_of_memory",
                f"{folder.name} takes {format_bytes(total)} and {format_bytes(free)} are free: close something, or take"
                " a smaller model.",
            )
        done, told_at = 0, 0.0
        on_progress(0.0)
        for tensor in tensors:
            if stop.is_set:
                raise EdgetuiError("cancelled", f"Loading {folder.name} was stopped.")
            mx.eval(tensor)
            done += int(tensor.nbytes)
            if (now := time.monotonic()) - told_at > 0.05 or done == total:
                told_at = now
                on_progress(done / total)
    return total


def _warm_up(name: str, decoder: Decoder) -> int:
    """Run every weight once, so that the first answer does not pay for it; returns the size of the vocabulary.

    Raises `EdgetuiError("bad_file")` for weights that compute no numbers.
    """
    import mlx.core as mx

    logits = decoder.logits(mx.array([0]))
    if not mx.isfinite(logits.max()).item():
        raise EdgetuiError(
            "bad_file", f"What {name} computes is no number: its weights are damaged, or overflow; make it again."
        )
    return int(logits.shape[-1])


def _refuse_what_is_not_ours(settings: LoadSettings) -> None:
    if settings.adapters:
        raise EdgetuiError(
            "unsupported", "MLX models take no adapter here while they run: lay it into a copy with mlx-fuse first."
        )
    if settings.draft_model or settings.prompt_lookup:
        raise lacks(ENGINE, "propose tokens by a draft model or by prompt lookup")


def _remarks(
    settings: LoadSettings, context: int, trained: int, cache_type: str, *, is_accelerated: bool
) -> tuple[str, ...]:
    found = []
    if trained and context > trained:
        found.append(
            f"The model was trained for {trained} tokens of context; beyond that its answers lose their sense."
        )
    if settings.kv_cache_type not in ("f16", cache_type):
        found.append(f"The KV cache has the type of the activations, {cache_type}, not {settings.kv_cache_type}.")
    if settings.prompt_cache:
        found.append("MLX keeps no prompt cache on disk here.")
    if not is_accelerated:
        found.append(
            "MLX computes on the processor here, by reference routines on one thread: it is made for Apple silicon, and"
            " a GGUF build of the model is many times as fast on this machine."
        )
    return tuple(found)


def _trained_context(config: dict[str, Any]) -> int:
    nested = config.get("text_config")
    trained = {**(nested if isinstance(nested, dict) else {}), **config}.get("max_position_embeddings")
    return trained if isinstance(trained, int) and trained > 0 else 0
