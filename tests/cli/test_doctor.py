from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import edgetui


async def test_a_sound_installation_is_not_refused(home: Path) -> None:
    status, out, err = await edgetui("doctor")
    assert err == ""
    lines = {line[9:26].strip(): line[:9].strip() for line in out.splitlines() if line[:1].isalpha()}
    assert lines["llama.cpp"] == lines["Demo model"] == lines["Models folder"] == "ok"
    assert lines["Terminal"] == "skipped"
    verdict = out.splitlines()[-1]
    assert verdict == {0: "Ready.", 1: "Ready with warnings.", 2: "Not ready."}[status]


async def test_json_repeats_the_exit_status_and_every_line(home: Path) -> None:
    status, out, _ = await edgetui("doctor", "--json")
    told = json.loads(out)
    assert told["exit_code"] == status
    engine = next(check for check in told["checks"] if check["key"] == "engine")
    assert engine["state"] == "ok" and "llama-cpp-python" in engine["found"]


async def test_a_models_folder_that_cannot_be_used_is_not_ready_and_says_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "settings.toml").write_text('models_dir = "/proc/version"\n')
    status, out, _ = await edgetui("doctor")
    assert status == 2
    assert "fail     Models folder    /proc/version is not a folder" in out
    assert "do: Move /proc/version away, or change models_dir in" in out


async def test_engines_are_proved_by_running_them_where_that_is_asked_for(home: Path) -> None:
    _, out, err = await edgetui("doctor", "--self-test")
    assert err == ""
    proofs = out.split("\nSelf-tests\n")[1]
    assert "ok       llama.cpp        a product of 64x256 numbers is exact" in proofs
    assert "8 tokens came" in proofs and "a product is exact on CPU" in proofs


async def test_a_wrong_setting_is_one_sentence(home: Path) -> None:
    (home / "settings.toml").write_text('model_dir = "/x"\n')
    status, out, err = await edgetui("doctor")
    assert (status, out) == (2, "")
    assert err.startswith("edgetui: ") and "model_dir" in err and "Traceback" not in err
