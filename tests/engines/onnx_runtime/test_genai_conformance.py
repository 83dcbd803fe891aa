"""onnxruntime-genai keeps what every engine promises."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from edgetui.core.run_settings import Adapter, LoadSettings, SamplingSettings
from edgetui.worker.protocol import Finished, Generate, Inspect, Load, Loaded, PromptReady
from tests.engines.conformance import CHAT, EngineConformance, Subject, answer, ask, refused

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.worker.protocol import SessionEvent
    from edgetui.worker.session import SessionWorker


@pytest.fixture(scope="class")
def subject(demo_onnx: Path, toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The int4 build of the demo model."""
    return Subject(
        engine="onnxruntime-genai",
        load=lambda settings: Load(path=str(demo_onnx), settings=settings),
        log_dir=tmp_path_factory.mktemp("logs"),
        toolchains_dir=toolchains_dir,
        # Before the answer would end: an end mark gone past is written out by inspection and not by the answer.
        tokens=16,
        # This build goes on from fewer words with halves of characters.
        unicode_prompt="Emoji: 🎉, 🎉, 🎉, 🎉, 🎉,",
    )


@pytest.mark.asyncio(loop_scope="class")
class TestGenai(EngineConformance):
    """onnxruntime-genai with the demo model."""

    async def test_a_prefill_ends_in_the_middle_of_a_batch(self, worker: SessionWorker) -> None:
        command = Generate(turn=7, prompt="one two three " * 150, sampling=SamplingSettings(temperature=0.0))
        seen: list[SessionEvent] = []
        async with aclosing(worker.request(command)) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, PromptReady):
                    await worker.stop()
        ready, finished = seen[0], seen[-1]
        assert isinstance(ready, PromptReady) and isinstance(finished, Finished)
        # All new tokens are one batch, of which nothing counts as computed.
        assert ready.prompt_tokens - ready.reused_tokens > 400
        assert (finished.reason, finished.prefill_tokens, finished.generated_tokens) == ("stopped", 0, 0)
        assert (await refused(worker, Inspect())).failure.kind == "bad_request"

    async def test_what_the_engine_lacks_is_told(self, subject: Subject, worker: SessionWorker) -> None:
        settings = LoadSettings(context_tokens=64, threads=1, use_mlock=True, kv_cache_type="q8_0", prompt_lookup=True)
        loaded = (await ask(worker, subject.load(settings)))[-1]
        assert isinstance(loaded, Loaded)
        assert loaded.kv_cache_type == "f32" and loaded.backend == "CPU"
        # 30 layers of 3 heads of 64, K and V, in 32 bits.
        assert loaded.kv_cache_bytes == 64 * 30 * 2 * 3 * 64 * 4
        told = " ".join(loaded.remarks)
        assert "use mlock" in told and "f32" in told and "prompt lookup" in told
        for changed, kind in (
            (LoadSettings(context_tokens=1_000_000), "bad_request"),
            (LoadSettings(adapters=(Adapter(path="a"),)), "unsupported"),
            (LoadSettings(rope_scaling="yarn"), "unsupported"),
        ):
            assert (await refused(worker, subject.load(changed))).failure.kind == kind
        await ask(worker, subject.load(subject.settings))

    async def test_a_model_built_for_a_missing_provider_runs_on_the_cpu(
        self, subject: Subject, worker: SessionWorker, demo_onnx: Path, tmp_path: Path
    ) -> None:
        for file in demo_onnx.parent.iterdir():
            (tmp_path / file.name).symlink_to(file)
        config = json.loads((tmp_path / "genai_config.json").read_text())
        config["model"]["decoder"]["session_options"]["provider_options"] = [{"cuda": {}}]
        (tmp_path / "genai_config.json").unlink()
        (tmp_path / "genai_config.json").write_text(json.dumps(config))
        loaded = (await ask(worker, Load(path=str(tmp_path / "model.onnx"), settings=subject.settings)))[-1]
        assert isinstance(loaded, Loaded) and loaded.backend == "CPU"
        assert any("built for cuda" in remark and "CPU computes" in remark for remark in loaded.remarks)
        assert (await answer(worker, CHAT, max_tokens=2, ignore_eos=True)).finished.generated_tokens == 2
        (tmp_path / "model.onnx.data").unlink()
        error = await refused(worker, Load(path=str(tmp_path / "model.onnx"), settings=subject.settings))
        assert error.failure.kind == "bad_file" and "model.onnx.data" in str(error)
        (tmp_path / "genai_config.json").unlink()
        error = await refused(worker, Load(path=str(tmp_path / "model.onnx"), settings=subject.settings))
        assert error.failure.kind == "unsupported" and "genai_config.json" in str(error)
        await ask(worker, subject.load(subject.settings))
