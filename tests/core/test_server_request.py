"""What a server is asked, by edgetui and by the commands that repeat it."""

from __future__ import annotations

import json
import shlex
from typing import get_args

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_commands import RunFacts, run_commands
from edgetui.core.run_settings import ChatMessage, SamplingSettings
from edgetui.core.server_request import ServerKind, kind_of_program, request_body, request_path
from edgetui.core.servers import ServerEndpoint, api_base, server_root
from edgetui.engines.server.bodies import generation_body
from edgetui.engines.server.kinds import ServerModel
from edgetui.worker.protocol import Generate

MESSAGES = (ChatMessage("system", "Be brief."), ChatMessage("user", "It's 1 < 2, isn't it?"))
FULL = SamplingSettings(
    temperature=0.3, top_k=7, top_p=0.9, min_p=0.1, repeat_penalty=1.2, repeat_last_tokens=33, presence_penalty=0.5,
    frequency_penalty=-0.25, seed=5, max_tokens=9, ignore_eos=True, json_schema='{"type": "object"}',
)  # fmt: skip
ONLY_STREAMED = {"stream", "stream_options", "cache_prompt", "timings_per_token", "return_progress"}
"""What decides how an answer comes, and none of its words."""


@pytest.mark.parametrize("kind", get_args(ServerKind))
@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("sampling", [SamplingSettings(seed=5), FULL], ids=["usual", "full"])
def test_the_commands_that_repeat_a_run_ask_exactly_what_was_asked(
    kind: ServerKind, is_raw: bool, sampling: SamplingSettings
) -> None:
    if is_raw and kind != "llama.cpp":
        sampling = msgspec.structs.replace(sampling, json_schema="")
    prompt, messages = ("Once", ()) if is_raw else (None, MESSAGES)
    model = ServerModel(kind=kind, name="m", models=("m",), version="7")
    command = Generate(turn=1, messages=messages, prompt=prompt, sampling=sampling)
    sent = generation_body(command, model, 5)
    facts = RunFacts(
        name="lab", path="", format="server", endpoint=ServerEndpoint(name="lab", url="http://x", model="m"),
        sampling=sampling, messages=messages, prompt=prompt, engine_version=f"{kind} 7",
    )  # fmt: skip
    _, curl, python = run_commands(facts)
    asked = {name: value for name, value in sent.items() if name not in ONLY_STREAMED}
    words = shlex.split(curl.text)
    assert json.loads(words[words.index("-d") + 1]) == asked
    names: dict[str, object] = {}
    exec(python.text[: python.text.index("request = ")], names)
    assert names["body"] == asked and sent["stream"] is True


def test_a_stop_sequence_ends_the_repeated_answer_though_no_server_is_told_of_ours() -> None:
    sampling = SamplingSettings(seed=5, stop=("END",))
    model = ServerModel(kind="llama.cpp", name="m", models=("m",))
    assert "stop" not in generation_body(Generate(turn=1, messages=MESSAGES, sampling=sampling), model, 5)
    facts = RunFacts(
        name="lab", path="", format="server", endpoint=ServerEndpoint(name="lab", url="http://x"), sampling=sampling,
        messages=MESSAGES,
    )  # fmt: skip
    assert all('"stop": ["END"]' in command.text for command in run_commands(facts)[1:])


def test_what_a_server_could_not_be_asked_has_no_command_but_ours() -> None:
    facts = RunFacts(
        name="lab", path="", format="server", endpoint=ServerEndpoint(name="lab", url="http://x"),
        sampling=SamplingSettings(grammar='root ::= "a"'), messages=MESSAGES, engine_version="vLLM 1",
    )  # fmt: skip
    assert [command.tool for command in run_commands(facts)] == ["edgetui"]
    with pytest.raises(EdgetuiError, match="vLLM cannot follow a GBNF grammar by this protocol") as caught:
        request_body("vLLM", "", facts.sampling, messages=MESSAGES)
    assert caught.value.failure.kind == "unsupported"
    unknown = msgspec.structs.replace(facts, engine_version="")
    assert "leaves out the grammar" in run_commands(unknown)[1].note


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("llama.cpp b7", "llama.cpp"), ("llama.cpp", "llama.cpp"), ("llama.cppish", "OpenAI-compatible"),
        ("vLLM 0.9", "vLLM"), ("LM Studio", "LM Studio"), ("Ollama 0.5", "Ollama"), ("", "OpenAI-compatible"),
    ],
)  # fmt: skip
def test_a_program_is_known_by_what_it_calls_itself(version: str, kind: str) -> None:
    assert kind_of_program(version) == kind


@pytest.mark.parametrize(
    ("url", "base", "root"),
    [
        ("http://x", "http://x/v1", "http://x"),
        ("http://x/", "http://x/v1", "http://x"),
        ("http://x/v1/", "http://x/v1", "http://x"),
        ("http://x:8/lab", "http://x:8/lab/v1", "http://x:8/lab"),
        ("https://x/v1beta/openai/", "https://x/v1beta/openai", "https://x"),
        ("http://v1", "http://v1/v1", "http://v1"),
    ],
)
def test_questions_and_commands_go_to_one_address(url: str, base: str, root: str) -> None:
    assert (api_base(url), server_root(url)) == (base, root)
    facts = RunFacts(
        name="lab", path="", format="server", endpoint=ServerEndpoint(name="lab", url=url), messages=MESSAGES
    )
    for command in run_commands(facts)[1:]:
        assert f"{base}/{request_path(None)}" in command.text
