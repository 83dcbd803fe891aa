"""How llama.cpp's next token is chosen: the same from fewer candidates, within a grammar, and with penalties."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage
from tests.engines.llama_cpp_driver import Driven, driven

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAT = (ChatMessage("user", "Tell me of a person."),)


@pytest.fixture(scope="module")
def model(demo_model: Path) -> Iterator[Driven]:
    """One engine for all of them."""
    with driven(demo_model) as loaded:
        yield loaded


def test_an_answer_follows_gbnf(model: Driven) -> None:
    text, finished = model.say(CHAT, grammar='root ::= ("yes" | "no") ", " [0-9]{3} "."', max_tokens=32)
    assert re.fullmatch(r"(yes|no), \d{3}\.", text) and finished.reason == "end"


def test_sampling_follows_a_grammar_too(model: Driven) -> None:
    draw = {"grammar": 'root ::= [a-c]+ "!"', "temperature": 2.0, "seed": 4, "max_tokens": 12}
    text, _ = model.say(CHAT, **draw)
    assert re.fullmatch(r"[abc]+!?", text)
    assert model.say(CHAT, **draw)[0] == text


def test_characters_of_several_tokens_follow_a_grammar(model: Driven) -> None:
    assert model.say(CHAT, grammar='root ::= "日本" "🎉"', max_tokens=24)[0] == "日本🎉"


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        (
            {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
                "required": ["name", "age"],
                "additionalProperties": False,
            },
            lambda found: isinstance(found["name"], str) and isinstance(found["age"], int),
        ),
        ({"enum": ["red", "green"]}, lambda found: found in ("red", "green")),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}, lambda found: len(found) == 2),
    ],
    ids=["object", "enum", "array"],
)
def test_an_answer_follows_a_json_schema(model: Driven, schema: object, check: Any) -> None:
    text, finished = model.say(CHAT, json_schema=json.dumps(schema), max_tokens=64)
    assert finished.reason == "end" and check(json.loads(text))


def test_any_json_is_asked_for_by_an_empty_schema(model: Driven) -> None:
    text, _ = model.say((ChatMessage("user", "Give me a number."),), json_schema="{}", max_tokens=40)
    assert text.lstrip()[0] in '{["0123456789-tfn'


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grammar": 'root ::= "open'}, "grammar cannot be used .*: correct it"),
        ({"grammar": "root ::= missing"}, "missing"),
        ({"grammar": 'start ::= "a"'}, "root"),
        ({"grammar": 'root ::= root "a"'}, "begins with itself"),
        ({"grammar": "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000}, "too large"),
        ({"grammar": 'root ::= "a"' * 50_000}, "too large"),
        ({"grammar": "]]"}, "grammar cannot be used"),
        ({"grammar": 'root ::= "a"{999999999}'}, "grammar cannot be used"),
        ({"json_schema": "{not json"}, "is no JSON at line 1"),
        ({"json_schema": '{"$ref": "#/nowhere"}'}, "cannot be turned into a grammar"),
        ({"json_schema": '{"$ref": "https://example.org/schema.json"}'}, "cannot be turned into a grammar"),
        ({"json_schema": '{"type": "colour"}'}, "cannot be turned into a grammar"),
        ({"json_schema": "[" * 100_000}, "is no JSON"),
        ({"json_schema": "{}", "grammar": 'root ::= "a"'}, "not both"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_grammar_is_a_sentence_and_the_conversation_is_kept(
    model: Driven, settings: dict[str, str], words: str
) -> None:
    before = model.say(CHAT, max_tokens=2)[1]
    with pytest.raises(EdgetuiError, match=words) as caught:
        model.say(CHAT, **settings)
    assert caught.value.failure.kind == "bad_request" and len(str(caught.value)) < 300
    after = model.say(CHAT, max_tokens=2)[1]
    assert after.reused_tokens >= before.prompt_tokens - 1


def test_a_grammar_that_no_token_matches_ends_in_a_sentence(model: Driven) -> None:
    # No token of any text begins with this control character.
    with pytest.raises(EdgetuiError, match="allows no token") as caught:
        model.say(CHAT, grammar=r'root ::= "a" [\U0010FFFF] [\x00]', max_tokens=8)
    assert caught.value.failure.kind == "bad_request"
    assert model.say(CHAT, max_tokens=2)[1].reason in ("max_tokens", "end")


def test_penalties_keep_a_model_from_repeating_itself(model: Driven) -> None:
    prompt = "1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3"
    assert model.say(prompt, max_tokens=12, ignore_eos=True)[0] == " 1 2 3 1 2 3"
    for penalty in ({"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repeat_penalty": 3.0}):
        assert "1 2 3" not in model.say(prompt, max_tokens=12, ignore_eos=True, **penalty)[0]
