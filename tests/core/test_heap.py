"""What stays out of garbage collections."""

from __future__ import annotations

import gc
import weakref

from edgetui.core.heap import settle_objects


class _Knot:
    def __init__(self) -> None:
        self.own = self


def test_what_is_there_stays_out_of_collections_and_what_became_garbage_since_goes() -> None:
    try:
        knot = _Knot()
        settle_objects()
        assert gc.get_freeze_count() > 0
        gone = weakref.ref(knot)
        del knot
        gc.collect()
        assert gone() is not None, "it was not left out"
        settle_objects()
        assert gone() is None
    finally:
        gc.unfreeze()
