"""Proofs that the environment of a toolchain works: something small whose result is known, made by its own tools.

A new toolchain is a module with a `prove(folder) -> str` and one line in `PROOFS`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

PROOFS = {
    "gguf": "edgetui.engines.toolchain_proofs.gguf",
    "onnx": "edgetui.engines.toolchain_proofs.onnx",
    "olive": "edgetui.engines.toolchain_proofs.olive",
    "mlx": "edgetui.engines.toolchain_proofs.mlx",
}
"""Toolchain to module; imported in the toolchain's own environment only."""


class Proof(Protocol):
    """The `prove` of a module in `PROOFS`."""

    def __call__(self, folder: Path) -> str:
        """Work in an empty folder; says in one sentence what was proved.

        Raises `EdgetuiError` for a wrong result, and whatever a broken package raises.
        """


def proof_of(name: str) -> Proof:
    """The self-test of a toolchain."""
    return cast("Proof", import_module(PROOFS[name]).prove)
