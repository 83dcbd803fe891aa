"""Work on single tensors: their errors, and the search for the best type of each."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from edgetui.core.bench import Machine
from edgetui.core.jobs import JobKind
from edgetui.core.quality import MeasuredText
from edgetui.core.recipe_search import RecipeSettings
from edgetui.core.units import format_bytes
from edgetui.worker.requests.base import Request, hidden_beside


class TensorErrorsRequest(Request, frozen=True, kw_only=True):
    """Measure errors of tensors against the parent: of a model, or of types that its tensors might take."""

    KIND: ClassVar[JobKind] = "tensors"

    model: str
    """Path of the model; that of the parent where types are tried."""
    model_name: str
    parent: str
    parent_fingerprint: str
    made_by: str
    """What they are kept by: the model's fingerprint, or `core.tensor_errors.trial_of`."""
    tensors: tuple[str, ...] = ()
    """Names; all when empty."""
    types: tuple[str, ...] = ()
    """ggml types to try; none measures the model as it is."""
    imatrix: str = ""
    most_weights: int = 0
    """Of a tensor that has more, so many are measured where types are tried; 0 for all."""

    @property
    def subject(self) -> str:
        """The model."""
        return self.model_name

    @property
    def goal(self) -> str:
        """What is measured."""
        if not self.types:
            return "errors"
        return f"{self.tensors[0]} in other types" if len(self.tensors) == 1 else "errors of types"


class SensitivityRequest(Request, frozen=True, kw_only=True):
    """Measure what quantizing each group of tensors alone does to a model; a step of a search."""

    KIND: ClassVar[JobKind] = "recipe"

    parent: str
    parent_name: str
    parent_fingerprint: str
    trial: str
    """What the errors in the probe type are kept by."""
    settings: RecipeSettings
    text: MeasuredText
    imatrix: str = ""
    result: str
    """Path of the list of `GroupSensitivity` that it writes."""
    copy: str
    """Path of a copy of the parent whose weights it changes; removed at the end."""

    @property
    def subject(self) -> str:
        """The parent."""
        return self.parent_name

    @property
    def goal(self) -> str:
        """What is measured."""
        return "sensitivities"

    @property
    def output(self) -> str | None:
        """The list."""
        return self.result

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """The copy too."""
        return (*super().partials(job_id), Path(self.copy))


class ComparisonRequest(Request, frozen=True, kw_only=True):
    """Measure how far models are from their parent, chunk by chunk of the same text; a step of a search."""

    KIND: ClassVar[JobKind] = "recipe"

    parent: str
    parent_name: str
    models: tuple[str, ...]
    settings: RecipeSettings
    text: MeasuredText
    result: str
    """Path of the list of `Measured` that it writes, in the order of the models."""

    @property
    def subject(self) -> str:
        """The parent."""
        return self.parent_name

    @property
    def goal(self) -> str:
        """What is measured."""
        return "comparison"

    @property
    def output(self) -> str | None:
        """The list."""
        return self.result


class RecipeRequest(Request, frozen=True, kw_only=True):
    """Search the types of a model's tensors for a size, make the file, and hold it against a stock type."""

    KIND: ClassVar[JobKind] = "recipe"

    source: str
    source_name: str
    source_fingerprint: str
    target: str
    settings: RecipeSettings
    trial: str
    """What errors of types are kept by."""
    imatrix: str = ""
    recovered_from: str | None = None
    wanted_tps: float | None = None
    machine: Machine = Machine()
    """For the rows of the benchmark."""

    @property
    def subject(self) -> str:
        """The parent."""
        return self.source_name

    @property
    def goal(self) -> str:
        """The size."""
        return format_bytes(self.settings.target_bytes)

    @property
    def output(self) -> str | None:
        """The target."""
        return self.target

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """The recipe's file, the stock type's, and the copy that groups are probed in."""
        target = Path(self.target)
        (recipe,) = super().partials(job_id)
        names = (f"{target.stem}-{word}.gguf" for word in ("stock", "probe"))
        return (recipe, *(hidden_beside(target.with_name(name), job_id) for name in names))
