"""Profiles, presets, tasks, constraints and kept conversations on the command line, on the real model."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edgetui.cli.run_options import Wanted, adapters, constraint, run_with
from edgetui.core.conversations import Answer, Turn
from edgetui.core.failures import EdgetuiError
from edgetui.core.profiles import Profile
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.services.conversations import new_conversation
from edgetui.services.profiles import model_key
from edgetui.store.profiles import SavedProfiles
from tests.cli.command import edgetui
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab

MODEL = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
async def profiles(lab: Lab) -> Lab:
    """A home in which the demo model has a profile."""
    entry = await lab.catalog.find(MODEL)
    await lab.profiles.save(
        model_key(entry),
        "short",
        LoadSettings(context_tokens=512, threads=1),
        SamplingSettings(temperature=0, max_tokens=4, ignore_eos=True),
        "for trying things",
        model_name=entry.name,
    )
    return lab


@pytest.mark.usefixtures("profiles")
async def test_a_profile_decides_what_no_option_does() -> None:
    status, out, _ = await edgetui("run", MODEL, "Hello", "--profile", "short", "--json")
    answer = json.loads(out)
    assert status == 0 and (answer["context_tokens"], answer["generated_tokens"]) == (512, 4)
    status, out, _ = await edgetui("run", MODEL, "Hello", "--profile", "short", "-n", "2", "-c", "256", "--json")
    answer = json.loads(out)
    assert status == 0 and (answer["context_tokens"], answer["generated_tokens"]) == (256, 2)


@pytest.mark.usefixtures("profiles")
async def test_profiles_are_listed_shown_and_deleted() -> None:
    _, out, _ = await edgetui("profile", "list")
    assert out.strip() == f"{MODEL}  short  for trying things"
    _, out, _ = await edgetui("profile", "show", MODEL, "short")
    assert "* context_tokens = 512" in out and "  batch_tokens = 512" in out
    _, out, _ = await edgetui("profile", "list", MODEL, "--json")
    assert json.loads(out)[0]["sampling"]["max_tokens"] == 4
    assert (await edgetui("profile", "delete", MODEL, "short"))[0] == 0
    status, _, err = await edgetui("run", MODEL, "Hello", "--profile", "short")
    assert status == 1 and "no profile 'short'" in err and err.count("\n") == 1


@pytest.mark.usefixtures("home")
async def test_stop_sequences_grammars_and_schemas_hold_the_answer(home: Path) -> None:
    grammar = home / "answer.gbnf"
    grammar.write_text('root ::= "yes" | "no"\n')
    status, out, _ = await edgetui("run", MODEL, "Is water wet?", "--grammar", str(grammar), "-q", "-n", "8")
    assert status == 0 and out.strip() in ("yes", "no")
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    _, out, _ = await edgetui(
        "run", MODEL, "A number.", "--json-schema", schema, "-q", "-n", "40", "--preset", "greedy"
    )
    assert isinstance(json.loads(out)["n"], int)
    _, out, _ = await edgetui(
        "run",
        MODEL,
        "1, 2, 3, 4, 5,",
        "--raw",
        "--stop",
        "8",
        "--stop",
        "9",
        "--temperature",
        "0",
        "-n",
        "30",
        "--json",
    )
    answer = json.loads(out)
    assert answer["reason"] == "stop_text" and "8" not in answer["text"] and answer["stop_text"] == "8"


@pytest.mark.usefixtures("home")
async def test_a_task_takes_ones_own_text_and_holds_the_answer_to_its_schema() -> None:
    status, out, _ = await edgetui(
        "run", MODEL, "--task", "json", "-n", "120", "-q", "--seed", "1", stdin=b"The lamp is broken."
    )
    assert status == 0 and set(json.loads(out)) == {"device", "fault", "since", "urgent"}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"preset": "gredy"}, "'greedy'"),
        ({"profile": "none"}, "no profile"),
        ({"draft": "no such model"}, "no such model"),
        ({"load": {"flash_attention": "maybe"}}, "auto, on, off"),
        ({"load": {"physical_batch_tokens": -3}}, "--ubatch"),
        ({"sampling": {"presence_penalty": 7}}, "--presence-penalty"),
    ],
)
async def test_settings_that_cannot_be_had_are_one_sentence(
    lab: Lab, demo_entry: ModelEntry, asked: dict[str, Any], sentence: str
) -> None:
    nothing = Wanted(load={}, sampling={}, system=None, profile=None, preset=None, draft=None)
    with pytest.raises(EdgetuiError, match=sentence):
        await run_with(lab, demo_entry, nothing._replace(**asked))


async def test_a_tuned_profile_leaves_the_files_sampling_and_says_so(lab: Lab) -> None:
    entry = await lab.catalog.find(MODEL)
    tuned = Profile(
        name="tuned",
        load=LoadSettings(threads=2, batch_tokens=64),
        sampling=None,
        system_prompt=None,
        load_fields=("threads",),
    )
    SavedProfiles(lab.database).put(model_key(entry), await lab.profiles.machine(), tuned, 1)
    lab.settings = msgspec.structs.replace(
        lab.settings, sampling=SamplingSettings(max_tokens=50), system_prompt="Be brief."
    )
    made = await run_with(
        lab, entry, Wanted(load={}, sampling={}, system=None, profile="tuned", preset=None, draft=None)
    )
    assert made == (msgspec.structs.replace(lab.settings.load, threads=2), lab.settings.sampling, "Be brief.")
    _, out, _ = await edgetui("profile", "show", MODEL, "tuned")
    assert out.splitlines() == [
        "tuned",
        "* threads = 2",
        "It changes nothing else: all other settings stay as they are where it is taken up.",
    ]


async def test_options_stand_over_the_preset_over_the_profile_over_the_file(lab: Lab, demo_entry: ModelEntry) -> None:
    sampling = SamplingSettings(temperature=1.5, top_k=7, seed=3)
    await lab.profiles.save(model_key(demo_entry), "p", LoadSettings(threads=2, batch_tokens=64), sampling)
    wanted = Wanted(
        load={"threads": 1, "adapters": adapters(["a.gguf:0.5"]), "numa": None},
        sampling={"top_p": 0.5},
        system=None,
        profile="p",
        preset="precise",
        draft=MODEL,
    )
    made = await run_with(lab, demo_entry, wanted)
    assert (made.load.threads, made.load.batch_tokens) == (1, 64)
    assert made.load.adapters[0].scale == 0.5 and made.load.draft_model.endswith(".gguf")
    assert (made.sampling.temperature, made.sampling.top_k, made.sampling.top_p, made.sampling.seed) == (
        0.2,
        40,
        0.5,
        3,
    )


def test_a_constraint_is_itself_or_a_file(tmp_path: Path) -> None:
    grammar = 'root ::= "a"'
    file = tmp_path / "g.gbnf"
    file.write_text(f"{grammar}\n")
    for given in (grammar, str(file), f"@{file}"):
        assert constraint(given, "grammar") == grammar
    assert constraint('{"type": "string"}', "JSON schema") == '{"type": "string"}'
    assert constraint(None, "grammar") is None
    (tmp_path / "empty").write_text(" ")
    for wrong, sentence in (("none.gbnf", "none.gbnf"), (str(tmp_path / "empty"), "empty")):
        with pytest.raises(EdgetuiError, match=sentence):
            constraint(wrong, "grammar")


@pytest.mark.usefixtures("home")
async def test_a_wrong_option_is_one_line_on_stderr() -> None:
    status, out, err = await edgetui("run", MODEL, "x", "--task", "classify:7")
    assert (status, out) == (2, "") and err.startswith("edgetui: ") and err.count("\n") == 1 and "1 to 3" in err


@pytest.mark.usefixtures("home")
def test_options_of_an_answer_are_not_dropped_in_silence_when_the_app_would_open() -> None:
    terminal = Terminal([sys.executable, "-m", "edgetui", "run", MODEL, "--top-k", "3"])
    try:
        terminal.wait_for("give a prompt too")
        assert terminal.wait_for_exit() == 2
    finally:
        terminal.close()


async def test_kept_conversations_are_listed_searched_shown_and_deleted(lab: Lab, tmp_path: Path) -> None:
    question = Turn(number=1, parent=0, role="user", content="Tell me of Zürich", said_at=1.0)
    answer = Turn(
        number=2,
        parent=1,
        role="assistant",
        content="It has a lake.",
        said_at=2.0,
        answer=Answer(model_name="Some model", engine="llama.cpp", reason="end"),
    )
    conversation = new_conversation().with_turns(question, answer)
    lab.conversations.keep(conversation, question, answer)
    await lab.conversations.flush()
    _, out, _ = await edgetui("chats", "zürich", "LAKE")
    assert out.startswith(conversation.id) and "2 turns" in out
    _, out, _ = await edgetui("chats", "mountain")
    assert "No conversation" in out
    _, out, _ = await edgetui("chats", "--show", conversation.id)
    assert "## You\n\nTell me of Zürich" in out and "## Some model\n\nIt has a lake." in out
    path = tmp_path / "it.json"
    assert (await edgetui("chats", "--show", conversation.id, "--out", str(path)))[0] == 0
    assert json.loads(path.read_text())["turns"][1]["content"] == "It has a lake."
    assert (await edgetui("chats", "--delete", conversation.id))[0] == 0
    status, _, err = await edgetui("chats", "--show", conversation.id)
    assert status == 1 and "no conversation" in err
