"""Quantization by llama.cpp itself: what each type would make of a model, and making it.

llama.cpp tells how far it is only in its log, one line a tensor, so that log is read here.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.llama_cpp import gguf_layout, library
from edgetui.engines.llama_cpp.quant_types import known_types
from edgetui.worker.protocol import QuantizationPlan

BUFFER_BYTES = 256 * 1024**2
"""Most tensor data held in memory at once: llama.cpp's own default of 8 GiB is more than a board has.

It changes nothing in the result, since rows are quantized independently.
"""

_TENSOR = re.compile(
    r"\[\s*(?P<index>\d+)/\s*(?P<count>\d+)\] (?P<name>.*?)\s+- \[(?P<shape>[\d, ]+)\], type =\s*(?P<type>\w+), "
)
_CONVERTING = re.compile(r"converting to (\w+) \.\. ")
_PREDICTED = re.compile(r"size =.*-> .*\((\w+)\)\s*$")
_FALLBACKS = re.compile(r"WARNING: (\d+) of \d+ tensor\(s\) required fallback quantization")
_FAILURE = re.compile(r"failed to quantize: (.*)")


@dataclass(frozen=True)
class Step:
    """How far a quantization is; sizes are of the source's tensors."""

    tensors_done: int
    tensor_count: int
    bytes_done: int
    note: str
    """The tensor being done, with its old and new type."""


@dataclass(frozen=True)
class Prediction:
    """A dry run's findings."""

    file_bytes: int
    tensor_bytes: int
    source_tensor_bytes: int
    parameter_count: int
    needs_imatrix: bool
    fallback_tensors: int


def plan(path: Path, type_names: Sequence[str] = ()) -> Iterator[QuantizationPlan]:
    """Dry-run each type (all that the library knows when none is named) on a model; no tensor data is read.

    Raises `EdgetuiError`: `bad_file`, `not_found`, `bad_request` for a type that does not exist.
    """
    header_bytes = _written_header_bytes(path)
    for name in type_names or known_types():
        try:
            found = _predict(path, name, header_bytes)
        except EdgetuiError as error:
            if error.failure.kind != "unsupported":
                raise
            yield QuantizationPlan(type_name=name, problem=error.failure.message)
        else:
            yield QuantizationPlan(
                type_name=name,
                size_bytes=found.file_bytes,
                bits_per_weight=found.tensor_bytes * 8 / found.parameter_count if found.parameter_count else None,
                needs_imatrix=found.needs_imatrix,
                fallback_tensors=found.fallback_tensors,
            )


def predict(path: Path, type_name: str) -> Prediction:
    """One dry run; raises as `plan` does, and `unsupported` when llama.cpp refuses."""
    return _predict(path, type_name, _written_header_bytes(path))


def quantize(
    path: Path,
    target: Path,
    type_name: str,
    *,
    allow_requantize: bool = False,
    threads: int = 0,
    name: str = "",
    on_step: Callable[[Step], None] = lambda step: None,
) -> None:
    """Write `target`, byte for byte what llama-quantize writes; an existing file is replaced.

    `name` is what messages call the file, when that is not the target's own name. There is no way to stop this but
    to end the process. On failure a part of the file may be left. Raises `EdgetuiError`: `bad_request`,
    `unsupported`, `no_space`, `out_of_memory`, `bad_file`.
    """
    from edgetui.formats.gguf import check_loadable

    check_loadable(path)
    log = _QuantizeLog(on_step)
    threads = threads or host.usable_threads()
    status = _call(path, target, type_name, log, dry_run=False, allow_requantize=allow_requantize, threads=threads)
    if status != 0:
        raise _failure(path, target, name or target.name, type_name, log.text)


def _written_header_bytes(path: Path) -> int:
    from edgetui.formats.gguf import check_loadable

    return gguf_layout.written_header_bytes(check_loadable(path).parts)


def _predict(path: Path, type_name: str, header_bytes: int) -> Prediction:
    log = _QuantizeLog(lambda step: None)
    if _call(path, Path(), type_name, log, dry_run=True, allow_requantize=True, threads=1) != 0:
        raise _failure(path, Path(), "", type_name, log.text)
    sizes = [gguf_layout.tensor_bytes(tensor.new_type, tensor.shape) for tensor in log.tensors]
    return Prediction(
        file_bytes=header_bytes + sum(gguf_layout.padded(size) for size in sizes),
        tensor_bytes=sum(sizes),
        source_tensor_bytes=log.source_bytes,
        parameter_count=sum(math.prod(tensor.shape) for tensor in log.tensors),
        needs_imatrix="will require an imatrix" in log.text,
        fallback_tensors=int(match[1]) if (match := _FALLBACKS.search(log.text)) else 0,
    )


