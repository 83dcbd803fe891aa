"""Work on the toolchains' environments."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.jobs import JobKind
from edgetui.worker.requests.base import Request


class ToolchainRequest(Request, frozen=True, kw_only=True):
    """Make the environment of a toolchain, in place of the one that may be there."""

    KIND: ClassVar[JobKind] = "toolchain"

    name: str
    folder: str
    """Of the environment; the job works beside it under a hidden name."""
    pins: tuple[str, ...]
    """Requirement lines with versions and markers."""
    digest: str
    """For the mark of the complete environment."""
    converter: str = ""
    """Version of llama-cpp-python out of whose sources llama.cpp's converter is taken; empty for none."""
    converter_build: tuple[str, ...] = ()
    """Pins of that package's build backend."""
    index: str = ""
    """Address of a further package index."""
    takes_cuda: bool = False
    """Whether packages of CUDA are welcome."""
    installing_bytes: int = 0
    headroom_bytes: int = 0
    """Free space that must remain on the disk."""

    @property
    def subject(self) -> str:
        """The toolchain."""
        return self.name

    @property
    def goal(self) -> str:
        """What is done with it."""
        return "install"

    @property
    def output(self) -> str | None:
        """The environment."""
        return self.folder
