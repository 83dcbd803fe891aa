"""Commands that repeat the latency of an ONNX graph in a plain session: edgetui's, and a program over onnxruntime."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.onnx_latency import OnnxRunSettings
from edgetui.core.repeat_commands import RepeatCommand
from edgetui.core.repeat_python import literal, program
from edgetui.core.shell_words import number, shell_command

if TYPE_CHECKING:
    from edgetui.core.onnx_latency import FedInput, OnnxLatencyRow

_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_IDS = re.compile(r"ids below (\d+)")
_MADE = {
    "true": "np.full({shape}, True)",
    "false": "np.full({shape}, False)",
    "ones": "np.ones({shape})",
    "one": "np.ones({shape})",
    "zeros": "np.zeros({shape})",
    "normally distributed": "random.standard_normal({shape})",
    "positions in order": "np.broadcast_to(np.arange({last}), {shape})",
    "pixels of 0 to 255": "random.integers(0, 256, {shape})",
    "zeros and ones": "random.integers(0, 2, {shape})",
}
"""What an input holds, in a row's words, to the NumPy that makes it; in the same order the random numbers are the same.
"""


def latency_commands(row: OnnxLatencyRow) -> tuple[RepeatCommand, ...]:
    """Every way to repeat a row, edgetui's own first."""
    return (_edgetui(row), _onnxruntime(row))


def _edgetui(row: OnnxLatencyRow) -> RepeatCommand:
    settings, plain = row.settings, OnnxRunSettings()
    path = row.model_path or row.model_name
    words = ["edgetui", "onnx", "run", f"./{path}" if path.startswith("-") else path]
    if settings.sizes and not settings.file:
        words.append(f"--input={settings.sizes}")
    if settings.file:
        words.append(f"--file={settings.file}")
    words += ["--provider", row.provider, "-t", str(row.threads), "--warm-up", str(settings.warm_up)]
    words += ["--runs", str(settings.runs)] if settings.runs else ["--budget", number(settings.budget_s)]
    if settings.opt_level != plain.opt_level:
        words += ["--opt-level", settings.opt_level]
    if settings.mode != plain.mode:
        words += ["--mode", settings.mode]
    if settings.inter_threads:
        words += ["--inter-threads", str(settings.inter_threads)]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    if settings.profile:
        words.append("--profile")
    return RepeatCommand(tool="edgetui", text=shell_command(words))


def _onnxruntime(row: OnnxLatencyRow) -> RepeatCommand:
    settings = row.settings
    wanted = f"{row.provider}ExecutionProvider"
    providers = [wanted] if row.provider == "CPU" else [wanted, "CPUExecutionProvider"]
    mode = "ORT_PARALLEL" if settings.mode == "parallel" else "ORT_SEQUENTIAL"
    lines = [
        "import time",
        "",
        "import numpy as np",
        "import onnxruntime as ort",
        "",
        "options = ort.SessionOptions()",
        f"options.intra_op_num_threads = {row.threads}",
        f"options.inter_op_num_threads = {settings.inter_threads}",
        f"options.graph_optimization_level = ort.GraphOptimizationLevel.{_LEVELS[settings.opt_level]}",
        f"options.execution_mode = ort.ExecutionMode.{mode}",
        f"session = ort.InferenceSession({literal(row.model_path)}, options, providers={literal(providers)})",
        *_feeds(row),
        "",
        "",
        "def run():",
        "    began = time.perf_counter()",
        "    session.run(None, feeds)",
        "    return 1000 * (time.perf_counter() - began)",
        "",
        "",
        f"for _ in range({settings.warm_up}):",
        "    run()",
        f"times = [run() for _ in range({len(row.samples_ns)})]",
        "p50, p90, p99 = np.percentile(times, (50, 90, 99))",
        'figures = f"p50 {p50:.4g} ms, p90 {p90:.4g}, p99 {p99:.4g}, mean {np.mean(times):.4g}"',
        "print(session.get_providers()[0], figures)",
    ]
    notes = [f"Measured with onnxruntime {row.engine_version}; pip install onnxruntime numpy."]
    if row.provider != "CPU":
        notes.append(f"The package must be one that has {wanted}.")
    if settings.profile:
        notes.append("Without the profile.")
    return program("Python (onnxruntime)", lines, " ".join(notes))


def _feeds(row: OnnxLatencyRow) -> list[str]:
    settings = row.settings
    if settings.file:
        stored = [f"stored = np.load({literal(settings.file)})"]
        arrays = [
            (each.name, f'(stored[{literal(each.name)}] if hasattr(stored, "files") else stored)', each.type_name)
            for each in row.inputs
        ]
    else:
        stored = [f"random = np.random.default_rng({settings.seed})"]
        arrays = [(each.name, _made(each), each.type_name) for each in row.inputs]
    named = [f"    {literal(name)}: {array}.astype({literal(type_name)})," for name, array, type_name in arrays]
    return [*stored, "feeds = {", *named, "}"]


def _made(fed: FedInput) -> str:
    shape, last = repr(tuple(fed.shape)), fed.shape[-1] if fed.shape else 1
    if found := _IDS.fullmatch(fed.content):
        return f"random.integers(0, {found[1]}, {shape})"
    return _MADE[fed.content].format(shape=shape, last=last)
