"""What each kind of job does; a new kind is one module with a `run` like these and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from edgetui.engines.reporting import Outcome, Reporter
from edgetui.worker.requests import (
    AbRequest,
    BaselineRequest,
    BenchRequest,
    ComparisonRequest,
    DownloadRequest,
    EvaluateRequest,
    ImatrixRequest,
    JobRequest,
    LoadTimeRequest,
    MatrixRequest,
    OnnxLatencyRequest,
    QualityRequest,
    QuantizeRequest,
    RecipeRequest,
    SensitivityRequest,
    ServerBenchRequest,
    SoakRequest,
    SweepRequest,
    TensorErrorsRequest,
    ToolchainRequest,
    TuneRequest,
    WorkflowRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.studies import StudyResult
    from edgetui.store.database import Database
    from edgetui.store.job_folder import JobFolder
    from edgetui.worker.steps import Steps

RUNNERS: dict[type[JobRequest], str] = {
    QuantizeRequest: "edgetui.worker.runners.quantize",
    ImatrixRequest: "edgetui.worker.runners.imatrix",
    BenchRequest: "edgetui.worker.runners.bench",
    MatrixRequest: "edgetui.worker.runners.matrix",
    SoakRequest: "edgetui.worker.runners.soak",
    AbRequest: "edgetui.worker.runners.ab",
    TuneRequest: "edgetui.worker.runners.tune",
    LoadTimeRequest: "edgetui.worker.runners.load_time",
    DownloadRequest: "edgetui.worker.runners.download",
    SweepRequest: "edgetui.worker.runners.sweep",
    WorkflowRequest: "edgetui.worker.runners.workflow",
    QualityRequest: "edgetui.worker.runners.quality",
    BaselineRequest: "edgetui.worker.runners.baseline",
    EvaluateRequest: "edgetui.worker.runners.evaluate",
    ToolchainRequest: "edgetui.worker.runners.toolchain",
    TensorErrorsRequest: "edgetui.worker.runners.tensor_errors",
    RecipeRequest: "edgetui.worker.runners.recipe",
    SensitivityRequest: "edgetui.worker.runners.sensitivity",
    ComparisonRequest: "edgetui.worker.runners.comparison",
    OnnxLatencyRequest: "edgetui.worker.runners.onnx_latency",
    ServerBenchRequest: "edgetui.worker.runners.server_bench",
}
"""Request to module; a module is imported only when its job runs."""


class RunningJob(Reporter, Protocol):
    """What a runner is handed: where to report, and where to put what it makes."""

    @property
    def folder(self) -> JobFolder:
        """The job's own folder."""

    @property
    def database(self) -> Database:
        """edgetui's database."""

    @property
    def steps(self) -> Steps:
        """Runs further requests, each in a process of its own."""

    def study(self, result: StudyResult) -> None:
        """Tell what a measurement of several parts found."""

    def when_cut(self, keep: Callable[[str], str]) -> None:
        """What to call with the reason before a cancellation ends the process; gives a sentence on what is kept.

        It is called in another thread than the runner's, which goes on meanwhile.
        """

    def finishing(self) -> None:
        """From here on the job can no longer be cancelled; does not return when it already was."""


class Runner(Protocol):
    """The `run` of a module in `RUNNERS`; it runs in a thread of the job's process."""

    def __call__(self, request: Any, job: RunningJob) -> Outcome:
        """Do the work and say in one sentence what came of it; raises `EdgetuiError` when nothing did."""


def runner_for(request: JobRequest) -> Runner:
    """The function that does what is asked."""
    return cast("Runner", import_module(RUNNERS[type(request)]).run)
