"""The commands that repeat a run: shown to be whole, and really run where the tool is here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from benchmarks.llama_tools import llama_bench
from edgetui.core.bench import BenchRow
from edgetui.core.repeat_commands import RepeatCommand, RunFacts, as_text, bench_commands, facts_of, run_commands
from edgetui.core.repeat_edgetui import LOAD_OPTIONS, SAMPLING_OPTIONS
from edgetui.core.run_settings import Adapter, ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry

QUESTION = '-- It\'s "odd" \\n here: $HOME `ls`\nzweite Zeile, naïve 漢字. What is it?'
GREEDY = SamplingSettings(temperature=0, max_tokens=12)


def _of(tool: str, commands: tuple[RepeatCommand, ...]) -> RepeatCommand:
    return next(command for command in commands if command.tool.startswith(tool))


def _output(command: RepeatCommand, folder: Path, *tools: Path) -> str:
    """What the command prints, the way a person runs it."""
    script = folder / ("repeat.py" if command.language == "python" else "repeat.sh")
    script.write_text(command.text)
    here = [os.path.dirname(sys.executable), *map(str, tools), os.environ["PATH"]]
    environment = {**os.environ, "PATH": ":".join(here)}
    program = sys.executable if command.language == "python" else "sh"
    done = subprocess.run([program, script], env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("raw", [False, True], ids=["chat", "raw"])
def test_edgetui_and_the_python_program_repeat_a_greedy_answer_to_the_letter(
    demo_entry: ModelEntry, tmp_path: Path, raw: bool
) -> None:
    odd = tmp_path / "it's a $model, ü.gguf"
    odd.symlink_to(demo_entry.path)
    messages = (ChatMessage("system", "You're a --helper"), ChatMessage("user", QUESTION))
    facts = facts_of(
        msgspec.structs.replace(demo_entry, path=odd),
        LoadSettings(context_tokens=512, threads=1),
        GREEDY,
        messages=() if raw else messages,
        prompt=QUESTION if raw else None,
    )
    commands = run_commands(facts)
    answer = _output(_of("edgetui", commands), tmp_path)
    assert answer.strip() and answer == _output(_of("Python", commands), tmp_path)


def test_every_setting_has_an_option_that_edgetui_run_knows() -> None:
    import typer.main

    from edgetui.cli.run import run

    assert set(LOAD_OPTIONS) == set(LoadSettings.__struct_fields__)
    assert set(SAMPLING_OPTIONS) == set(SamplingSettings.__struct_fields__)
    app = typer.Typer()
    app.command()(run)
    known = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}
    assert set(LOAD_OPTIONS.values()) | set(SAMPLING_OPTIONS.values()) <= known


def test_only_what_a_plain_command_would_not_take_is_written(demo_entry: ModelEntry) -> None:
    plain = facts_of(demo_entry, LoadSettings(), SamplingSettings(), prompt="x")
    assert _of("edgetui", run_commands(plain)).text == f"edgetui run {demo_entry.path} --raw x"
    # The settings file here says other things than the run did, and so would a plain command.
    here = facts_of(
        demo_entry,
        LoadSettings(),
        SamplingSettings(seed=3),
        messages=(ChatMessage("user", "x"),),
        usual_load=LoadSettings(threads=1),
        usual_sampling=SamplingSettings(temperature=0.2),
        usual_system="Be short.",
    )
    assert _of("edgetui", run_commands(here)).text == (
        f"edgetui run {demo_entry.path} -t 0 --temperature 0.7 --seed 3 --system= x"
    )


def test_llama_cpps_command_says_what_llama_cpp_would_not_take_by_itself(demo_entry: ModelEntry) -> None:
    load = LoadSettings(
        context_tokens=2048,
        use_mmap=False,
        kv_cache_type="q8_0",
        flash_attention="on",
        gpu_layers=3,
        adapters=(Adapter(path="/a,b.gguf"), Adapter(path="/c.gguf", scale=0.5)),
        prompt_lookup=True,
    )
    sampling = SamplingSettings(stop=("\n\n", "END"), grammar='root ::= "a"', seed=9)
    facts = facts_of(demo_entry, load, sampling, messages=(ChatMessage("user", "-x"),), threads=2)
    text = _of("llama-cli", run_commands(facts)).text
    for part in (
        "-c 2048 -b 512 -ub 512 -t 2 -ctk q8_0 -ctv q8_0 -ngl 3 -fa on -lm none",
        "--lora '\"/a,b.gguf\"' --lora-scaled /c.gguf:0.5",
        "-r '\n\n' -r END --grammar 'root ::= \"a\"'",
        "--spec-type ngram-simple --spec-ngram-simple-size-m 8",
        "-s 9",
        "--single-turn -p -x",
    ):
        assert part in text


def test_what_a_load_decided_by_itself_is_said_in_every_command(demo_entry: ModelEntry) -> None:
    read = facts_of(
        *(demo_entry, LoadSettings(), SamplingSettings(seed=1)),
        messages=(ChatMessage("user", "x"),),
        use_mmap=False,
        in_huge_pages=True,
    )
    commands = run_commands(read)
    assert "--no-mmap" in _of("edgetui", commands).text
    text = _of("llama-cli", commands).text
    assert text.startswith("env GLIBC_TUNABLES=glibc.malloc.hugetlb=1 llama-cli ") and " -lm none " in text
    program = _of("Python (llama-cpp-python)", commands)
    assert "use_mmap=False" in program.text and "hugetlb=1" in program.note
    mapped = facts_of(
        *(demo_entry, LoadSettings(), SamplingSettings(seed=1)), messages=(ChatMessage("user", "x"),), use_mmap=True
    )
    commands = run_commands(mapped)
    assert " --mmap " in _of("edgetui", commands).text
    assert "GLIBC" not in _of("llama-cli", commands).text and "-lm" not in _of("llama-cli", commands).text


def test_a_conversation_is_whole_only_where_the_tool_can_be_given_one(demo_entry: ModelEntry) -> None:
    said = [ChatMessage("user", "one"), ChatMessage("assistant", "two"), ChatMessage("user", "three")]
    commands = run_commands(facts_of(demo_entry, LoadSettings(), GREEDY, messages=said))
    assert "without the 2 messages before it" in _of("llama-cli", commands).note
    program = _of("Python", commands)
    assert '"two"' in program.text and "without" not in program.note


def test_a_prompt_that_was_computed_in_part_before_may_be_answered_otherwise(demo_entry: ModelEntry) -> None:
    asked = (ChatMessage("user", "x"),)
    for entry in (demo_entry, *(msgspec.structs.replace(demo_entry, format=each) for each in ("onnx", "mlx"))):
        afresh = run_commands(facts_of(entry, LoadSettings(), GREEDY, messages=asked))
        again = run_commands(facts_of(entry, LoadSettings(), GREEDY, messages=asked, reused_tokens=24))
        assert len(again) > 1 and [each.text for each in again] == [each.text for each in afresh]
        assert all("24 prompt tokens stood in the KV cache" in each.note for each in again)
        assert not any("KV cache" in each.note for each in afresh)
    endpoint = ServerEndpoint(name="lab", url="http://127.0.0.1:1")
    server = msgspec.structs.replace(demo_entry, format="server", source="server", endpoint=endpoint)
    there = run_commands(facts_of(server, LoadSettings(), GREEDY, messages=asked, reused_tokens=24))
    assert len(there) == 3 and not any("KV cache" in each.note for each in there)


def test_a_text_that_no_command_takes_leaves_the_program(demo_entry: ModelEntry) -> None:
    commands = run_commands(facts_of(demo_entry, LoadSettings(), GREEDY, prompt="a\0b"))
    assert [command.language for command in commands] == ["python"]
    compile(commands[0].text, "repeat.py", "exec")


def test_a_key_is_named_and_never_written(demo_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-secret")
    endpoint = ServerEndpoint(name="lab", url="https://me:word@host.example/v1/", model="m", key_variable="LAB_KEY")
    facts = RunFacts(
        name="lab",
        path="",
        format="server",
        endpoint=endpoint,
        sampling=GREEDY,
        messages=(ChatMessage("user", "it's"),),
    )
    commands = run_commands(facts)
    curl = _of("curl", commands)
    assert "https://host.example/v1/chat/completions" in curl.text and '"Authorization: Bearer $LAB_KEY"' in curl.text
    shown = as_text(commands)
    assert "sk-secret" not in shown and "word@" not in shown
    assert "top_k" not in shown
    entry = msgspec.structs.replace(demo_entry, format="server", source="server", endpoint=endpoint)
    assert b"word@" not in msgspec.json.encode(facts_of(entry, LoadSettings(), GREEDY, prompt="x"))
    of_llama_cpp = msgspec.structs.replace(facts, engine_version="llama.cpp b7", prompt="x", messages=())
    assert '"top_k": 40' in _of("curl", run_commands(of_llama_cpp)).text
    compile(_of("Python", commands).text, "repeat.py", "exec")


@pytest.mark.parametrize("url", ["http://[::1", "http://me:word@[::1", "http://host:99999", "http://me:wo/word@x"])
def test_an_address_that_is_none_has_no_request_and_shows_no_password(demo_entry: ModelEntry, url: str) -> None:
    endpoint = ServerEndpoint(name="lab", url=url)
    entry = msgspec.structs.replace(demo_entry, name="lab", format="server", source="server", endpoint=endpoint)
    facts = facts_of(entry, LoadSettings(), GREEDY, prompt="x")
    assert b"word" not in msgspec.json.encode(facts)
    assert _of("edgetui", run_commands(facts)).text.startswith("edgetui run lab")


def test_what_a_request_leaves_out_is_told() -> None:
    facts = RunFacts(
        name="lab",
        path="",
        format="server",
        endpoint=ServerEndpoint(name="lab", url="http://127.0.0.1:1"),
        sampling=SamplingSettings(top_k=3, min_p=0.2, ignore_eos=True),
        prompt="x",
    )
    for tool in ("curl", "Python"):
        assert "leaves out top-k 3, min-p 0.2, ignore-eos on, which" in _of(tool, run_commands(facts)).note
        told = msgspec.structs.replace(facts, engine_version="LM Studio 1")
        assert "leaves out min-p 0.2, ignore-eos on, which" in _of(tool, run_commands(told)).note
        told = msgspec.structs.replace(facts, engine_version="llama.cpp b7")
        assert "leaves out" not in _of(tool, run_commands(told)).note


@pytest.mark.usefixtures("home")
def test_edgetui_and_llama_bench_measure_a_row_again(demo_model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "it's a $model ü.gguf"
    odd.symlink_to(demo_model)
    row = _row("llama.cpp", "pg", model_path=str(odd), prompt_tokens=8, tokens=2, depth_tokens=4, use_mmap=True)
    ours, theirs = bench_commands(row)
    assert "pp8+tg2 @ d4" in _output(ours, tmp_path) and not theirs.note
    assert "pp8+tg2 @ d4" in _output(theirs, tmp_path, llama_bench().parent)


class _Asked(BaseHTTPRequestHandler):
    """Answers as a server would, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str, object]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        answer = json.dumps({"choices": [{"message": {"content": "wet"}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_and_python_ask_a_server_the_same_thing_with_the_key_of_the_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-secret")
    server = HTTPServer(("127.0.0.1", 0), _Asked)
    Thread(target=server.serve_forever, daemon=True).start()
    endpoint = ServerEndpoint(
        name="lab", url=f"http://127.0.0.1:{server.server_port}", model="m", key_variable="LAB_KEY"
    )
    facts = RunFacts(
        name="lab",
        path="",
        format="server",
        endpoint=endpoint,
        sampling=GREEDY,
        messages=(ChatMessage("user", QUESTION),),
    )
    commands = run_commands(facts)
    assert "wet" in _output(_of("curl", commands), tmp_path)
    assert _output(_of("Python", commands), tmp_path) == "wet\n"
    server.shutdown()
    server.server_close()
    by_curl, by_python = _Asked.asked
    assert by_curl == by_python and by_curl[:2] == ("/v1/chat/completions", "Bearer sk-secret")
    assert msgspec.convert(by_curl[2], dict[str, object])["messages"] == [{"role": "user", "content": QUESTION}]


def _row(engine: str, test: str, **values: object) -> BenchRow:
    return msgspec.convert(
        {
            "test": test,
            "tokens": 8,
            "samples_ns": (1_000_000, 1_000_000),
            "threads": 1,
            "batch_tokens": 2048,
            "kv_cache_type": "f16",
            "model_name": "m",
            "model_path": "/models/it's/m.gguf",
            "model_size_bytes": 1,
            "model_parameter_count": 1,
            "model_quant_type": "Q4_1",
            "engine": engine,
            "engine_version": "1",
            "measured_at": 0.0,
            "load_average": None,
            **values,
        },
        BenchRow,
    )


def test_a_row_is_repeated_by_each_engines_own_benchmark() -> None:
    row = _row("llama.cpp", "tg", depth_tokens=64, flash_attention="on", physical_batch_tokens=256, use_mmap=False)
    ours, theirs = bench_commands(row)
    assert ours.text == (
        "edgetui bench '/models/it'\"'\"'s/m.gguf' -p 0 -n 8 -d 64 -r 2 -t 1 -b 2048 --kv f16 --ubatch 256"
        " --flash-attn on --mmap off"
    )
    assert theirs.text == (
        "llama-bench -m '/models/it'\"'\"'s/m.gguf' -p 0 -n 8 -d 64 -r 2 -t 1 -b 2048 -ub 256 -ctk f16 -ctv f16 -fa on"
        " -lm none"
    )
    huge = msgspec.structs.replace(row, huge_pages=True)
    ours, theirs = bench_commands(huge)
    assert ours.text.endswith(" --mmap off --huge-pages on")
    assert theirs.text.startswith("env GLIBC_TUNABLES=glibc.malloc.hugetlb=1 llama-bench -m ")
    assert "comma" in bench_commands(_row("llama.cpp", "pp", model_path="/a,b.gguf"))[1].note
    mlx = bench_commands(_row("mlx", "pp"))[1]
    assert mlx.text.startswith("python -m mlx_lm benchmark --model '/models/it'\"'\"'s' -p 8 -g 1 -n 2")
    compile(bench_commands(_row("onnxruntime-genai", "pg", prompt_tokens=4))[1].text, "repeat.py", "exec")
