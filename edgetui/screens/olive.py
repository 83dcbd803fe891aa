"""Olive's workflows for a model: a form and the JSON that it becomes, edited, saved, checked by Olive, and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_config import read_config
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.core.workflows import workflow_name
from edgetui.screens.model_job_screen import ModelJobScreen
from edgetui.widgets.job_panel import JobPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.workflows.olive import OliveWorkflow
    from edgetui.services.olive import SavedWorkflow

_SAVED = "saved "
"""Begins the ids of saved workflows in the list."""


class OliveScreen(ModelJobScreen):
    """Templates and saved workflows with their settings on the left, the JSON on the right, the job below."""

    MODE = "quantize"
    HELP = (
        "Each template is a form (e) and the JSON that it becomes; tab goes into the JSON, which may be edited, esc"
        " comes back. ctrl+s saves it under a name and asks Olive what it thinks of it, v only asks. Enter, or ctrl+r"
        " from the JSON, runs it on the model above: where things are put is edgetui's business, and no pass may ask"
        " the network. A saved workflow runs on any model. x clears Olive's cache."
    )
    KINDS: ClassVar[tuple[JobKind, ...]] = ("olive",)
    LIST = AUTO_FOCUS = "#workflows"
    DEFAULT_CSS = """
    OliveScreen #model { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; padding: 0 1; }
    OliveScreen #both { height: 1fr; layout: horizontal; }
    OliveScreen #left { width: 34; }
    OliveScreen #workflows { height: 1fr; border: none; padding: 0; background: $background; text-wrap: nowrap; }
    OliveScreen #settings { height: auto; max-height: 60%; border-top: solid $primary; padding: 0 1; }
    OliveScreen #right { width: 1fr; border-left: solid $primary; }
    OliveScreen TextArea { height: 1fr; border: none; padding: 0; background: $background; }
    OliveScreen #verdict { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    OliveScreen JobPanel { height: 40%; max-height: 12; border-top: solid $primary; display: none; }
    OliveScreen.-job JobPanel { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit_settings", "Settings", id="olive.settings"),
        Binding("ctrl+s", "save", "Save", id="olive.save", priority=True),
        Binding("v", "check", "Check", id="olive.check"),
        Binding("ctrl+r", "run", "Run", id="olive.run", priority=True),
        Binding("x", "clear_cache", "Clear cache", id="olive.cache"),
    ]

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry)
        self._settings: dict[str, OliveWorkflow] = {}
        self._saved: dict[str, SavedWorkflow] = {}
        self._shown = ""
        """The JSON as it was put there; what differs from it was edited."""
        self._asked = ("", "")
        """The JSON that Olive was asked about last, and what it said."""

    def compose_body(self) -> ComposeResult:
        """Model; list and form beside the JSON; the job."""
        yield Static(id="model", markup=False)
        with Container(id="both"):
            with Vertical(id="left"):
                yield OptionList(id="workflows", markup=False, compact=True)
                yield Static(id="settings", markup=False)
            with Vertical(id="right"):
                json = TextArea(show_line_numbers=True, tab_behavior="indent", soft_wrap=False)
                json.cursor_blink = False
                yield json
                yield Static(id="verdict", markup=False)
        yield JobPanel()

    def on_mount(self) -> None:
        """List what there is for the model."""
        self._settings = {workflow_name(template): template() for template in self.lab.olive.templates()}
        self._list()
        self._show_model()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Settings are a template's."""
        if action == "edit_settings":
            return self.is_mounted and self._marked_settings is not None
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """From the JSON to the list; else as the others."""
        if self.query_one(TextArea).has_focus:
            self.query_one(self.LIST).focus()
        else:
            super().action_back()

    @work(group="dialog", exclusive=True)
    async def action_edit_settings(self) -> None:
        """Change the settings of the marked template."""
        settings = self._marked_settings
        changed = None if settings is None else await self.ask_settings(settings)
        if changed is not None:
            self._settings[workflow_name(changed)] = changed
            self._show_marked()

    @work(group="dialog", exclusive=True)
    async def action_save(self) -> None:
        """Ask for a name, save, and ask Olive."""
        saved = await self._save_as()
        if saved is not None:
            self._check(saved.name)

    @work(group="start", exclusive=True)
    async def action_run(self) -> None:
        """Run what stands in the JSON; what was edited is saved first, so that it can be run again."""
        option = self.query_one("#workflows", OptionList).highlighted_option
        if option is None or option.id is None:
            return
        text = self.query_one(TextArea).text
        try:
            if text == self._shown and (settings := self._marked_settings) is not None:
                record = await self.lab.workflows.start(self._entry, settings)  # type: ignore[arg-type]
            else:
                saved = self._saved.get(option.id) if text == self._shown else await self._save_as()
                if saved is None:
                    return
                record = await self.lab.olive.run(self._entry, str(saved.path))
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.follow_job(record)

    def action_check(self) -> None:
        """Ask Olive what it thinks of the JSON."""
        self._check("The workflow")

    @work(group="dialog", exclusive=True)
    async def action_clear_cache(self) -> None:
        """Remove what Olive has kept, after a question."""
        from edgetui.screens.confirm import ConfirmDialog

        size = format_bytes(await self.lab.olive.cache_bytes())
        told = f"It takes {size}. Passes that were run before are then computed anew."
        if await self.app.push_screen_wait(ConfirmDialog("Clear Olive's cache?", told)):
            try:
                await self.lab.olive.clear_cache()
            except EdgetuiError as error:
                self.show_failure(error)
            self._show_model()

    # --- list, form and JSON ------------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, _event: OptionList.OptionHighlighted) -> None:
        """Another workflow."""
        self._show_marked()
        self.refresh_bindings()

    def on_option_list_option_selected(self, _event: OptionList.OptionSelected) -> None:
        """Enter."""
        self.action_run()

    def on_text_area_changed(self) -> None:
        """Say at once whether it is a workflow at all."""
        text = self.query_one(TextArea).text
        try:
            read_config(text, "The workflow")
        except EdgetuiError as error:
            self._say(f"! {error}")
        else:
            asked, verdict = self._asked
            edited = "" if text == self._shown else "edited: ctrl+s saves it, ctrl+r saves and runs it"
            self._say(verdict if text == asked else edited)

    @property
    def _marked_settings(self) -> OliveWorkflow | None:
        """Settings of the template under the cursor; None for a saved workflow."""
        option = self.query_one("#workflows", OptionList).highlighted_option
        return None if option is None or option.id is None else self._settings.get(option.id)

    @work(group="list", exclusive=True)
    async def _list(self, mark: str = "") -> None:
        """Templates that take the model, then what was saved; the cursor on `mark`."""
        saved = await self.lab.olive.saved()
        self._saved = {f"{_SAVED}{each.name}": each for each in saved}
        options = self.query_one("#workflows", OptionList)
        options.clear_options()
        for name, settings in self._settings.items():
            sign = "+" if self._entry.format in settings.TAKES else "-"
            options.add_option(Option(Content(f"{sign} {settings.TITLE.removeprefix('Olive: ')}"), id=name))
        for key, each in self._saved.items():
            options.add_option(Option(Content(plain_line(f"  {each.name} (saved)")), id=key))
        first = next((name for name, each in self._settings.items() if self._entry.format in each.TAKES), None)
        wanted = mark if mark in self._saved else first
        options.highlighted = options.get_option_index(wanted) if wanted else 0

    @work(group="show", exclusive=True)
    async def _show_marked(self) -> None:
        option = self.query_one("#workflows", OptionList).highlighted_option
        if option is None or option.id is None:
            return
        settings, facts = self._marked_settings, []
        try:
            if settings is not None:
                text = self.lab.olive.text_of(settings, self._entry)
                facts = [(label, _typed(getattr(settings, name))) for name, (label, _) in settings.FIELDS.items()]
            else:
                text = await self.lab.olive.read(str(self._saved[option.id].path))
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._shown = text
        self.query_one(TextArea).load_text(text)
        self._show_facts([f"{label}: {value}" for label, value in facts])

    @work(group="check", exclusive=True)
    async def _check(self, name: str) -> None:
        text = self.query_one(TextArea).text
        self._asked = (text, "asking Olive ...")
        self.on_text_area_changed()
        try:
            await self.lab.olive.check(text, name)
        except EdgetuiError as error:
            self._asked = (text, f"! {error}")
        else:
            self._asked = (text, "Olive accepts it.")
        self.on_text_area_changed()

    async def _save_as(self) -> SavedWorkflow | None:
        """Save the JSON under a name that the person gives; None when it was left, or cannot be saved."""
        from edgetui.screens.confirm import ConfirmDialog
        from edgetui.screens.name_file import NameFileDialog

        option = self.query_one("#workflows", OptionList).highlighted_option
        known = self._saved.get(option.id or "") if option is not None else None
        text = self.query_one(TextArea).text
        try:
            read_config(text, "The workflow")
        except EdgetuiError as error:
            self.show_failure(error)
            return None

        async def save(name: str) -> SavedWorkflow:
            replace = f"{_SAVED}{name.removesuffix('.json')}" in self._saved
            told = f"A workflow named {plain_line(name)} is there already."
            if replace and not await self.app.push_screen_wait(ConfirmDialog("Replace it?", told)):
                raise EdgetuiError("exists", f"{told[:-1]}: name another.")
            return await self.lab.olive.save(name, text, replace=replace)

        title = "Name the workflow: enter saves it, esc closes"
        saved = await self.app.push_screen_wait(NameFileDialog(known.name if known else "mine", save, title))
        if saved is None:
            return None
        self.clear_failure()
        self._list(f"{_SAVED}{saved.name}")
        return saved

    def _show_facts(self, lines: Sequence[str]) -> None:
        self.query_one("#settings", Static).update(Content("\n".join(plain_line(line) for line in lines)))

    def _say(self, verdict: str) -> None:
        self.query_one("#verdict", Static).update(Content(plain_line(verdict)))

    @work(group="model", exclusive=True)
    async def _show_model(self) -> None:
        entry = self._entry
        facts = [entry.name, entry.format, entry.quant_type or "", format_bytes(entry.size_bytes)]
        facts.append(f"Olive's cache {format_bytes(await self.lab.olive.cache_bytes())}")
        self.query_one("#model", Static).update(Content(plain_line("   ".join(filter(None, facts)))))

    # --- the job ------------------------------------------------------------------------------------------

    def job_ended(self, record: JobRecord) -> None:
        """The cache has grown, and a run that succeeded left its footprint."""
        self._show_model()
        if record.state == "succeeded":
            self._show_footprint(record.job_id)

    @work(group="footprint", exclusive=True)
    async def _show_footprint(self, job_id: str) -> None:
        """Say in the form's place what each pass took and made."""
        from edgetui.core.olive_footprint import footprint_facts

        try:
            rows = await self.lab.olive.footprint(job_id)
        except EdgetuiError:
            # It was removed meanwhile; the list of models says so.
            return
        self._show_facts(footprint_facts(rows))


def _typed(value: object) -> str:
    """A setting as a person types it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
