"""The Quantize screen: choose a type by its predicted size, start, and watch it being made."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import work
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.plain_text import plain_line
from edgetui.core.quant_options import QuantForm, QuantOptions, options_of
from edgetui.core.units import format_bytes, format_count
from edgetui.screens.job_screen import JobScreen
from edgetui.services.imatrices import CHUNKS
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.type_list import TypeForecast, TypeList, explain_fallbacks, explain_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.worker.requests import ImatrixRequest

USUAL_TYPE = "Q4_K_M"
"""What the cursor stands on first."""


class QuantizeScreen(JobScreen):
    """Types with their sizes; below or beside them the job that makes one."""

    MODE = "quantize"
    HELP = (
        "Sizes are predicted by llama.cpp's own dry run and are exact. BPW is bits per weight, SHARE the part of the"
        " source's size, SPEED how many times as fast as F16 it decodes on this CPU, by what a calibration measured."
        " A type marked - cannot be made of this model now; one marked ~ falls back to another type for"
        " tensors whose rows do not divide into its blocks, and its size counts that. An importance matrix (i) tells"
        " which weights matter: it is made of a text, and quality measured over the same text flatters it. Leaving this"
        " screen, or edgetui, does not stop a job. Tab moves between the types and the job."
    )
    AUTO_FOCUS = "TypeList"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    QuantizeScreen #model { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; padding: 0 1; }
    QuantizeScreen #options { height: 1; text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; color: $text-muted; }
    QuantizeScreen #empty { height: auto; padding: 1 2; }
    QuantizeScreen #both { height: 1fr; layout: vertical; }
    QuantizeScreen #choose { height: 1fr; min-height: 6; }
    QuantizeScreen #header { height: 1; color: $text-muted; text-wrap: nowrap; }
    QuantizeScreen #about { height: auto; max-height: 5; padding: 0 1; border-top: solid $primary; }
    QuantizeScreen.-job.-normal #about { display: none; }
    QuantizeScreen JobPanel { height: 40%; max-height: 12; border-top: solid $primary; display: none; }
    QuantizeScreen.-job JobPanel { display: block; }
    QuantizeScreen.-wide #about { max-height: 12; }
    QuantizeScreen.-wide #both { layout: horizontal; }
    QuantizeScreen.-wide #choose { width: 3fr; }
    QuantizeScreen.-wide JobPanel {
        width: 2fr; height: 1fr; max-height: 100%; border-top: none; border-left: solid $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "choose_model", "Model", id="quantize.model"),
        Binding("n", "name_file", "Name", id="quantize.name"),
        Binding("o", "options", "Options", id="quantize.options"),
        Binding("i", "imatrix", "Imatrix", id="quantize.imatrix"),
        Binding("e", "tensors", "Tensors", id="quantize.tensors"),
        Binding("t", "toolchains", "Toolchains", id="quantize.toolchains"),
        Binding("m", "quality", "Quality", id="quantize.quality"),
        Binding("w", "sweep", "Sweep", id="quantize.sweep"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entry: ModelEntry | None = None
        self._job_id: str | None = None
        self._named: Path | None = None
        """The target that the person named for the type under the cursor."""
        self._options = QuantOptions()
        self._threads = 0
        self._awaited: ImatrixRequest | None = None
        """The importance matrix that is taken when its job is done."""
        self._stop_listening: Callable[[], None] = lambda: None

    def compose_body(self) -> ComposeResult:
        """Model, types, what the marked one means, the job."""
        yield Static(id="model", markup=False)
        yield Static(id="empty", markup=False)
        with Container(id="both"):
            with Vertical(id="choose"):
                yield Static(id="options", markup=False)
                yield Static(Content(TypeList.HEADER), id="header")
                yield TypeList()
                yield Static(id="about", markup=False)
            yield JobPanel()

    def on_mount(self) -> None:
        """Take the only model there is, or say how to choose one."""
        self._stop_listening = self.lab.tensors.overridden.subscribe(self._take_overrides)
        self._show_model()
        self._take_only_model()

    def on_unmount(self) -> None:
        """Stop listening."""
        self._stop_listening()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A name and options are for a type of a model."""
        if action in ("name_file", "options", "imatrix", "tensors", "toolchains", "quality", "sweep"):
            return self._entry is not None
        return super().check_action(action, parameters)

    def action_choose_model(self) -> None:
        """Open the picker."""
        self._choose_model()

    def action_name_file(self) -> None:
        """Ask for another name than the usual one."""
        self._name_file()

    def action_options(self) -> None:
        """Open the form."""
        self._ask_options()

    def action_tensors(self) -> None:
        """Every tensor of the model, and types for single ones."""
        from edgetui.screens.tensors import TensorsScreen

        if self._entry is not None:
            self.app.push_screen(TensorsScreen(self._entry))

    def action_toolchains(self) -> None:
        """What the other toolchains make of the model."""
        from edgetui.screens.convert import ConvertScreen

        if self._entry is not None:
            self.app.push_screen(ConvertScreen(self._entry))

    def action_quality(self) -> None:
        """What the model has lost against its parent."""
        from edgetui.screens.quality import QualityScreen

        if self._entry is not None:
            self.app.push_screen(QualityScreen(self._entry))

    @work(group="dialog", exclusive=True)
    async def action_sweep(self) -> None:
        """Many builds of the model, side by side."""
        if self._entry is not None:
            await self.lab_app.open_model_in("frontier", self._entry)

    def action_imatrix(self) -> None:
        """Choose an importance matrix, or have one made."""
        self._choose_imatrix()

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
        self._options, self._awaited = QuantOptions(tensor_types=self.lab.tensors.overrides(entry)), None
        self.clear_failure()
        if self.job is not None and not self.job.is_running:
            # What came of the last one stands in Jobs; here the next one's warnings are needed.
            self._close_job()
        self._plan_again(USUAL_TYPE)
        self._show_model()
        self.query_one(TypeList).focus()
        self.refresh_bindings()

    def _plan_again(self, highlight: str) -> None:
        """Predict with the options as they are now."""
        if self._entry is None:
            return
        self._named = None
        told = self._options.told
        self.query_one("#options", Static).update(Content(plain_line(f"options  {told or 'usual'}")))
        self.query_one(TypeList).begin(self._entry.size_bytes, highlight)
        self._plan(self._entry)

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
            async with aclosing(self.lab.quantizer.plan(entry, (), self._options)) as plans:
                async for plan in plans:
                    types.show(
                        TypeForecast(
                            plan.type_name,
                            plan.size_bytes,
                            plan.bits_per_weight,
                            plan.needs_imatrix,
                            plan.fallbacks,
                            plan.product_weights,
                            plan.problem,
                        )
                    )
                    if plan.type_name == types.highlighted_type:
                        self._describe()
        except EdgetuiError as error:
            self.show_failure(error)
            if self._options != QuantOptions():
                # What this model or llama.cpp refuses is taken back, so that there is something to choose from.
                self._options = QuantOptions()
                self._plan_again(types.highlighted_type or USUAL_TYPE)
        else:
            types.end()
            await self._read_speeds()

    async def _read_speeds(self) -> None:
        calibration = (await self.lab.speed.calibration()).value
        measured = max(calibration.threads, key=lambda part: part.threads) if calibration else None
        self.query_one(TypeList).calibrate(measured)
        self._describe()

    # --- options ------------------------------------------------------------------------------------------

    @work(group="dialog", exclusive=True)
    async def _ask_options(self) -> None:
        from edgetui.screens.quantize_options import options_dialog

        values = await self.app.push_screen_wait(options_dialog(self._options, self._threads))
        if values is None:
            return
        form = QuantForm(**values)
        self._threads = form.threads
        self._take_options(options_of(form, self._options.imatrix))

    def _take_options(self, options: QuantOptions) -> None:
        self.clear_failure()
        self._options = options
        self._plan_again(self.query_one(TypeList).highlighted_type or USUAL_TYPE)

    def _take_overrides(self, path: Path) -> None:
        """Types that were set for single tensors on the explorer."""
        if self._entry is not None and self._entry.path == path:
            overrides = self.lab.tensors.overrides(self._entry)
            self._take_options(msgspec.structs.replace(self._options, tensor_types=overrides))

    @work(group="dialog", exclusive=True)
    async def _choose_imatrix(self) -> None:
        from edgetui.screens.imatrix_dialog import ask_imatrix

        if self._entry is None:
            return
        try:
            path = await ask_imatrix(self, self._entry, self._options.imatrix, self._threads, self._make_imatrix)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        if path is not None:
            self._take_options(msgspec.structs.replace(self._options, imatrix=path))

    async def _make_imatrix(self, request: ImatrixRequest) -> None:
        """Start the job and take what it makes; one that is here already is taken at once. Raises `EdgetuiError`."""
        entry = self._entry
        if entry is None:
            return
        if request.target in {known.path for known in await self.lab.imatrices.made_of(entry)}:
            self._take_options(msgspec.structs.replace(self._options, imatrix=request.target))
            return
        record = await self.lab.imatrices.start(request, entry)
        self.clear_failure()
        self._awaited = request
        self._job_id = record.job_id
        self._open_job(record)
        self.query_one(JobPanel).focus()

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
        speed = self.query_one(TypeList).speed(name)
        lines = [explain_type(name, forecast, speed)]
        caution = self.lab.quantizer.caution(entry, name, self._options)
        if caution is not None:
            lines.append(f"! {caution.brief}")
        lines.append(f"makes {target.name} in {target.parent}" if not taken else f"! {target} exists: n names another")
        if forecast is not None and forecast.fallbacks and forecast.problem is None:
            lines.append(explain_fallbacks(forecast))
        self.query_one("#about", Static).update(Content("\n".join(plain_line(line) for line in lines)))

    @work(group="dialog", exclusive=True)
    async def _name_file(self) -> None:
        from edgetui.screens.name_file import NameFileDialog

        entry, name = self._entry, self.query_one(TypeList).highlighted_type
        if entry is None or name is None:
            return
        take = partial(self.lab.quantizer.checked_target, entry, name, self._options)
        named = await self.app.push_screen_wait(NameFileDialog(str(self._target(name)), take))
        if named is not None:
            self._named = named
            self._describe()

    @work(group="start", exclusive=True)
    async def _start(self, type_name: str) -> None:
        entry = self._entry
        if entry is None:
            return
        forecast = self.query_one(TypeList).forecast(type_name)
        if forecast is not None and forecast.problem is not None:
            self.show_failure(Failure("unsupported", explain_type(type_name, forecast, None)))
            return
        from edgetui.screens.confirm import ConfirmDialog

        if forecast is not None and forecast.needs_imatrix:
            explained = f"{type_name} needs an importance matrix, which tells which weights matter."
            question = f"Make one of Python's documentation first ({CHUNKS} chunks)?"
            if await self.app.push_screen_wait(ConfirmDialog(question, explained)):
                await self._make_imatrix(self.lab.imatrices.request(entry, threads=self._threads))
            return
        target = self._target(type_name)
        caution = self.lab.quantizer.caution(entry, type_name, self._options)
        needs_yes = caution is not None and caution.needs_yes
        if caution is not None and needs_yes:
            question = "Quantize it all the same?"
            if not await self.app.push_screen_wait(ConfirmDialog(question, caution.sentence)):
                return
        try:
            record = await self.lab.quantizer.start(
                entry,
                type_name,
                target=target,
                allow_requantize=needs_yes,
                threads=self._threads,
                options=self._options,
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
        return self._named or self.lab.quantizer.default_target(self._entry, type_name, self._options)

    # --- the job ------------------------------------------------------------------------------------------

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show the job started here, or one that is found running."""
        quantizations = [record for record in records if record.kind in ("quantize", "imatrix")]
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
        if ended and shown.kind == "imatrix":
            self._take_awaited(shown)
        elif ended:
            # The file may be there now, and the name taken.
            self._describe()
            self._show_model()

    def _take_awaited(self, record: JobRecord) -> None:
        """The importance matrix is there: predict with it, and let the person go on where they were."""
        awaited, self._awaited = self._awaited, None
        if awaited is not None and record.state == "succeeded" and record.output == awaited.target:
            self._take_options(msgspec.structs.replace(self._options, imatrix=awaited.target))
            self.query_one(TypeList).focus()

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
