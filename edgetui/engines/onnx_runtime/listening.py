"""How far the libraries are: the model builder prints it, onnxruntime's 4-bit quantizer logs it."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_QUANTIZER = "onnxruntime.quantization.matmul_nbits_quantizer"
_QUANTIZED = re.compile(r"complete quantization of (.+?) with \d+ bits")


@contextmanager
def printed_lines(take: Callable[[str], None]) -> Iterator[None]:
    """Hand every line that is printed inside to `take`, and to the log all the same."""
    with redirect_stdout(_Lines(take)):
        yield


class _Lines(TextIOBase):
    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._log = sys.stdout
        self._line = ""

    def write(self, text: str) -> int:
        self._log.write(text)
        self._line += text
        *lines, self._line = self._line.split("\n")
        for line in lines:
            self._take(line)
        return len(text)

    def flush(self) -> None:
        self._log.flush()


@contextmanager
def quantized_nodes(take: Callable[[str], None]) -> Iterator[None]:
    """Hand the name of each node that onnxruntime's 4-bit quantizer has done to `take`.

    It logs several lines a node, which are kept out of the log.
    """
    logger = logging.getLogger(_QUANTIZER)
    handler = _Nodes(take)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


class _Nodes(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        if match := _QUANTIZED.search(record.getMessage()):
            self._take(match[1])
