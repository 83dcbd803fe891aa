"""Servers that are down, slow, wrong or hostile: each is one sentence, and what came before stays."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint
from edgetui.engines.server import link, sse
from edgetui.engines.server.engine import ServerEngine
from edgetui.engines.stopping import StopFlag
from edgetui.worker.protocol import Finished, Generate, Load, Loaded, PrefillProgress, Tokens
from tests.servers.raw import MODELS, RawServer, finish, patiently, said, stream, usage, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.worker.protocol import SessionEvent

KEY = "sk-very-secret"
CHAT = "/v1/chat/completions"


@pytest.fixture
def engine() -> Iterator[ServerEngine]:
    made = ServerEngine()
    yield made
    made.unload()


def load(engine: ServerEngine, url: str, *, key: str = KEY, **endpoint: Any) -> Loaded:
    told = ServerEndpoint(name="there", url=url, **endpoint)
    return engine.load(Load(path="", settings=LoadSettings(), endpoint=told, key=key), lambda share: None, StopFlag())


def ask(
    engine: ServerEngine, flag: StopFlag | None = None, events: list[SessionEvent] | None = None, **sampling: Any
) -> tuple[str, Finished]:
    events = [] if events is None else events
    command = Generate(
        turn=1, messages=(ChatMessage("user", "Hi"),), sampling=SamplingSettings(**sampling), flush_interval_s=0
    )
    finished = engine.generate(command, time.perf_counter_ns(), events.append, flag or StopFlag())
    return "".join(event.text for event in events if isinstance(event, Tokens)), finished


def sentence(caught: pytest.ExceptionInfo[EdgetuiError]) -> str:
    """What the person reads: one line, whole, without the key; nor do the details have it."""
    failure = caught.value.failure
    text = failure.message
    assert "\n" not in text and text.endswith((".", "?")) and len(text) < 500, text
    assert KEY not in text and KEY not in failure.detail and KEY not in repr(caught.value)
    return text


# --- nobody there ---------------------------------------------------------------------------------------


def test_nobody_listens(engine: ServerEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EdgetuiError, match="cannot be reached") as caught:
        load(engine, f"http://127.0.0.1:{port}")
    assert caught.value.failure.kind == "network" and str(port) in sentence(caught)


def test_a_name_that_nobody_knows(engine: ServerEngine) -> None:
    with pytest.raises(EdgetuiError, match=r"nobody knows|cannot be reached") as caught:
        load(engine, "http://no-such-host.invalid")
    assert caught.value.failure.kind == "network" and "no-such-host.invalid" in sentence(caught)


def test_tls_where_there_is_none(engine: ServerEngine) -> None:
    with RawServer() as server, pytest.raises(EdgetuiError, match=r"does not speak TLS|broke off|reached") as caught:
        load(engine, f"https://{server.host}")
    assert caught.value.failure.kind == "network" and sentence(caught)


def test_silence_is_waited_for_only_so_long(engine: ServerEngine) -> None:
    answers = {CHAT: [[stream("Hel", end=b""), said("lo")]]}
    events: list[SessionEvent] = []
    with RawServer(answers) as server:
        load(engine, server.url, timeout_s=0.2)
        with pytest.raises(EdgetuiError, match=r"said nothing for 0\.2 s") as caught:
            ask(engine, events=events)
        assert caught.value.failure.kind == "network" and sentence(caught)
    assert "".join(event.text for event in events if isinstance(event, Tokens)) == "Hel"


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "said_there", "kind", "words"),
    [
        (401, (), f"Incorrect API key provided: {KEY}", "no_permission", r"refuses the key \(status 401\).*\[key\]"),
        (403, (), "forbidden", "no_permission", "refuses the key"),
        (404, (), "model not found", "not_found", r"model not found.*it has tiny"),
        (429, ("Retry-After: 17",), "slow down", "busy", "try again in 17 s"),
        (429, (), "slow down", "busy", "try again later"),
        (500, (), "CUDA\x1b[31m error:\n out of memory", "network", r"CUDA.\[31m error: out of memory"),
        (503, (), "Loading model", "busy", "still loading"),
        (400, (), "This model's maximum context length is 10 tokens.", "context_overflow", "no room for the prompt"),
        (400, (), "temperature must be below 2", "bad_request", "temperature must be below 2"),
        (302, ("Location: http://evil.example/v1",), "", "network", r"another address, http://evil\.example/v1"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    engine: ServerEngine, status: int, headers: tuple[str, ...], said_there: str, kind: str, words: str
) -> None:
    refusal = whole({"error": {"message": said_there}}, status, "application/json", *headers)
    with RawServer({CHAT: [refusal]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError, match=words) as caught:
            ask(engine)
    assert caught.value.failure.kind == kind
    assert "\x1b" not in sentence(caught)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 501, 503])
@pytest.mark.parametrize("echo", [KEY, f"{KEY[:5]}\u200b{KEY[5:]}", "x" * 290 + KEY[:5] + "\u200b" + KEY[5:]])
def test_wherever_a_refusal_repeats_the_key_it_is_not_shown(engine: ServerEngine, status: int, echo: str) -> None:
    error = {"message": f"no: {echo}", "code": f"unsupported_{echo}", "type": echo, "param": KEY.replace("-", "_")}
    refusal = whole({"error": error, "key": "x" * 1500 + echo}, status, "application/json", f"Location: {KEY}/v1")
    with RawServer({CHAT: [refusal]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError) as caught:
            ask(engine)
    assert KEY[:8] not in sentence(caught)


def test_a_key_that_is_named_as_a_refused_setting_is_not_shown(engine: ServerEngine) -> None:
    key = KEY.replace("-", "_")
    error = {"message": "no", "code": "unsupported_parameter", "param": key}
    with RawServer({CHAT: [whole({"error": error}, 400)]}) as server:
        load(engine, server.url, key=key)
        with pytest.raises(EdgetuiError, match=r"refuses \[key\] \(no\)") as caught:
            ask(engine)
    assert key not in caught.value.failure.message + caught.value.failure.detail


def test_a_redirect_gets_neither_question_nor_key(engine: ServerEngine) -> None:
    with RawServer() as other:
        moved = whole(b"", 307, "text/plain", f"Location: {other.url}/v1/models")
        with RawServer({"/v1/models": [moved]}) as server, pytest.raises(EdgetuiError, match="another address"):
            load(engine, server.url)
        assert other.requests == []


def test_a_model_that_is_not_there_is_told_with_those_that_are(engine: ServerEngine) -> None:
    models = {"data": [{"id": name, "owned_by": "x"} for name in ("llama-8b", "qwen-7b", *"abcdef")]}
    with RawServer(models=models) as server:
        with pytest.raises(EdgetuiError, match="did you mean llama-8b") as caught:
            load(engine, server.url, model="lama-8b")
        assert caught.value.failure.kind == "not_found" and sentence(caught)
        with pytest.raises(EdgetuiError, match=r"it has llama-8b, qwen-7b, a, b, c and 3 more"):
            load(engine, server.url, model="zzzzzzzzz")
        assert load(engine, server.url, model="qwen-7b").models[:2] == ("llama-8b", "qwen-7b")


def test_the_key_goes_with_each_question_and_nowhere_else(
    engine: ServerEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with RawServer({CHAT: [stream("Hi", finish())]}) as server:
        loaded = load(engine, server.url)
        ask(engine)
        headers = [headers for _, headers, _ in server.requests]
    assert {each["authorization"] for each in headers} == {f"Bearer {KEY}"} and len(headers) == 2
    command = Load(path="", settings=LoadSettings(), endpoint=ServerEndpoint(name="x", url="http://x"), key=KEY)
    assert KEY not in f"{loaded!r} {command!r} {vars(engine)!r}" and KEY not in "".join(capfd.readouterr())


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "käse"])
def test_a_key_that_is_none_is_not_sent_and_not_repeated(engine: ServerEngine, key: str) -> None:
    with RawServer() as server, pytest.raises(EdgetuiError, match="characters that no key has") as caught:
        load(engine, server.url, key=key)
    assert key not in str(caught.value) and server.requests == []


@pytest.mark.parametrize("url", ["http://me:word@host", "http://host?key=1", "http://host:99999", "http://"])
def test_an_address_that_is_more_or_less_than_one(engine: ServerEngine, url: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        load(engine, url)
    assert caught.value.failure.kind == "bad_request" and "word" not in sentence(caught).replace("passwords", "")


# --- answers that are none ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/models", CHAT])
def test_a_web_page_is_not_taken_for_an_answer(engine: ServerEngine, path: str) -> None:
    page = whole(b"<!DOCTYPE html><html>Please log in</html>", 200, "text/html")
    with RawServer({path: [page]}) as server, pytest.raises(EdgetuiError, match="web page instead of JSON") as caught:
        load(engine, server.url)
        ask(engine)
    assert caught.value.failure.kind == "network" and sentence(caught)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"data": 3}', b'{"data": "' + b"[" * 100, b"\xff\xfe"])
def test_a_list_of_models_that_is_none(engine: ServerEngine, body: bytes) -> None:
    with (
        RawServer({"/v1/models": [whole(body)]}) as server,
        pytest.raises(EdgetuiError, match="OpenAI-compatible server does") as caught,
    ):
        load(engine, server.url)
    assert caught.value.failure.kind == "network" and sentence(caught)


@pytest.mark.parametrize(
    "shown", [[1], 3, None, {"capabilities": 5}, {"capabilities": {"embedding": 1}, "model_info": [2]}, {"models": "x"}]
)
@pytest.mark.parametrize(
    ("owner", "asked"),
    [
        ("library", ("/api/show", "/api/version", "/api/ps")),
        ("llamacpp", ("/props",)),
        ("vllm", ("/version",)),
        ("organization_owner", ("/api/v0/models/tiny",)),
    ],
)
def test_facts_of_another_shape_tell_nothing(
    engine: ServerEngine, owner: str, asked: tuple[str, ...], shown: object
) -> None:
    raw = whole(json.dumps(shown).encode())
    models = {"data": [{"id": "tiny", "owned_by": owner, "meta": shown}]}
    with RawServer({path: [raw] for path in asked} | {CHAT: [stream("Hi", finish())]}, models) as server:
        loaded = load(engine, server.url)
        assert (loaded.context_tokens, loaded.parameter_count, loaded.weights_bytes) == (0, 0, 0)
        assert "embed" not in loaded.abilities and ask(engine)[0] == "Hi"


def test_a_server_without_models(engine: ServerEngine) -> None:
    with RawServer(models={"data": []}) as server, pytest.raises(EdgetuiError, match="has no model"):
        load(engine, server.url)


def test_nothing_packed_is_taken(engine: ServerEngine) -> None:
    bomb = whole(gzip.compress(b"\0" * 10**6), 200, "application/json", "Content-Encoding: gzip")
    with RawServer({"/v1/models": [bomb]}) as server, pytest.raises(EdgetuiError, match=r"packs its answers \(gzip\)"):
        load(engine, server.url)
    assert server.requests[0][1]["accept-encoding"] == "identity"


def test_an_answer_without_end_is_cut(engine: ServerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MOST_ANSWER_BYTES", 10_000)
    with (
        RawServer({"/v1/models": [whole(b" " * 20_000)]}) as server,
        pytest.raises(EdgetuiError, match="without end"),
    ):
        load(engine, server.url)


# --- streams that go wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (stream("Hel", end=b""), "ended its answer before it was complete:"),
        (stream("Hel", end=b'data: {"choices": [{"del'), "in the middle of an event"),
        (stream("Hel", end=b"data: {not json}\n\n"), "no JSON of a completion"),
        (stream("Hel", end=b'data: {"choices": 7}\n\n'), "no JSON of a completion"),
        (stream("Hel", end=b"data: \xff\xfe\n\n"), "no JSON of a completion"),
        (stream("Hel", {"error": {"message": "out of\x1b memory", "code": 500}}), "failed in the middle.*memory"),
        (stream("Hel", {"error": "it broke"}), r"failed in the middle of its answer \(it broke\): see"),
        (stream("Hel", end=b'error: {"message": "old words"}\n\n'), "old words"),
        (stream("Hel", {"error": {"message": "x", "type": "exceed_context_size_error"}}), "ran out of context"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9000\r\nConnection: close\r\n\r\n"
            + said("Hel"),
            "broke off in the middle",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n" + b"%x\r\n" % len(said("Hel")) + said("Hel") + b"\r\nzz\r\n",
            "broke off in the middle",
        ),
    ],
)
def test_what_came_before_a_stream_broke_is_kept(engine: ServerEngine, script: bytes, words: str) -> None:
    events: list[SessionEvent] = []
    with RawServer({CHAT: [script, stream("Well.", finish())]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError, match=words) as caught:
            ask(engine, events=events)
        assert sentence(caught) and "\x1b" not in sentence(caught)
        assert "".join(event.text for event in events if isinstance(event, Tokens)) == "Hel"
        assert ask(engine)[0] == "Well."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}, "answers in one piece though"),
        ({"error": {"message": f"no GPU for {KEY}"}}, r"failed \(no GPU for \[key\]\)"),
        ({"error": None, "choices": []}, "answers in one piece though"),
        ([1], "answers in one piece though"),
    ],
)
def test_an_answer_that_is_no_stream_is_told_for_what_it_is(engine: ServerEngine, body: Any, words: str) -> None:
    with RawServer({CHAT: [whole(json.dumps(body).encode()), stream("Well.", finish())]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError, match=words) as caught:
            ask(engine)
        assert sentence(caught) and ask(engine)[0] == "Well."


def test_a_length_that_is_too_short_cuts_the_answer(engine: ServerEngine) -> None:
    body = said("Hel") + said("lo") + said(finish())
    short = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    with RawServer({CHAT: [short % (len(said("Hel")) + 9) + body]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError, match="in the middle of an event"):
            ask(engine)


def test_an_event_without_end_takes_no_memory(engine: ServerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 10_000)
    with RawServer({CHAT: [stream("Hel", end=b"data: " + b"x" * 200_000)]}) as server:
        load(engine, server.url)
        with pytest.raises(EdgetuiError, match="event without end"):
            ask(engine)


@pytest.mark.parametrize(
    "after",
    [
        b'data: {"choices": [], "usage": {"prompt_tokens": null, "completion_tokens": null}}\n\n',
        b'data: {"choices": [], "usage": {"prompt_tokens": 3.5, "completion_tokens": -2}}\n\n',
        b'data: {"choices": [], "usage": {"prompt_tokens": 1e400}, "timings": [1]}\n\n',
        b'data: {"choices": [], "timings": {"predicted_n": 2, "predicted_ms": null}}\n\n',
        b"data: garbage\n\n",
        b"data: " + b"x" * 20_000,
    ],
)
def test_what_follows_the_end_takes_nothing_from_the_answer(
    engine: ServerEngine, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 10_000)
    with RawServer({CHAT: [stream("all of it", finish(), end=after)]}) as server:
        load(engine, server.url)
        text, finished = ask(engine)
    assert (text, finished.reason, finished.prompt_tokens, finished.generated_tokens) == ("all of it", "end", 0, 1)
    assert "did not count" in finished.remarks[0]


def test_figures_that_are_none_take_nothing_from_the_text_beside_them(engine: ServerEngine) -> None:
    nonsense = [
        {"total": -5, "cache": -7, "processed": -3, "time_ms": -1},
        {"total": 10**30, "cache": 0, "processed": 0, "time_ms": 0},
        {"total": 4, "cache": 9, "processed": 4, "time_ms": 0},
    ]
    events: list[SessionEvent] = []
    told = {"prompt_tokens": 4, "completion_tokens": 2.0, "prompt_tokens_details": {"cached_tokens": 10**25}}
    counted = {"choices": [], "usage": told}
    script = stream(*({"choices": None, "prompt_progress": each} for each in nonsense), "a", "b", finish(), counted)
    with RawServer({CHAT: [script]}) as server:
        load(engine, server.url)
        text, finished = ask(engine, events=events)
    progress = [(event.done_tokens, event.total_tokens) for event in events if isinstance(event, PrefillProgress)]
    assert (text, progress) == ("ab", [(0, 0)])
    assert (finished.prompt_tokens, finished.reused_tokens, finished.generated_tokens) == (4, 0, 2)


def test_half_a_character_is_shown_as_none(engine: ServerEngine) -> None:
    pieces = (rb"a\ud800b", rb" \ud83d\ude00", rb" \\ud800", b" \xff", rb" \udc00\ud800\u00e9")
    halves = b"".join(b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % piece for piece in pieces)
    with RawServer({CHAT: [stream(end=halves + said(finish()))]}) as server:
        load(engine, server.url)
        assert ask(engine)[0] == "a\ufffdb \U0001f600 \\ud800 \ufffd \ufffd\ufffd\u00e9"


def test_the_kind_of_a_stream_may_be_written_in_any_letters(engine: ServerEngine) -> None:
    script = stream("Hi", finish()).replace(b"text/event-stream", b"Text/Event-Stream; charset=utf-8")
    with RawServer({CHAT: [script]}) as server:
        load(engine, server.url)
        assert ask(engine)[0] == "Hi"


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n", b": late\n\ndata: [DONE]\n\ndata: {broken\n\n"])
def test_the_mark_of_the_end_may_be_missing_where_the_reason_is_not(engine: ServerEngine, end: bytes) -> None:
    with RawServer({CHAT: [stream("Hello", finish(), end=end)]}) as server:
        load(engine, server.url)
        text, finished = ask(engine)
    assert (text, finished.reason) == ("Hello", "end")
    assert finished.generated_tokens == 1 and "did not count" in finished.remarks[0]


def test_the_servers_count_holds_and_the_difference_is_told(engine: ServerEngine) -> None:
    with RawServer({CHAT: [stream("Hello wor", "ld", finish("length"), usage(7, 5))]}) as server:
        load(engine, server.url)
        text, finished = ask(engine, max_tokens=5)
    assert (text, finished.reason) == ("Hello world", "max_tokens")
    assert (finished.prompt_tokens, finished.generated_tokens, finished.context_used) == (7, 5, 12)
    assert finished.remarks == ("The server counts 5 tokens, which came in 2 pieces.",)
    assert finished.network_s is None and finished.prefill_s == 0


@pytest.mark.parametrize("owner", ["someone", "llamacpp"])
def test_a_limit_that_a_server_ignores_is_kept_here(engine: ServerEngine, owner: str) -> None:
    def piece(number: int) -> dict[str, Any]:
        told = {"predicted_n": number, "predicted_ms": 1.0} if owner == "llamacpp" else None
        return {"choices": [{"delta": {"content": f"{number} "}}], "timings": told}

    # It never says that it is done, and never hangs up.
    script = [stream(*map(piece, range(1, 9)), end=b""), b""]
    models = {"data": [{"id": "tiny", "owned_by": owner}]}
    with RawServer({CHAT: [script]}, models) as server:
        load(engine, server.url)
        text, finished = ask(engine, max_tokens=5)
        patiently(server.left.is_set)
    assert (text, finished.reason, finished.generated_tokens) == ("1 2 3 4 5 ", "max_tokens", 5)
    assert finished.remarks[-1] == "The server went on beyond max-tokens (5): edgetui ended its answer there."


def test_a_last_word_with_the_reason_is_not_beyond_the_limit(engine: ServerEngine) -> None:
    last = {"choices": [{"delta": {"content": "."}, "finish_reason": "length"}]}
    with RawServer({CHAT: [stream("Hel", "lo", last, usage(7, 2))]}) as server:
        load(engine, server.url)
        text, finished = ask(engine, max_tokens=2)
    assert (text, finished.reason, finished.generated_tokens) == ("Hello.", "max_tokens", 2)


def test_a_limit_that_is_not_ours_is_the_end_of_the_context(engine: ServerEngine) -> None:
    with RawServer({CHAT: [stream("Hi", finish("length"), usage(7, 1))]}) as server:
        load(engine, server.url)
        assert ask(engine)[1].reason == "context_full"


def test_thoughts_stand_between_the_marks_that_models_write(engine: ServerEngine) -> None:
    def delta(**told: str) -> dict[str, Any]:
        return {"choices": [{"delta": told}]}

    events = (delta(reasoning_content="Hm"), delta(reasoning=", well"), delta(content="Yes"), delta(content="."))
    with RawServer({CHAT: [stream(*events, finish())]}) as server:
        load(engine, server.url)
        assert ask(engine)[0] == "<think>\nHm, well\n</think>\n\nYes."


# --- stopping -------------------------------------------------------------------------------------------


def test_a_stop_hangs_up_while_the_server_is_silent(engine: ServerEngine) -> None:
    events: list[SessionEvent] = []
    stop = StopFlag()
    with RawServer({CHAT: [[stream("Hel", end=b""), said("lo")]]}) as server:
        load(engine, server.url)
        waiter = threading.Thread(
            target=patiently, args=(lambda: any(isinstance(each, Tokens) for each in events), stop.set)
        )
        waiter.start()
        text, finished = ask(engine, stop, events)
        waiter.join()
        assert (text, finished.reason, finished.generated_tokens) == ("Hel", "stopped", 1)
        patiently(server.left.is_set)


def test_a_stop_sequence_hangs_up_too(engine: ServerEngine) -> None:
    with RawServer({CHAT: [[stream("one two", " three", end=b""), said(" four")]]}) as server:
        load(engine, server.url)
        text, finished = ask(engine, stop=(" thr",))
        assert (text, finished.reason, finished.stop_text) == ("one two", "stop_text", " thr")
        patiently(server.left.is_set)


def test_a_load_is_stopped_while_the_server_is_silent(engine: ServerEngine) -> None:
    stop = StopFlag()
    slow = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"{}"]
    with RawServer({"/v1/models": [slow]}) as server:
        waiter = threading.Thread(target=patiently, args=(lambda: bool(server.requests), stop.set))
        waiter.start()
        with pytest.raises(EdgetuiError) as caught:
            told = ServerEndpoint(name="there", url=server.url)
            engine.load(Load(path="", settings=LoadSettings(), endpoint=told), lambda share: None, stop)
        waiter.join()
        assert caught.value.failure.kind == "cancelled"


def test_a_setting_that_is_refused_is_left_out_and_told(engine: ServerEngine) -> None:
    def refusal(name: str) -> bytes:
        said_there = {"message": f"Unsupported: {name}", "param": name, "code": "unsupported_parameter"}
        return whole({"error": said_there}, 400)

    answers = [refusal("max_tokens"), refusal("temperature"), stream("Hi", finish(), usage(3, 1)), refusal("model")]
    with RawServer({CHAT: answers}) as server:
        load(engine, server.url)
        text, finished = ask(engine, max_tokens=5, temperature=0.3)
        assert (text, finished.remarks) == ("Hi", ("The server refuses temperature, which is therefore its own.",))
        bodies = [json.loads(body) for path, _, body in server.requests if path == CHAT]
        assert [("max_tokens" in each, "temperature" in each) for each in bodies] == [(1, 1), (0, 1), (0, 0)]
        assert bodies[-1]["max_completion_tokens"] == 5
        with pytest.raises(EdgetuiError, match="refuses model"):
            ask(engine, max_tokens=5)
        again = json.loads(server.requests[-1][2])
    assert "temperature" not in again and again["max_completion_tokens"] == 5


# --- what a stranger is told ----------------------------------------------------------------------------


def test_a_stranger_is_asked_in_the_protocols_words_alone(engine: ServerEngine) -> None:
    with RawServer({CHAT: [stream("Hi", finish())]}, MODELS) as server:
        loaded = load(engine, f"{server.url}/v1")
        ask(engine, top_k=5, min_p=0.2, repeat_penalty=1.3, ignore_eos=True, seed=4, max_tokens=9, json_schema="{}")
        with pytest.raises(EdgetuiError, match="grammar"):
            ask(engine, grammar='root ::= "a"')
        with pytest.raises(EdgetuiError, match="no JSON"):
            ask(engine, json_schema="{")
        body = json.loads(server.requests[1][2])
    assert set(body) == {
        "model", "stream", "stream_options", "temperature", "top_p", "seed", "messages", "max_tokens",
        "response_format",
    }  # fmt: skip
    assert (body["seed"], body["response_format"]) == (4, {"type": "json_object"})
    assert loaded.abilities == () and "top-k, min-p" in loaded.remarks[0]


# --- counts that cannot be ------------------------------------------------------------------------------


def test_a_count_beyond_the_bytes_of_the_text_is_not_believed(engine: ServerEngine) -> None:
    def counted(text: str, count: int) -> dict[str, Any]:
        return {"choices": [{"delta": {"content": text}}], "timings": {"predicted_n": count}}

    answer = stream(counted("a", 1), counted("bcd", 20_000_000), counted("e", 20_000_001), finish())
    with RawServer({CHAT: [answer]}, {"data": [{"id": "tiny", "owned_by": "llamacpp"}]}) as server:
        load(engine, server.url)
        events: list[SessionEvent] = []
        text, finished = ask(engine, events=events)
    assert (text, finished.generated_tokens) == ("abcde", 3)
    assert sum(len(event.times_ns) for event in events if isinstance(event, Tokens)) == 3
    assert "20000001 tokens in 5 bytes" in finished.remarks[0]


@pytest.mark.parametrize(
    ("told", "rank", "is_least"),
    [([(7, -3.0), (8, -9.0)], 1, False), ([(8, -1.0), (7, -3.0)], 2, False), ([(8, -1.0), (9, -2.0)], 3, True)],
)
def test_a_rank_beyond_what_is_told_is_not_made_up(
    engine: ServerEngine, told: list[tuple[int, float]], rank: int, is_least: bool
) -> None:
    top = [{"id": number, "token": "t", "logprob": logprob} for number, logprob in told]
    probabilities = [{"id": 7, "token": "Hi", "logprob": 5000, "top_logprobs": top}]
    answers = {
        CHAT: [stream("Hi", finish())],
        "/apply-template": [whole({"prompt": "x"})],
        "/tokenize": [whole({"tokens": [{"id": 7, "piece": "Hi"}]})],
        "/completion": [whole({"completion_probabilities": probabilities})],
    }
    with RawServer(answers, {"data": [{"id": "tiny", "owned_by": "llamacpp"}]}) as server:
        load(engine, server.url)
        ask(engine)
        (token,) = engine.inspect(2, StopFlag()).tokens
    assert (token.rank, token.is_rank_least, token.probability) == (rank, is_least, 1.0)


@pytest.mark.parametrize("shaped", [[1], {"prompt": 3}])
def test_a_prompt_that_is_none_cannot_be_inspected(engine: ServerEngine, shaped: object) -> None:
    answers = {CHAT: [stream("Hi", finish())], "/apply-template": [whole(json.dumps(shaped).encode())]}
    with RawServer(answers, {"data": [{"id": "tiny", "owned_by": "llamacpp"}]}) as server:
        load(engine, server.url)
        ask(engine)
        with pytest.raises(EdgetuiError, match="shapes no prompt"):
            engine.inspect(2, StopFlag())
