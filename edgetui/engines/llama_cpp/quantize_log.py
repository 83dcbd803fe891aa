"""llama.cpp's log of a quantization: it tells how far it is, and what became of each tensor, nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetui.core.quant_types import Fallback
from edgetui.engines.llama_cpp import gguf_layout

if TYPE_CHECKING:
    from collections.abc import Callable

_TENSOR = re.compile(
    r"\[\s*(?P<index>\d+)/\s*(?P<count>\d+)\] (?P<name>.*?)\s+- \[(?P<shape>[\d, ]+)\], type =\s*(?P<type>\w+), "
)
_CONVERTING = re.compile(r"converting to (\w+) \.\. ")
_PREDICTED = re.compile(r"size =.*-> .*\((\w+)\)\s*$")
_INTERRUPTION = "======"
_FALLBACK = re.compile(
    r"warning: (?P<name>\S+)\s+- ncols\s+(?P<row>\d+) not divisible by\s+\d+ \(required for type\s+(?P<wanted>\w+)\)"
    r"(?:[^\n]*?-> falling back to\s+(?P<taken>\w+))?"
)


@dataclass(frozen=True)
class Step:
    """How far a quantization is; sizes are of the source's tensors."""

    tensors_done: int
    tensor_count: int
    bytes_done: int
    note: str
    """The tensor being done, with its old and new type."""


@dataclass(frozen=True)
class LoggedTensor:
    """What became of a tensor, or will."""

    name: str
    shape: tuple[int, ...]
    old_type: str
    """ggml's name, such as `q4_K`."""
    new_type: str


class QuantizeLog:
    """Follows the log, which comes in pieces smaller than a line."""

    def __init__(self, on_step: Callable[[Step], None] = lambda step: None, tensor_count: int | None = None) -> None:
        """`tensor_count` is how many tensors are written, where those that llama.cpp counts are not all."""
        self.text = ""
        self.tensors: list[LoggedTensor] = []
        self.source_bytes = 0
        self.current = ""
        """Name of the tensor being done."""
        self._on_step = on_step
        self._tensor_count = tensor_count
        self._line = ""

    def read(self, piece: str) -> None:
        """Take a piece as the library logs it."""
        self.text += piece
        for part in piece.splitlines(keepends=True):
            if part.startswith(_INTERRUPTION):
                continue
            self._line += part
            match = _TENSOR.match(self._line)
            if match and not self._line[match.end() :].strip():
                # A remark about the importance matrix follows on a line of its own, and then the rest of this one.
                self._line = self._line.rstrip("\n")
                self.current = match["name"]
                continue
            if match:
                self._follow(match, ended=part.endswith("\n"))
            if part.endswith("\n"):
                self._line = ""

    @property
    def fallbacks(self) -> tuple[Fallback, ...]:
        """Tensors whose rows do not divide into the blocks of the type that was meant; types in capitals."""
        found = {
            match["name"]: Fallback(
                match["name"], int(match["row"]), match["wanted"].upper(), (match["taken"] or "").upper()
            )
            for match in _FALLBACK.finditer(self.text)
        }
        return tuple(found.values())

    def _follow(self, match: re.Match[str], *, ended: bool) -> None:
        rest = self._line[match.end() :]
        old_type, name = match["type"], match["name"]
        self.current = name
        shape = tuple(int(length) for length in match["shape"].split(","))
        done = int(match["index"]) - 1
        converting = _CONVERTING.search(rest)
        predicted = _PREDICTED.search(rest)
        new_type = converting[1] if converting else predicted[1] if predicted else old_type
        note = f"{name} {old_type} -> {new_type}" if new_type != old_type else f"{name} {old_type}, copied"
        if ended:
            self.tensors.append(LoggedTensor(name, shape, old_type, new_type))
            self.source_bytes += gguf_layout.tensor_bytes(old_type, shape)
            done += 1
        elif not converting:
            # Only the beginning of the line: what becomes of the tensor is not said yet.
            return
        self._on_step(Step(done, self._tensor_count or int(match["count"]), self.source_bytes, note))
