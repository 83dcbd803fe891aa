"""MLX keeps what every engine promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.run_settings import Adapter, LoadSettings
from edgetui.worker.protocol import Load, Loaded
from edgetui.worker.session import session_worker
from tests.engines.conformance import EngineConformance, Subject, answer, ask, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toolchain_driver import Toolchain


class TestMlx(EngineConformance):
    @pytest.fixture(scope="class")
    def subject(self, short_mlx: Path, tmp_path_factory: pytest.TempPathFactory, mlx_toolchain: Path) -> Subject:
        return Subject(
            engine="mlx",
            load=lambda settings: Load(path=str(short_mlx / "model.safetensors"), settings=settings),
            log_dir=tmp_path_factory.mktemp("logs"),
            toolchains_dir=mlx_toolchain.parent,
            tokens=4,
            small_context=64,
        )

    @pytest.fixture
    def whole(self, demo_safetensors: Path) -> Path:
        """All layers: the first few alone know no words that take several tokens a character."""
        return demo_safetensors

    async def test_characters_are_whole(self, subject: Subject, whole: Path) -> None:  # type: ignore[override]
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            await ask(worker, Load(path=str(whole / "model.safetensors"), settings=subject.settings))
            said = await answer(worker, prompt="🎉😀🎉😀🎉😀", max_tokens=4, ignore_eos=True)
        *early, last = said.tokens
        assert "\ufffd" not in "".join(event.text for event in early) + last.text[:-1]
        assert any(ord(character) > 0xFF for character in said.text), said.text

    async def test_what_mlx_does_not_do_is_said(self, subject: Subject, loaded: Loaded) -> None:
        assert any("processor" in remark for remark in loaded.remarks) == (loaded.backend == "CPU")
        load = subject.load(LoadSettings(adapters=(Adapter(path="x"),)))
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            assert (await refused(worker, load)).failure.kind == "unsupported"
            folder = load.path.rpartition("/")[0]
            missing = Load(path=f"{folder}/nothing/model.safetensors", settings=LoadSettings())
            assert (await refused(worker, missing)).failure.kind in ("bad_file", "not_found")


TURNS: list[dict[str, Any]] = [
    {"prompt": "def class", "sampling": {"temperature": 0, "max_tokens": 12, "ignore_eos": True}},
    {"prompt": "def class", "sampling": {"temperature": 0, "max_tokens": 3, "ignore_eos": True}},
    {"prompt": "def clas", "sampling": {"temperature": 0, "repeat_penalty": 1.5, "max_tokens": 9, "ignore_eos": True}},
    {"prompt": "for", "sampling": {"temperature": 0, "frequency_penalty": 1.0, "max_tokens": 9, "ignore_eos": True}},
]


def test_computing_ahead_as_on_a_gpu_changes_no_answer(toolchain: Toolchain, small: Path) -> None:
    one_by_one, ahead = (toolchain("converse", folder=small, turns=TURNS, ahead=ahead) for ahead in (False, True))
    timed = ("ttft_s", "decode_s", "prefill_s", "seed")
    for first, second in zip(one_by_one, ahead, strict=True):
        assert {**first, **dict.fromkeys(timed)} == {**second, **dict.fromkeys(timed)}
    assert [each["generated_tokens"] for each in ahead] == [12, 3, 9, 9]
    # All but the last token of the same prompt are known, and nothing that was computed ahead is left over.
    assert ahead[1]["reused_tokens"] == ahead[1]["prompt_tokens"] - 1
    assert ahead[1]["context_used"] == ahead[1]["prompt_tokens"] + 2


@pytest.mark.parametrize("ahead", [False, True])
def test_each_sampler_repeats_with_its_seed_and_fills_the_context(
    toolchain: Toolchain, small: Path, ahead: bool
) -> None:
    drawn = {"temperature": 1.5, "seed": 5, "top_k": 20, "top_p": 0.9, "min_p": 0.01, "max_tokens": 12}
    turns = [
        {"prompt": "for", "sampling": {**drawn, "ignore_eos": True}},
        {"prompt": "for", "sampling": {**drawn, "ignore_eos": True}},
        {"prompt": "for", "sampling": {**drawn, "ignore_eos": True, "seed": 6}},
        {"prompt": "for", "sampling": {**drawn, "ignore_eos": True, "max_tokens": 0, "top_k": 100000}},
    ]
    first, again, other, filled = toolchain("converse", folder=small, turns=turns, ahead=ahead, context=32)
    assert first["text"] == again["text"] != other["text"]
    assert filled["reason"] == "context_full" and filled["context_used"] == 32
