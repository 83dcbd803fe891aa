"""Figures that were kept with an answer, as a panel and as text."""

from __future__ import annotations

import msgspec

from edgetui.core.conversations import Answer
from edgetui.core.kept_figures import engine_text, figures_of, figures_text, settings_text
from edgetui.core.run_figures import figure_rows
from edgetui.core.run_settings import Adapter, LoadSettings, SamplingSettings

MEASURED = Answer(
    model_name="Small model",
    engine="llama.cpp",
    engine_version="1.2",
    backend="CPU",
    threads=2,
    load=LoadSettings(batch_tokens=64, use_mmap=False, adapters=(Adapter(path="/loras/verse.gguf"),)),
    sampling=SamplingSettings(temperature=0, seed=7, grammar="root ::= " + "x" * 100),
    profile="fast",
    reason="end",
    seed=7,
    prompt_tokens=100,
    reused_tokens=20,
    prefill_tokens=80,
    prefill_s=0.5,
    ttft_s=0.6,
    generated_tokens=11,
    decode_s=0.5,
    context_used=111,
    context_tokens=512,
    itl_p50_s=0.05,
    itl_p95_s=0.06,
    itl_p99_s=0.07,
    resident_bytes=200 * 1024 * 1024,
    joules_per_token=0.31,
)


def test_a_panel_shows_everything_that_was_kept_and_nothing_of_the_machine_now() -> None:
    figures = figures_of(MEASURED, "2 of 5", "ready")
    rows = {row.label: row.value for row in figure_rows(figures, roomy=True)}
    assert figures.decode_tps == 20.0 and rows["MEAN"] == "20.0 tok/s" and rows["PREFILL"].startswith("160")
    assert rows["ANSWER"] == "2 of 5" and rows["TTFT"] == "600 ms" and rows["TOKENS"] == "11"
    assert [rows[f"ITL {name}"] for name in ("p50", "p95", "p99")] == ["50.0 ms", "60.0 ms", "70.0 ms"]
    assert rows["MEMORY"].startswith("200") and rows["ENERGY"] == "0.31 J/token" and rows["CONTEXT"] == "111/512"
    assert rows["MODEL"] == "Small model" and rows["ENGINE"] == "llama.cpp 1.2, CPU, 2 threads"
    assert not {"CPU", "TEMP", "CLOCK", "POWER"} & set(rows)


def test_what_was_not_kept_says_so_rather_than_nothing() -> None:
    """An answer of an edgetui that kept fewer figures."""
    older = msgspec.json.decode(b'{"model_name": "Old", "engine": "llama.cpp", "ttft_s": 0.1}', type=Answer)
    rows = {row.label: row for row in figure_rows(figures_of(older, "1 of 1", "ready"), roomy=True)}
    assert rows["TTFT"].value == "100 ms"
    for label in ("MEAN", "ITL p99", "MEMORY", "TOKENS"):
        assert rows[label].value == "-" and "not kept" in rows[label].reason
    assert "no meter" in rows["ENERGY"].reason


def test_as_text() -> None:
    text = figures_text(MEASURED)
    assert text.startswith("11 tokens, decode 20.0 tok/s, prefill 160.0 tok/s, TTFT 600 ms, ITL p50/p95/p99 50.0 ms /")
    assert text.endswith("0.31 J/token, seed 7, end")
    assert engine_text(MEASURED) == "llama.cpp 1.2, CPU, 2 threads"
    settings = settings_text(MEASURED)
    assert settings.startswith(
        "profile fast, batch-tokens 64, use-mmap off, adapters verse, temperature 0, grammar root"
    )
    assert settings.endswith("...") and "seed" not in settings
    plain = Answer(model_name="m", engine="server", failure="It is gone.")
    assert (figures_text(plain), engine_text(plain), settings_text(plain)) == (
        "It is gone.",
        "server",
        "the usual ones",
    )
