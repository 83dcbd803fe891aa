"""What a profile decides where it is taken up, and what it leaves."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.profiles import Profile
from edgetui.core.run_settings import LoadSettings, RunSettings, SamplingSettings

MINE = RunSettings(
    LoadSettings(context_tokens=1024, batch_tokens=64, threads=1), SamplingSettings(max_tokens=50), "Be brief."
)
USUAL = RunSettings(LoadSettings(kv_cache_type="q8_0"), SamplingSettings(temperature=0), "usual")
WHOLE = Profile(name="whole", load=LoadSettings(threads=2), sampling=SamplingSettings(top_k=7))
TUNED = Profile(
    name="fastest decode",
    load=LoadSettings(threads=4, flash_attention="off"),
    sampling=None,
    system_prompt=None,
    load_fields=("threads", "flash_attention"),
)


def test_a_whole_profile_decides_everything() -> None:
    assert WHOLE.over(MINE) == (WHOLE.load, WHOLE.sampling, "")
    assert WHOLE.taken_off(WHOLE.over(MINE), USUAL) == USUAL
    assert not WHOLE.is_partial
    assert len(WHOLE.stated) == len(LoadSettings.__struct_fields__) + len(SamplingSettings.__struct_fields__)


def test_a_tuned_one_leaves_what_was_not_tuned_when_it_comes_and_when_it_goes() -> None:
    load = LoadSettings(context_tokens=1024, batch_tokens=64, threads=4, flash_attention="off")
    assert TUNED.over(MINE) == (load, MINE.sampling, "Be brief.")
    # The usual KV cache does not come with it.
    gone = LoadSettings(context_tokens=1024, batch_tokens=64)
    assert TUNED.taken_off(TUNED.over(MINE), USUAL) == (gone, MINE.sampling, "Be brief.")
    assert TUNED.is_partial and [tuple(each) for each in TUNED.stated] == [
        ("threads", 4, 0),
        ("flash_attention", "off", "auto"),
    ]


def test_both_come_back_as_they_were_kept_and_so_does_one_from_before() -> None:
    for profile in (WHOLE, TUNED):
        assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile
    before = msgspec.json.decode(b'{"name":"old","load":{"threads":2},"sampling":{"top_k":7}}', type=Profile)
    assert before == msgspec.structs.replace(WHOLE, name="old")


def test_a_field_that_no_load_has_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="load has no speed"):
        msgspec.json.decode(b'{"name":"x","load":{},"sampling":null,"load_fields":["speed"]}', type=Profile)
