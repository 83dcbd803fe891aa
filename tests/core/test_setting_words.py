"""Settings as a person writes them on a command line."""

from __future__ import annotations

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import Adapter, LoadSettings, SamplingSettings
from edgetui.core.setting_words import SettingWord, read_setting, with_settings


@pytest.mark.parametrize(
    ("text", "column", "field", "value"),
    [
        ("threads=1", None, "threads", "1"),
        ("2:kv=q8_0", 1, "kv_cache_type", "q8_0"),
        ("--top-k=5", None, "top_k", "5"),
        ("use_mmap=false", None, "use_mmap", "false"),
        ("1:stop=a=b", 0, "stop", "a=b"),
        ("c=512", None, "context_tokens", "512"),
    ],
)
def test_a_setting_is_known_by_its_own_name_and_by_its_options(
    text: str, column: int | None, field: str, value: str
) -> None:
    assert read_setting(text, 2) == SettingWord(column, field, value)


def test_values_are_read_as_what_they_are_and_lists_grow() -> None:
    words = [
        read_setting(text, 2)
        for text in ("use_mmap=false", "temperature=0.25", "stop=x", "stop=y", "lora=/a:b.gguf", "seed=3")
    ]
    load, sampling = with_settings(LoadSettings(), SamplingSettings(), words)
    assert load == LoadSettings(use_mmap=False, adapters=(Adapter(path="/a:b.gguf"),))
    assert sampling == SamplingSettings(temperature=0.25, stop=("x", "y"), seed=3)


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(EdgetuiError, match="kv-cache-type cannot be used"):
        with_settings(LoadSettings(), SamplingSettings(), [read_setting("kv=q9", 2)])
