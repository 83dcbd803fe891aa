"""The profiles of a model on this machine: take one up, keep the present settings as one, rename or delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.profiles import ProfileLabel
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.fields_dialog import Field, FieldError, FieldsDialog
from edgetui.screens.steady import Steady
from edgetui.services.profiles import model_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.models import ModelEntry
    from edgetui.core.profiles import Profile
    from edgetui.core.run_settings import RunSettings
    from edgetui.services.profiles import Profiles

_T = TypeVar("_T")


class ProfilesDialog(Steady, ModalScreen["Profile | None"]):
    """`push_screen_wait(ProfilesDialog(...))` gives the profile that was taken or kept, None for none."""

    DEFAULT_CSS = """
    ProfilesDialog OptionList { height: auto; max-height: 1fr; border: none; padding: 0; background: $surface; }
    ProfilesDialog .dialog { max-height: 90%; }
    ProfilesDialog #said { height: auto; color: $text-error; }
    ProfilesDialog:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("s", "save", "Save these settings"),
        Binding("r", "rename", "Rename"),
        Binding("d", "delete", "Delete"),
    ]
    AUTO_FOCUS = "OptionList"

    def __init__(self, profiles: Profiles, entry: ModelEntry | None, settings: RunSettings) -> None:
        super().__init__()
        self._profiles = profiles
        self._entry = entry
        self._settings = settings
        self._shown: list[Profile] = []

    def compose(self) -> ComposeResult:
        """Title, list, what went wrong, keys."""
        with Vertical(classes="dialog"):
            name = "no model" if self._entry is None else plain_line(self._entry.name)
            yield Static(Content(f"Profiles of {name} on this machine"), classes="dialog-title")
            yield OptionList(markup=False, compact=True)
            yield Static(id="said", markup=False)
            keys = "enter takes  s saves the settings as they are typed  r renames  d deletes  esc closes"
            yield Static(Content(keys), classes="muted")

    def on_mount(self) -> None:
        """List them."""
        self.run_worker(self._list())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take one up."""
        if event.option_index < len(self._shown):
            self.run_worker(self._take(self._shown[event.option_index]))

    def action_save(self) -> None:
        """Keep the settings as they are typed."""
        self.run_worker(self._save(), group="dialog", exclusive=True)

    def action_rename(self) -> None:
        """Give the marked one another name or note."""
        self.run_worker(self._rename(), group="dialog", exclusive=True)

    def action_delete(self) -> None:
        """Forget the marked one, after a yes."""
        self.run_worker(self._delete(), group="dialog", exclusive=True)

    @property
    def _model(self) -> str:
        return model_key(self._entry) if self._entry is not None else ""

    @property
    def _marked(self) -> Profile | None:
        marked = self.query_one(OptionList).highlighted
        return self._shown[marked] if marked is not None and marked < len(self._shown) else None

    async def _list(self) -> None:
        rows = self.query_one(OptionList)
        if self._entry is None:
            self._say("Choose a model first (esc, then ctrl+o): a profile belongs to one.")
            return
        found = await self._tried(self._profiles.of(self._model))
        self._shown = found or []
        rows.clear_options()
        rows.add_options([Option(Content(_row(profile))) for profile in self._shown])
        if self._shown:
            rows.highlighted = 0
        else:
            rows.add_option(Option(Content("There is none yet: s saves the settings as one."), disabled=True))
        unreadable = await self._tried(self._profiles.unreadable(self._model))
        if unreadable:
            self._say(unreadable[0].message)

    async def _take(self, profile: Profile) -> None:
        taken = await self._tried(self._profiles.use(self._model, profile.name))
        if taken is not None:
            self.dismiss(taken)

    async def _save(self) -> None:
        if self._entry is None:
            return
        settings, model_name = self._settings, self._entry.name
        saved: list[Profile] = []

        async def save(values: dict[str, Any]) -> None:
            name = values["name"].strip()
            if any(profile.name == name for profile in self._shown) and not await self.app.push_screen_wait(
                ConfirmDialog(f"There is a profile {plain_line(name)!r}. Replace it?")
            ):
                raise EdgetuiError("exists", f"There is a profile {name!r} already: take another name.")
            profile = await self._profiles.save(
                self._model,
                name,
                settings.load,
                settings.sampling,
                values["note"],
                system_prompt=settings.system_prompt,
                model_name=model_name,
            )
            saved.append(profile)
            self.app.notify(
                f"Saved: the profile {plain_line(profile.name)!r} of {plain_line(model_name)}", markup=False
            )

        await self._ask("Save as a profile", "", "", save)
        if saved:
            self.dismiss(saved[0])

    async def _rename(self) -> None:
        profile = self._marked
        if profile is None:
            return

        async def rename(values: dict[str, Any]) -> None:
            await self._profiles.rename(self._model, profile.name, values["name"], values["note"])

        await self._ask("Rename the profile", profile.name, profile.note, rename)
        await self._list()

    async def _delete(self) -> None:
        profile = self._marked
        if profile is not None and await self.app.push_screen_wait(
            ConfirmDialog(f"Delete the profile {plain_line(profile.name)!r}?")
        ):
            await self._tried(self._profiles.delete(self._model, profile.name))
            await self._list()

    async def _ask(self, title: str, name: str, note: str, keep: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Have a name and a note typed until `keep` takes them; what it refuses is said under the name."""

        async def settle(values: dict[str, Any]) -> None:
            try:
                await keep(values)
            except EdgetuiError as error:
                raise FieldError("name", error.failure) from error

        fields = [
            Field(ProfileLabel, "name", "Name", "", name),
            Field(ProfileLabel, "note", "Note", "", note),
        ]
        await self.app.push_screen_wait(FieldsDialog(title, fields, settle=settle))

    async def _tried(self, work: Awaitable[_T]) -> _T | None:
        try:
            result = await work
        except EdgetuiError as error:
            self._say(str(error))
            return None
        self._say("")
        return result

    def _say(self, sentence: str) -> None:
        self.query_one("#said", Static).update(Content(plain_line(sentence)))


def _row(profile: Profile) -> str:
    return plain_line(f"{profile.name:<16} {profile.note or _in_short(profile)}")


def _in_short(profile: Profile) -> str:
    """What differs from the defaults."""
    changed = [f"{each.name}={each.value}" for each in profile.stated if each.value != each.usual]
    return ", ".join(changed) or "the defaults"
