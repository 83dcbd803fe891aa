"""LoRA adapters laid over a loaded model."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library
from edgetui.formats.gguf import read_gguf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.run_settings import Adapter


def load_adapters(lib: Any, model: Any, context: Any, adapters: Sequence[Adapter]) -> None:
    """Read the adapters and let the context apply them, each with its scale; they are freed with the model.

    Raises `EdgetuiError`: `not_found`, `bad_file` for what is no adapter of this model.
    """
    if not adapters:
        return
    read = [_read(lib, model, Path(each.path)) for each in adapters]
    handles = (lib.llama_adapter_lora_p_ctypes * len(read))(*read)
    scales = (ctypes.c_float * len(read))(*(each.scale for each in adapters))
    if lib.llama_set_adapters_lora(context, handles, len(read), scales) != 0:
        raise EdgetuiError("unsupported", "llama.cpp cannot apply these LoRA adapters together: take fewer of them.")


def _read(lib: Any, model: Any, path: Path) -> Any:
    if not path.is_file():
        raise EdgetuiError("not_found", f"There is no LoRA adapter {path}: choose another or take it out.")
    header = read_gguf(path)
    # llama.cpp ends the process over a number of another type.
    alpha_type = header.types.get("adapter.lora.alpha", "f32")
    if header.text("general.type") != "adapter" or alpha_type != "f32":
        raise EdgetuiError("bad_file", f"{path.name} is no LoRA adapter: take one in GGUF that was made for the model.")
    if header.missing_bytes:
        raise EdgetuiError("bad_file", f"{path.name} is cut off: download or copy it again.")
    log: list[str] = []
    with library.capture_log(log.append):
        adapter = lib.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        text = "".join(log)
        said = re.search(r"failed to apply lora adapter: ([^\n]*)|failed to load lora adapter: ([^\n]*)", text)
        reason = next((words for words in said.groups() if words), "") if said else ""
        printable = "".join(character for character in reason if character.isprintable())[:160].strip(" .")
        raise EdgetuiError(
            "bad_file",
            f"{path.name} is no LoRA adapter of this model ({printable or 'llama.cpp gives no reason'}):"
            " take one in GGUF that was made for it.",
            detail=text,
        )
    return adapter
