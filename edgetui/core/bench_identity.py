"""Which rows tell of one measurement, and which of one set-up: by all settings that both of them state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.llama_bench_columns import COLUMNS, TIME_FORM, file_name, model_type_of

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow


def place(row: BenchRow) -> tuple[str, str]:
    """Rows of one measurement have one place, whichever form each came in; others may share it, see `is_same`."""
    return row.name, f"{row.mean_tps:.2f}"


def is_same(first: BenchRow, second: BenchRow) -> bool:
    """Whether two rows tell of one measurement, though one form rounds its figures and another leaves out the time."""
    if place(first) != place(second) or not (_is_one_model(first, second) and _agree(first, second)):
        return False
    if not (_alike(first.threads, second.threads) and _alike(first.engine_version, second.engine_version)):
        return False
    if first.samples_ns and second.samples_ns:
        return first.samples_ns == second.samples_ns
    if f"{first.sd_tps or 0:.2f}" != f"{second.sd_tps or 0:.2f}":
        return False
    times = {told for row in (first, second) if (told := _told_time(row))}
    return len(times) < 2


def belong(first: BenchRow, second: BenchRow) -> bool:
    """Whether two rows were measured with one set-up besides threads; what one does not state is not held against it,
    but a column of llama-bench that is left out has its default."""
    a, b = first.other_settings, second.other_settings
    return _agree(first, second) and all(
        _alike(a.get(name, _default(name)), b.get(name, _default(name))) for name in a.keys() | b.keys()
    )


def set_up(row: BenchRow) -> tuple[object, ...]:
    """All settings of the load besides threads; equal for rows of one curve."""
    others = ((name, value) for name, value in row.other_settings.items() if value != _default(name))
    return (
        *(row.kv_cache_type, row.kv_cache_type_v or row.kv_cache_type, row.batch_tokens, row.physical_batch_tokens),
        *(row.flash_attention, row.gpu_layers, row.use_mmap, bool(row.huge_pages), row.backend, tuple(sorted(others))),
    )


def _agree(first: BenchRow, second: BenchRow) -> bool:
    """On each setting that both state."""
    a, b = first.other_settings, second.other_settings
    return (
        first.kv_cache_type == second.kv_cache_type
        and (first.kv_cache_type_v or first.kv_cache_type) == (second.kv_cache_type_v or second.kv_cache_type)
        and first.batch_tokens == second.batch_tokens
        and _alike(first.physical_batch_tokens, second.physical_batch_tokens)
        and _alike(first.flash_attention, second.flash_attention)
        and _alike(first.backend, second.backend)
        and (first.gpu_layers is None or second.gpu_layers is None or first.gpu_layers == second.gpu_layers)
        and (first.use_mmap is None or second.use_mmap is None or first.use_mmap == second.use_mmap)
        and (first.huge_pages is None or second.huge_pages is None or first.huge_pages == second.huge_pages)
        and all(_alike(a[name], b[name]) for name in a.keys() & b.keys())
    )


def _is_one_model(first: BenchRow, second: BenchRow) -> bool:
    """By its file, type, size and count of parameters, as far as both rows tell them: Markdown rounds and shortens."""
    return (
        _alike(file_name(first.model_path), file_name(second.model_path))
        and _alike(_letters(model_type_of(first)), _letters(model_type_of(second)))
        and _alike(_rounded(first.model_size_bytes, 2**20), _rounded(second.model_size_bytes, 2**20))
        and _alike(_rounded(first.model_parameter_count, 10**6), _rounded(second.model_parameter_count, 10**6))
    )


def _letters(text: str) -> str:
    """Each form has its own way with signs and line ends."""
    return "".join(filter(str.isalnum, text))


def _rounded(amount: int, unit: int) -> str:
    """As Markdown gives it: with two decimals of a thousand units from there on."""
    if not amount:
        return ""
    thousand = unit * (1024 if unit == 2**20 else 1000)
    return f"{amount / unit:.2f}" if amount < thousand else f"{amount / thousand:.2f}k"


def _default(name: str) -> str:
    return COLUMNS.get(name, ("", ""))[1]


def _told_time(row: BenchRow) -> str:
    """When a row says that it was measured; empty for one that came without a time."""
    if row.source or row.other_columns:
        return dict(row.other_columns).get("test_time", "")
    return time.strftime(TIME_FORM, time.gmtime(row.measured_at))


def _alike(first: object, second: object) -> bool:
    return not first or not second or first == second
