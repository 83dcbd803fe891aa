"""Perplexity and divergence of the real model: llama-perplexity's own figures, and every mismatch told."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.llama_tools import llama_perplexity
from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.logits import LlamaLogits
from edgetui.engines.quality import evaluate
from edgetui.engines.quality.rows import Rows
from edgetui.formats.base_logits import BaseDescription, BaseLogits, BaseLogitsShape, BaseLogitsWriter

CONTEXT_TOKENS, CHUNKS = 64, 4
BOUND = 1e-3
"""A tenth of a per cent; llama-perplexity wants a hundred scored tokens."""


def write_baseline(source: LlamaLogits, tokens: list[int], path: Path, rows: Rows) -> list[tuple[int, str]]:
    shape = BaseLogitsShape(CONTEXT_TOKENS, source.vocabulary_size, len(tokens) // CONTEXT_TOKENS)
    told: list[tuple[int, str]] = []
    made_of = BaseDescription(
        base_name="demo", base_fingerprint="f", engine="", engine_version="", text_sha256="t", bos=source.bos
    )
    with BaseLogitsWriter(path, shape, tokens, made_of, "demo") as writer:
        evaluate.write_baseline(source, writer, tokens, shape, rows, lambda done, note: told.append((done, note)))
        writer.finish()
    return told


def figure(output: str, label: str) -> float:
    found = re.findall(rf"{label}\s*:?\s+(-?[\d.]+)", output)
    assert found, output
    return float(found[-1])


def test_figures_are_those_of_llama_perplexity_and_each_reads_the_others_file(
    demo_model: Path,
    coarse_model: Path,
    demo_source: LlamaLogits,
    coarse_source: LlamaLogits,
    rows: Rows,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        tool = llama_perplexity()
    except (subprocess.CalledProcessError, SystemExit, OSError) as error:
        pytest.skip(f"llama-perplexity cannot be built here: {error}")
    monkeypatch.setenv("GOMP_SPINCOUNT", "8000")
    file, theirs, ours = tmp_path / "text.txt", tmp_path / "theirs", tmp_path / "ours"
    file.write_text(text, encoding="utf-8")

    def run(*arguments: object) -> str:
        command = [str(each) for each in (tool, "-t", 1, *arguments)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=150)
        return done.stdout + done.stderr

    output = run("-m", demo_model, "-f", file, "-c", CONTEXT_TOKENS, "--chunks", CHUNKS, "--kl-divergence-base", theirs)
    tokens = evaluate.tokens_of(demo_source, text, CONTEXT_TOKENS, CHUNKS, "text")
    write_baseline(demo_source, tokens, ours, rows)
    with BaseLogits(theirs) as base:
        assert base.tokens.tolist() == tokens
        perplexity, found = evaluate.compare(
            coarse_source, base, coarse_source.bos, base.shape.vocabulary_size, rows, lambda done, note: None
        )
    assert found.base_perplexity.value == pytest.approx(figure(output, "PPL ="), rel=BOUND)
    # The model over the file that edgetui wrote.
    output = run("-m", coarse_model, "--kl-divergence-base", ours, "--kl-divergence")
    for mine, label in (
        (perplexity.value, r"Mean PPL\(Q\)"),
        (found.base_perplexity.value, r"Mean PPL\(base\)"),
        (found.ln_perplexity_ratio.value, r"Mean ln\(PPL\(Q\)/PPL\(base\)\)"),
        (found.mean.value, "Mean    KLD"),
        (found.median, "Median  KLD"),
        (found.p99, "99.0%   KLD"),
        (found.maximum, "Maximum KLD"),
        (100 * found.rms_dp.value, "RMS Δp"),
        (100 * found.same_top1.value, "Same top p"),
    ):
        assert mine == pytest.approx(figure(output, label), rel=BOUND), label
    assert 100 * found.mean_dp.value == pytest.approx(figure(output, "Mean    Δp"), abs=0.002)
    errors = {label: float(error) for label, error in re.findall(r"(Mean[^:]*?)\s*:.*±\s*([\d.]+)", output)}
    assert perplexity.error == pytest.approx(errors["Mean PPL(Q)"], rel=BOUND)
    assert found.mean.error == pytest.approx(errors["Mean    KLD"], rel=5e-3)
    assert found.ln_perplexity_ratio.error == pytest.approx(errors["Mean ln(PPL(Q)/PPL(base))"], rel=BOUND)


def test_a_model_beside_itself_has_no_divergence_and_tells_each_chunk(
    demo_source: LlamaLogits, rows: Rows, text: str, tmp_path: Path
) -> None:
    tokens = evaluate.tokens_of(demo_source, text, CONTEXT_TOKENS, 2, "text")
    path = tmp_path / "base.logits"
    told = write_baseline(demo_source, tokens, path, rows)
    assert [done for done, _ in told] == [1, 2] and all(note.startswith("perplexity ") for _, note in told)
    with BaseLogits(path) as base:
        evaluate.require_same_tokens(demo_source, base, text, "demo")
        common = evaluate.common_vocabulary(demo_source.vocabulary_size, base, "demo")
        perplexity, found = evaluate.compare(
            demo_source, base, None, common, rows, lambda done, note: told.append((done, note))
        )
    assert "KL divergence 0.0000" in told[-1][1]
    assert found.mean.value < 1e-5 and found.same_top1.value == 1 and found.same_top5.value > 0.99
    alone = evaluate.measure_perplexity(demo_source, tokens, CONTEXT_TOKENS, rows, lambda done, note: None)
    assert perplexity.value == pytest.approx(alone.value, rel=1e-6)
    assert found.base_perplexity.value == pytest.approx(alone.value, rel=1e-4)


def test_a_text_too_short_for_a_chunk_is_refused(demo_source: LlamaLogits) -> None:
    with pytest.raises(EdgetuiError, match=r"note.txt has \d tokens and a chunk takes 64"):
        evaluate.tokens_of(demo_source, "A short note.", CONTEXT_TOKENS, 4, "note.txt")


def test_all_chunks_of_a_text_are_taken_when_none_are_asked_for(demo_source: LlamaLogits) -> None:
    tokens = evaluate.tokens_of(demo_source, "one two three " * 100, 64, 0, "text")
    assert len(tokens) == 256 and len(evaluate.tokens_of(demo_source, "one two three " * 100, 64, 3, "text")) == 192


def test_another_vocabulary_is_refused_and_padding_is_not(tmp_path: Path, demo_source: LlamaLogits) -> None:
    def base_of(size: int, token: int) -> BaseLogits:
        shape = BaseLogitsShape(context_tokens=8, vocabulary_size=size, chunk_count=1)
        told = BaseDescription(
            base_name="", base_fingerprint="", engine="", engine_version="", text_sha256="", bos=None
        )
        path = tmp_path / f"{size}-{token}"
        with BaseLogitsWriter(path, shape, [token] * 8, told, "") as writer:
            writer.append(bytes(shape.chunk_bytes))
            writer.finish()
        return BaseLogits(path)

    assert evaluate.common_vocabulary(1000, base_of(1064, 5), "m") == 1000
    assert evaluate.common_vocabulary(1064, base_of(1000, 5), "m") == 1000
    with pytest.raises(EdgetuiError, match="vocabulary of m has 9000 tokens and the parent's 1000"):
        evaluate.common_vocabulary(9000, base_of(1000, 5), "m")
    with pytest.raises(EdgetuiError, match="do not compare"):
        evaluate.common_vocabulary(1000, base_of(1064, 1010), "m")
    with pytest.raises(EdgetuiError, match="cuts the text into other tokens"):
        evaluate.require_same_tokens(demo_source, base_of(49152, 5), "Some words that a tokenizer cuts.", "m")
