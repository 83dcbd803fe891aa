"""Commands of llama.cpp's own tools, and a program over llama-cpp-python, that repeat a run or a row.

Options are those of the llama.cpp inside the llama-cpp-python that edgetui is built with (`common/arg.cpp`,
`tools/llama-bench`). What llama.cpp would take by itself is said all the same where edgetui takes something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import REPETITIONS, RepeatCommand
from edgetui.core.repeat_python import call, literal, message_list, program
from edgetui.core.shell_words import fits_argument, number, piped, shell_command
from edgetui.core.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.core.bench import BenchRow
    from edgetui.core.repeat_commands import RunFacts
    from edgetui.core.run_settings import LoadSettings, SamplingSettings
    from edgetui.core.studies import SoakResult

_SAMPLERS = "penalties;top_k;top_p;min_p;temperature"
"""The order of edgetui's own chain."""
_GGML_TYPES = {
    "f32": "GGML_TYPE_F32", "f16": "GGML_TYPE_F16", "bf16": "GGML_TYPE_BF16", "q8_0": "GGML_TYPE_Q8_0",
    "q5_1": "GGML_TYPE_Q5_1", "q5_0": "GGML_TYPE_Q5_0", "q4_1": "GGML_TYPE_Q4_1", "q4_0": "GGML_TYPE_Q4_0",
    "iq4_nl": "GGML_TYPE_IQ4_NL",
}  # fmt: skip
_WITH_HUGE_PAGES = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
"""glibc (2.35 and newer) then asks for huge pages for all that it allocates; no tool has an option for that."""
_HUGE_NOTE = f"Under {_WITH_HUGE_PAGES} the KV cache and buffers lie in huge pages too; edgetui asks for weights alone."
_COMMA = "llama-bench takes a comma in the path for the end of it: link the file under another name."
"""It takes a list of models."""
_ROPE_TYPES = {"none": "NONE", "linear": "LINEAR", "yarn": "YARN"}
_NUMA_TYPES = {"distribute": "DISTRIBUTE", "isolate": "ISOLATE", "numactl": "NUMACTL"}


def llama_run(facts: RunFacts) -> RepeatCommand | None:
    """`llama-cli` for a chat, `llama-completion` for a raw prompt; None for a text that no command can be given."""
    raw = facts.prompt is not None
    tool = "llama-completion" if raw else "llama-cli"
    words = [tool, "-m", facts.path, *_load_words(facts), *_sampling_words(facts.sampling), *_drafting(facts, raw)]
    # Otherwise backslashes of the prompt would be taken for escapes.
    words += ["--no-escape", *(["-no-cnv", "--no-display-prompt"] if raw else ["--single-turn"])]
    if facts.system and not raw:
        words += ["-sys", facts.system]
    if not all(fits_argument(word) for word in words) or "\0" in facts.question:
        return None
    words = _in_huge_pages(words, facts.in_huge_pages)
    if fits_argument(facts.question):
        command = shell_command([*words, "-p", facts.question])
    else:
        command = piped(facts.question, shell_command([*words, "-f", "/dev/stdin"]))
    return RepeatCommand(tool=tool, text=command, note=_run_notes(facts, raw))


def llama_bench(row: BenchRow) -> RepeatCommand:
    """`llama-bench` of this one test."""
    pair = f"{row.prompt_tokens},{row.tokens}"
    words = ["llama-bench", "-m", row.model_path]
    words += {
        "pp": ["-p", str(row.tokens), "-n", "0"],
        "tg": ["-p", "0", "-n", str(row.tokens)],
        "pg": ["-p", "0", "-n", "0", "-pg", pair],
    }[row.test]
    words += ["-d", str(row.depth_tokens), "-r", str(len(row.samples_ns) or REPETITIONS), "-t", str(row.threads)]
    words += ["-b", str(row.batch_tokens), "-ub", str(row.physical_batch_tokens or 512)]
    words += ["-ctk", row.kv_cache_type, "-ctv", row.kv_cache_type_v or row.kv_cache_type]
    if row.flash_attention:
        words += ["-fa", row.flash_attention]
    if row.gpu_layers is not None:
        words += ["-ngl", str(row.gpu_layers)]
    if row.use_mmap is not None:
        words += ["-lm", "mmap" if row.use_mmap else "none"]
    notes = [_COMMA] if "," in row.model_path else []
    if row.huge_pages:
        notes.append(_HUGE_NOTE)
    words = _in_huge_pages(words, row.huge_pages is True)
    return RepeatCommand(tool="llama-bench", text=shell_command(words), note=" ".join(notes))


