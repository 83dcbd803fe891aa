"""The Quantize screen: choose a type by its predicted size, start, and watch it being made."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.plain_text import plain_line
from edgetui.core.quant_types import describe_type, plan_note
from edgetui.core.units import format_bytes, format_count
from edgetui.screens.job_screen import JobScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.type_list import TypeForecast, TypeList

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry

USUAL_TYPE = "Q4_K_M"
"""What the cursor stands on first."""


class QuantizeScreen(JobScreen):
    """Types with their sizes; below or beside them the job that makes one."""

    MODE = "quantize"
    HELP = (
        "Sizes are predicted by llama.cpp's own dry run and are exact. BPW is bits per weight, SHARE the part of the"
        " source's size. A type marked - cannot be made of this model; one marked ~ falls back to another type for"
        " tensors whose rows do not divide into its blocks, and its size counts that. Leaving this screen, or edgetui,"
        " does not stop a job. Tab moves between the types and the job."
    )
    AUTO_FOCUS = "TypeList"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    QuantizeScreen #model { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; padding: 0 1; }
    QuantizeScreen #empty { height: auto; padding: 1 2; }
    QuantizeScreen #both { height: 1fr; layout: vertical; }
    QuantizeScreen #choose { height: 1fr; min-height: 6; }
    QuantizeScreen #header { height: 1; color: $text-muted; text-wrap: nowrap; }
    QuantizeScreen #about { height: auto; max-height: 5; padding: 0 1; border-top: solid $primary; }
    QuantizeScreen.-job.-normal #about { display: none; }
    QuantizeScreen JobPanel { height: 40%; max-height: 12; border-top: solid $primary; display: none; }
    QuantizeScreen.-job JobPanel { display: block; }
    QuantizeScreen.-wide #both { layout: horizontal; }
    QuantizeScreen.-wide #choose { width: 3fr; }
    QuantizeScreen.-wide JobPanel {
        width: 2fr; height: 1fr; max-height: 100%; border-top: none; border-left: solid $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "choose_model", "Model", id="quantize.model"),
        Binding("n", "name_file", "Name", id="quantize.name"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entry: ModelEntry | None = None
        self._job_id: str | None = None
        self._named: Path | None = None
        """The target that the person named for the type under the cursor."""

    def compose_body(self) -> ComposeResult:
        """Model, types, what the marked one means, the job."""
        yield Static(id="model", markup=False)
        yield Static(id="empty", markup=False)
        with Container(id="both"):
            with Vertical(id="choose"):
                yield Static(Content(TypeList.HEADER), id="header")
                yield TypeList()
                yield Static(id="about", markup=False)
            yield JobPanel()

    def on_mount(self) -> None:
        """Take the only model there is, or say how to choose one."""
        self._show_model()
        self._take_only_model()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A name is for a type of a model."""
        if action == "name_file":
            return self._entry is not None
        return super().check_action(action, parameters)

    def action_choose_model(self) -> None:
        """Open the picker."""
        self._choose_model()

    def action_name_file(self) -> None:
        """Ask for another name than the usual one."""
        self._name_file()

    def action_back(self) -> None:
        """From the job: cancel it after a question, or close what is over; else back."""
        panel = self.query_one(JobPanel)
        if not panel.has_focus or self.job is None:
            super().action_back()
        elif self.job.is_running:
            self.action_cancel_job()
        elif not self.clear_failure():
            self._close_job()

    # --- the model ----------------------------------------------------------------------------------------

    async def open_model(self, entry: ModelEntry) -> None:
        """Predict what each type would make of a model."""
        self._entry = entry
        self._named = None
        self.clear_failure()
        if self.job is not None and not self.job.is_running:
            # What came of the last one stands in Jobs; here the next one's warnings are needed.
            self._close_job()
        self.query_one(TypeList).begin(entry.size_bytes, USUAL_TYPE)
        self._show_model()
        self.query_one(TypeList).focus()
        self.refresh_bindings()
        self._plan(entry)

    @work(group="model", exclusive=True)
    async def _take_only_model(self) -> None:
        entries = [entry for entry in await self.lab.catalog.scan() if _can_be_quantized(entry)]
        if self._entry is None and len(entries) == 1:
            await self.open_model(entries[0])

    @work(group="dialog", exclusive=True)
    async def _choose_model(self) -> None:
        from edgetui.screens.model_picker import ModelPicker

        entries = [entry for entry in await self.lab.catalog.scan() if entry.format == "gguf"]
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Quantize a model"))
        if entry is not None:
            await self.open_model(entry)

    @work(group="plan", exclusive=True)
    async def _plan(self, entry: ModelEntry) -> None:
        types = self.query_one(TypeList)
        try:
            async with aclosing(self.lab.quantizer.plan(entry)) as plans:
                async for plan in plans:
                    types.show(
                        TypeForecast(
                            plan.type_name,
                            plan.size_bytes,
                            plan.bits_per_weight,
                            plan.needs_imatrix,
                            plan.fallback_tensors,
                            plan.problem,
                        )
                    )
                    if plan.type_name == types.highlighted_type:
                        self._describe()
        except EdgetuiError as error:
            self.show_failure(error)
        else:
            types.end()

    # --- the type under the cursor ------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, _event: OptionList.OptionHighlighted) -> None:
        """Another type: its own name again."""
        self._named = None
        self._describe()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter."""
        if event.option_id is not None:
            self._start(event.option_id)

    @work(group="describe", exclusive=True)
    async def _describe(self) -> None:
        entry, name = self._entry, self.query_one(TypeList).highlighted_type
        if entry is None or name is None:
            return
        forecast = self.query_one(TypeList).forecast(name)
        target = self._target(name)
        taken = await asyncio.to_thread(os.path.lexists, target)
        lines = [_explain(name, forecast)]
        caution = self.lab.quantizer.caution(entry, name)
        if caution is not None:
            lines.append(f"! {caution.brief}")
        lines.append(f"makes {target.name} in {target.parent}" if not taken else f"! {target} exists: n names another")
        self.query_one("#about", Static).update(Content("\n".join(plain_line(line) for line in lines)))

    @work(group="dialog", exclusive=True)
    async def _name_file(self) -> None:
        from edgetui.screens.name_file import NameFileDialog

        name = self.query_one(TypeList).highlighted_type
        if name is None:
            return
        written = await self.app.push_screen_wait(NameFileDialog(str(self._target(name))))
        if written is not None:
            self._named = Path(written)
            self._describe()

    @work(group="start", exclusive=True)
    async def _start(self, type_name: str) -> None:
        entry = self._entry
        if entry is None:
            return
        forecast = self.query_one(TypeList).forecast(type_name)
        if forecast is not None and not forecast.can_start:
            self.show_failure(Failure("unsupported", _explain(type_name, forecast)))
            return
        target = self._target(type_name)
        caution = self.lab.quantizer.caution(entry, type_name)
        if caution is not None and caution.needs_yes:
            from edgetui.screens.confirm import ConfirmDialog

            if not await self.app.push_screen_wait(ConfirmDialog("Quantize it all the same?", caution.sentence)):
                return
        try:
            record = await self.lab.quantizer.start(
                entry, type_name, target=target, allow_requantize=caution is not None and caution.needs_yes
            )
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.clear_failure()
        self._job_id = record.job_id
        self._open_job(record)
        self.query_one(JobPanel).focus()

    def _target(self, type_name: str) -> Path:
        assert self._entry is not None
        return self._named or self.lab.quantizer.default_target(self._entry, type_name)

    # --- the job ------------------------------------------------------------------------------------------

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show the job started here, or one that is found running."""
        quantizations = [record for record in records if record.kind == "quantize"]
        shown = next((record for record in quantizations if record.job_id == self._job_id), None)
        if shown is None:
            shown = next((record for record in quantizations if record.is_running), None)
        if shown is None:
            if self._job_id is not None:
                self._close_job()
            return
        ended = self.job is not None and self.job.is_running and not shown.is_running
        if shown != self.job:
            self._job_id = shown.job_id
            self._open_job(shown)
        if ended:
            # The file may be there now, and the name taken.
            self._describe()
            self._show_model()

    def _open_job(self, record: JobRecord) -> None:
        self.add_class("-job")
        self.show_job(record)

    def _close_job(self) -> None:
        self._job_id = None
        self.remove_class("-job")
        self.show_job(None)
        self.query_one(TypeList).focus()

    # --- what is shown ------------------------------------------------------------------------------------

    @work(group="free", exclusive=True)
    async def _show_model(self) -> None:
        entry = self._entry
        self.query_one("#empty", Static).display = entry is None
        self.query_one("#choose").display = entry is not None
        line = self.query_one("#model", Static)
        if entry is None:
            line.update(Content("No model chosen"))
            self.query_one("#empty", Static).update(
                Content("Press ctrl+o to choose a model, or q on a row of Models (2).")
            )
            return
        facts = [
            entry.name,
            entry.quant_type or "",
            format_bytes(entry.size_bytes),
            f"{format_count(entry.parameter_count)} parameters",
            f"{format_bytes(await self.lab.quantizer.free_bytes())} free",
        ]
        line.update(Content(plain_line("   ".join(filter(None, facts)))))


def _can_be_quantized(entry: ModelEntry) -> bool:
    return entry.problem is None and entry.format == "gguf"


def _explain(name: str, forecast: TypeForecast | None) -> str:
    """The whole story of a type for this model, in a sentence."""
    purpose = describe_type(name).purpose
    if forecast is None:
        return f"{name}: {purpose}"
    if forecast.problem is not None:
        return f"{name} cannot be made of this model: {forecast.problem}"
    if forecast.needs_imatrix:
        return f"{name} needs an importance matrix (imatrix), which edgetui cannot make yet: take another type."
    if forecast.fallback_tensors:
        return f"{name}: {purpose}; {plan_note(None, False, forecast.fallback_tensors)}"
    return f"{name}: {purpose}"
