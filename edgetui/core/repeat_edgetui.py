"""edgetui's own commands that repeat a run or a row: every setting that is not what a plain command takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import REPETITIONS, RepeatCommand
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.shell_words import fits_argument, number, piped, shell_command
from edgetui.core.units import counted

if TYPE_CHECKING:
    import msgspec

    from edgetui.core.bench import BenchRow
    from edgetui.core.repeat_commands import RunFacts

LOAD_OPTIONS = {
    "context_tokens": "-c",
    "batch_tokens": "-b",
    "physical_batch_tokens": "--ubatch",
    "threads": "-t",
    "threads_prefill": "--threads-prefill",
    "kv_cache_type": "--kv",
    "kv_cache_type_v": "--kv-v",
    "gpu_layers": "--gpu-layers",
    "flash_attention": "--flash-attention",
    "use_mmap": "--mmap",
    "huge_pages": "--huge-pages",
    "use_mlock": "--mlock",
    "numa": "--numa",
    "rope_scaling": "--rope-scaling",
    "rope_freq_base": "--rope-freq-base",
    "rope_freq_scale": "--rope-freq-scale",
    "adapters": "--lora",
    "draft_model": "--draft",
    "prompt_lookup": "--prompt-lookup",
    "draft_tokens": "--draft-tokens",
    "prompt_cache": "--prompt-cache",
}
"""Field of `LoadSettings` to the option of `edgetui run`."""
SAMPLING_OPTIONS = {
    "temperature": "--temperature",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "min_p": "--min-p",
    "repeat_penalty": "--repeat-penalty",
    "repeat_last_tokens": "--repeat-last",
    "presence_penalty": "--presence-penalty",
    "frequency_penalty": "--frequency-penalty",
    "seed": "--seed",
    "max_tokens": "-n",
    "stop": "--stop",
    "grammar": "--grammar",
    "json_schema": "--json-schema",
    "ignore_eos": "--ignore-eos",
}
"""Field of `SamplingSettings` to the option of `edgetui run`."""


def edgetui_run(facts: RunFacts) -> RepeatCommand | None:
    """`edgetui run`; None for a text that no command can be given."""
    model = facts.name if facts.endpoint is not None else facts.where
    words = ["edgetui", "run", no_option(model)]
    words += _options(facts.load, LoadSettings(), facts.usual_load, LOAD_OPTIONS)
    words += _options(facts.sampling, SamplingSettings(), facts.usual_sampling, SAMPLING_OPTIONS)
    if facts.prompt is not None:
        words.append("--raw")
    elif facts.system or facts.usual_system:
        words.append(f"--system={facts.system}")
    if not all(fits_argument(word) for word in words) or "\0" in facts.question:
        return None
    text = facts.question
    if text == "-" or not fits_argument(text):
        command = piped(text, shell_command([*words, "-"]))
    else:
        command = shell_command([*words, "--", text] if text.startswith("-") else [*words, text])
    return RepeatCommand(tool="edgetui", text=command, note=_notes(facts))


def edgetui_bench(row: BenchRow) -> RepeatCommand:
    """`edgetui bench` of this one test."""
    from edgetui.core.bench import PHYSICAL_BATCH_TOKENS

    words = ["edgetui", "bench", no_option(row.model_path or row.model_name)]
    if row.test == "pg":
        words += ["-p", "0", "-n", "0", "-pg", f"{row.prompt_tokens},{row.tokens}"]
    else:
        prompt, generated = (row.tokens, 0) if row.test == "pp" else (0, row.tokens)
        words += ["-p", str(prompt), "-n", str(generated)]
    if row.depth_tokens:
        words += ["-d", str(row.depth_tokens)]
    words += ["-r", str(len(row.samples_ns) or REPETITIONS), "-t", str(row.threads), "-b", str(row.batch_tokens)]
    if row.engine == "llama.cpp":
        words += ["--kv", row.kv_cache_type]
        if row.kv_cache_type_v and row.kv_cache_type_v != row.kv_cache_type:
            words += ["--kv-v", row.kv_cache_type_v]
        if row.physical_batch_tokens not in (0, PHYSICAL_BATCH_TOKENS):
            words += ["--ubatch", str(row.physical_batch_tokens)]
        if row.flash_attention not in ("", "auto"):
            words += ["--flash-attn", row.flash_attention]
        if row.gpu_layers not in (None, -1):
            words += ["--gpu-layers", str(row.gpu_layers)]
        if row.use_mmap is False:
            words += ["--mmap", "off"]
        if row.huge_pages:
            words += ["--huge-pages", "on"]
    return RepeatCommand(tool="edgetui", text=shell_command(words))


def _options(
    settings: msgspec.Struct, plain: msgspec.Struct, usual: msgspec.Struct, names: dict[str, str]
) -> list[str]:
    """Words for each field that the command would take otherwise, here or on a machine without a settings file."""
    words: list[str] = []
    for field, option in names.items():
        value = getattr(settings, field)
        if value == getattr(plain, field) and value == getattr(usual, field):
            continue
        words += _words(option, field, value)
    return words


def _words(option: str, field: str, value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        if field == "ignore_eos" and not value:
            return []
        return [option if value else f"--no-{option[2:]}"]
    if field == "adapters":
        assert isinstance(value, tuple)
        return [word for each in value for word in (option, f"{each.path}:{number(each.scale)}")]
    each_value = value if isinstance(value, tuple) else (value,)
    # With an equals sign a value may begin with a dash.
    return [
        word
        for each in each_value
        for word in ((option, _text(each)) if not _text(each).startswith("-") else (_joined(option, _text(each)),))
    ]


def _joined(option: str, value: str) -> str:
    return f"{option}={value}" if option.startswith("--") else f"{option}{value}"


def _text(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def no_option(path: str) -> str:
    """A path that no command takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def _notes(facts: RunFacts) -> str:
    notes = []
    if facts.endpoint is not None:
        notes.append("The server must be known there by this name: edgetui server add.")
    if facts.earlier_messages:
        notes.append(f"Repeats the last question without the {counted(facts.earlier_messages, 'message')} before it.")
    if facts.reuse_note:
        notes.append(facts.reuse_note)
    if facts.repo:
        notes.append(f"The model came from {facts.repo} on the hub.")
    return " ".join(notes)
