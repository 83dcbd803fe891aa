"""A stop is heard at once while a call that hears none goes on, and nothing is freed under it."""

from __future__ import annotations

import threading

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.deaf_call import DeafCalls
from edgetui.engines.stopping import StopFlag


def test_what_the_call_gives_comes_back_with_its_failures() -> None:
    calls = DeafCalls()
    assert calls.call(lambda: [1, 2], StopFlag()) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 // 0, StopFlag())
    calls.close()
    calls.close()


def test_a_stop_leaves_the_call_and_closing_waits_for_it() -> None:
    calls, stop, began, may_end = DeafCalls(), StopFlag(), threading.Event(), threading.Event()
    ended: list[str] = []

    def native() -> None:
        began.set()
        may_end.wait(20)
        ended.append("left")

    def stop_once_it_began() -> None:
        began.wait(20)
        stop.set()

    stopper = threading.Thread(target=stop_once_it_began)
    stopper.start()
    with pytest.raises(EdgetuiError) as told:
        calls.call(native, stop)
    stopper.join()
    assert told.value.failure.kind == "cancelled" and not ended and calls.is_busy
    # Another one comes after it, and is never begun when it is stopped before.
    with pytest.raises(EdgetuiError):
        calls.call(lambda: ended.append("next"), stop)
    may_end.set()
    calls.close()
    assert ended == ["left"] and not calls.is_busy
