"""Keeping models in order by keys: notes, checks, comparison, taking in, deleting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.models import ModelMarks
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes, format_duration
from edgetui.screens.base import LabScreen
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.widgets.model_details import ModelDetailsPane

if TYPE_CHECKING:
    from textual.binding import BindingType

    from edgetui.core.models import ModelEntry
    from edgetui.services.importing import ImportPlan

_FIELDS = (("is_favourite", "Favourite", "true or false"), ("tags", "Tags", ""), ("note", "Note", ""))


class ModelCareScreen(LabScreen):
    """Base of a screen that marks one model, with a pane for its details and a `#summary` line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "note", "Note", id="models.note"),
        Binding("asterisk", "favourite", "Favourite", key_display="*", show=False, id="models.favourite"),
        Binding("equals_sign", "compare", "Compare", key_display="=", show=False, id="models.compare"),
        Binding("a", "add", "Add a file or server", show=False, id="models.add"),
        Binding("v", "verify", "Verify", show=False, id="models.verify"),
        Binding("x,delete", "delete", "Delete", key_display="x", show=False, id="models.delete"),
        Binding("X", "prune", "Delete superseded", show=False, id="models.prune"),
        Binding("y", "copy('path')", "Copy path", show=False, id="models.copy_path"),
        Binding("Y", "copy('id')", "Copy hub id", show=False, id="models.copy_id"),
        Binding("o", "reveal", "Open folder", show=False, id="models.reveal"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.instead = ""
        """What the pane shows in place of the details: `fit`, `template`, `hash` or nothing."""
        self.compared: ModelEntry | None = None
        """The first of two to compare."""

    @property
    def marked(self) -> ModelEntry | None:
        """The model in the marked row."""
        raise NotImplementedError

    def show_details(self) -> None:
        """The details again, whatever the pane showed."""
        raise NotImplementedError

    async def list_servers(self) -> None:
        """Read the servers anew."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what the marked row allows; of a server there are no files."""
        entry = self.marked
        if action == "delete":
            return entry is not None
        if action in ("verify", "copy", "reveal"):
            return entry is not None and entry.endpoint is None
        if action in ("note", "favourite"):
            return entry is not None and bool(entry.fingerprint)
        if action == "compare":
            return entry is not None and entry.problem is None and entry.is_read and entry.endpoint is None
        return True

    def say(self, text: str) -> None:
        """One line above the list, until it changes."""
        for line in self.query("#summary").results(Static):
            line.update(f" {plain_line(text)}")

    # --- keys ---------------------------------------------------------------------------------------------

    @work(group="note", exclusive=True)
    async def action_note(self) -> None:
        """Write what is worth remembering of the marked model."""
        entry = self.marked
        if entry is None:
            return
        fields = [Field(ModelMarks, name, label, note, getattr(entry.marks, name)) for name, label, note in _FIELDS]
        values = await self.app.push_screen_wait(FieldsDialog(f"Note on {plain_line(entry.name)}", fields))
        if values is not None:
            await self._keep_marks(entry, ModelMarks(**values | {"tags": " ".join(values["tags"].split())}))

    @work(group="note", exclusive=True)
    async def action_favourite(self) -> None:
        """Mark a favourite, or take the mark away."""
        entry = self.marked
        if entry is not None:
            marks = entry.marks
            await self._keep_marks(
                entry, ModelMarks(is_favourite=not marks.is_favourite, tags=marks.tags, note=marks.note)
            )

    def action_compare(self) -> None:
        """Remember the first model; with a second, show both side by side."""
        entry, first = self.marked, self.compared
        if entry is None:
            return
        if first is None or first.path == entry.path:
            self.compared = entry
            self.say(f"{entry.name} is compared with the model on which = is pressed next; esc forgets it")
            return
        self.compared = None
        from edgetui.screens.model_diff import ModelDiffScreen

        self.app.push_screen(ModelDiffScreen(first, entry))

    @work(group="add", exclusive=True)
    async def action_add(self) -> None:
        """Ask for a file, say what it is, take it in; esc ends it. A server's address is taken as well."""
        from edgetui.core.servers import is_address, read_address
        from edgetui.screens.confirm import ConfirmDialog
        from edgetui.screens.name_file import NameFileDialog

        async def take(line: str) -> ImportPlan | str:
            return read_address(line) if is_address(line) else await self.lab.importer.plan(line)

        title = "File, folder, or a server's http:// address: enter takes it, esc closes"
        plan = await self.app.push_screen_wait(NameFileDialog("", take, title))
        if plan is None:
            return
        if isinstance(plan, str):
            await self._ask_server(plan)
            return
        try:
            question = f"Add {plan.entry.name}?"
            same = f" {plan.same_as} has the same content already." if plan.same_as else ""
            if not await self.app.push_screen_wait(ConfirmDialog(question, f"{plan.in_words}.{same}")):
                return
            loop = asyncio.get_running_loop()
            total = format_bytes(plan.entry.size_bytes)

            def show(count: int) -> None:
                loop.call_soon_threadsafe(self.say, f"{plan.entry.name}: {format_bytes(count)} of {total}; esc ends it")

            added = await self.lab.importer.run(plan, show)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        await self.open_model(added)

    @work(group="add", exclusive=True)
    async def add_server(self) -> None:
        """Ask for all of a server, as `a` does once it has the address."""
        await self._ask_server("http://")

    def action_verify(self) -> None:
        """Hash the marked model's files; esc ends it."""
        if self.marked is not None:
            self.instead = "hash"
            self._verify(self.marked)

    @work(group="delete", exclusive=True)
    async def action_delete(self) -> None:
        """Say what would go, ask, delete."""
        from edgetui.screens.confirm import ConfirmDialog

        entry = self.marked
        if entry is None:
            return
        try:
            if entry.endpoint is not None:
                question = plain_line(f"Forget the server {entry.endpoint.name}?")
                if await self.app.push_screen_wait(ConfirmDialog(question, "A key in the keyring stays there.")):
                    await self.lab.servers.remove(entry.endpoint.name)
                    await self.list_servers()
                return
            removal = await self.lab.library.removal(entry)
            frees = f"Frees {format_bytes(removal.freed_bytes)}."
            if await self.app.push_screen_wait(ConfirmDialog(plain_line(f"Delete {removal.what}?"), frees)):
                await self.lab.library.remove(removal)
        except EdgetuiError as error:
            self.show_failure(error)
        await self.lab.catalog.scan()

    @work(group="delete", exclusive=True)
    async def action_prune(self) -> None:
        """Say which revisions in the hub's cache no branch stands for any more, ask, delete them."""
        from edgetui.screens.confirm import ConfirmDialog

        try:
            removals = await self.lab.library.unreferenced()
            if not removals:
                self.say("Nothing in the hub's cache is superseded.")
                return
            listed = "\n".join(f"{each.what}: {format_bytes(each.freed_bytes)}" for each in removals)
            total = format_bytes(sum(each.freed_bytes for each in removals))
            if await self.app.push_screen_wait(ConfirmDialog(f"Delete these? That frees {total}.", listed)):
                for removal in removals:
                    await self.lab.library.remove(removal)
        except EdgetuiError as error:
            self.show_failure(error)
        await self.lab.catalog.scan()

    def action_copy(self, what: str) -> None:
        """Put the marked model's path, or its name on the hub, into the terminal's clipboard."""
        entry = self.marked
        if entry is not None:
            text = str(entry.path) if what == "path" else entry.repo or entry.name
            self.app.copy_to_clipboard(text)
            self.say(f"Copied: {text}")

    def action_reveal(self) -> None:
        """Show the file in the desktop's file manager."""
        if self.marked is not None and not self.lab.library.reveal(self.marked.path):
            self.show_failure(
                Failure("unsupported", "There is no desktop to show the folder on: y copies the file's path instead.")
            )

    # --- work ---------------------------------------------------------------------------------------------

    async def _ask_server(self, url: str) -> None:
        from edgetui.screens.add_server import add_server

        try:
            added = await add_server(self.app, self.lab.servers, url)
            if added is None:
                return
            await self.list_servers()
            endpoint, check = added
            await self.open_model(await self.lab.find_model(endpoint.name))
        except EdgetuiError as error:
            self.show_failure(error)
            return
        if check is None:
            self.say(f"{endpoint.name} is added; it did not answer yet")
        else:
            first = format_duration(check.finished.ttft_s)
            told = f"first token after {first}; enter runs it ({check.loaded.description})"
            self.say(f"{endpoint.name} is added: {told}")

    async def _keep_marks(self, entry: ModelEntry, marks: ModelMarks) -> None:
        try:
            await self.lab.catalog.mark(entry, marks)
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="fit", exclusive=True)
    async def _verify(self, entry: ModelEntry) -> None:
        pane, title = self.query_one(ModelDetailsPane), f"Hash of {entry.name}"
        pane.show_text(title, f"Reading {format_bytes(entry.size_bytes)}... (esc goes back)")
        try:
            found = await self.lab.library.verify(entry)
        except EdgetuiError as error:
            self.show_failure(error)
            self.show_details()
            return
        words = {True: "as the hub promised", False: "NOT what the hub promised: delete it and download it again"}
        lines = [
            f"{plain_line(each.path.name)}\nsha256 {each.sha256}\n"
            + ("nobody told what it should be" if each.is_right is None else words[each.is_right])
            for each in found
        ]
        if self.marked is not None and self.marked.path == entry.path and self.instead == "hash":
            pane.show_text(title, "\n\n".join(lines))
