"""The stop flag tells whoever wants to know, once, and nobody whose work is over."""

from __future__ import annotations

from edgetui.engines.stopping import StopFlag


def test_setting_tells_those_that_listen_and_no_longer_those_that_are_done() -> None:
    flag, told = StopFlag(), list[str]()
    with flag.telling(lambda: told.append("over")):
        pass
    with flag.telling(lambda: told.append("first")), flag.telling(lambda: told.append("second")):
        assert told == [] and not flag.is_set
        flag.set()
        assert told == ["first", "second"] and flag.is_set
    flag.set()
    assert told == ["first", "second"]


def test_a_flag_that_is_set_already_tells_at_once() -> None:
    flag, told = StopFlag(), list[str]()
    flag.set()
    with flag.telling(lambda: told.append("late")):
        assert told == ["late"]
