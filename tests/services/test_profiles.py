"""Named settings of a model on this machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.profiles import Profile
from edgetui.core.run_settings import Adapter, LoadSettings, RunSettings, SamplingSettings
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.profiles import Profiles
from edgetui.store.profiles import SavedProfiles
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.services.lab import Lab

LOAD = LoadSettings(threads=3, kv_cache_type="q8_0", adapters=(Adapter(path="a.gguf", scale=0.5),))
SAMPLING = SamplingSettings(temperature=0, stop=("\n\n",))


async def test_a_profile_comes_back_as_it_was_saved_and_the_last_used_first(lab: Lab) -> None:
    profiles = lab.profiles
    assert await profiles.last_used("m") is None
    saved = await profiles.save("m", " fast ", LOAD, SAMPLING, "for short answers", system_prompt="Be brief.")
    await profiles.save("m", "long", LoadSettings(), SamplingSettings())
    await profiles.save("other", "fast", LoadSettings(), SamplingSettings())
    assert saved.name == "fast"
    assert await profiles.get("m", "fast") == saved
    assert [profile.name for profile in await profiles.of("m")] == ["long", "fast"]
    await profiles.use("m", "fast")
    assert await profiles.last_used("m") == saved
    again = await profiles.save("m", "fast", LoadSettings(threads=1), SAMPLING)
    assert (await profiles.get("m", "fast")).load.threads == 1 and again.note == ""
    assert len(await profiles.all()) == 3


async def test_a_profile_is_renamed_and_deleted_alone(lab: Lab) -> None:
    profiles = lab.profiles
    for name in ("one", "two"):
        await profiles.save("m", name, LOAD, SAMPLING, f"note {name}")
    assert (await profiles.rename("m", "one", "uno")).note == "note one"
    assert (await profiles.rename("m", "uno", "uno", "other")).note == "other"
    with pytest.raises(EdgetuiError, match="already"):
        await profiles.rename("m", "uno", "two")
    await profiles.delete("m", "uno")
    assert [profile.name for profile in await profiles.of("m")] == ["two"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
async def test_a_name_that_cannot_be_kept_is_refused(lab: Lab, name: str) -> None:
    with pytest.raises(EdgetuiError, match="60 characters"):
        await lab.profiles.save("m", name, LOAD, SAMPLING)


async def test_a_profile_that_is_not_there_names_the_closest(lab: Lab) -> None:
    with pytest.raises(EdgetuiError, match="none"):
        await lab.profiles.get("m", "fast")
    await lab.profiles.save("m", "fast", LOAD, SAMPLING)
    with pytest.raises(EdgetuiError, match="'fast'"):
        await lab.profiles.get("m", "fsat")
    with pytest.raises(EdgetuiError, match="no profile"):
        await lab.profiles.delete("m", "gone")


async def test_what_is_known_of_a_profile_no_more_is_taken_off_whole(lab: Lab) -> None:
    mine = RunSettings(LoadSettings(threads=3), SamplingSettings(max_tokens=50), "Be brief.")
    usual = RunSettings(LoadSettings(), SamplingSettings(), "")
    tuned = Profile(name="tuned", load=LOAD, sampling=None, system_prompt=None, load_fields=("threads",))
    SavedProfiles(lab.database).put("m", await lab.profiles.machine(), tuned, 1)
    assert await lab.profiles.without("m", "tuned", mine, usual) == mine._replace(load=LoadSettings())
    await lab.profiles.delete("m", "tuned")
    assert await lab.profiles.without("m", "tuned", mine, usual) == usual


async def test_a_profile_of_another_machine_is_not_this_ones(lab: Lab, tmp_path: Path) -> None:
    board = Profiles(lab.database, HardwareMonitor(unfold("raspberry-pi-5", tmp_path)))
    await board.save("m", "fast", LOAD, SAMPLING)
    assert await lab.profiles.of("m") == []
    assert [profile.name for profile in await board.of("m")] == ["fast"]


async def test_a_profile_that_cannot_be_read_hides_no_other(lab: Lab) -> None:
    await lab.profiles.save("m", "sound", LOAD, SAMPLING)
    # JSON has no infinity: it is written as null, which is no number.
    await lab.profiles.save("m", "endless", LoadSettings(), SAMPLING)
    lab.database.write(
        "UPDATE profiles SET profile = replace(profile, '\"rope_freq_base\":0.0', '\"rope_freq_base\":null')"
        " WHERE name = 'endless'"
    )
    assert "null" in lab.database.read("SELECT profile FROM profiles WHERE name = 'endless'")[0]["profile"]
    assert [profile.name for profile in await lab.profiles.of("m")] == ["sound"]
    assert [profile.name for profile in await lab.profiles.all()] == ["sound"]
    # It says so itself, wherever it is asked for, and nothing is written over it.
    (failure,) = await lab.profiles.unreadable("m")
    assert "'endless'" in failure.message and "rope-freq-base: expected float" in failure.message
    assert await lab.profiles.unreadable("other") == [] and len(await lab.profiles.unreadable()) == 1
    for asked in (lab.profiles.get("m", "endless"), lab.profiles.use("m", "endless"), lab.profiles.last_used("m")):
        with pytest.raises(EdgetuiError, match="'endless' cannot be read"):
            await asked
    for written in (lab.profiles.save("m", "endless", LOAD, SAMPLING), lab.profiles.rename("m", "sound", "endless")):
        with pytest.raises(EdgetuiError, match="cannot be read here is kept already"):
            await written
    assert "null" in lab.database.read("SELECT profile FROM profiles WHERE name = 'endless'")[0]["profile"]
    await lab.profiles.use("m", "sound")
    last = await lab.profiles.last_used("m")
    assert last is not None and last.name == "sound"
    await lab.profiles.delete("m", "endless")
    assert await lab.profiles.unreadable() == []


async def test_settings_within_a_profile_are_held_against_their_limits(lab: Lab) -> None:
    """What would not be read again is not kept."""
    for load, sampling, named in (
        (LoadSettings(batch_tokens=0), SAMPLING, "batch-tokens"),
        (LoadSettings(rope_freq_base=math.inf), SAMPLING, "rope-freq-base"),
        (LOAD, SamplingSettings(temperature=-1), "temperature"),
    ):
        with pytest.raises(EdgetuiError, match=named):
            await lab.profiles.save("m", "odd", load, sampling)
    assert await lab.profiles.of("m") == []


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "p"}', '{"name": "p", "load": {"warp": 1}, "sampling": {}}', ""])
async def test_whatever_stands_in_place_of_a_profile_gives_a_sentence(lab: Lab, text: str) -> None:
    await lab.profiles.save("m", "p", LOAD, SAMPLING)
    lab.database.write("UPDATE profiles SET profile = ?", (text,))
    with pytest.raises(EdgetuiError, match=r"The profile 'p' cannot be read \(.+\) and is left as it is"):
        await lab.profiles.use("m", "p")
    assert lab.database.read("SELECT profile FROM profiles")[0]["profile"] == text
