from __future__ import annotations

import ctypes
import random

from edgetui.engines.answer_stream import Utf8Stream
from edgetui.engines.stopping import StopFlag
from edgetui.engines.token_prefix import common_prefix


def test_characters_cut_anywhere_come_out_whole() -> None:
    text = "naïve 漢字 👩‍👩‍👧 é🇩🇪 end"
    raw = text.encode()
    for seed in range(50):
        cuts = sorted(random.Random(seed).sample(range(1, len(raw)), 9))
        stream = Utf8Stream()
        pieces = [stream.feed(raw[a:b]) for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        assert "".join(pieces) + stream.finish() == text
        assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


def test_a_character_that_never_becomes_whole_is_replaced_at_the_end() -> None:
    stream = Utf8Stream()
    assert stream.feed("é".encode()[:1]) == ""
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"


def test_common_prefix_counts_equal_leading_tokens() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common_prefix([], [1]) == 0
    assert common_prefix([1, 2], [1, 2]) == 2


def test_native_code_sees_the_stop_flag() -> None:
    flag = StopFlag()
    poll = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(flag.native_callback)
    assert not flag.is_set and poll(flag.native_data) is False
    flag.set()
    assert flag.is_set and poll(flag.native_data) is True
