"""A profile: the settings under which a person runs one model on one machine, by a name of theirs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgetui.core.run_settings import LoadSettings, SamplingSettings

ProfileName = Annotated[str, Meta(min_length=1, max_length=60)]
ProfileNote = Annotated[str, Meta(max_length=2000)]


class ProfileLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What a person writes on a profile."""

    name: ProfileName = "profile"
    note: ProfileNote = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Named settings with what they are good for."""

    name: ProfileName
    load: LoadSettings
    sampling: SamplingSettings
    system_prompt: str = ""
    note: ProfileNote = ""
    model_name: str = ""
    """As it was called when this was saved; the profile itself follows the model's content."""
    saved_at: float = 0.0
    """Unix time in seconds."""