def _call(
    path: Path,
    target: Path,
    type_name: str,
    log: _QuantizeLog,
    *,
    dry_run: bool,
    allow_requantize: bool,
    threads: int,
) -> int:
    """llama.cpp's status, 0 for done."""
    lib = library.load()
    types = known_types()
    if type_name not in types:
        raise EdgetuiError(
            "bad_request", f"The installed llama.cpp knows no type {type_name}; it knows {', '.join(types)}."
        )
    params = lib.llama_model_quantize_default_params()
    params.ftype = types[type_name]
    params.dry_run = dry_run
    params.allow_requantize = allow_requantize
    params.nthread = threads
    params.max_buf_size = BUFFER_BYTES
    with library.capture_log(log.read):
        return int(lib.llama_model_quantize(os.fsencode(path), os.fsencode(target), ctypes.byref(params)))


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    new_type: str


class _QuantizeLog:
    """Follows llama.cpp's log of a quantization, which comes in pieces smaller than a line."""

    def __init__(self, on_step: Callable[[Step], None]) -> None:
        self.text = ""
        self.tensors: list[_Tensor] = []
        self.source_bytes = 0
        self._on_step = on_step
        self._line = ""

    def read(self, piece: str) -> None:
        """Take a piece as the library logs it."""
        self.text += piece
        for part in piece.splitlines(keepends=True):
            self._line += part
            if match := _TENSOR.match(self._line):
                self._follow(match, ended=part.endswith("\n"))
            if part.endswith("\n"):
                self._line = ""

    def _follow(self, match: re.Match[str], *, ended: bool) -> None:
        rest = self._line[match.end() :]
        old_type, name = match["type"], match["name"]
        shape = tuple(int(length) for length in match["shape"].split(","))
        done = int(match["index"]) - 1
        converting = _CONVERTING.match(rest)
        predicted = _PREDICTED.search(rest)
        new_type = converting[1] if converting else predicted[1] if predicted else old_type
        note = f"{name} {old_type} -> {new_type}" if new_type != old_type else f"{name} {old_type}, copied"
        if ended:
            self.tensors.append(_Tensor(shape, new_type))
            self.source_bytes += gguf_layout.tensor_bytes(old_type, shape)
            done += 1
        elif not converting:
            # Only the beginning of the line: what becomes of the tensor is not said yet.
            return
        self._on_step(Step(done, int(match["count"]), self.source_bytes, note))


def _failure(path: Path, target: Path, name: str, type_name: str, log: str) -> EdgetuiError:
    """llama.cpp's reason, in one sentence."""
    match = _FAILURE.search(log)
    reason = match[1].strip() if match else "it gives no reason"
    if "iostream error" in reason:
        return _write_failure(target, name, log)
    if "bad_alloc" in reason:
        return EdgetuiError(
            "out_of_memory", f"Quantizing {path.name} needs more memory than is free: close something.", detail=log
        )
    if requantizing := re.search(r"requantizing from type (\w+) is disabled", reason):
        return EdgetuiError(
            "bad_request",
            f"{path.name} is already quantized ({requantizing[1]}), and quantizing it again loses quality:"
            " say yes to that, or take an unquantized source.",
            detail=log,
        )
    if "imatrix" in reason or "importance matrix" in reason:
        return EdgetuiError(
            "unsupported",
            f"{type_name} needs an importance matrix (imatrix) for {path.name}: take another type.",
            detail=log,
        )
    if "invalid output file type" in reason:
        return EdgetuiError(
            "unsupported", f"The installed llama.cpp reads {type_name} but cannot write it.", detail=log
        )
    if "no tensor type fallback" in reason:
        return EdgetuiError(
            "unsupported",
            f"Rows of {path.name} do not divide into the blocks of {type_name}, and llama.cpp has no fallback for it.",
            detail=log,
        )
    printable = "".join(character if character.isprintable() else "?" for character in reason)[:160]
    return EdgetuiError(
        "unsupported", f"llama.cpp cannot quantize {path.name} to {type_name} ({printable}).", detail=log
    )


def _write_failure(target: Path, name: str, log: str) -> EdgetuiError:
    """Why writing ended: C++ streams do not tell, so write some more and let the system say."""
    try:
        with target.open("ab") as stream:
            stream.write(bytes(1024 * 1024))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return EdgetuiError(
                "no_space",
                f"There is no room for {name} in {target.parent} ({error.strerror}): free some space there"
                " or name another folder.",
                detail=log,
            )
        return EdgetuiError(
            "no_permission", f"Writing to {target.parent} failed ({error.strerror}): name another folder.", detail=log
        )
    return EdgetuiError(
        "no_space",
        f"Writing to {target.parent} failed, most likely for lack of room: free some space there or name another"
        " folder.",
        detail=log,
    )
