"""The workflows of the toolchains, grouped, those first that take the model as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from edgetui.core.workflows import WORKFLOWS, takes, workflow_name

if TYPE_CHECKING:
    from textual.binding import BindingType

    from edgetui.core.models import ModelFormat
    from edgetui.core.workflows import Workflow

_TITLES = {"gguf": "llama.cpp's converter", "onnx": "ONNX Runtime", "olive": "Microsoft Olive", "mlx": "Apple MLX"}
_GROUP = "group "


class WorkflowList(OptionList):
    """Enter chooses (`OptionSelected`); `highlighted_workflow` is what the person looks at."""

    DEFAULT_CSS = """
    WorkflowList {
        height: 1fr; border: none; padding: 0; background: $background; text-wrap: nowrap; scrollbar-size-vertical: 1;
    }
    WorkflowList > .option-list--option-disabled { color: $text-primary; text-style: bold; }
    WorkflowList:ansi > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: underline;
    }
    WorkflowList:ansi:focus > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Start")]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False, compact=True)

    @property
    def highlighted_workflow(self) -> type[Workflow] | None:
        """The one under the cursor."""
        option = self.highlighted_option
        return None if option is None or option.id is None else self._by_name.get(option.id)

    def begin(self, model_format: ModelFormat, quant_type: str | None = None) -> None:
        """List them for a model: `+` marks what takes it as it is, `-` what needs another format first."""
        self.clear_options()
        first = ""
        group = ""
        for workflow in WORKFLOWS:
            if group != workflow.TOOLCHAIN:
                group = workflow.TOOLCHAIN
                self.add_option(Option(Content(_TITLES.get(group, group)), id=f"{_GROUP}{group}", disabled=True))
            name = workflow_name(workflow)
            takes_it = takes(workflow, model_format, quant_type)
            first = first or (name if takes_it else "")
            mark = "+" if takes_it else "-"
            self.add_option(Option(Content(f"{mark} {workflow.TITLE}"), id=name))
        if self.options:
            self.highlighted = self.get_option_index(first) if first else 1

    @property
    def _by_name(self) -> dict[str, type[Workflow]]:
        return {workflow_name(workflow): workflow for workflow in WORKFLOWS}
