"""A matrix of measurements: every combination of the values given for each setting, as llama-bench's lists make it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.bench import PHYSICAL_BATCH_TOKENS, BenchSettings, BenchTest
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import KvCacheType
from edgetui.core.setting_values import converted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from edgetui.core.models import ModelFormat

MOST_CELLS = 1000
"""A larger matrix is a slip of the hand."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values of each setting; a cell is one choice of each, measured in a process of its own with all of the tests."""

    prompt_tokens: tuple[int, ...] = (512,)
    """llama-bench's -p; 0 or nothing leaves prefill out."""
    generated_tokens: tuple[int, ...] = (128,)
    """-n."""
    prompt_and_generated: tuple[tuple[int, int], ...] = ()
    """-pg: prompt and generated tokens within one time."""
    depth_tokens: tuple[int, ...] = (0,)
    """-d: each test is made at each of them."""
    threads: tuple[int, ...] = (0,)
    batch_tokens: tuple[int, ...] = (2048,)
    physical_batch_tokens: tuple[int, ...] = (PHYSICAL_BATCH_TOKENS,)
    kv_cache_type: tuple[KvCacheType, ...] = ("f16",)
    kv_cache_type_v: tuple[KvCacheType | None, ...] = (None,)
    flash_attention: tuple[Literal["auto", "on", "off"], ...] = ("auto",)
    gpu_layers: tuple[int, ...] = (-1,)
    use_mmap: tuple[bool | None, ...] = (True,)
    huge_pages: tuple[bool, ...] = (False,)
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 5
    until_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    budget_s: Annotated[float, Meta(ge=0, le=86_400)] = 0

    def tests(self) -> tuple[BenchTest, ...]:
        """Tests of a cell in llama-bench's order: at each depth the prompts, the generations, then both together."""
        tests: list[BenchTest] = []
        for depth in self.depth_tokens or (0,):
            tests += (BenchTest(tokens, 0, depth) for tokens in self.prompt_tokens if tokens)
            tests += (BenchTest(0, tokens, depth) for tokens in self.generated_tokens if tokens)
            tests += (BenchTest(prompt, generated, depth) for prompt, generated in self.prompt_and_generated)
        return tuple(dict.fromkeys(test for test in tests if test.computed_tokens))

    def cells(self) -> tuple[BenchSettings, ...]:
        """Settings of each cell, the last list changing fastest; raises `EdgetuiError("bad_request")`."""
        tests = self.tests()
        if not tests:
            raise EdgetuiError("bad_request", "There is nothing to measure: ask for prompt tokens or generated tokens.")
        lists = [tuple(dict.fromkeys(getattr(self, name))) for name in VARIED]
        if missing := next((name for name, values in zip(VARIED, lists, strict=True) if not values), None):
            raise EdgetuiError("bad_request", f"No value is given for {missing.replace('_', ' ')}: give at least one.")
        chosen = list(itertools.islice(itertools.product(*lists), MOST_CELLS + 1))
        if len(chosen) > MOST_CELLS:
            raise EdgetuiError(
                "bad_request", f"These lists make more than {MOST_CELLS} combinations: give fewer values."
            )
        shared = {
            "prompt_tokens": 0,
            "generated_tokens": 0,
            "tests": tests,
            "repetitions": self.repetitions,
            "until_percent": self.until_percent,
            "budget_s": self.budget_s,
        }
        return tuple(
            converted({**shared, **dict(zip(VARIED, values, strict=True))}, BenchSettings) for values in chosen
        )

    def varying(self) -> tuple[str, ...]:
        """Names of the settings of which there is more than one value."""
        return tuple(name for name in VARIED if len(set(getattr(self, name))) > 1)


VARIED = (
    "threads", "batch_tokens", "physical_batch_tokens", "kv_cache_type", "kv_cache_type_v", "flash_attention",
    "gpu_layers", "use_mmap", "huge_pages",
)  # fmt: skip
"""Settings of a load that a matrix combines; fields of `Matrix` and `BenchSettings` alike."""

_APPLIED: dict[ModelFormat, tuple[str, ...]] = {"onnx": ("threads", "batch_tokens"), "mlx": ("batch_tokens",)}
"""Of these what an engine of other files than GGUF does something with."""
_ENGINES: dict[ModelFormat, str] = {"onnx": "onnxruntime-genai", "mlx": "mlx"}
_DEFAULTS = BenchSettings()


def require_applied(model_name: str, model_format: ModelFormat, settings: BenchSettings) -> None:
    """Raise `EdgetuiError("unsupported")` for a setting that would be told of a row and change nothing in it."""
    applied = _APPLIED.get(model_format, VARIED)
    for name in VARIED:
        value = getattr(settings, name)
        # mlx has one thread on a processor, so that one is what it is asked for.
        if name in applied or value == getattr(_DEFAULTS, name) or (name, value) == ("threads", 1):
            continue
        raise EdgetuiError(
            "unsupported",
            f"{_ENGINES[model_format]}, which measures {model_name}, does nothing with {told_setting(name, value)}:"
            f" leave that setting at {_default_word(name)}.",
        )


def _default_word(name: str) -> str:
    value = getattr(_DEFAULTS, name)
    if value is None:
        return "the K cache's"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def ttft_lengths(longest: int) -> tuple[int, ...]:
    """Prompt lengths of a curve: powers of two from 16, and the longest itself."""
    lengths = [1 << power for power in range(4, 21) if 1 << power < longest]
    return (*lengths, longest)


def cell_labels(cells: Sequence[tuple[str, BenchSettings]]) -> list[str]:
    """What tells these models with their settings apart: `threads 2, flash attention on`."""
    traits = [(name, *(told_setting(field, getattr(settings, field)) for field in VARIED)) for name, settings in cells]
    columns = [column for column in zip(*traits, strict=True) if len(set(column)) > 1]
    if not columns:
        return [name for name, _ in cells]
    return [", ".join(values) for values in zip(*columns, strict=True)]


def path_labels(first: PurePath, second: PurePath) -> tuple[str, str]:
    """The shortest ends of two paths that tell them apart: `old/mm.gguf` and `new/mm.gguf`."""
    count = 1
    while first.parts[-count:] == second.parts[-count:] and count < max(len(first.parts), len(second.parts)):
        count += 1
    return str(type(first)(*first.parts[-count:])), str(type(second)(*second.parts[-count:]))


def told_setting(field: str, value: object) -> str:
    """A setting with its value in words."""
    words = {
        "kv_cache_type": "KV",
        "kv_cache_type_v": "V",
        "physical_batch_tokens": "ubatch",
        "batch_tokens": "batch",
        "gpu_layers": "GPU layers",
        "use_mmap": "mmap",
    }.get(field, field.replace("_", " "))
    if field == "threads" and value == 0:
        return "threads as physical cores"
    if field == "gpu_layers" and value == -1:
        return "GPU layers all"
    if field == "use_mmap" and value is None:
        return "mmap by the memory"
    if isinstance(value, bool):
        return f"{words} {'on' if value else 'off'}"
    return f"{words} {'as K' if value is None else value}"
