"""The settings of a run: how the model is loaded, how tokens are chosen, and the profiles that keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.binding import Binding

from edgetui.core.failures import EdgetuiError
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.screens.run_fields import run_fields, run_settings_of
from edgetui.services.hardware.thread_limits import require_threads

if TYPE_CHECKING:
    from textual.binding import BindingType

    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import RunSettings
    from edgetui.services.profiles import Profiles


class Chosen(NamedTuple):
    """What a person left the dialog with."""

    settings: RunSettings
    profile: str
    """The profile that has these settings, empty for none."""


class RunSettingsDialog(FieldsDialog):
    """`push_screen_wait` gives the checked values; `chosen` makes the settings of them."""

    DEFAULT_CSS = """
    RunSettingsDialog .label { width: 18; }
    RunSettingsDialog .problem { padding-left: 18; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l", "profiles", "Profiles", priority=True),
        Binding("ctrl+f", "preset", "Preset", priority=True),
        Binding("pagedown", "group(1)", "Next group", show=False, priority=True),
        Binding("pageup", "group(-1)", "Group before", show=False, priority=True),
    ]

    def __init__(self, settings: RunSettings, entry: ModelEntry | None, profiles: Profiles, profile: str) -> None:
        self._before = settings
        self._entry = entry
        self._profiles = profiles
        self._profile = profile
        self._profile_settings: RunSettings | None = settings if profile else None
        title = "Settings of this run" if entry is None else f"Settings for {entry.name}"
        super().__init__(title, self._fields_of(settings), "ctrl+l profiles  ctrl+f presets  pgup/pgdn groups")

    def chosen(self, values: dict[str, object]) -> Chosen:
        """What was left behind."""
        settings = run_settings_of(values, self._before)
        return Chosen(settings, self._profile if settings == self._profile_settings else "")

    async def checked_values(self) -> dict[str, Any] | None:
        """Each by itself, and what cannot go together."""
        values = await super().checked_values()
        if values is not None and values.get("grammar") and values.get("json_schema"):
            self.say_problem("json_schema", "An answer follows a grammar or a JSON schema, not both: take one out.")
            return None
        for name in ("threads", "threads_prefill"):
            try:
                require_threads((values or {}).get(name) or 0)
            except EdgetuiError as error:
                self.say_problem(name, str(error))
                return None
        return values

    def action_profiles(self) -> None:
        """Take up, keep, rename or delete a profile."""
        self.run_worker(self._choose_profile(), group="choice", exclusive=True)

    def action_preset(self) -> None:
        """Take samplers that go together."""
        self.run_worker(self._choose_preset(), group="choice", exclusive=True)

    def action_group(self, step: int) -> None:
        """Go to the first field of another group."""
        firsts = [
            number
            for number, field in enumerate(self._fields)
            if number == 0 or field.group != self._fields[number - 1].group
        ]
        focused = self.focused.id if self.focused is not None else ""
        here = next((number for number, field in enumerate(self._fields) if field.name == focused), 0)
        group = max(index for index, first in enumerate(firsts) if first <= here)
        target = firsts[max(0, min(len(firsts) - 1, group + step))]
        self.query_one(f"#{self._fields[target].name}").focus()

    async def _choose_profile(self) -> None:
        from edgetui.screens.profiles_dialog import ProfilesDialog

        values = await self.checked_values()
        if values is None:
            return
        typed = run_settings_of(values, self._before)
        profile = await self.app.push_screen_wait(ProfilesDialog(self._profiles, self._entry, typed))
        if profile is not None:
            settings = profile.over(typed)
            self._profile, self._profile_settings = profile.name, settings
            self._take(settings)

    async def _choose_preset(self) -> None:
        from edgetui.screens.run_choices import choose_preset

        values = await self.checked_values()
        if values is None:
            return
        typed = run_settings_of(values, self._before)
        sampling = await choose_preset(self.app, self._entry, typed.sampling)
        if sampling is not None:
            self._take(typed._replace(sampling=sampling))

    def _take(self, settings: RunSettings) -> None:
        # What has no field for this engine comes along too.
        self._before = settings
        self.fill(self._fields_of(settings))

    def _fields_of(self, settings: RunSettings) -> list[Field]:
        return run_fields(settings, self._entry.format if self._entry is not None else None)
