"""Settings remembered for a model on this machine: saved by a person or by autotune, taken up wherever it runs."""

from __future__ import annotations

import asyncio
import difflib
import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.profiles import Profile, ProfileLabel
from edgetui.core.setting_values import checked
from edgetui.store.profiles import SavedProfiles

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import LoadSettings, RunSettings, SamplingSettings
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.store.database import Database
    from edgetui.store.profiles import UnreadableProfile


def model_key(entry: ModelEntry) -> str:
    """By which a model is known again: the content of its files, or the place where a server's model answers."""
    if entry.endpoint is not None:
        return f"server {entry.endpoint.url} {entry.endpoint.model}"
    return entry.fingerprint or str(entry.path)


class Profiles:
    """Profiles of this machine; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database, hardware: HardwareMonitor) -> None:
        self._store = SavedProfiles(database)
        self._hardware = hardware
        self._machine = ""

    async def of(self, model: str) -> list[Profile]:
        """Those of a model (`model_key`), the last used first."""
        return await asyncio.to_thread(self._store.of, model, await self.machine())

    async def all(self) -> list[Profile]:
        """Those of every model, by the models' names."""
        return await asyncio.to_thread(self._store.all, await self.machine())

    async def unreadable(self, model: str | None = None) -> list[Failure]:
        """A sentence for each that is kept and cannot be read, of one model or of all."""
        return [_damaged(each) for each in await self._unreadable(model)]

    async def get(self, model: str, name: str) -> Profile:
        """One by its name; raises `not_found`, naming the closest, and `bad_settings` for one that cannot be read."""
        profiles = await self.of(model)
        for profile in profiles:
            if profile.name == name:
                return profile
        for each in await self._unreadable(model):
            if each.name == name:
                raise EdgetuiError.of(_damaged(each))
        names = [profile.name for profile in profiles]
        close = difflib.get_close_matches(name, names, n=1)
        if close:
            advice = f"did you mean {close[0]!r}?"
        elif names:
            advice = f"it has {', '.join(names)}."
        else:
            advice = "it has none: the settings of Run (ctrl+s) save one."
        raise EdgetuiError("not_found", f"This model has no profile {name!r} on this machine; {advice}")

    async def last_used(self, model: str) -> Profile | None:
        """The one that was used or saved last; raises `bad_settings` when that is one that cannot be read."""
        profiles = await self.of(model)
        used_at = 0.0
        if profiles:
            machine = await self.machine()
            used_at = await asyncio.to_thread(self._store.last_used_at, model, machine, profiles[0].name)
        for each in await self._unreadable(model):
            if each.used_at > used_at:
                raise EdgetuiError.of(_damaged(each))
        return profiles[0] if profiles else None

    async def save(
        self,
        model: str,
        name: str,
        load: LoadSettings,
        sampling: SamplingSettings,
        note: str = "",
        *,
        system_prompt: str = "",
        model_name: str = "",
    ) -> Profile:
        """Keep settings under a name, in place of those that have it; they count as used last.

        Raises `bad_request` for a name that is empty or longer than 60 characters and for settings out of their limits,
        `exists` where one that cannot be read has the name.
        """
        profile = _checked(
            Profile(
                name=name.strip(),
                load=load,
                sampling=sampling,
                system_prompt=system_prompt,
                note=note,
                model_name=model_name,
                saved_at=time.time(),
            )
        )
        await asyncio.to_thread(self._store.put, model, await self.machine(), profile, profile.saved_at)
        return profile

    async def use(self, model: str, name: str) -> Profile:
        """Take one up, so that it comes back with the model; raises `not_found`."""
        profile = await self.get(model, name)
        await asyncio.to_thread(self._store.use, model, await self.machine(), name, time.time())
        return profile

    async def without(self, model: str, name: str, settings: RunSettings, usual: RunSettings) -> RunSettings:
        """Settings that a profile was taken up in, without it; all as usual where it is gone or cannot be read."""
        try:
            return (await self.get(model, name)).taken_off(settings, usual)
        except EdgetuiError:
            return usual

    async def rename(self, model: str, name: str, new_name: str, note: str | None = None) -> Profile:
        """Give it another name, and another note when there is one; raises `not_found` and `bad_request`."""
        profile = await self.get(model, name)
        renamed = _checked(
            msgspec.structs.replace(profile, name=new_name.strip(), note=profile.note if note is None else note)
        )
        if renamed.name != name and any(other.name == renamed.name for other in await self.of(model)):
            raise EdgetuiError("bad_request", f"There is a profile {renamed.name!r} already: take another name.")
        await asyncio.to_thread(self._store.rename, model, await self.machine(), name, renamed)
        return renamed

    async def delete(self, model: str, name: str) -> None:
        """Forget it, also one that cannot be read; raises `not_found`."""
        if all(each.name != name for each in await self._unreadable(model)):
            await self.get(model, name)
        await asyncio.to_thread(self._store.delete, model, await self.machine(), name)

    async def machine(self) -> str:
        """This machine, as far as settings depend on it: a home folder may be shared by several."""
        if not self._machine:
            cpu = (await self._hardware.describe()).cpu
            name = cpu.model.value or "unknown processor"
            self._machine = f"{name}, {cpu.physical_cores.value or cpu.logical_cpus.value or '?'} cores"
        return self._machine

    async def _unreadable(self, model: str | None) -> list[UnreadableProfile]:
        return await asyncio.to_thread(self._store.unreadable, await self.machine(), model)


def _checked(profile: Profile) -> Profile:
    """The profile, when it can be kept and read again; raises `bad_request`."""
    try:
        msgspec.convert({"name": profile.name, "note": profile.note}, ProfileLabel)
    except msgspec.ValidationError as error:
        raise EdgetuiError(
            "bad_request", "A profile's name has 1 to 60 characters, its note at most 2000: write another."
        ) from error
    return checked(profile)


def _damaged(each: UnreadableProfile) -> Failure:
    reason, _, where = each.reason.replace("`", "").partition(" - at $")
    setting = where.rpartition(".")[2].replace("_", "-")
    why = f"{setting}: {reason[:1].lower()}{reason[1:]}" if setting else f"{reason[:1].lower()}{reason[1:]}"
    return Failure(
        "bad_settings",
        f"The profile {each.name!r} cannot be read ({why}) and is left as it is: save the settings under another name,"
        " or delete it with `edgetui profile delete`.",
        detail=each.reason,
    )
