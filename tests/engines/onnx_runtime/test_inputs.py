"""What arrays of a person's file become before a session takes them."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import GraphValue
from edgetui.engines.onnx_runtime.inputs import feeds_of_file

TINY = (GraphValue("x", "int8", (3,)),)


@pytest.mark.parametrize(("worst", "told"), [(-200, "-200"), (300, "300")])
def test_whole_numbers_that_would_wrap_around_are_refused(tmp_path: Path, worst: int, told: str) -> None:
    path = tmp_path / "wide.npy"
    numpy.save(path, numpy.array([1, worst, 5]))
    with pytest.raises(EdgetuiError, match=f"x in wide.npy holds {told}, and the graph takes int8") as caught:
        feeds_of_file(path, TINY)
    assert caught.value.failure.kind == "bad_request"


def test_whole_numbers_of_a_wider_type_that_fit_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "fits.npy"
    numpy.save(path, numpy.array([127, -128, 5]))
    found = feeds_of_file(path, TINY)["x"]
    assert str(found.dtype) == "int8" and found.tolist() == [127, -128, 5]