def llama_soak(result: SoakResult) -> RepeatCommand | None:
    """`llama-bench` with as many chunks as fill the soak's time at its mean rate; None where none was measured."""
    if not result.samples or result.chunk_tokens <= 0 or result.samples[-1].at_s <= 0:
        return None
    settings, path, began, tokens = result.side.settings, result.side.model_path, 0.0, 0.0
    for sample in result.samples:
        tokens += sample.tps * (sample.at_s - began)
        began = sample.at_s
    chunks = max(1, round(tokens / began * result.duration_s / result.chunk_tokens))
    words = ["llama-bench", "-m", path, "-p", "0", "-n", str(result.chunk_tokens), "-d", str(result.depth_tokens)]
    words += ["-r", str(chunks)]
    if threads := settings.threads or result.threads:
        words += ["-t", str(threads)]
    words += ["-b", str(settings.batch_tokens), "-ub", str(settings.physical_batch_tokens)]
    words += ["-ctk", settings.kv_cache_type, "-ctv", settings.kv_cache_type_v or settings.kv_cache_type]
    words += ["-fa", settings.flash_attention, "-ngl", str(settings.gpu_layers)]
    is_mapped = settings.use_mmap if result.use_mmap is None else result.use_mmap
    if is_mapped is not None:
        words += ["-lm", "mmap" if is_mapped else "none"]
    words = _in_huge_pages([*words, "-o", "json"], result.huge_pages is True)
    notes = [
        "llama-bench takes a count and no duration: so many chunks took as long here. It prints all at the end"
        " (samples_ts), and does not watch the machine."
    ]
    if result.huge_pages:
        notes.append(_HUGE_NOTE)
    if "," in path:
        notes.append(_COMMA)
    return RepeatCommand(tool="llama-bench", text=shell_command(words), note=" ".join(notes))


def llama_python(facts: RunFacts) -> RepeatCommand:
    """A program over llama-cpp-python's high-level class."""
    load, sampling = facts.load, facts.sampling
    raw = facts.prompt is not None
    batch = min(load.batch_tokens, facts.context_tokens) if facts.context_tokens else load.batch_tokens
    arguments: dict[str, str] = {
        "model_path": literal(facts.path),
        "n_ctx": str(facts.context_tokens),
        "n_batch": str(batch),
        "n_ubatch": str(min(load.physical_batch_tokens or batch, batch)),
        "n_gpu_layers": str(load.gpu_layers),
        # llama-cpp-python knows on and off, and takes off by itself.
        "flash_attn": str(load.flash_attention != "off"),
        "verbose": "False",
    }
    if facts.threads:
        arguments["n_threads"] = str(facts.threads)
        arguments["n_threads_batch"] = str(load.threads_prefill or facts.threads)
    arguments.update(_python_load(load, sampling))
    options = {
        "temperature": number(sampling.temperature),
        "top_k": str(sampling.top_k),
        "top_p": number(sampling.top_p),
        "min_p": number(sampling.min_p),
        "repeat_penalty": number(sampling.repeat_penalty),
        "presence_penalty": number(sampling.presence_penalty),
        "frequency_penalty": number(sampling.frequency_penalty),
        "max_tokens": str(sampling.max_tokens or None),
    }
    if sampling.seed is not None:
        options["seed"] = str(sampling.seed)
    if sampling.stop:
        options["stop"] = literal(list(sampling.stop))
    if sampling.ignore_eos:
        options["logit_bias"] = "{model.token_eos(): -1e9}"
    if sampling.grammar:
        options["grammar"] = f"llama_cpp.LlamaGrammar.from_string({literal(sampling.grammar)}, verbose=False)"
    elif sampling.json_schema:
        options["grammar"] = f"llama_cpp.LlamaGrammar.from_json_schema({literal(sampling.json_schema)}, verbose=False)"
    lines = ["import llama_cpp"]
    if load.prompt_lookup:
        lines.append("from llama_cpp.llama_speculative import LlamaPromptLookupDecoding")
    lines += ["", call("model = llama_cpp.Llama", arguments)]
    if raw:
        lines.append(call("answer = model.create_completion", {"prompt": literal(facts.prompt), **options}))
        lines.append('print(answer["choices"][0]["text"])')
    else:
        lines.append(call("answer = model.create_chat_completion", {"messages": message_list(facts), **options}))
        lines.append('print(answer["choices"][0]["message"]["content"])')
    return program("Python (llama-cpp-python)", lines, _python_notes(facts))


