from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.config import Settings, load_settings, resolve_paths, share_hub_settings
from edgetui.core.failures import EdgetuiError


def test_a_missing_settings_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml") == Settings()


def test_settings_are_read_with_their_tables(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('models_dir = "/srv/models"\n[load]\nthreads = 3\n[sampling]\ntemperature = 0.0\n')
    settings = load_settings(file)
    assert (settings.models_dir, settings.load.threads, settings.sampling.temperature) == ("/srv/models", 3, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('theme = "x"\nmodels_dri = "y"\n', ["line 2", "models_dri", "did you mean models_dir"]),
        ("[sampling]\ntop_k = 1\ntemprature = 1\n", ["line 3", "sampling.temprature", "did you mean temperature"]),
        ('[load]\n\nthreads = "two"\n', ["line 3", "load.threads", "expected int, got str"]),
        ("frames_per_second = 99\n", ["line 1", "frames_per_second", "<= 30"]),
        ("theme = \n", ["line 1", "not valid TOML"]),
        ("theme = 'a'\ntheme = 'b'\n", ["not valid TOML"]),
        ("extra_model_dirs = ['a', 3]\n", ["extra_model_dirs", "expected str"]),
    ],
)
def test_a_wrong_settings_file_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(EdgetuiError) as caught:
        load_settings(file)
    assert caught.value.failure.kind == "bad_settings"
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in [str(file), *expected]:
        assert part in sentence


def test_a_settings_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EdgetuiError, match="UTF-8"):
        load_settings(file)


def test_one_variable_moves_every_folder(tmp_path: Path) -> None:
    paths = resolve_paths(Settings(), environ={"EDGETUI_HOME": str(tmp_path)})
    for folder in (paths.config_file, paths.models_dir, paths.jobs_dir, paths.database, paths.log_dir):
        assert tmp_path in folder.parents


def test_a_models_folder_in_the_settings_wins(tmp_path: Path) -> None:
    paths = resolve_paths(Settings(models_dir=str(tmp_path / "m")), environ={"EDGETUI_HOME": "/nowhere"})
    assert paths.models_dir == tmp_path / "m"


def test_the_hubs_settings_stand_where_the_environment_says_nothing() -> None:
    settings = Settings(hub_endpoint="http://127.0.0.1:1", hub_cache="~/models", hub_offline=True)
    environ: dict[str, str] = {}
    share_hub_settings(settings, environ)
    assert environ == {
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "HF_HUB_CACHE": str(Path.home() / "models"),
        "HF_HUB_OFFLINE": "1",
    }
    own = {"HF_ENDPOINT": "http://own", "HF_HOME": "/own", "HF_HUB_OFFLINE": "0"}
    share_hub_settings(settings, own)
    assert own == {"HF_ENDPOINT": "http://own", "HF_HOME": "/own", "HF_HUB_OFFLINE": "0"}
    nothing: dict[str, str] = {}
    share_hub_settings(Settings(), nothing)
    assert nothing == {}
