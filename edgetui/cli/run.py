"""`edgetui run`: one answer, streamed to stdout, its figures to stderr."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetui.cli.overrides import override
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_text

if TYPE_CHECKING:
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import Finished


def run(
    model: Annotated[str, typer.Argument(help="Name or path of a model; see `edgetui models`.")],
    prompt: Annotated[
        str | None, typer.Argument(help="What to say to it; `-` or a pipe reads stdin. None opens the app.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the text as it is, without chat template.")] = False,
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    max_tokens: Annotated[int | None, typer.Option("-n", "--max-tokens", help="Most tokens to generate.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    top_k: Annotated[int | None, typer.Option(help="0 switches it off.")] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    min_p: Annotated[float | None, typer.Option()] = None,
    repeat_penalty: Annotated[float | None, typer.Option(help="1 switches it off.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed and settings, same answer.")] = None,
    context: Annotated[int | None, typer.Option("-c", "--context", help="Context in tokens.")] = None,
    threads: Annotated[int | None, typer.Option("-t", "--threads")] = None,
    batch: Annotated[int | None, typer.Option("-b", "--batch", help="Prompt tokens a decode call.")] = None,
    kv: Annotated[str | None, typer.Option("--kv", help="KV-cache type, such as f16 or q8_0.")] = None,
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help="Go on past the model's end mark.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No figures on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Text and figures as one JSON object.")] = False,
) -> None:
    """Ask a model and stream its answer to stdout; the figures follow on stderr."""
    if prompt is None and sys.stdin.isatty() and sys.stdout.isatty():
        from edgetui.open_app import open_app

        raise typer.Exit(open_app(model))
    text = _as_text(sys.stdin.read() if prompt is None or prompt == "-" else prompt)
    system = None if system is None else _as_text(system)
    overrides: dict[str, dict[str, Any]] = {
        "load": {"context_tokens": context, "threads": threads, "batch_tokens": batch, "kv_cache_type": kv},
        "sampling": {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
            "seed": seed,
            "ignore_eos": ignore_eos or None,
        },
    }
    from edgetui.services.lab import Lab

    status = asyncio.run(_answer(Lab(), model, text, raw, system, overrides, quiet, as_json))
    raise typer.Exit(status)


def _as_text(given: str) -> str:
    """Bytes of an argument that are no UTF-8 become the replacement character."""
    return os.fsencode(given).decode("utf-8", "replace")


async def _answer(
    lab: Lab,
    model: str,
    text: str,
    raw: bool,
    system: str | None,
    overrides: dict[str, dict[str, Any]],
    quiet: bool,
    as_json: bool,
) -> int:
    from edgetui.core.run_settings import ChatMessage
    from edgetui.worker.protocol import Finished, Tokens

    load = override(lab.settings.load, overrides["load"])
    sampling = override(lab.settings.sampling, overrides["sampling"])
    system = lab.settings.system_prompt if system is None else system
    messages = [ChatMessage("system", system)] if system else []
    messages.append(ChatMessage("user", text))
    interrupted = False
    pieces: list[str] = []
    finished: Finished | None = None

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
        loading = asyncio.create_task(lab.inference.load(entry, load))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        try:
            loaded = await loading
        except asyncio.CancelledError:
            return 130
        if interrupted:
            return 130
        if not loaded.has_chat_template and not raw and not quiet:
            print("edgetui: this model has no chat template; the prompt goes in as it is.", file=sys.stderr)
        stream = (
            lab.inference.generate(prompt=text, sampling=sampling)
            if raw
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
    except EdgetuiError:
        if interrupted:
            return 130
        raise
    finally:
        await lab.close()
    if finished is None:
        raise AssertionError("an answer ends with Finished or an error")
    if as_json:
        _print_json(entry.name, "".join(pieces), finished, resident)
    else:
        _write("\n")
        if not quiet:
            print(_figures(finished, resident), file=sys.stderr)
    return 130 if interrupted else 0


def _write(text: str) -> None:
    """Model output is data: on a terminal its control characters are shown, not obeyed."""
    if os.isatty(sys.stdout.fileno()):
        text = plain_text(text)
    sys.stdout.write(text)
    sys.stdout.flush()


def _decode_tps(finished: Finished) -> float | None:
    """Decode tokens over decode time, the first token excluded."""
    if finished.generated_tokens < 2 or finished.decode_s <= 0:
        return None
    return (finished.generated_tokens - 1) / finished.decode_s


def _prefill_tps(finished: Finished) -> float | None:
    """New prompt tokens over prefill time."""
    return finished.prefill_tokens / finished.prefill_s if finished.prefill_s > 0 else None


def _figures(finished: Finished, resident: int | None) -> str:
    from edgetui.core.units import format_bytes, format_duration, format_rate

    return (
        f"decode {format_rate(_decode_tps(finished))} ({finished.generated_tokens} tokens, {finished.reason})"
        f" | prefill {format_rate(_prefill_tps(finished))} ({finished.prefill_tokens} tokens)"
        f" | TTFT {format_duration(finished.ttft_s)}"
        f" | context {finished.context_used}/{finished.context_tokens}"
        f" | memory {format_bytes(resident)} | seed {finished.seed}"
    )


def _print_json(model: str, text: str, finished: Finished, resident: int | None) -> None:
    import json

    import msgspec

    figures = msgspec.structs.asdict(finished)
    del figures["turn"]
    print(
        json.dumps(
            {
                "model": model,
                "text": text,
                **figures,
                "decode_tps": _decode_tps(finished),
                "prefill_tps": _prefill_tps(finished),
                "resident_bytes": resident,
            },
            indent=2,
            ensure_ascii=False,
        )
    )
