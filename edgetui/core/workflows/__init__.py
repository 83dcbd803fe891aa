"""Everything that the toolchains make of a model; a new workflow is a struct in a module here and its member below."""

from __future__ import annotations

from typing import get_args

from edgetui.core.workflows.base import Workflow, workflow_name
from edgetui.core.workflows.conversion import ToGguf, ToSafetensors
from edgetui.core.workflows.onnx import Onnx4Bit, OnnxBuild, OnnxDynamicInt8, OnnxOptimize, OnnxStaticInt8

AnyWorkflow = ToGguf | ToSafetensors | OnnxBuild | OnnxDynamicInt8 | OnnxStaticInt8 | Onnx4Bit | OnnxOptimize

WORKFLOWS: tuple[type[Workflow], ...] = get_args(AnyWorkflow)
"""In the order of lists."""

__all__ = ["WORKFLOWS", "AnyWorkflow", "Workflow", "workflow_name"]
