"""`make bench`: every measurement, its bar, and the page that keeps them."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import (
    bench_agreement,
    cancel_rounds,
    decode_ratio,
    doctor_time,
    download_ratio,
    family_error,
    first_frame,
    forecast_error,
    genai_ratio,
    header_read,
    idle_cost,
    key_repaint,
    library_list,
    long_chat,
    memory_error,
    perplexity_ratio,
    quantize_ratio,
    resume_rounds,
    search_paint,
    server_ratio,
    streaming_cost,
)
from benchmarks.machine import describe
from benchmarks.report import as_markdown, show

PARTS = (
    decode_ratio,
    bench_agreement,
    genai_ratio,
    server_ratio,
    first_frame,
    doctor_time,
    download_ratio,
    resume_rounds,
    search_paint,
    header_read,
    library_list,
    family_error,
    streaming_cost,
    key_repaint,
    long_chat,
    idle_cost,
    quantize_ratio,
    cancel_rounds,
    perplexity_ratio,
    memory_error,
    forecast_error,
)
PAGE = Path(__file__).with_name("results.md")


def main() -> int:
    """Measure everything; exit status 1 when a bar was missed."""
    machine = describe()
    print("\n".join(machine), flush=True)
    results = [result for part in PARTS for result in part.measure()]
    PAGE.write_text(as_markdown(results, machine), encoding="utf-8")
    return show(results)


if __name__ == "__main__":
    sys.exit(main())
