"""What a job is asked to do: the struct in its folder, which also says what lists and the job's process need to know.

A new kind of job is a struct in a module here, its member in `JobRequest`, and a runner in `worker/runners`.
"""

from edgetui.worker.requests.base import Request, hidden_beside
from edgetui.worker.requests.bench import (
    AbRequest,
    BenchRequest,
    LoadTimeRequest,
    MatrixRequest,
    SoakRequest,
    TuneRequest,
)
from edgetui.worker.requests.download import DownloadRequest
from edgetui.worker.requests.llama_cpp import ImatrixRequest, QuantizeRequest
from edgetui.worker.requests.onnx import OnnxLatencyRequest
from edgetui.worker.requests.quality import BaselineRequest, EvaluateRequest, QualityRequest
from edgetui.worker.requests.recipe import (
    ComparisonRequest,
    RecipeRequest,
    SensitivityRequest,
    TensorErrorsRequest,
)
from edgetui.worker.requests.server import ServerBenchRequest
from edgetui.worker.requests.sweep import SweepRequest
from edgetui.worker.requests.toolchain import ToolchainRequest
from edgetui.worker.requests.workflow import WorkflowRequest

JobRequest = (
    QuantizeRequest
    | ImatrixRequest
    | BenchRequest
    | MatrixRequest
    | SoakRequest
    | AbRequest
    | TuneRequest
    | LoadTimeRequest
    | DownloadRequest
    | WorkflowRequest
    | ToolchainRequest
    | QualityRequest
    | BaselineRequest
    | EvaluateRequest
    | SweepRequest
    | TensorErrorsRequest
    | RecipeRequest
    | SensitivityRequest
    | ComparisonRequest
    | OnnxLatencyRequest
    | ServerBenchRequest
)

__all__ = [
    "AbRequest",
    "BaselineRequest",
    "BenchRequest",
    "ComparisonRequest",
    "DownloadRequest",
    "EvaluateRequest",
    "ImatrixRequest",
    "JobRequest",
    "LoadTimeRequest",
    "MatrixRequest",
    "OnnxLatencyRequest",
    "QualityRequest",
    "QuantizeRequest",
    "RecipeRequest",
    "Request",
    "SensitivityRequest",
    "ServerBenchRequest",
    "SoakRequest",
    "SweepRequest",
    "TensorErrorsRequest",
    "ToolchainRequest",
    "TuneRequest",
    "WorkflowRequest",
    "hidden_beside",
]