def _in_huge_pages(words: list[str], are_asked: bool) -> list[str]:
    """The command in an environment in which its weights lie in huge pages too."""
    return ["env", _WITH_HUGE_PAGES, *words] if are_asked else words


def _load_words(facts: RunFacts) -> Iterator[str]:
    load = facts.load
    yield from ("-c", str(facts.context_tokens))
    yield from ("-b", str(load.batch_tokens), "-ub", str(load.physical_batch_tokens or load.batch_tokens))
    if facts.threads:
        yield from ("-t", str(facts.threads))
    if load.threads_prefill:
        yield from ("-tb", str(load.threads_prefill))
    yield from ("-ctk", load.kv_cache_type, "-ctv", load.kv_cache_type_v or load.kv_cache_type)
    if load.gpu_layers >= 0:
        yield from ("-ngl", str(load.gpu_layers))
    if load.flash_attention != "auto":
        yield from ("-fa", load.flash_attention)
    if load.use_mlock or load.use_mmap is False:
        mode = ("mlock" if load.use_mmap is False else "mmap+mlock") if load.use_mlock else "none"
        yield from ("-lm", mode)
    if load.numa != "off":
        yield from ("--numa", load.numa)
    if load.rope_scaling != "model":
        yield from ("--rope-scaling", load.rope_scaling)
    if load.rope_freq_base:
        yield from ("--rope-freq-base", number(load.rope_freq_base))
    if load.rope_freq_scale:
        yield from ("--rope-freq-scale", number(load.rope_freq_scale))
    for adapter in load.adapters:
        # The value is a row of CSV.
        if adapter.scale == 1:
            yield from ("--lora", _csv(adapter.path))
        else:
            yield from ("--lora-scaled", _csv(f"{adapter.path}:{number(adapter.scale)}"))


def _sampling_words(sampling: SamplingSettings) -> Iterator[str]:
    yield from ("--samplers", _SAMPLERS)
    yield from ("--temp", number(sampling.temperature), "--top-k", str(sampling.top_k))
    yield from ("--top-p", number(sampling.top_p), "--min-p", number(sampling.min_p))
    yield from (
        "--repeat-penalty",
        number(sampling.repeat_penalty),
        "--repeat-last-n",
        str(sampling.repeat_last_tokens),
    )
    if sampling.presence_penalty:
        yield from ("--presence-penalty", number(sampling.presence_penalty))
    if sampling.frequency_penalty:
        yield from ("--frequency-penalty", number(sampling.frequency_penalty))
    if sampling.seed is not None:
        yield from ("-s", str(sampling.seed))
    yield from ("-n", str(sampling.max_tokens or -1))
    for text in sampling.stop:
        yield from ("-r", text)
    if sampling.grammar:
        yield from ("--grammar", sampling.grammar)
    elif sampling.json_schema:
        yield from ("-j", sampling.json_schema)
    if sampling.ignore_eos:
        yield "--ignore-eos"


