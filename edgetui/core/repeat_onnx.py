"""Programs over onnxruntime-genai that repeat a run or a row; its package brings no command of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import REPETITIONS
from edgetui.core.repeat_python import literal, message_list, program

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.repeat_commands import RepeatCommand, RunFacts

_NEEDS = "pip install onnxruntime-genai."


def genai_python(facts: RunFacts) -> RepeatCommand:
    """Token after token, as the package's own examples do it."""
    sampling = facts.sampling
    options = {"do_sample": sampling.temperature > 0}
    values: dict[str, object] = dict(options)
    if sampling.temperature > 0:
        values |= {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
        if sampling.seed is not None:
            values["random_seed"] = sampling.seed
    if sampling.repeat_penalty != 1:
        values["repetition_penalty"] = sampling.repeat_penalty
    longest = f"len(tokens) + {sampling.max_tokens}" if sampling.max_tokens else str(facts.context_tokens)
    lines = [
        "import json",
        "",
        "import onnxruntime_genai as og",
        "",
        *_model(facts.where, facts.threads),
        "tokenizer = og.Tokenizer(model)",
    ]
    if facts.prompt is not None:
        lines += [f"tokens = tokenizer.encode({literal(facts.prompt)})"]
    else:
        lines += [
            f"messages = {message_list(facts, '')}",
            "text = tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)",
            "tokens = tokenizer.encode(text)",
        ]
    arguments = "".join(f", {name}={literal(value)}" for name, value in values.items())
    lines += [
        "params = og.GeneratorParams(model)",
        f"params.set_search_options(max_length={longest}{arguments})",
        "generator = og.Generator(model, params)",
        "generator.append_tokens(tokens)",
        "stream = tokenizer.create_stream()",
    ]
    if sampling.stop:
        lines += [f"stops = {literal(list(sampling.stop))}", 'answer = ""']
        lines += [
            "while not generator.is_done() and not any(stop in answer for stop in stops):",
            "    generator.generate_next_token()",
            "    answer += stream.decode(generator.get_next_tokens()[0])",
            "ends = [answer.index(stop) for stop in stops if stop in answer]",
            "print(answer[: min(ends)] if ends else answer)",
        ]
    else:
        lines += [
            "while not generator.is_done():",
            "    generator.generate_next_token()",
            '    print(stream.decode(generator.get_next_tokens()[0]), end="", flush=True)',
            "print()",
        ]
    return program("Python (onnxruntime-genai)", lines, _run_notes(facts))


def genai_bench(row: BenchRow) -> RepeatCommand:
    """The work of the row: random tokens, no sampling, a warm-up, then each repetition's rate."""
    folder = row.model_path.rpartition("/")[0] or "."
    prompt = row.prompt_tokens if row.test == "pg" else row.tokens if row.test == "pp" else 0
    generated = 0 if row.test == "pp" else row.tokens
    lines = [
        "import json",
        "import os",
        "import statistics",
        "import time",
        "",
        "import numpy as np",
        "import onnxruntime_genai as og",
        "",
        f"PROMPT, GENERATED, DEPTH, BATCH = {prompt}, {generated}, {row.depth_tokens}, {row.batch_tokens}",
        *_model(folder, row.threads),
        f'with open(os.path.join({literal(folder)}, "genai_config.json"), encoding="utf-8") as file:',
        '    vocabulary = json.load(file)["model"]["vocab_size"]',
        "params = og.GeneratorParams(model)",
        "params.set_search_options(max_length=DEPTH + PROMPT + GENERATED + 1, batch_size=1)",
        "generator = og.Generator(model, params)",
        "random = np.random.default_rng(0)",
        "",
        "",
        "def append(count, batch):",
        "    for start in range(0, count, batch):",
        "        size = min(batch, count - start)",
        "        generator.append_tokens(random.integers(0, vocabulary, size, dtype=np.int32))",
        "        if batch == 1 or start + size == count:",
        "            generator.get_logits()",
        "",
        "",
        "def run():",
        "    if generator.token_count() > DEPTH:",
        "        generator.rewind_to(DEPTH)",
        "    started = time.perf_counter()",
        "    append(PROMPT, BATCH)",
        "    append(GENERATED, 1)",
        "    return (PROMPT + GENERATED) / (time.perf_counter() - started)",
        "",
        "",
        "append(DEPTH, BATCH)",
        "run()",
        f"rates = [run() for _ in range({len(row.samples_ns) or REPETITIONS})]",
        f'print("{row.name}", [round(rate, 2) for rate in rates], "mean", round(statistics.mean(rates), 2), "tok/s")',
    ]
    return program("Python (onnxruntime-genai)", lines, _NEEDS)


def _model(folder: str, threads: int) -> list[str]:
    if not threads:
        return [f"model = og.Model({literal(folder)})"]
    overlay = json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}})
    return [f"config = og.Config({literal(folder)})", f"config.overlay({overlay!r})", "model = og.Model(config)"]


def _run_notes(facts: RunFacts) -> str:
    notes = [_NEEDS]
    if facts.sampling.min_p and facts.sampling.temperature > 0:
        notes.append("Without min-p, which this program does not set.")
    if facts.reuse_note:
        notes.append(facts.reuse_note)
    if facts.repo:
        notes.append(f"The model came from {facts.repo} on the hub.")
    return " ".join(notes)
