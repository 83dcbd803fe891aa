"""A folder with a model as mlx-lm reads it, and one as it writes it: checked before, checked after."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.engines.mlx.failures import told
from edgetui.formats.model_folder import check_convertible
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.engines.reporting import Reporter

_CARRIED = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".spm")
_NOT_CARRIED = ("config.json", "hf_quant_config.json", "adapter_config.json")
_MOST_CARRIED_BYTES = 256 * 1024**2
DTYPES: Mapping[str, str] = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
"""Ours to mlx's."""


class Loaded(NamedTuple):
    """A model whose weights are read when they are first needed."""

    folder: Path
    name: str
    model: Any
    config: dict[str, Any]


def load(path: Path, doing: str, *, wants_quantized: bool | None = None) -> Loaded:
    """Load the model of the folder that `path`, its first file, is in; nothing is asked of a hub.

    `wants_quantized` False refuses a quantized model, True one that is not. `doing` begins messages.
    Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request`, `out_of_memory`, `engine_missing`.
    """
    folder = path if path.is_dir() else path.parent
    name = folder.name
    check_convertible(folder)
    _check_weights(folder)
    with told(name, doing):
        from mlx_lm.utils import load_config, load_model

        told_config = load_config(folder)
        _check_quantization(told_config, name, wants_quantized)
        model, config = load_model(folder, lazy=True, model_config=_in_older_words(told_config))
    return Loaded(folder, name, model, config)


def _in_older_words(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration must say besides so that mlx-lm reads it right.

    transformers 5 writes the base of the rotary embedding into `rope_parameters` alone. Most of mlx-lm's models look
    for `rope_theta` only, and would take 10000 without a word: the model then runs, and runs badly.
    """
    told = config.get("rope_parameters")
    if not isinstance(told, dict) or "rope_theta" not in told or "rope_theta" in config:
        return {}
    words: dict[str, Any] = {"rope_theta": told["rope_theta"]}
    if told.get("rope_type", "default") != "default" and "rope_scaling" not in config:
        words["rope_scaling"] = {name: value for name, value in told.items() if name != "rope_theta"}
    return words


def refuse_unusable_numbers(loaded: Loaded, job: Reporter) -> None:
    """Look at every weight, a tensor in memory at a time; raises `EdgetuiError("bad_file")` for NaN or infinity."""
    import mlx.core as mx

    with told(loaded.name, "Reading"):
        weights: dict[str, Any] = {}
        for file in sorted(loaded.folder.glob("model*.safetensors")):
            weights.update(mx.load(str(file)))
        total = len(weights)
        for number, name in enumerate(list(weights), start=1):
            tensor = weights.pop(name)
            if mx.issubdtype(tensor.dtype, mx.floating) and not mx.all(mx.isfinite(tensor)).item():
                raise EdgetuiError(
                    "bad_file",
                    f"The tensor {name} of {loaded.name} holds values that are no numbers (NaN or infinity): get the"
                    " model again, or another one.",
                )
            job.progress(number, total, "tensors", f"checking {name}")


def floating_type(model: Any) -> Any:
    """mlx's type of the first floating-point weights, which is that of the activations."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    return next(value.dtype for _, value in tree_flatten(model.parameters()) if mx.issubdtype(value.dtype, mx.floating))


def set_dtype(loaded: Loaded, dtype: str) -> None:
    """Give floating-point weights another type, but for those that the architecture keeps; `auto` changes nothing."""
    if dtype == "auto":
        return
    import mlx.core as mx
    from mlx.utils import tree_map_with_path

    wanted = getattr(mx, DTYPES[dtype])
    is_cast = getattr(loaded.model, "cast_predicate", lambda _: True)

    def cast(key: str, value: Any) -> Any:
        return value.astype(wanted) if is_cast(key) and mx.issubdtype(value.dtype, mx.floating) else value

    loaded.model.update(tree_map_with_path(cast, loaded.model.parameters()))
    for key in ("dtype", "torch_dtype"):
        if key in loaded.config:
            loaded.config[key] = DTYPES[dtype]


def write(loaded: Loaded, target: Path, job: Reporter, doing: str) -> None:
    """Compute the weights, tensor by tensor, and write them into the new folder `target` with all that belongs to them.

    Raises `EdgetuiError`: `no_space`, `no_permission`, `out_of_memory`, `unsupported`, `bad_file`.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten

    with told(loaded.name, doing):
        from mlx_lm.utils import save_config, save_model

        tensors = tree_flatten(loaded.model.parameters())
        _check_space(target, sum(tensor.nbytes for _, tensor in tensors))
        done = 0
        total_bytes = sum(tensor.nbytes for _, tensor in tensors)
        for number, (name, tensor) in enumerate(tensors, start=1):
            mx.eval(tensor)
            done += tensor.nbytes
            job.progress(number, len(tensors), "tensors", name, bytes_done=done, bytes_total=total_bytes)
        del tensors
        job.progress(1, 1, "tensors", "writing")
        _make_folder(target)
        save_model(target, loaded.model, donate_model=True)
        save_config(dict(loaded.config), config_path=target / "config.json")
        _carry_along(loaded.folder, target)
    # mlx does not tell of every failed write, but a header must describe its file.
    read_safetensors(sorted(target.glob("model*.safetensors")))


def _check_weights(folder: Path) -> None:
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        others = sorted(folder.glob("*.safetensors"))
        if others:
            raise EdgetuiError(
                "bad_file",
                f"mlx-lm reads weights from files named model*.safetensors, and {folder.name} has {others[0].name}:"
                " rename it to model.safetensors.",
            )
        raise EdgetuiError(
            "bad_file",
            f"{folder.name} has no safetensors files: MLX starts from those (edgetui convert MODEL to-safetensors makes"
            " them of a GGUF).",
        )
    read_safetensors(files)


def _check_quantization(config: Mapping[str, Any], name: str, wants_quantized: bool | None) -> None:
    quantization = config.get("quantization") or config.get("quantization_config")
    if wants_quantized is False and quantization:
        bits = quantization.get("bits") if isinstance(quantization, dict) else None
        raise EdgetuiError(
            "bad_request",
            f"{name} is already quantized{f' ({bits} bits)' if isinstance(bits, int) else ''}: take its unquantized"
            " parent, or make one with mlx-dequantize, which does not bring back what was lost.",
        )
    if wants_quantized and not quantization:
        raise EdgetuiError("bad_request", f"{name} is not quantized: there is nothing to dequantize.")


def _check_space(target: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        # What cannot be asked shows when it is written.
        return
    if needed > free:
        raise EdgetuiError(
            "no_space",
            f"The result takes {format_bytes(needed)} and {target.parent} has {format_bytes(free)} free: free some"
            " space there or name another folder.",
        )


def _make_folder(target: Path) -> None:
    try:
        target.mkdir()
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The folder {target.parent} cannot be written ({error.strerror}): name another folder."
        ) from error


def _carry_along(folder: Path, target: Path) -> None:
    """Tokenizer, chat template and generation settings, as they are; code is left behind."""
    for file in sorted(folder.iterdir()):
        if file.suffix not in _CARRIED or file.name in _NOT_CARRIED or file.name.endswith(".index.json"):
            continue
        if file.is_file() and file.stat().st_size <= _MOST_CARRIED_BYTES:
            shutil.copyfile(file, target / file.name)