def _drafting(facts: RunFacts, raw: bool) -> Iterator[str]:
    # llama-completion has no speculative decoding.
    if raw:
        return
    if facts.load.draft_model:
        yield from ("--spec-type", "draft-simple", "-md", facts.load.draft_model)
        yield from ("--spec-draft-n-max", str(facts.load.draft_tokens))
    elif facts.load.prompt_lookup:
        yield from ("--spec-type", "ngram-simple", "--spec-ngram-simple-size-m", str(facts.load.draft_tokens))


def _python_load(load: LoadSettings, sampling: SamplingSettings) -> Iterator[tuple[str, str]]:
    kind_v = load.kv_cache_type_v or load.kv_cache_type
    if (load.kv_cache_type, kind_v) != ("f16", "f16"):
        yield "type_k", f"llama_cpp.{_GGML_TYPES[load.kv_cache_type]}"
        yield "type_v", f"llama_cpp.{_GGML_TYPES[kind_v]}"
    if load.use_mmap is False:
        yield "use_mmap", "False"
    if load.use_mlock:
        yield "use_mlock", "True"
    if load.numa != "off":
        yield "numa", f"llama_cpp.GGML_NUMA_STRATEGY_{_NUMA_TYPES[load.numa]}"
    if load.rope_scaling != "model":
        yield "rope_scaling_type", f"llama_cpp.LLAMA_ROPE_SCALING_TYPE_{_ROPE_TYPES[load.rope_scaling]}"
    if load.rope_freq_base:
        yield "rope_freq_base", number(load.rope_freq_base)
    if load.rope_freq_scale:
        yield "rope_freq_scale", number(load.rope_freq_scale)
    if load.adapters:
        yield "lora_path", literal(load.adapters[0].path)
        yield "lora_scale", number(load.adapters[0].scale)
    if load.prompt_lookup:
        yield "draft_model", f"LlamaPromptLookupDecoding(num_pred_tokens={load.draft_tokens})"
    if sampling.repeat_last_tokens != 64:
        yield "last_n_tokens_size", str(sampling.repeat_last_tokens)


def _csv(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(char in value for char in ',"') else value


def _run_notes(facts: RunFacts, raw: bool) -> str:
    load, notes = facts.load, []
    if facts.earlier_messages:
        notes.append(
            f"Repeats the last question without the {counted(facts.earlier_messages, 'message')} before it; the"
            " Python program has them."
        )
    if load.prompt_cache:
        notes.append("The prompt cache is left out: it is there to save time.")
    if raw and (load.draft_model or load.prompt_lookup):
        notes.append("llama-completion proposes no tokens: the same text, at its own rate.")
    if any(":" in adapter.path and adapter.scale != 1 for adapter in load.adapters):
        notes.append("llama.cpp takes no colon in the path of a scaled adapter: move that file.")
    if raw and facts.sampling.stop:
        notes.append("llama-completion prints the stop text too.")
    if facts.in_huge_pages:
        notes.append(_HUGE_NOTE)
    if facts.reuse_note:
        notes.append(facts.reuse_note)
    if facts.repo:
        notes.append(f"The model came from {facts.repo} on the hub.")
    return " ".join(notes)


def _python_notes(facts: RunFacts) -> str:
    load, sampling = facts.load, facts.sampling
    notes = ["pip install llama-cpp-python."]
    if facts.in_huge_pages:
        notes.append(f"The weights lay in huge pages. {_HUGE_NOTE}")
    if load.draft_model:
        notes.append("Without the draft model, which llama-cpp-python does not take: the same text at its own rate.")
    if len(load.adapters) > 1:
        notes.append(f"With the first of {len(load.adapters)} adapters only: llama-cpp-python takes one.")
    if load.prompt_cache:
        notes.append("The prompt cache is left out: it is there to save time.")
    if sampling.repeat_penalty != 1 or sampling.presence_penalty or sampling.frequency_penalty:
        notes.append("Its penalties see the answer alone, and edgetui's the prompt too: the text may differ.")
    if (sampling.grammar or sampling.json_schema) and sampling.temperature:
        notes.append(
            "Its grammar rules tokens out before the samplers, edgetui's and llama-cli's after: one seed may"
            " give other texts."
        )
    if facts.reuse_note:
        notes.append(facts.reuse_note)
    return " ".join(notes)
