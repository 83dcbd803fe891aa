"""Commands that repeat a measurement of several parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.bench import BenchSettings
from edgetui.core.bench_matrix import VARIED
from edgetui.core.repeat_commands import RepeatCommand
from edgetui.core.repeat_edgetui import no_option
from edgetui.core.server_load import ServerLoadResult
from edgetui.core.shell_words import number, shell_command
from edgetui.core.studies import AS_A_CHAT, AbResult, AbSettings, LoadTimesResult, SoakResult, TuneSettings

if TYPE_CHECKING:
    from edgetui.core.bench import BenchTest
    from edgetui.core.studies import BenchSide, StudyResult, TuneResult

_LOAD_OPTIONS = {
    "threads": "-t",
    "batch_tokens": "-b",
    "physical_batch_tokens": "-ub",
    "kv_cache_type": "--kv",
    "kv_cache_type_v": "--kv-v",
    "flash_attention": "--flash-attn",
    "gpu_layers": "--gpu-layers",
    "use_mmap": "--mmap",
    "huge_pages": "--huge-pages",
}
"""Setting of a load to the option of `edgetui bench`."""
_PLAIN = BenchSettings()


def study_commands(result: StudyResult) -> tuple[RepeatCommand, ...]:
    """Every way to repeat it, edgetui's own first."""
    if isinstance(result, ServerLoadResult):
        return (server_load_command(result),)
    if isinstance(result, AbResult):
        return (ab_command(result),)
    if isinstance(result, LoadTimesResult):
        return (load_time_command(result),)
    if not isinstance(result, SoakResult):
        return (tune_command(result),)
    found: list[RepeatCommand | None] = [soak_command(result)]
    if result.side.model_format == "gguf":
        from edgetui.core.repeat_llama import llama_soak

        found.append(llama_soak(result))
    return tuple(command for command in found if command is not None)


def soak_command(result: SoakResult) -> RepeatCommand:
    """`edgetui bench --soak` for as long as was asked for, however it ended."""
    words = [*_bench(result.side), "--soak", _duration(result.duration_s)]
    if result.depth_tokens:
        words += ["-d", str(result.depth_tokens)]
    if result.sample_s not in (0, 1):
        words += ["--sample", _duration(result.sample_s)]
    words += _load_options(result.side.settings)
    note = "" if result.sample_s else "This soak did not keep how long a point was: the command takes 1 second."
    return _command(words, note)


def load_time_command(result: LoadTimesResult) -> RepeatCommand:
    """`edgetui bench --load-time` with as many loads."""
    words = [*_bench(result.side), "--load-time", "-r", str(len(result.warm)), *_load_options(result.side.settings)]
    return _command(words)


def ab_command(result: AbResult) -> RepeatCommand:
    """`edgetui bench --ab` of the same sides; as many blocks as were measured where none are known to be asked."""
    a, b, asked, notes = result.a, result.b, result.settings, []
    if asked is None:
        asked = AbSettings(test=result.test, blocks=max(2, len(result.a_ns) // 2), seed=result.seed)
        notes.append(
            "This comparison did not keep what would end it: the command takes as many blocks as were measured."
        )
    words = _bench(a)
    if a.model_path != b.model_path:
        words.append(no_option(b.model_path or b.model_name))
    words += ["--ab", *_test_options(asked.test), "-r", str(asked.blocks)]
    if asked.until_percent:
        words += ["--until", f"{number(asked.until_percent)}%"]
    if asked.budget_s:
        words += ["--budget", _duration(asked.budget_s)]
    for option, side in (("--a", a), ("--b", b)):
        if settings := _side_words(side.settings):
            words += [option, settings]
    if asked.seed:
        notes.append(f"The bootstrap had seed {asked.seed}, and has 0 in the command.")
    return _command(words, " ".join(notes))


def tune_command(result: TuneResult) -> RepeatCommand:
    """`edgetui autotune` with the same goal and budget."""
    asked, notes = result.settings, []
    if asked is None:
        has_kv_types = any(_kv_types(each.settings) != _kv_types(result.side.settings) for each in result.candidates)
        asked = TuneSettings(goal=result.goal, depth_tokens=result.test.depth_tokens, allow_kv_types=has_kv_types)
        notes.append(
            "This autotune did not keep its budget, nor whether it was to save a profile: the command takes 2 minutes,"
            " and saves one."
        )
    words = ["edgetui", "autotune", no_option(result.side.model_path or result.side.model_name)]
    words += ["--for", asked.goal, "--budget", _duration(asked.budget_s)]
    if asked.depth_tokens:
        words += ["-d", str(asked.depth_tokens)]
    words += [*(["--kv-types"] if asked.allow_kv_types else []), *([] if asked.save_profile else ["--no-save"])]
    if result.side.settings != (AS_A_CHAT if result.side.model_format == "gguf" else _PLAIN):
        started = _side_words(result.side.settings) or "llama-bench's defaults"
        notes.append(f"It began from {started}, and begins from the defaults in the command.")
    return _command(words, " ".join(notes))


def server_load_command(result: ServerLoadResult) -> RepeatCommand:
    """`edgetui server bench` with the same levels."""
    endpoint, asked = result.endpoint, result.settings
    name = f"{endpoint.name}/{endpoint.model}" if endpoint.model else endpoint.name
    options = ["--concurrency", ",".join(map(str, asked.concurrency)), "-p", str(asked.prompt_tokens)]
    options += ["-n", str(asked.generated_tokens), "-r", str(asked.requests)]
    # A name that begins with a dash is none of the options.
    words = ["edgetui", "server", "bench", *options, *(["--"] if name.startswith("-") else []), name]
    notes = ["The server must be known there by this name: edgetui server add."]
    if not endpoint.model:
        notes.append(f"It measures the first model that the server lists, which was {result.model}.")
    return _command(words, " ".join(notes))


def _command(words: list[str], note: str = "") -> RepeatCommand:
    return RepeatCommand(tool="edgetui", text=shell_command(words), note=note)


def _bench(side: BenchSide) -> list[str]:
    return ["edgetui", "bench", no_option(side.model_path or side.model_name)]


def _test_options(test: BenchTest) -> list[str]:
    if test.kind == "pg":
        words = ["-p", "0", "-n", "0", "-pg", f"{test.prompt_tokens},{test.generated_tokens}"]
    else:
        words = ["-p", str(test.prompt_tokens), "-n", str(test.generated_tokens)]
    return [*words, *(["-d", str(test.depth_tokens)] if test.depth_tokens else [])]


def _load_options(settings: BenchSettings) -> list[str]:
    return [word for name, value in _changed(settings) for word in (_LOAD_OPTIONS[name], value)]


def _side_words(settings: BenchSettings) -> str:
    """As `--a` takes them: `threads=2,kv-cache-type=q8_0`."""
    return ",".join(f"{name.replace('_', '-')}={value}" for name, value in _changed(settings))


def _changed(settings: BenchSettings) -> list[tuple[str, str]]:
    """Settings of a load that a plain command would not take."""
    values = [(name, getattr(settings, name)) for name in VARIED if getattr(settings, name) != getattr(_PLAIN, name)]
    return [(name, _word(value)) for name, value in values]


def _word(value: object) -> str:
    if value is None:
        return "auto"
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _kv_types(settings: BenchSettings) -> tuple[str, str | None]:
    return settings.kv_cache_type, settings.kv_cache_type_v


def _duration(seconds: float) -> str:
    for unit, factor in (("h", 3600), ("m", 60)):
        if seconds % factor == 0:
            return f"{int(seconds // factor)}{unit}"
    return f"{number(seconds)}s"
