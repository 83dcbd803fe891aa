"""The load of a server as text, in the cells that there are, and as a command."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from edgetui.core.bench import Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_studies import study_commands
from edgetui.core.server_load import Percentiles, ServerBenchSettings, ServerLoadResult, ServerLoadRow, levels_of
from edgetui.core.server_load_form import ServerLoadForm
from edgetui.core.server_load_text import load_lines, load_problems, load_subject
from edgetui.core.servers import ServerEndpoint
from edgetui.core.studies import Study
from edgetui.core.study_text import study_charts, study_line

GOOD = ServerLoadRow(
    concurrency=16, requests=64, failed=0, problem="", prompt_tokens=123456, generated_tokens=65536,
    is_counted_here=False, wall_s=40.0, ttft_s=Percentiles(0.123, 1.234, 12.5), itl_s=Percentiles(0.0123, 0.02, 0.03),
    decode_tps=123.45, network_s=0.0123,
)  # fmt: skip
LOST = ServerLoadRow(
    concurrency=32, requests=8, failed=8, problem="lab (x) cannot be reached.", prompt_tokens=0, generated_tokens=0,
    is_counted_here=False, wall_s=0.1, ttft_s=None, itl_s=None, decode_tps=None, network_s=None,
)  # fmt: skip
LOAD = ServerLoadResult(
    endpoint=ServerEndpoint(name="lab", url="http://x"), server="llama.cpp b7", model="m",
    settings=ServerBenchSettings(concurrency=(16, 32), prompt_tokens=2000, generated_tokens=1024, requests=4),
    rows=(GOOD, LOST), load_average=None, sentence="",
)  # fmt: skip


def test_the_table_is_whole_in_any_width() -> None:
    narrow, wide = load_lines(LOAD, 74), load_lines(LOAD, 200)
    assert all(len(line) <= 74 for line in narrow) and len(wide) == 3 and len(narrow) == 7
    for cells in ("16  64/64  123456  65536", "1638.40      123.45", "123 ms", "12.5 s", "30.0 ms"):
        assert any(cells in line for line in wide) and any(cells in line for line in narrow), cells
    # Each part of a folded table says which level a line is of.
    assert [line.split()[0] for line in narrow if line] == ["streams", "16", "32", "streams", "16", "32"]


def test_what_failed_is_told_with_its_level() -> None:
    assert load_problems(LOAD) == ["8 of 8 failed with 32 at once: lab (x) cannot be reached."]
    assert load_subject(LOAD) == "lab: llama.cpp b7, m"


def test_a_study_bears_the_name_that_the_person_gave_the_server() -> None:
    load = msgspec.structs.replace(LOAD, model="/models/m.gguf", sentence="It held.")
    study = Study(study_id=1, job_id=None, measured_at=0.0, machine=Machine(), result=load)
    assert study_line(study).endswith("load test  lab: It held.")
    assert study_charts(load)[0].title == "lab: rate"


@pytest.mark.parametrize(("name", "model"), [("lab", ""), ("my lab", "org/m:7b"), ("-lab", "")])
def test_the_command_that_repeats_it_asks_the_same(name: str, model: str) -> None:
    load = msgspec.structs.replace(LOAD, endpoint=ServerEndpoint(name=name, url="http://x", model=model))
    (command,) = study_commands(load)
    from typer.testing import CliRunner

    from edgetui.cli import server as cli

    asked: list[tuple[str, ServerBenchSettings]] = []

    async def bench(_lab: object, called: str, settings: ServerBenchSettings, *_more: object) -> int:
        asked.append((called, settings))
        return 0

    words = shlex.split(command.text)
    assert words[:3] == ["edgetui", "server", "bench"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_bench", bench)
        assert CliRunner().invoke(cli.server, words[2:]).exit_code == 0
    assert asked == [(f"{name}/{model}" if model else name, load.settings)]
    assert ("which was m" in command.note) == (not model)


@pytest.mark.parametrize("text", ["1,2,4", "1 2 4", " 1, 2,4 "])
def test_levels_are_numbers_with_commas_or_blanks(text: str) -> None:
    assert levels_of(text) == (1, 2, 4)
    assert ServerLoadForm(concurrency=text).settings == ServerBenchSettings()


@pytest.mark.parametrize(
    "text", ["", "1,two", "-1", "1.5", "1e3", "9" * 30, "\u0661", "0", "513", ",".join(["1"] * 17)]
)
def test_what_is_no_level_is_a_sentence(text: str) -> None:
    with pytest.raises(EdgetuiError, match="up to 16 whole numbers from 1 to 512") as caught:
        _ = ServerLoadForm(concurrency=text).settings
    assert caught.value.failure.kind == "bad_request"
