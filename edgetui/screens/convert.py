"""The Convert screen: what the toolchains can make of a model, each with its settings, and the job that makes it."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.core.workflows import WORKFLOWS, takes, takes_text, workflow_name
from edgetui.screens.model_job_screen import ModelJobScreen
from edgetui.services.engine_devices import toolchain_note
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.settings_panel import Setting, SettingsPanel
from edgetui.widgets.workflow_list import WorkflowList

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.workflows import AnyWorkflow, Workflow


class ConvertScreen(ModelJobScreen):
    """Workflows on the left, what the marked one does and its settings on the right, the job below."""

    MODE = "quantize"
    HELP = (
        "Each toolchain works in an environment of its own, which i installs. + marks what takes this model as it is, -"
        " what does not: enter then says what to make of it first. e changes the settings of the marked workflow, n the"
        " name of what it makes; j shows Olive's workflows as the JSON that they become. The result is a model like any"
        " other: Models lists it, m there measures its quality."
    )
    KINDS: ClassVar[tuple[JobKind, ...]] = ("convert", "onnx", "olive", "mlx", "toolchain")
    LIST = AUTO_FOCUS = "WorkflowList"
    DEFAULT_CSS = """
    ConvertScreen #model { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; padding: 0 1; }
    ConvertScreen #both { height: 1fr; layout: horizontal; }
    ConvertScreen WorkflowList { width: 32; }
    ConvertScreen #told { width: 1fr; height: 1fr; border-left: solid $primary; padding: 0 1; }
    ConvertScreen #about { height: auto; max-height: 6; }
    ConvertScreen #settings { height: 1fr; }
    ConvertScreen JobPanel { height: 40%; max-height: 12; border-top: solid $primary; display: none; }
    ConvertScreen.-job JobPanel { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit_settings", "Settings", id="convert.settings"),
        Binding("n", "name_result", "Name", id="convert.name"),
        Binding("i", "install", "Install", id="convert.install"),
        Binding("j", "as_json", "As JSON", id="convert.json"),
    ]

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry)
        self._settings: dict[str, Workflow] = {workflow_name(workflow): workflow() for workflow in WORKFLOWS}
        self._named: Path | None = None
        self._missing: set[str] = set()
        """Toolchains that are not installed."""

    def compose_body(self) -> ComposeResult:
        """Model, workflows, what the marked one is, the job."""
        yield Static(id="model", markup=False)
        with Container(id="both"):
            yield WorkflowList()
            with Vertical(id="told"):
                yield Static(id="about", markup=False)
                yield SettingsPanel(id="settings")
        yield JobPanel()

    def on_mount(self) -> None:
        """List the workflows for the model."""
        entry = self._entry
        facts = [entry.name, entry.format, entry.quant_type or "", format_bytes(entry.size_bytes)]
        self.query_one("#model", Static).update(Content(plain_line("   ".join(filter(None, facts)))))
        self.query_one(WorkflowList).begin(entry.format, entry.quant_type)
        self._look_for_toolchains()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Settings where there are some, an installation where something is missing."""
        if action == "as_json":
            return self._marked is not None and self._marked.TOOLCHAIN == "olive"
        if action in ("edit_settings", "name_result", "install"):
            settings = self._marked
            if settings is None:
                return False
            if action == "install":
                return settings.TOOLCHAIN in self._missing
            return bool(settings.FIELDS) if action == "edit_settings" else True
        return super().check_action(action, parameters)

    @work(group="dialog", exclusive=True)
    async def action_edit_settings(self) -> None:
        """Change the settings of the marked workflow."""
        settings = self._marked
        changed = None if settings is None else await self.ask_settings(settings)
        if changed is not None:
            self._settings[workflow_name(changed)] = changed
            self._describe()

    @work(group="dialog", exclusive=True)
    async def action_name_result(self) -> None:
        """Ask for another name than the usual one."""
        from edgetui.screens.name_file import NameFileDialog

        settings = self._marked
        if settings is not None:
            take = partial(self.lab.workflows.checked_target, self._entry, settings)
            named = await self.app.push_screen_wait(NameFileDialog(str(self._target(settings)), take))
            if named is not None:
                self._named = named
                self._describe()

    @work(group="start", exclusive=True)
    async def action_install(self) -> None:
        """Install the marked workflow's toolchain."""
        settings = self._marked
        if settings is None:
            return
        try:
            record = await self.lab.toolchains.install(settings.TOOLCHAIN)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.follow_job(record)

    def action_as_json(self) -> None:
        """Olive's workflows as the JSON that they become."""
        from edgetui.screens.olive import OliveScreen

        self.app.push_screen(OliveScreen(self._entry))

    # --- the workflow under the cursor --------------------------------------------------------------------

    def on_option_list_option_highlighted(self, _event: OptionList.OptionHighlighted) -> None:
        """Another workflow: its own name again."""
        self._named = None
        self._describe()
        self.refresh_bindings()

    def on_option_list_option_selected(self, _event: OptionList.OptionSelected) -> None:
        """Enter."""
        settings = self._marked
        if settings is not None:
            self._start(settings)

    @property
    def _marked(self) -> Workflow | None:
        """Settings of the workflow under the cursor."""
        if not self.is_mounted:
            return None
        workflow = self.query_one(WorkflowList).highlighted_workflow
        return None if workflow is None else self._settings[workflow_name(workflow)]

    def _target(self, settings: Workflow) -> Path:
        return self._named or self.lab.workflows.default_target(self._entry, settings)

    @work(group="describe", exclusive=True)
    async def _describe(self) -> None:
        settings = self._marked
        if settings is None:
            return
        target = self._target(settings)
        taken = await asyncio.to_thread(os.path.lexists, target)
        lines = [settings.PURPOSE]
        if not takes(settings, self._entry.format, self._entry.quant_type):
            what = " ".join(filter(None, (self._entry.format, self._entry.quant_type)))
            lines.append(f"- takes {takes_text(settings)}, and this model is {what}")
        elif (caution := self.lab.workflows.caution(self._entry, settings)) is not None:
            lines.append(f"! {caution}")
        if note := toolchain_note(settings.TOOLCHAIN):
            lines.append(f"! {note}")
        if settings.TOOLCHAIN in self._missing:
            lines.append(f"! the toolchain {settings.TOOLCHAIN} is not installed: i installs it")
        lines.append(f"makes {target.name} in {target.parent}" if not taken else f"! {target} exists: n names another")
        self.query_one("#about", Static).update(Content("\n".join(plain_line(line) for line in lines)))
        self.query_one(SettingsPanel).show(
            [Setting(label, _shown(getattr(settings, name)), note) for name, (label, note) in settings.FIELDS.items()]
        )

    @work(group="start", exclusive=True)
    async def _start(self, settings: Workflow) -> None:
        try:
            record = await self.lab.workflows.start(
                self._entry, cast("AnyWorkflow", settings), target=self._target(settings)
            )
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.follow_job(record)

    @work(group="toolchains", exclusive=True)
    async def _look_for_toolchains(self) -> None:
        found = await self.lab.toolchains.list()
        self._missing = {each.name for each in found if each.state != "ready"}
        self._describe()
        self.refresh_bindings()

    def job_ended(self, record: JobRecord) -> None:
        """The name may be taken now, or the toolchain be there."""
        self._look_for_toolchains()


def _shown(value: object) -> str:
    """A setting as a person types it."""
    if value is None or value == "":
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
