"""What a workflow that starts from a GGUF file cannot read of it, said before a job starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.shell_words import shell_command
from edgetui.core.workflows import takes_text, workflow_name
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.formats.gguf import check_loadable

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.core.workflows import Workflow


def require_readable_gguf(entry: ModelEntry, settings: Workflow) -> None:
    """Refuse a file whose weights or parts a workflow does not read; reads the header, so call it in a thread.

    Raises `EdgetuiError`: `unsupported`, and as `check_loadable` does.
    """
    header = check_loadable(entry.path)
    name = workflow_name(settings)
    if len(header.parts) > 1:
        raise EdgetuiError(
            "unsupported",
            f"{name} reads single GGUF files, and {entry.name} is one of {len(header.parts)} parts: make one file of"
            " them first, as `edgetui quantize` does, or start from its safetensors.",
        )
    held = sorted({tensor.type.name for tensor in header.tensors} - set(settings.GGUF_TYPES))
    if settings.GGUF_TYPES and held:
        unpack = shell_command(["edgetui", "convert", str(entry.path), workflow_name(ToSafetensors)])
        raise EdgetuiError(
            "unsupported",
            f"{name} takes {takes_text(settings)}, and {entry.name} holds {', '.join(held[:3])} weights: unpack it"
            f" first with `{unpack}` and start from the folder that this makes.",
        )
