"""`curl`, and a program of Python's standard library, that ask the same server the same thing.

A key is named by its environment variable, never written out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from edgetui.core.repeat_commands import RepeatCommand
from edgetui.core.repeat_python import literal, program
from edgetui.core.run_settings import SamplingSettings
from edgetui.core.shell_words import fits_argument, piped, shell_command, shell_word

if TYPE_CHECKING:
    from edgetui.core.repeat_commands import RunFacts
    from edgetui.core.servers import ServerEndpoint

_KEYRING = "A key that edgetui reads from the keyring is not part of it: add an Authorization header with yours."

_NOT_EVERYWHERE = (
    (("top_k",), "top_k", "top-k"),
    (("min_p",), "min_p", "min-p"),
    (("repeat_penalty", "repetition_penalty"), "repeat_penalty", "repeat penalty"),
    (("repeat_last_n",), "repeat_last_tokens", "repeat-last"),
    (("ignore_eos",), "ignore_eos", "ignore-eos"),
)
"""Settings beyond OpenAI's protocol: the words of a request, the field, its name for a person."""


def server_curl(facts: RunFacts) -> RepeatCommand:
    """One request with `curl`."""
    endpoint = _endpoint(facts)
    words = ["curl", "-sS", _address(facts), "-H", "Content-Type: application/json"]
    command = shell_command(words)
    if endpoint.key_variable:
        # In double quotes, so that the shell puts the key in.
        command += f' -H "Authorization: Bearer ${endpoint.key_variable}"'
    body = _body_text(facts)
    command = f"{command} -d {shell_word(body)}" if fits_argument(body) else piped(body, f"{command} -d @-")
    return RepeatCommand(tool="curl", text=command, note=_notes(facts))


def server_python(facts: RunFacts) -> RepeatCommand:
    """One request with nothing but Python."""
    endpoint = _endpoint(facts)
    headers = ['"Content-Type": "application/json"']
    if endpoint.key_variable:
        headers.append(f'"Authorization": "Bearer " + os.environ[{literal(endpoint.key_variable)}]')
    body = ["{", *(f"    {literal(name)}: {literal(value)}," for name, value in _body(facts).items()), "}"]
    lines = [
        "import json",
        *(["import os"] if endpoint.key_variable else []),
        "import urllib.request",
        "",
        f"body = {chr(10).join(body)}",
        "request = urllib.request.Request(",
        f"    {literal(_address(facts))},",
        "    json.dumps(body).encode(),",
        f"    {{{', '.join(headers)}}},",
        ")",
        "with urllib.request.urlopen(request) as reply:",
        "    answer = json.load(reply)",
    ]
    text = '["text"]' if facts.prompt is not None else '["message"]["content"]'
    lines.append(f'print(answer["choices"][0]{text})')
    return program("Python (urllib)", lines, _notes(facts))


def _endpoint(facts: RunFacts) -> ServerEndpoint:
    if facts.endpoint is None:
        raise ValueError("a run on no server cannot be repeated on one")
    return facts.endpoint


def _address(facts: RunFacts) -> str:
    """Where the request goes; a password in the address stays out."""
    parts = urlsplit(_endpoint(facts).url)
    path = parts.path.rstrip("/").removesuffix("/v1") + "/v1/"
    path += "completions" if facts.prompt is not None else "chat/completions"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, parts.query, ""))


def _body(facts: RunFacts) -> dict[str, object]:
    sampling, endpoint = facts.sampling, _endpoint(facts)
    body: dict[str, object] = {}
    if endpoint.model:
        body["model"] = endpoint.model
    if facts.prompt is not None:
        body["prompt"] = facts.prompt
    else:
        body["messages"] = [{"role": each.role, "content": each.content} for each in facts.messages]
    body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    for name in ("presence_penalty", "frequency_penalty", "max_tokens"):
        if value := getattr(sampling, name):
            body[name] = value
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.grammar:
        body["grammar"] = sampling.grammar
    elif (schema := _schema(sampling.json_schema)) is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return body | _beyond_the_protocol(facts)


def _beyond_the_protocol(facts: RunFacts) -> dict[str, object]:
    """What only some programs take; a cloud refuses words that it does not know."""
    sampling, server = facts.sampling, facts.engine_version
    if server.startswith("llama.cpp"):
        return {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
            "repeat_last_n": sampling.repeat_last_tokens,
            "ignore_eos": sampling.ignore_eos,
        }
    if server.startswith("vLLM"):
        return {
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repeat_penalty,
            "ignore_eos": sampling.ignore_eos,
        }
    if server.startswith("LM Studio"):
        return {"top_k": sampling.top_k, "repeat_penalty": sampling.repeat_penalty}
    return {}


def _schema(text: str) -> object:
    """The schema, None where there is none or it is no JSON: that run failed too."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _body_text(facts: RunFacts) -> str:
    return json.dumps(_body(facts), ensure_ascii=False)


def _left_out(facts: RunFacts) -> str:
    """What is set of the run and not part of the request, in words; empty for nothing."""
    body, usual = _body(facts), SamplingSettings()
    return ", ".join(
        f"{words} {value if value is not True else 'on'}"
        for names, setting, words in _NOT_EVERYWHERE
        if (value := getattr(facts.sampling, setting)) != getattr(usual, setting) and body.keys().isdisjoint(names)
    )


def _notes(facts: RunFacts) -> str:
    endpoint, notes = _endpoint(facts), []
    if "@" in urlsplit(endpoint.url).netloc:
        notes.append("The login in the server's address is left out.")
    if left_out := _left_out(facts):
        notes.append(f"It leaves out {left_out}, which OpenAI's protocol does not have: add what this server takes.")
    if not endpoint.model:
        notes.append("The server chooses the model; where it wants a name, add it as model.")
    if endpoint.key_variable:
        notes.append(f"It reads the key from ${endpoint.key_variable}.")
    else:
        notes.append(_KEYRING)
    return " ".join(notes)
