"""`edgetui imatrix` and the options of `edgetui quantize` as the installed command, on the real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import edgetui


async def test_a_matrix_is_made_and_quantized_with(home: Path, short_model: Path, tmp_path: Path) -> None:
    text = tmp_path / "words.txt"
    text.write_text("The quick brown fox jumps over the lazy dog, and then it does so again. " * 80)
    status, out, err = await edgetui("imatrix", str(short_model), "--text", str(text), "--chunks", "1", "-t", "1")
    made = home / "data/imatrices/SmolLM2-short.F16-words-1.gguf"
    assert status == 0 and out == f"{made}\n" and "21 matrices over 1 chunk of words.txt" in err
    status, out, _ = await edgetui("imatrix", "--list", "--json")
    (known,) = json.loads(out)
    assert (known["path"], known["text_name"], known["chunk_count"]) == (str(made), "words.txt", 1)
    status, out, _ = await edgetui("imatrix", "--list")
    assert status == 0 and str(made) in out
    arguments = ("--imatrix", str(made), "--output-type", "q5_0", "--dry-run", "--json")
    status, out, _ = await edgetui("quantize", str(short_model), "Q2_K_S", *arguments)
    (plan,) = json.loads(out)
    assert status == 0 and plan["needs_imatrix"] is False and plan["problem"] is None
    assert {"tensor": "blk.0.attn_q.weight", "row": 576, "wanted": "Q2_K", "taken": "Q4_0"} in plan["fallbacks"]
    assert plan["decode_speed_over_f16"] is None and "calibrat" in plan["decode_speed_reason"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("imatrix",), 2, "Name a model, or say --list"),
        (("quantize", "MODEL", "Q4_0", "--tensor-type", "ffn(=q8_0"), 2, "is no regular expression"),
        (("quantize", "MODEL", "Q4_0", "--output-type", "q9"), 2, "There is no tensor type 'q9'"),
        (("quantize", "MODEL", "Q4_0", "--max-buffer", "much"), 2, "is not a size such as 128MiB"),
        (("quantize", "MODEL", "Q4_0", "--prune-layers", "1,x"), 2, "is not a list of layers"),
        (("quantize", "MODEL", "Q4_0", "--prune-layers", "1"), 2, "is an experiment"),
        (("quantize", "MODEL", "Q4_0", "--keep-split"), 2, "there is no split to keep"),
        (("quantize", "MODEL", "Q2_K_S", "--imatrix", "/nowhere.gguf"), 1, "cannot be read"),
        (("quantize", "MODEL", "Q2_K_S", "--imatrix", "make", "--detach"), 2, "waits for the matrix"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    home: Path, short_model: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    given = [str(short_model) if word == "MODEL" else word for word in arguments]
    code, out, err = await edgetui(*given)
    assert code == status and out == ""
    assert sentence in err.splitlines()[-1] and "Traceback" not in err
