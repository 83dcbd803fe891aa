"""The profile that an autotune saves, as a person with settings of their own takes it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.run_settings import LoadSettings, RunSettings, SamplingSettings
from edgetui.core.studies import AS_A_CHAT, Candidate, TuneSettings
from edgetui.store.profiles import SavedProfiles
from edgetui.worker.requests import TuneRequest
from edgetui.worker.runners import tune
from tests.worker.test_study_energy import Job, side_of

if TYPE_CHECKING:
    from pathlib import Path


def test_it_changes_only_what_was_tuned(demo_model: Path, tmp_path: Path) -> None:
    job: Any = Job(tmp_path)
    request = TuneRequest(side=side_of(demo_model), settings=TuneSettings(), profile_model="m", profile_machine="box")
    best = msgspec.structs.replace(AS_A_CHAT, flash_attention="off")
    name = tune._Tuning(request, job)._save(Candidate(label="flash attention off", settings=best), None)
    (profile,) = SavedProfiles(job.database).of("m", "box")
    mine = RunSettings(
        LoadSettings(context_tokens=1024, batch_tokens=64, kv_cache_type="q8_0"),
        SamplingSettings(temperature=0, max_tokens=50),
        "Be brief.",
    )
    assert profile.name == name == "fastest decode"
    assert profile.over(mine) == mine._replace(load=msgspec.structs.replace(mine.load, flash_attention="off"))
