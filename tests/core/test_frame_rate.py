from __future__ import annotations

from edgetui.core.frame_rate import frames_per_second


def test_the_screen_is_fluid_where_a_processor_is_free_and_thrifty_where_none_is() -> None:
    assert frames_per_second(0, threads=3, processors=4) > frames_per_second(0, threads=4, processors=4)


def test_a_rate_that_was_asked_for_is_kept() -> None:
    assert frames_per_second(25, threads=4, processors=4) == 25
