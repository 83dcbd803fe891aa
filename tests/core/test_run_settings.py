"""What no worker could be told is refused where it is asked for."""

from __future__ import annotations

import math
from typing import get_type_hints

import msgspec
import pytest

from edgetui.cli.overrides import override
from edgetui.core.bench import BenchSettings
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import Adapter, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint

NEEDED = {Adapter: {"path": "x"}, ServerEndpoint: {"name": "x", "url": "http://x"}}
FLOATS = [
    (struct, name)
    for struct in (Adapter, LoadSettings, SamplingSettings, BenchSettings, ServerEndpoint)
    for name, kind in get_type_hints(struct).items()
    if kind is float
]


@pytest.mark.parametrize(("struct", "name"), FLOATS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_no_setting_takes_what_json_has_no_word_for(struct: type[msgspec.Struct], name: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert({**NEEDED.get(struct, {}), name: value}, struct)


def test_an_infinite_option_is_refused_by_its_name() -> None:
    with pytest.raises(EdgetuiError, match="value for --rope-freq-base cannot be used") as caught:
        override(LoadSettings(), {"rope_freq_base": math.inf})
    assert caught.value.failure.kind == "bad_request"
