"""`edgetui run`: one answer, streamed to stdout, its figures to stderr."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from edgetui.cli import run_options as options
from edgetui.cli.text_arguments import as_text
from edgetui.core.failures import EdgetuiError


def run(
    model: Annotated[str, typer.Argument(help="Name or path of a model; see `edgetui models`.")],
    prompt: Annotated[
        str | None, typer.Argument(help="What to say to it; `-` or a pipe reads stdin. None opens the app.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME[:N]", help="A prompt by task, or the task's instruction over your own text."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the text as it is, without chat template.")] = False,
    system: options.System = None,
    profile: options.Profile = None,
    preset: options.Preset = None,
    max_tokens: options.MostTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repeat_penalty: options.RepeatPenalty = None,
    repeat_last: options.RepeatLast = None,
    presence_penalty: options.PresencePenalty = None,
    frequency_penalty: options.FrequencyPenalty = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    grammar: options.Grammar = None,
    json_schema: options.JsonSchema = None,
    ignore_eos: options.IgnoreEos = False,
    context: options.Context = None,
    threads: options.Threads = None,
    threads_prefill: options.ThreadsPrefill = None,
    batch: options.Batch = None,
    ubatch: options.Ubatch = None,
    kv: options.Kv = None,
    kv_v: options.KvV = None,
    gpu_layers: options.GpuLayers = None,
    flash_attention: options.FlashAttention = None,
    mmap: options.Mmap = None,
    huge_pages: options.HugePages = None,
    mlock: options.Mlock = None,
    numa: options.Numa = None,
    rope_scaling: options.RopeScaling = None,
    rope_freq_base: options.RopeFreqBase = None,
    rope_freq_scale: options.RopeFreqScale = None,
    lora: options.Lora = None,
    draft: options.Draft = None,
    prompt_lookup: options.PromptLookup = None,
    draft_tokens: options.DraftTokens = None,
    prompt_cache: options.PromptCache = None,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Then list the answer's tokens with what each could have been.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No figures on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Text and figures as one JSON object.")] = False,
    print_command: Annotated[
        bool, typer.Option("--print-command", help="Run nothing: print what asks the same elsewhere.")
    ] = False,
) -> None:
    """Ask a model and stream its answer to stdout; the figures follow on stderr."""
    from edgetui.cli.answer import Question, answer, use_profile
    from edgetui.services.lab import Lab

    wanted = options.Wanted(
        load={
            "context_tokens": context,
            "threads": threads,
            "threads_prefill": threads_prefill,
            "batch_tokens": batch,
            "physical_batch_tokens": ubatch,
            "kv_cache_type": kv,
            "kv_cache_type_v": kv_v,
            "gpu_layers": gpu_layers,
            "flash_attention": flash_attention,
            "use_mmap": mmap,
            "huge_pages": huge_pages,
            "use_mlock": mlock,
            "numa": numa,
            "rope_scaling": rope_scaling,
            "rope_freq_base": rope_freq_base,
            "rope_freq_scale": rope_freq_scale,
            "adapters": options.adapters(lora),
            "prompt_lookup": prompt_lookup,
            "draft_tokens": draft_tokens,
            "prompt_cache": prompt_cache,
        },
        sampling={
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
            "repeat_last_tokens": repeat_last,
            "presence_penalty": presence_penalty,
            "frequency_penalty": frequency_penalty,
            "seed": seed,
            "stop": tuple(stop) if stop else None,
            "grammar": options.constraint(grammar, "grammar"),
            "json_schema": options.constraint(json_schema, "JSON schema"),
            "ignore_eos": ignore_eos or None,
        },
        system=system,
        profile=profile,
        preset=preset,
        draft=draft,
    )
    if prompt is None and task is None and sys.stdin.isatty() and sys.stdout.isatty():
        from edgetui.open_app import open_app

        if wanted.changes_settings or raw or quiet or as_json:
            raise EdgetuiError(
                "bad_request",
                "Without a prompt this opens the app, which takes settings from a profile: give a prompt too, or save"
                " the settings there (ctrl+s, then ctrl+l) and name them with --profile.",
            )
        if profile is not None:
            asyncio.run(use_profile(Lab(), model, profile))
        raise typer.Exit(open_app(model))
    text, schema = _prompt(prompt, task)
    if not (text if raw else text.strip()):
        raise EdgetuiError("bad_request", "The prompt is empty: say something to the model.")
    question = Question(text=text, raw=raw, schema=schema, inspect=inspect)
    if print_command:
        from edgetui.cli.print_command import print_commands

        asyncio.run(print_commands(Lab(), model, question, wanted))
        return
    raise typer.Exit(asyncio.run(answer(Lab(), model, question, wanted, quiet=quiet, as_json=as_json)))


def _prompt(given: str | None, task: str | None) -> tuple[str, str]:
    """What to ask, and the schema that a task's answer follows."""
    if given == "-" or (given is None and not (task is not None and sys.stdin.isatty())):
        text = as_text(sys.stdin.read())
    else:
        text = given or ""
    if task is None:
        return text, ""
    from edgetui.services.task_prompts import task_prompt

    # A pipe that holds nothing is no text of one's own.
    found, prompt = task_prompt(task, text if text.strip() else None)
    return prompt, found.json_schema
