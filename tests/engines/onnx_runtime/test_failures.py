"""What ONNX's libraries raise, as the one sentence that a person reads."""

from __future__ import annotations

import errno

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime.failures import reason, sentence_of, told


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError(), "out_of_memory", "more memory than is free"),
        (RuntimeError("std::bad_alloc"), "out_of_memory", "take a smaller model"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory", "close something"),
        (OSError(errno.ENOSPC, "No space left on device"), "no_space", "free some space"),
        (RuntimeError("write failed: No space left on device"), "no_space", "name another folder"),
        (
            RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Load failed:Unsupported model IR version: 99, max is 13"),
            "unsupported",
            "written in version 99 of ONNX",
        ),
        (
            RuntimeError(
                "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Frob(1) node with name"
            ),
            "unsupported",
            "has the operator Frob,",
        ),
        (ValueError("first words\nsecond line"), "unsupported", "(first words): the log has"),
    ],
)
def test_what_a_library_raises_is_one_sentence(error: Exception, kind: str, words: str) -> None:
    found = sentence_of(error, "model.onnx", "Quantizing")
    assert found.failure.kind == kind and words in str(found)
    assert "model.onnx" in str(found) and "\n" not in str(found)


def test_a_reason_has_no_codes_and_no_folders() -> None:
    error = RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Load model from /home/me/models/model.onnx failed:Bad node")
    assert reason(error) == "Load model from model.onnx failed:Bad node"


def test_a_missing_package_is_told_with_the_command_that_brings_it() -> None:
    with pytest.raises(EdgetuiError, match="edgetui toolchain install onnx") as caught, told("model.onnx", "Reading"):
        raise ImportError("No module named 'onnx_ir'")
    assert caught.value.failure.kind == "engine_missing"


def test_a_sentence_that_is_one_already_passes() -> None:
    with pytest.raises(EdgetuiError, match=r"^mine$"), told("model.onnx", "Reading"):
        raise EdgetuiError("bad_file", "mine")
