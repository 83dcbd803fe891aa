"""Engines proved by running them, and what a proof says when the process dies, hangs or computes wrong."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import self_test as llama_cpp_self_test
from edgetui.engines.onnx_runtime import self_test as onnx_self_test
from edgetui.services.readiness import self_tests

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.readiness import Check
    from edgetui.services.lab import Lab


async def test_each_engine_is_proved_in_a_process_of_its_own(lab: Lab) -> None:
    found = {check.key: check async for check in lab.readiness.prove()}
    assert list(lab.readiness.proof_titles) == ["proof_product", "proof_tokens", "proof_onnx"]
    assert {check.state for check in found.values()} == {"ok"}, found
    assert found["proof_product"].found.startswith("a product of 64x256 numbers is exact")
    assert "a product is exact on CPU" in found["proof_onnx"].found
    assert {check.group for check in found.values()} == {"Self-tests"}


def test_wrong_numbers_are_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp_self_test, "_product", lambda matrix, vector, threads: (0.0,) * len(matrix))
    with pytest.raises(EdgetuiError, match=r"^ggml computed \d+ of 64 sums of a matrix product wrong"):
        llama_cpp_self_test.prove_product()
    monkeypatch.setattr(onnx_self_test, "_WEIGHTS", (1.0, 2.0, 3.0, 4.0, 5.0, 7.0))
    model = onnx_self_test.product_model()
    monkeypatch.undo()
    monkeypatch.setattr(onnx_self_test, "product_model", lambda: model)
    with pytest.raises(EdgetuiError, match=r"^ONNX Runtime's CPU provider computes wrong"):
        onnx_self_test.prove_providers()


async def test_a_process_that_dies_fails_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'Illegal instruction' >&2\nexit 132\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    line = await self_tests.prove_onnx_runtime()
    assert line.state == "fail" and line.found == "its process ended without a result (Illegal instruction)"
    assert line.action.endswith("onnxruntime")
    assert (await self_tests.prove_llama_cpp_product(tmp_path)).state == "fail"


async def test_an_engine_that_hangs_is_not_proved(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(self_tests, "LIMIT_S", 0.5)

    async def all_of_them() -> dict[str, Check]:
        return {check.key: check async for check in lab.readiness.prove()}

    found = await asyncio.wait_for(all_of_them(), 30)
    assert {check.state for check in found.values()} == {"fail"}
    assert found["proof_onnx"].found == "no answer within 0 s"
