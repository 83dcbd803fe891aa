"""Inputs to calibrate with: pieces of a text for models that read tokens, random numbers for the others."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.quality import EMBEDDED_TEXT
from edgetui.engines.onnx_runtime.session import head_size, random_feeds, reads_tokens, token_feeds
from edgetui.engines.onnx_runtime.tokens import read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

RANDOM = "random"
_LARGEST_TEXT = 64 * 1024**2


class Samples:
    """Calibration data as onnxruntime reads it: one input after another, or those of a range.

    Has what `onnxruntime.quantization.CalibrationDataReader` asks for.
    """

    def __init__(self, feeds: list[Callable[[], dict[str, Any]]], on_sample: Callable[[int, int], None]) -> None:
        self._feeds = feeds
        self._on_sample = on_sample
        self._next, self._end = 0, len(feeds)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._feeds)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Give those of a range next."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, Any] | None:
        """The next input, None at the end."""
        if self._next >= self._end:
            return None
        self._on_sample(self._next, len(self._feeds))
        self._next += 1
        return self._feeds[self._next - 1]()


def samples(
    session: Any, path: Path, data: str, count: int, tokens: int, on_sample: Callable[[int, int], None]
) -> Samples:
    """Calibration inputs for the graph at `path`, which is loaded in `session`.

    `data` is `topics`, `random` or the path of a text; `topics` is random for a model that reads no tokens. Raises
    `EdgetuiError`: `bad_request`, `bad_file` for a text or tokenizer that cannot be used, `unsupported`.
    """
    if not reads_tokens(session):
        if data not in (EMBEDDED_TEXT, RANDOM):
            raise EdgetuiError(
                "bad_request", f"{path.name} reads no tokens, so no text calibrates it: say data=random."
            )
        return Samples([lambda seed=seed: random_feeds(session, seed) for seed in range(count)], on_sample)  # type: ignore[misc]
    tokenizer = read_tokenizer(path)
    if data == RANDOM:
        chooser, size = random.Random(0), tokenizer.get_vocab_size()
        chunks = [[chooser.randrange(size) for _ in range(tokens)] for _ in range(count)]
    else:
        ids = tokenizer.encode(_text(data), add_special_tokens=False).ids
        if len(ids) < tokens:
            raise EdgetuiError(
                "bad_request",
                f"The text has {len(ids)} tokens, less than a sample of {tokens}: take a longer text or fewer tokens.",
            )
        # From all over the text, since a beginning is seldom like the rest; a short one gives fewer samples.
        count = min(count, len(ids) // tokens)
        stride = (len(ids) - tokens) // max(1, count - 1) if count > 1 else 0
        chunks = [ids[number * stride : number * stride + tokens] for number in range(count)]
    width = head_size(path)
    return Samples([lambda chunk=chunk: token_feeds(session, chunk, width) for chunk in chunks], on_sample)  # type: ignore[misc]


def _text(data: str) -> str:
    if data == EMBEDDED_TEXT:
        from pydoc_data import topics

        return "\n".join(topics.topics.values())
    path = Path(data).expanduser()
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise EdgetuiError("bad_request", f"The text {path} is larger than 64 MiB: take a part of it.")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EdgetuiError(
            "bad_request", f"The calibration text {path} cannot be read ({error.strerror}): name another file."
        ) from error
    except UnicodeDecodeError as error:
        raise EdgetuiError("bad_request", f"The calibration text {path} is not UTF-8: name another file.") from error
