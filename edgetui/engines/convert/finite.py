"""Refusing weights that are no numbers, before they are carried into another format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Iterable


def require_finite(tensors: Iterable[tuple[str, Any]], model_name: str) -> None:
    """Look at each of torch's tensors once; raises `EdgetuiError("bad_file")` for NaN or infinity."""
    import torch

    looked_at = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for name, tensor in tensors:
        if tensor.dtype in looked_at and not bool(torch.isfinite(tensor).all()):
            raise EdgetuiError(
                "bad_file",
                f"Weights of {name} in {model_name} are no numbers (NaN or infinite): the file is damaged, get it"
                " again.",
            )
