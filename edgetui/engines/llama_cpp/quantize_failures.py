"""Why llama.cpp did not quantize, each reason in one sentence."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.engines.llama_cpp.quantize_log import QuantizeLog

_FAILURE = re.compile(r"failed to quantize: (.*)")


def quantize_failure(path: Path, target: Path, name: str, type_name: str, log: QuantizeLog) -> EdgetuiError:
    """The library's reason; `name` is what the person calls the target."""
    text = log.text
    match = _FAILURE.search(text)
    reason = match[1].strip() if match else "it gives no reason"
    if "iostream error" in reason:
        return _write_failure(target, name, text)
    if "bad_alloc" in reason:
        return EdgetuiError(
            "out_of_memory", f"Quantizing {path.name} needs more memory than is free: close something.", detail=text
        )
    if invalid := re.search(r"tensor '([^']*)' has invalid data", reason):
        return EdgetuiError(
            "bad_file",
            f"Weights of {_printable(invalid[1])} in {path.name} are no numbers (NaN or infinite): the file is damaged"
            " or its conversion went wrong; download or convert it again.",
            detail=text,
        )
    if "data validation failed" in reason:
        return EdgetuiError(
            "bad_file",
            f"{_printable(log.current)} of {path.name} holds weights so large that {type_name} makes no numbers of"
            " them: take BF16, or give that tensor another type.",
            detail=text,
        )
    if requantizing := re.search(r"requantizing from type (\w+) is disabled", reason):
        return EdgetuiError(
            "bad_request",
            f"{path.name} is already quantized ({requantizing[1]}), and quantizing it again loses quality:"
            " say yes to that, or take an unquantized source.",
            detail=text,
        )
    if "imatrix" in reason or "importance matrix" in reason:
        return _imatrix_failure(path, type_name, reason, text)
    if "invalid output file type" in reason:
        return EdgetuiError(
            "unsupported", f"The installed llama.cpp reads {type_name} but cannot write it.", detail=text
        )
    if "no tensor type fallback" in reason:
        # llama.cpp speaks of the tensor right before it gives up.
        last = log.fallbacks[-1] if log.fallbacks else None
        rows = f"Rows of {_printable(last.tensor)} ({last.row} weights)" if last else f"Rows of {path.name}"
        return EdgetuiError(
            "unsupported",
            f"{rows} do not divide into the blocks of {type_name}, and llama.cpp has no fallback for it.",
            detail=text,
        )
    return EdgetuiError(
        "unsupported", f"llama.cpp cannot quantize {path.name} to {type_name} ({_printable(reason)}).", detail=text
    )


def _imatrix_failure(path: Path, type_name: str, reason: str, text: str) -> EdgetuiError:
    missing = re.search(r"Missing importance matrix for tensor (\S+)", reason)
    if missing:
        return EdgetuiError(
            "unsupported",
            f"{type_name} needs importances for {_printable(missing[1])}, and the importance matrix has none: make one"
            f" of {path.name} from a longer text.",
            detail=text,
        )
    if "non-finite" in reason:
        return EdgetuiError(
            "bad_file", "The importance matrix holds values that are no numbers: make another.", detail=text
        )
    return EdgetuiError(
        "unsupported",
        f"{type_name} needs an importance matrix (imatrix) for {path.name}: make one with `edgetui imatrix`, or take"
        " another type.",
        detail=text,
    )


def _write_failure(target: Path, name: str, text: str) -> EdgetuiError:
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
                detail=text,
            )
        return EdgetuiError(
            "no_permission", f"Writing to {target.parent} failed ({error.strerror}): name another folder.", detail=text
        )
    return EdgetuiError(
        "no_space",
        f"Writing to {target.parent} failed, most likely for lack of room: free some space there or name another"
        " folder.",
        detail=text,
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:160]
