"""What a workflow is: something a toolchain makes of a model, with the settings that a person may change."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from edgetui.core.models import ModelFormat


class Workflow(msgspec.Struct, frozen=True, kw_only=True, tag_field="workflow", forbid_unknown_fields=True):
    """Base of the settings of every workflow; a subclass sets `tag` to the name that a person types.

    Fields are flat (numbers, words, true or false), each with a default, its limits in `Annotated[..., Meta()]`, a
    label and a note in `FIELDS`.
    """

    TOOLCHAIN: ClassVar[str]
    """Environment that it runs in; empty for edgetui's own."""
    TITLE: ClassVar[str]
    PURPOSE: ClassVar[str]
    """For whom or what it is, in one sentence."""
    TAKES: ClassVar[tuple[ModelFormat, ...]]
    """Formats that it starts from."""
    GGUF_TYPES: ClassVar[tuple[str, ...]] = ()
    """Types of the weights that it reads out of GGUF files; empty for every one."""
    MAKES: ClassVar[ModelFormat]
    MAKES_FILE: ClassVar[bool] = False
    """Whether it makes a single file; else a folder."""
    FIELDS: ClassVar[dict[str, tuple[str, str]]]
    """Label and note of each field, in the order of the form."""

    @property
    def suffix(self) -> str:
        """What the result's name ends with, such as `onnx-int4`, before any file suffix."""
        raise NotImplementedError

    @property
    def type_name(self) -> str:
        """Quantization of the result, such as `int4`; `fp32` where there is none."""
        raise NotImplementedError

    @property
    def is_experiment(self) -> bool:
        """Whether the result is marked as no better than what its source had lost."""
        return False


def takes(workflow: type[Workflow] | Workflow, model_format: ModelFormat, quant_type: str | None) -> bool:
    """Whether it starts from a model of such a format, with weights of such a type as far as that is known."""
    reads = workflow.GGUF_TYPES if model_format == "gguf" else ()
    return model_format in workflow.TAKES and (not reads or quant_type is None or quant_type in reads)


def takes_text(workflow: type[Workflow] | Workflow, between: str = " or ") -> str:
    """`safetensors or gguf (F16, F32)`: what it starts from."""
    types = f" ({', '.join(workflow.GGUF_TYPES)})" if workflow.GGUF_TYPES else ""
    return between.join(f"{name}{types if name == 'gguf' else ''}" for name in workflow.TAKES)


def workflow_recipe(settings: Workflow, source_name: str) -> str:
    """What a result's provenance says: by it the very same result is known again."""
    told = " ".join(f"{field}={getattr(settings, field)}" for field in settings.__struct_fields__)
    return f"{workflow_name(settings)} of {source_name}: {told}"


def workflow_name(workflow: type[Workflow] | Workflow) -> str:
    """The name that a person types."""
    tag = workflow.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
