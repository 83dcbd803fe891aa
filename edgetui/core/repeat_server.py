"""`curl`, and a program of Python's standard library, that ask the same server the same thing.

A key is named by its environment variable, never written out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_commands import RepeatCommand
from edgetui.core.repeat_python import literal, program
from edgetui.core.run_settings import SamplingSettings
from edgetui.core.server_request import kind_of_program, request_body, request_path
from edgetui.core.servers import address_parts, api_base
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


def server_curl(facts: RunFacts) -> RepeatCommand | None:
    """One request with `curl`; None for what no server was asked."""
    endpoint, address, body = _endpoint(facts), _address(facts), _body(facts)
    if address is None or body is None:
        return None
    command = shell_command(["curl", "-sS", address, "-H", "Content-Type: application/json"])
    if endpoint.key_variable:
        # In double quotes, so that the shell puts the key in.
        command += f' -H "Authorization: Bearer ${endpoint.key_variable}"'
    text = json.dumps(body, ensure_ascii=False)
    command = f"{command} -d {shell_word(text)}" if fits_argument(text) else piped(text, f"{command} -d @-")
    return RepeatCommand(tool="curl", text=command, note=_notes(facts, body))


def server_python(facts: RunFacts) -> RepeatCommand | None:
    """One request with nothing but Python; None for what no server was asked."""
    endpoint, address, asked = _endpoint(facts), _address(facts), _body(facts)
    if address is None or asked is None:
        return None
    headers = ['"Content-Type": "application/json"']
    if endpoint.key_variable:
        headers.append(f'"Authorization": "Bearer " + os.environ[{literal(endpoint.key_variable)}]')
    body = ["{", *(f"    {literal(name)}: {literal(value)}," for name, value in asked.items()), "}"]
    lines = [
        "import json",
        *(["import os"] if endpoint.key_variable else []),
        "import urllib.request",
        "",
        f"body = {chr(10).join(body)}",
        "request = urllib.request.Request(",
        f"    {literal(address)},",
        "    json.dumps(body).encode(),",
        f"    {{{', '.join(headers)}}},",
        ")",
        "with urllib.request.urlopen(request) as reply:",
        "    answer = json.load(reply)",
    ]
    text = '["text"]' if facts.prompt is not None else '["message"]["content"]'
    lines.append(f'print(answer["choices"][0]{text})')
    return program("Python (urllib)", lines, _notes(facts, asked))


def _endpoint(facts: RunFacts) -> ServerEndpoint:
    if facts.endpoint is None:
        raise ValueError("a run on no server cannot be repeated on one")
    return facts.endpoint


def _address(facts: RunFacts) -> str | None:
    """Where the request goes, a password in the address left out; None for an address that is none."""
    url = _endpoint(facts).url
    if (parts := address_parts(url)) is None:
        return None
    plain = url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)
    # None was ever asked by an address that goes on after its path.
    return f"{api_base(plain.partition('?')[0].partition('#')[0])}/{request_path(facts.prompt)}"


def _body(facts: RunFacts) -> dict[str, object] | None:
    """What was asked; None where nothing was, since the server could not be asked it."""
    kind, sampling = kind_of_program(facts.engine_version), facts.sampling
    if not facts.engine_version:
        # Of a server that was not asked yet nobody knows whether it takes one.
        sampling = msgspec.structs.replace(sampling, grammar="")
    try:
        body = request_body(kind, _endpoint(facts).model, sampling, messages=facts.messages, prompt=facts.prompt)
    except EdgetuiError:
        return None
    # edgetui itself ends an answer there, and no server is told.
    return body | ({"stop": list(sampling.stop)} if sampling.stop else {})


def _left_out(facts: RunFacts, body: dict[str, object]) -> str:
    """What is set of the run and not part of the request, in words; empty for nothing."""
    usual = SamplingSettings()
    return ", ".join(
        f"{words} {value if value is not True else 'on'}"
        for names, setting, words in _NOT_EVERYWHERE
        if (value := getattr(facts.sampling, setting)) != getattr(usual, setting) and body.keys().isdisjoint(names)
    )


def _notes(facts: RunFacts, body: dict[str, object]) -> str:
    endpoint, notes = _endpoint(facts), []
    if "@" in endpoint.url:
        notes.append("The login in the server's address is left out.")
    if left_out := _left_out(facts, body):
        notes.append(f"It leaves out {left_out}, which OpenAI's protocol does not have: add what this server takes.")
    if facts.sampling.grammar and "grammar" not in body:
        notes.append("It leaves out the grammar, which only llama-server takes: add it as grammar there.")
    if not endpoint.model:
        notes.append("The server chooses the model; where it wants a name, add it as model.")
    if endpoint.key_variable:
        notes.append(f"It reads the key from ${endpoint.key_variable}.")
    else:
        notes.append(_KEYRING)
    return " ".join(notes)
