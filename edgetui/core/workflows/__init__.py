"""Everything that the toolchains make of a model; a new workflow is a struct in a module here and its member below."""

from __future__ import annotations

from typing import get_args

from edgetui.core.workflows.base import Workflow, takes, takes_text, workflow_name, workflow_recipe
from edgetui.core.workflows.conversion import ToGguf, ToSafetensors
from edgetui.core.workflows.mlx import (
    MlxAwq,
    MlxConvert,
    MlxDequantize,
    MlxDwq,
    MlxDynamic,
    MlxFuse,
    MlxGptq,
    MlxQuantize,
)
from edgetui.core.workflows.olive import (
    OliveConvert,
    OliveCustom,
    OliveGptq,
    OliveInt4,
    OliveSessionTuning,
    OliveStaticInt8,
)
from edgetui.core.workflows.onnx import Onnx4Bit, OnnxBuild, OnnxDynamicInt8, OnnxOptimize, OnnxStaticInt8

AnyWorkflow = (
    ToGguf
    | ToSafetensors
    | OnnxBuild
    | OnnxDynamicInt8
    | OnnxStaticInt8
    | Onnx4Bit
    | OnnxOptimize
    | OliveConvert
    | OliveInt4
    | OliveGptq
    | OliveStaticInt8
    | OliveSessionTuning
    | OliveCustom
    | MlxQuantize
    | MlxConvert
    | MlxDynamic
    | MlxAwq
    | MlxGptq
    | MlxDwq
    | MlxDequantize
    | MlxFuse
)

WORKFLOWS: tuple[type[Workflow], ...] = get_args(AnyWorkflow)
"""In the order of lists."""

__all__ = ["WORKFLOWS", "AnyWorkflow", "Workflow", "takes", "takes_text", "workflow_name", "workflow_recipe"]
