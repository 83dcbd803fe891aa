"""Settings that are typed on one line, and read back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_field_text import (
    adapters_from,
    adapters_text,
    constraint_from,
    constraint_text,
    stops_from,
    stops_text,
)
from edgetui.core.run_settings import Adapter


@pytest.mark.parametrize(
    "stops", [(), ("a",), ("User:", "\n\n"), ("a|b", "\\n", "\t", "tail\\"), ("\\", "|"), (" space ",)]
)
def test_stop_sequences_come_back_whatever_is_in_them(stops: tuple[str, ...]) -> None:
    assert stops_from(stops_text(stops)) == stops


def test_empty_stop_sequences_are_none() -> None:
    assert stops_from("") == stops_from("||") == ()
    assert stops_from(r"a|\n|") == ("a", "\n")


def test_adapters_come_back_with_their_scales() -> None:
    adapters = (Adapter(path="/a/b.gguf"), Adapter(path="/c:d.gguf", scale=-0.5))
    assert adapters_from(adapters_text(adapters).split(",")) == adapters
    assert adapters_from(["x.gguf:2"]) == (Adapter(path=str(Path("x.gguf").absolute()), scale=2.0),)
    assert adapters_from(["", " "]) == ()
    with pytest.raises(EdgetuiError, match="-100 to 100"):
        adapters_from(["x.gguf:1000"])


def test_a_grammar_of_several_lines_is_typed_on_one(tmp_path: Path) -> None:
    grammar = 'root ::= word " " word\nword ::= "a\\n" | "b"'
    assert "\n" not in constraint_text(grammar)
    assert constraint_from(constraint_text(grammar), "grammar") == grammar
    file = tmp_path / "g.gbnf"
    file.write_text(grammar)
    assert constraint_from(f"@{file}", "grammar") == grammar
    file.write_bytes(b"\xff\xfe")
    for wrong in (f"@{file}", "@none", f"@{tmp_path}"):
        with pytest.raises(EdgetuiError, match="cannot be read"):
            constraint_from(wrong, "grammar")


def test_a_schema_that_is_no_json_is_refused_where_it_is_typed() -> None:
    assert constraint_from(' {"type": "object"} ', "JSON schema") == '{"type": "object"}'
    assert constraint_from("", "JSON schema") == ""
    with pytest.raises(EdgetuiError, match="no JSON at line 1"):
        constraint_from('{"type":"object"', "JSON schema")
