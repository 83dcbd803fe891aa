"""One answer on the command line: load, stream, stop on ctrl+c, and say what it cost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.cli.run_options import run_with
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.core.token_rate import decode_tps, prefill_tps
from edgetui.core.units import counted

if TYPE_CHECKING:
    from edgetui.cli.run_options import Wanted
    from edgetui.core.inspection import InspectedToken
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import Finished


class Question(NamedTuple):
    """What is asked."""

    text: str
    raw: bool
    """Whether the text is continued as it is."""
    schema: str
    """JSON schema that the answer follows where the engine can hold it to one; empty for none."""
    inspect: bool = False
    """Whether to tell what else each token could have been."""


async def answer(lab: Lab, model: str, question: Question, wanted: Wanted, *, quiet: bool, as_json: bool) -> int:
    """Stream one answer; gives the exit status. Raises `EdgetuiError`."""
    from edgetui.core.run_settings import ChatMessage
    from edgetui.worker.protocol import Finished, Tokens

    interrupted = False
    pieces: list[str] = []
    finished: Finished | None = None
    tokens: tuple[InspectedToken, ...] = ()

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            # Twice: whatever it is doing, it ends now.
            asyncio.ensure_future(lab.inference.unload())  # noqa: RUF006 - the loop lives until the answer has ended
        elif not loading.done():
            loading.cancel()
        else:
            asyncio.ensure_future(lab.inference.stop())  # noqa: RUF006 - as above
        interrupted = True

    try:
        entry = await lab.find_model(model)
        settings = await run_with(lab, entry, wanted)
        loading = asyncio.create_task(lab.inference.load(entry, settings.load))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        try:
            loaded = await loading
        except asyncio.CancelledError:
            return 130
        if interrupted:
            return 130
        if not quiet:
            if not loaded.has_chat_template and not question.raw:
                print("edgetui: this model has no chat template; the prompt goes in as it is.", file=sys.stderr)
            for remark in loaded.remarks:
                print(f"edgetui: {plain_line(remark)}", file=sys.stderr)
        sampling = settings.sampling
        if question.schema and "grammar" in loaded.abilities and not (sampling.grammar or sampling.json_schema):
            sampling = msgspec.structs.replace(sampling, json_schema=question.schema)
        messages = [ChatMessage("system", settings.system)] if settings.system else []
        messages.append(ChatMessage("user", question.text))
        stream = (
            lab.inference.generate(prompt=question.text, sampling=sampling)
            if question.raw
            else lab.inference.generate(messages, sampling=sampling)
        )
        async with aclosing(stream):
            async for event in stream:
                if isinstance(event, Tokens):
                    pieces.append(event.text)
                    if not as_json:
                        _write(event.text)
                elif isinstance(event, Finished):
                    finished = event
        resident = lab.inference.resident_bytes()
        if question.inspect and not interrupted:
            tokens = (await lab.inference.inspect()).tokens
    except EdgetuiError:
        if pieces and not as_json:
            # The sentence that follows stands on a line of its own.
            _write("\n")
        if interrupted:
            return 130
        raise
    finally:
        await lab.close()
    if finished is None:
        raise AssertionError("an answer ends with Finished or an error")
    if as_json:
        _print_json(entry.name, "".join(pieces), finished, resident, tokens)
    else:
        _write("\n")
        if tokens:
            from edgetui.core.inspection_text import as_table, summary

            print(f"\n{as_table(tokens)}\n\n{summary(tokens)}")
        if not quiet:
            print(_figures(finished, resident), file=sys.stderr)
            for remark in finished.remarks:
                print(f"edgetui: {plain_line(remark)}", file=sys.stderr)
    return 130 if interrupted else 0


async def use_profile(lab: Lab, model: str, profile: str) -> None:
    """Have a profile be the model's last used, so that the app takes it up; raises `EdgetuiError`."""
    from edgetui.services.profiles import model_key

    try:
        await lab.profiles.use(model_key(await lab.find_model(model)), profile)
    finally:
        await lab.close()


def _write(text: str) -> None:
    """Model output is data: on a terminal its control characters are shown, not obeyed."""
    if os.isatty(sys.stdout.fileno()):
        text = plain_text(text)
    sys.stdout.write(text)
    sys.stdout.flush()


def _figures(finished: Finished, resident: int | None) -> str:
    from edgetui.core.units import MISSING, format_bytes, format_duration, format_rate

    parts = [
        f"decode {format_rate(decode_tps(finished.generated_tokens, finished.decode_s))}"
        f" ({counted(finished.generated_tokens, 'token')}, {finished.reason})",
        f"prefill {format_rate(prefill_tps(finished.prefill_tokens, finished.prefill_s))}"
        f" ({counted(finished.prefill_tokens, 'token')})",
        f"TTFT {format_duration(finished.ttft_s)}",
    ]
    if finished.network_s is not None:
        parts.append(f"network {format_duration(finished.network_s)}")
    if finished.draft_tokens:
        parts.append(f"accepted {finished.accepted_tokens} of {finished.draft_tokens} proposed")
    parts += [
        f"context {finished.context_used}/{finished.context_tokens or MISSING}",
        f"memory {format_bytes(resident)}",
        f"seed {finished.seed}",
    ]
    return " | ".join(parts)


def _print_json(
    model: str, text: str, finished: Finished, resident: int | None, tokens: tuple[InspectedToken, ...]
) -> None:
    import json

    from edgetui.core.inspection_text import as_builtins

    figures = msgspec.structs.asdict(finished)
    del figures["turn"]
    print(
        json.dumps(
            {
                "model": model,
                "text": text,
                **figures,
                "decode_tps": decode_tps(finished.generated_tokens, finished.decode_s),
                "prefill_tps": prefill_tps(finished.prefill_tokens, finished.prefill_s),
                "resident_bytes": resident,
                **(as_builtins(tokens) if tokens else {}),
            },
            indent=2,
            # JSON leaves U+0080 to U+009F as they are, which a terminal may obey.
            ensure_ascii=sys.stdout.isatty(),
        )
    )
