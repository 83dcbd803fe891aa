"""A profile: the settings under which a person runs one model on one machine, by a name of theirs."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.run_settings import LoadSettings, RunSettings, SamplingSettings

ProfileName = Annotated[str, Meta(min_length=1, max_length=60)]
ProfileNote = Annotated[str, Meta(max_length=2000)]


class ProfileLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What a person writes on a profile."""

    name: ProfileName = "profile"
    note: ProfileNote = ""


class StatedSetting(NamedTuple):
    """A setting that a profile decides."""

    name: str
    value: object
    usual: object
    """What it is by itself."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Named settings with what they are good for; raises `ValueError` for a field of `load_fields` that is none."""

    name: ProfileName
    load: LoadSettings
    sampling: SamplingSettings | None
    """None leaves it as it is where the profile is taken up."""
    system_prompt: str | None = ""
    """As above."""
    load_fields: tuple[str, ...] | None = None
    """Those of `load` that it decides; None is all of them."""
    note: ProfileNote = ""
    model_name: str = ""
    """As it was called when this was saved; the profile itself follows the model's content."""
    saved_at: float = 0.0
    """Unix time in seconds."""

    def __post_init__(self) -> None:
        for name in self.load_fields or ():
            if name not in LoadSettings.__struct_fields__:
                raise ValueError(f"load has no {name}")

    @property
    def is_partial(self) -> bool:
        """Whether it leaves anything as it is where it is taken up."""
        return self.sampling is None or self.system_prompt is None or self.load_fields is not None

    @property
    def stated(self) -> list[StatedSetting]:
        """What it decides of load and sampling."""
        usual, sampling = LoadSettings(), SamplingSettings()
        found = [StatedSetting(name, getattr(self.load, name), getattr(usual, name)) for name in self._load_names]
        if self.sampling is not None:
            names = SamplingSettings.__struct_fields__
            found += [StatedSetting(name, getattr(self.sampling, name), getattr(sampling, name)) for name in names]
        return found

    def over(self, before: RunSettings) -> RunSettings:
        """The settings once it is taken up."""
        return RunSettings(
            msgspec.structs.replace(before.load, **{name: getattr(self.load, name) for name in self._load_names}),
            before.sampling if self.sampling is None else self.sampling,
            before.system_prompt if self.system_prompt is None else self.system_prompt,
        )

    def taken_off(self, settings: RunSettings, usual: RunSettings) -> RunSettings:
        """The settings without it: what it decides is as usual, and the rest stays."""
        return RunSettings(
            msgspec.structs.replace(settings.load, **{name: getattr(usual.load, name) for name in self._load_names}),
            settings.sampling if self.sampling is None else usual.sampling,
            settings.system_prompt if self.system_prompt is None else usual.system_prompt,
        )

    @property
    def _load_names(self) -> tuple[str, ...]:
        return LoadSettings.__struct_fields__ if self.load_fields is None else self.load_fields
