"""The toolchains: what each is for, which engine needs which, and in what state its environment is."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from edgetui.core.models import ModelFormat

ENGINE_TOOLCHAIN: dict[ModelFormat, str] = {
    "gguf": "",
    "safetensors": "gguf",
    "onnx": "onnx",
    "mlx": "mlx",
    "server": "",
}
"""Environment whose engine runs a format; empty for edgetui's own."""

ToolchainState = Literal["absent", "ready", "outdated", "broken"]


class Toolchain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One environment as `data/toolchains.toml` and its list of pins describe it."""

    name: str
    title: str
    purpose: str
    """What it is for, in one sentence."""
    installing_mib: int
    """Room on the disk while it is being installed, the packages that are fetched included."""
    installed_mib: int
    """Room on the disk afterwards."""
    cuda_mib: int = 0
    """Further room where its packages bring CUDA for an NVIDIA GPU."""
    has_converter: bool = False
    """Whether llama.cpp's own converter belongs to it."""
    converter_build: tuple[str, ...] = ()
    """Pins of what the index's client asks the converter's sources for their metadata with."""
    notes: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    """Requirement lines, each with its version and, where needed, its marker."""

    @property
    def needs_torch(self) -> bool:
        """Whether PyTorch, which there is with and without CUDA, is part of it."""
        return any(pin.startswith("torch==") for pin in self.pins)

    def digest(self, converter: str) -> str:
        """Hash of everything that decides what the environment holds; `converter` is llama-cpp-python's version."""
        lines = [*self.pins, *([f"llama-cpp-python=={converter}"] if self.has_converter else [])]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class ToolchainMark(msgspec.Struct, frozen=True, kw_only=True):
    """What `ready.json` in an environment holds; it is written last."""

    digest: str
    """`Toolchain.digest` of the pins that it was made from."""
    python: str
    """Version of its interpreter, such as `3.11.7`."""
    versions: dict[str, str]
    """Every package in it."""
    converter: str = ""
    """Version of llama-cpp-python whose converter lies in it."""
    made_at: float
    """Unix time in seconds."""


class ToolchainStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A toolchain on this machine."""

    toolchain: Toolchain
    state: ToolchainState
    folder: str
    reason: str = ""
    """What is wrong with one that is outdated or broken, in a few words."""
    mark: ToolchainMark | None = None

    @property
    def name(self) -> str:
        """Of the toolchain."""
        return self.toolchain.name

    @property
    def is_ready(self) -> bool:
        """Whether workflows run in it; one that is outdated still does its work."""
        return self.state in ("ready", "outdated")


class ToolchainProof(msgspec.Struct, frozen=True, kw_only=True):
    """What a self-test of a toolchain has proved."""

    name: str
    found: str
    """In one sentence."""
    duration_s: float
