"""Engines proved by running them, each in a worker process of its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.readiness import Check, CheckState
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.services.readiness.engines import demo_model, pip
from edgetui.worker.protocol import EngineProved, Finished, Generate, Load, Proved, ProveEngine, Tokens
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 120.0
"""Loading a library from an SD card, and a few tokens of the demo model on its slowest board."""
_TOKENS = 8
_WHY = "That an engine is installed does not mean that it computes right on this processor."


async def prove_llama_cpp_product(log_dir: Path) -> Check:
    """One matrix product of ggml's, compared with Python's."""
    needed = "exact numbers"
    try:
        async with session_worker(log_dir) as worker, aclosing(worker.request(ProveEngine())) as events:
            async for event in events:
                if isinstance(event, EngineProved):
                    return _line("proof_product", "llama.cpp", "ok", event.found, needed)
    except EdgetuiError as error:
        return _line("proof_product", "llama.cpp", "fail", str(error), needed, _reinstall("llama-cpp-python"))
    raise AssertionError("a request ends with its answer or raises")


async def prove_llama_cpp_tokens(log_dir: Path) -> Check:
    """A few tokens of the demo model, the likeliest each time."""
    key, title, needed = "proof_tokens", "llama.cpp chat", f"{_TOKENS} tokens from the demo model"
    path = await asyncio.to_thread(demo_model)
    if path is None:
        return _line(key, title, "skip", "the demo model is not installed", needed)
    question = Generate(
        turn=1,
        messages=(ChatMessage("user", "Name a colour."),),
        sampling=SamplingSettings(temperature=0, max_tokens=_TOKENS, ignore_eos=True),
    )
    load = Load(path=str(path), settings=LoadSettings(context_tokens=512))
    text, finished = "", None
    try:
        async with session_worker(log_dir) as worker:
            async with aclosing(worker.request(load)) as events:
                async for _ in events:
                    pass
            async with aclosing(worker.request(question)) as events:
                async for event in events:
                    if isinstance(event, Tokens):
                        text += event.text
                    elif isinstance(event, Finished):
                        finished = event
    except EdgetuiError as error:
        return _line(key, title, "fail", str(error), needed, _reinstall("llama-cpp-python"))
    assert finished is not None
    if finished.generated_tokens != _TOKENS or not text.strip():
        found = f"{finished.generated_tokens} tokens came, and the text {text!r}"
        return _line(key, title, "fail", found, needed, _reinstall("llama-cpp-python"))
    words = " ".join(text.split())
    return _line(key, title, "ok", f"{finished.generated_tokens} tokens came: {words!r}", needed)


async def prove_onnx_runtime() -> Check:
    """One matrix product on every execution provider."""
    key, title, needed = "proof_onnx", "ONNX Runtime", "exact numbers"
    if await asyncio.to_thread(find_spec, "onnxruntime") is None:
        return _line(key, title, "skip", "not installed", needed, f"{pip()} install onnxruntime")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edgetui.worker.onnx_self_test",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = out.decode("utf-8", "replace").strip().splitlines()
    try:
        proved = msgspec.json.decode(lines[-1] if lines else "", type=Proved)
    except msgspec.MsgspecError:
        said = err.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else f"status {process.returncode}"
        return _line(
            key, title, "fail", f"its process ended without a result ({reason})", needed, _reinstall("onnxruntime")
        )
    if proved.failure is not None:
        return _line(key, title, "fail", proved.failure.message, needed, _reinstall("onnxruntime"))
    return _line(key, title, "ok", proved.found, needed)


def _reinstall(package: str) -> str:
    return f"{pip()} install --force-reinstall --no-cache-dir {package}"


def _line(key: str, title: str, state: CheckState, found: str, needed: str, action: str = "") -> Check:
    return Check(key=key, title=title, state=state, found=found, needed=needed, why=_WHY, action=action)
