"""A calibration with a tiny budget, really computed by ggml."""

from __future__ import annotations

import pytest

from edgetui.core.calibration import ATTENTION_CACHE_TYPES, HEAD_WIDTHS
from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.calibrate import FEWEST_ROUNDS, calibrate, thread_counts
from edgetui.engines.stopping import StopFlag

BUFFER = 4 * 1024 * 1024


def test_every_type_and_number_of_threads_gets_figures_that_hold_together() -> None:
    shares: list[float] = []
    made = calibrate(0.0, BUFFER, shares.append, StopFlag(), ("F16", "Q4_K"))
    assert made.rounds == FEWEST_ROUNDS and made.buffer_bytes == BUFFER
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1
    assert tuple(part.threads for part in made.threads) == thread_counts()
    for part in made.threads:
        assert [entry.type_name for entry in part.types] == ["F16", "Q4_K"]
        assert {(entry.head_width, entry.cache_type) for entry in part.attention} == {
            (width, name) for width in HEAD_WIDTHS for name in ATTENTION_CACHE_TYPES
        }
        rates = [part.bandwidth, *(rate for entry in part.attention for rate in (entry.alone, entry.prefill))]
        rates += [rate for entry in part.types for rate in (entry.decode, entry.prefill)]
        assert all(0 < rate.low <= rate.per_s <= rate.high for rate in rates)
        assert part.node_s > 0 and part.matmul_node_s > 0 and part.element_s > 0
        # No type is read faster than the bandwidth.
        assert all(
            entry.decode.per_s * bytes_a_weight <= part.bandwidth.per_s * 1.0001
            for entry, bytes_a_weight in zip(part.types, (2.0, 144 / 256), strict=True)
        )


def test_a_stop_ends_it_before_anything_is_measured() -> None:
    stop = StopFlag()
    stop.set()
    with pytest.raises(EdgetuiError) as caught:
        calibrate(8.0, BUFFER, lambda share: None, stop)
    assert caught.value.failure.kind == "cancelled"
