"""Work of llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from edgetui.core.jobs import JobKind
from edgetui.core.quant_options import QuantOptions
from edgetui.core.quant_types import split_names
from edgetui.worker.requests.base import Request, hidden_beside


class QuantizeRequest(Request, frozen=True, kw_only=True):
    """Quantize a GGUF file into another."""

    KIND: ClassVar[JobKind] = "quantize"

    source: str
    target: str
    """Final path; the job writes beside it under a hidden name and renames at the end."""
    type_name: str
    options: QuantOptions = QuantOptions()
    file_count: int = 1
    """Files that it makes, where the split is kept; their names then have numbers."""
    allow_requantize: bool = False
    threads: int = 0
    """0 takes all that this process may use."""
    predicted_bytes: int | None = None
    source_tensor_bytes: int | None = None
    parent_name: str = ""
    recovered_from: str | None = None

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.parent_name or self.source.rsplit("/", 1)[-1].removesuffix(".gguf")

    @property
    def goal(self) -> str:
        """The type."""
        return self.type_name

    @property
    def recipe(self) -> str:
        """What the result's provenance says: by it the very same result is known again."""
        told = self.options.told
        words = f"llama.cpp quantization of {Path(self.source).name} to {self.type_name}"
        return f"{words} ({told})" if told else words

    @property
    def targets(self) -> tuple[Path, ...]:
        """Every file that it makes, the first one first."""
        return self._files(Path(self.target))

    @property
    def output(self) -> str | None:
        """The first of them."""
        return str(self.targets[0])

    def written(self, job_id: str) -> Path:
        """What llama.cpp is told to write, which adds the numbers of files itself."""
        return hidden_beside(Path(self.target), job_id)

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """Hidden names of the files, in their order."""
        return self._files(self.written(job_id))

    def _files(self, path: Path) -> tuple[Path, ...]:
        if not self.options.keep_split:
            return (path,)
        return split_names(str(path).removesuffix(".gguf"), self.file_count)


class ImatrixRequest(Request, frozen=True, kw_only=True):
    """Make an importance matrix of a model and a text."""

    KIND: ClassVar[JobKind] = "imatrix"

    model: str
    """Path of the GGUF file."""
    model_name: str
    target: str
    text: str = ""
    """Path of a UTF-8 file; empty for CPython's documentation topics."""
    text_name: str = "topics"
    chunks: int = 0
    """0 for all of the text."""
    chunk_tokens: int = 512
    threads: int = 0
    """0 takes one a physical core that this process may use."""

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model_name

    @property
    def goal(self) -> str:
        """The text, and how much of it."""
        return f"{self.text_name}, {self.chunks} chunks" if self.chunks else self.text_name

    @property
    def output(self) -> str | None:
        """The target."""
        return self.target
