"""Commands of mlx-lm, and a program over it, that repeat a run or a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import REPETITIONS, RepeatCommand
from edgetui.core.repeat_python import literal, message_list, program
from edgetui.core.shell_words import fits_argument, number, piped, shell_command
from edgetui.core.units import counted

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.repeat_commands import RunFacts

_NEEDS = "pip install mlx-lm."
_UNLIMITED = 1_000_000
"""mlx-lm ends after 100 or 256 tokens unless told otherwise."""


def mlx_run(facts: RunFacts) -> RepeatCommand | None:
    """`mlx_lm.generate`; None for a text that no command can be given."""
    sampling = facts.sampling
    words = ["python", "-m", "mlx_lm", "generate", "--model", facts.where]
    words += ["--max-tokens", str(sampling.max_tokens or _UNLIMITED)]
    words += ["--temp", number(sampling.temperature), "--top-k", str(sampling.top_k)]
    words += ["--top-p", number(sampling.top_p), "--min-p", number(sampling.min_p)]
    if sampling.seed is not None:
        words += ["--seed", str(sampling.seed)]
    if facts.prompt is not None:
        words.append("--ignore-chat-template")
    elif facts.system:
        words.append(f"--system-prompt={facts.system}")
    if not all(fits_argument(word) for word in words) or "\0" in facts.question:
        return None
    text = facts.question
    # mlx-lm takes \n and \t in an argument for the characters they stand for, and - for stdin.
    if text == "-" or "\\n" in text or "\\t" in text or not fits_argument(text):
        command = piped(text, shell_command([*words, "-p", "-"]))
    else:
        command = shell_command([*words, f"--prompt={text}"])
    return RepeatCommand(tool="mlx_lm.generate", text=command, note=_run_notes(facts))


def mlx_python(facts: RunFacts) -> RepeatCommand:
    """`mlx_lm.generate` with the sampler that the command line makes, and penalties besides."""
    sampling = facts.sampling
    lines = ["import mlx.core as mx", "from mlx_lm import generate, load"]
    lines += ["from mlx_lm.sample_utils import make_logits_processors, make_sampler", ""]
    if sampling.seed is not None:
        lines.append(f"mx.random.seed({sampling.seed})")
    lines.append(f"model, tokenizer = load({literal(facts.where)})")
    if facts.prompt is not None:
        lines.append(f"prompt = {literal(facts.prompt)}")
    else:
        lines += [
            f"messages = {message_list(facts, '')}",
            "prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)",
        ]
    sampler = f"temp={number(sampling.temperature)}, top_p={number(sampling.top_p)}, min_p={number(sampling.min_p)}"
    penalties = {
        "repetition_penalty": sampling.repeat_penalty if sampling.repeat_penalty != 1 else 0,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    wanted = {name: number(value) for name, value in penalties.items() if value}
    if "repetition_penalty" in wanted:
        wanted["repetition_context_size"] = str(sampling.repeat_last_tokens)
    lines += [
        "answer = generate(",
        "    model,",
        "    tokenizer,",
        "    prompt,",
        f"    max_tokens={sampling.max_tokens or _UNLIMITED},",
        f"    sampler=make_sampler({sampler}, top_k={sampling.top_k}),",
        f"    logits_processors=make_logits_processors({', '.join(f'{k}={v}' for k, v in wanted.items())}),",
        ")",
        "print(answer)",
    ]
    return program("Python (mlx-lm)", lines, _run_notes(facts, in_python=True))


def mlx_bench(row: BenchRow) -> RepeatCommand:
    """`mlx_lm.benchmark`, which always measures a prefill and a decode together."""
    folder = row.model_path.rpartition("/")[0] or "."
    prompt = {"pp": row.tokens, "tg": max(1, row.depth_tokens), "pg": row.prompt_tokens}[row.test]
    generated = 1 if row.test == "pp" else row.tokens
    words = ["python", "-m", "mlx_lm", "benchmark", "--model", folder]
    words += ["-p", str(prompt), "-g", str(generated), "-n", str(len(row.samples_ns) or REPETITIONS)]
    words += ["--prefill-step-size", str(row.batch_tokens)]
    which = "prompt_tps" if row.test == "pp" else "generation_tps"
    notes = [f"The row's rate stands there as {which}."]
    if row.test == "pp" and row.depth_tokens:
        notes.append("It prefills from an empty cache, the row from the depth it names.")
    if row.test == "pg":
        notes.append("The row's rate is that of both together; the command tells each.")
    return RepeatCommand(tool="mlx_lm.benchmark", text=shell_command(words), note=" ".join([_NEEDS, *notes]))


def _run_notes(facts: RunFacts, *, in_python: bool = False) -> str:
    sampling, notes = facts.sampling, [_NEEDS]
    if not in_python:
        if facts.earlier_messages:
            notes.append(
                f"Repeats the last question without the {counted(facts.earlier_messages, 'message')} before it."
            )
        if sampling.repeat_penalty != 1 or sampling.presence_penalty or sampling.frequency_penalty:
            notes.append("Without the penalties, for which it has no option; the Python program has them.")
    if sampling.stop:
        notes.append("It goes on past the stop texts.")
    if facts.reuse_note:
        notes.append(facts.reuse_note)
    if facts.repo:
        notes.append(f"The model came from {facts.repo} on the hub.")
    return " ".join(notes)
