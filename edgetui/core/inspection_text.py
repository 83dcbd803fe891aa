"""An inspected answer in words, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.inspection import UNLIKELY, VERY_UNLIKELY, likelihood
from edgetui.core.plain_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.inspection import InspectedToken

_SHOWN_ALTERNATIVES = 4
_MOST_TOKEN_CELLS = 24


def token_text(text: str) -> str:
    """A token as one reads it in a list: in quotes, line ends and tabs spelled as in code."""
    shown = plain_text(text).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return f'"{shown}"'


def percent(probability: float) -> str:
    """`93.1 %`, `0.02 %`, `<0.01 %`."""
    value = probability * 100
    if 0 < value < 0.01:
        return "<0.01 %"
    return f"{value:.1f} %" if value >= 1 else f"{value:.2f} %"


def mark_of(probability: float) -> str:
    """A sign for tokens that were unlikely, so that colour is not needed: `?`, `??`."""
    return "??" if probability < VERY_UNLIKELY else "?" if probability < UNLIKELY else ""


def summary(tokens: Sequence[InspectedToken]) -> str:
    """One line on the whole answer."""
    whole = likelihood(tokens)
    if whole is None:
        return "The answer has no tokens."
    return (
        f"{whole.tokens:,} token{'' if whole.tokens == 1 else 's'}   perplexity {whole.perplexity:.3g}"
        f"   mean log-probability {whole.mean_log_probability:.3f}   {whole.likeliest:,} likeliest"
        f"   {whole.unlikely:,} below 50 %   {whole.very_unlikely:,} below 10 %"
    )


def as_table(tokens: Sequence[InspectedToken]) -> str:
    """A row a token: its text, probability, rank, entropy, and the likeliest others."""
    header = ("#", "token", "", "p", "rank", "entropy", "likeliest")
    rows = [header]
    for number, token in enumerate(tokens, start=1):
        others = ", ".join(
            f"{_short(token_text(each.text))} {percent(each.probability)}"
            for each in token.alternatives[:_SHOWN_ALTERNATIVES]
        )
        entropy = "-" if token.entropy_bits is None else f"{token.entropy_bits:.2f} bit"
        rows.append(
            (
                str(number),
                _short(token_text(token.text)),
                mark_of(token.probability),
                percent(token.probability),
                token.rank_text,
                entropy,
                others,
            )
        )
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(header) - 1)]
    right = {0, 3, 4, 5}
    lines = []
    for row in rows:
        cells = []
        for column, width in enumerate(widths):
            room = " " * (width - cell_len(row[column]))
            cells.append(room + row[column] if column in right else row[column] + room)
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def as_builtins(tokens: Sequence[InspectedToken]) -> dict[str, Any]:
    """The whole answer with every alternative; probabilities as numbers from 0 to 1."""
    return {
        "likelihood": msgspec.to_builtins(likelihood(tokens)),
        "tokens": [{**msgspec.to_builtins(token), "log_probability": token.log_probability} for token in tokens],
    }


def as_json(tokens: Sequence[InspectedToken], model: str) -> str:
    """`as_builtins` with the model's name, as a file."""
    return json.dumps({"model": model, **as_builtins(tokens)}, indent=2, ensure_ascii=False) + "\n"


def as_csv(tokens: Sequence[InspectedToken]) -> str:
    """A row a token; a pair of columns an alternative."""
    most = max((len(token.alternatives) for token in tokens), default=0)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    pairs = [name for number in range(1, most + 1) for name in (f"text_{number}", f"probability_{number}")]
    writer.writerow(["index", "text", "probability", "log_probability", "rank", "entropy_bits", *pairs])
    for index, token in enumerate(tokens):
        cells: list[object] = []
        for each in token.alternatives:
            cells += [each.text, each.probability]
        entropy = "" if token.entropy_bits is None else token.entropy_bits
        rank = token.rank_text if token.is_rank_least else token.rank
        writer.writerow([index, token.text, token.probability, token.log_probability, rank, entropy, *cells])
    return stream.getvalue()


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TOKEN_CELLS else text[: _MOST_TOKEN_CELLS - 1] + "…"
