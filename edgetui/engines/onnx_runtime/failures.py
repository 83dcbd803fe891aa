"""What onnx, onnxruntime, the model builder and torch raise, in one sentence each."""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.engines.resource_failures import resource_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY = re.compile(r"bad_alloc|[Ff]ailed to allocate|can't allocate memory|[Oo]ut of memory|not enough memory")
_SPACE = re.compile(r"[Nn]o space left|[Dd]isk quota|File too large")
_OPERATOR = re.compile(r"(?:Could not find an implementation for|Failed to find kernel for|op_type:) *([\w.]+)")
_ODD_BLOCKS = re.compile(r"cannot reshape array of size \d+ into shape \(\d+,newaxis\)")
"""How onnxruntime's k_quant and rtn fail to pack zero points by two."""
_VERSION = re.compile(
    r"Unsupported model IR version: (\d+)|ONNX Runtime only \*guarantees\* .*opset (\d+)|Opset (\d+) is"
)


@contextmanager
def told(name: str, doing: str) -> Iterator[None]:
    """Turn whatever a library raises inside into an `EdgetuiError` about the model `name`.

    `doing` says what was being done, such as `Quantizing`. What is an `EdgetuiError` already passes.
    """
    try:
        yield
    except EdgetuiError:
        raise
    except ImportError as error:
        raise EdgetuiError(
            "engine_missing",
            f"The toolchain onnx lacks a package ({plain_line(str(error))}): install it anew with"
            " `edgetui toolchain install onnx --again`.",
            detail=traceback.format_exc(),
        ) from error
    except Exception as error:
        # The libraries' exceptions have no common base: what they say is what tells them apart.
        raise sentence_of(error, name, doing) from error


def sentence_of(error: Exception, name: str, doing: str) -> EdgetuiError:
    """The one sentence for an exception of one of the libraries."""
    said, detail = str(error), traceback.format_exc()
    if short := resource_failure(error, name, doing, detail, memory=_MEMORY, space=_SPACE):
        return short
    if _ODD_BLOCKS.search(said):
        return EdgetuiError(
            "unsupported",
            f"The rows of {name} divide into an odd number of blocks, which this algorithm of ONNX Runtime cannot pack:"
            " take a smaller block_size, or algorithm=default.",
            detail,
        )
    if match := _VERSION.search(said):
        version = next(number for number in match.groups() if number)
        return EdgetuiError(
            "unsupported",
            f"{name} is written in version {version} of ONNX, newer than the installed ONNX Runtime knows: update the"
            " toolchain onnx, or export the model with an older opset.",
            detail,
        )
    if match := _OPERATOR.search(said):
        return EdgetuiError(
            "unsupported",
            f"{name} has the operator {match[1]}, which the installed ONNX Runtime cannot compute here: take another"
            " precision or execution provider.",
            detail,
        )
    return EdgetuiError(
        "unsupported", f"{doing} {name} failed ({reason(error)}): the log has the library's own words.", detail
    )


def reason(error: Exception) -> str:
    """The first line of what a library says, without its codes and paths."""
    said = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    first = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    return plain_line(re.sub(r"(/[^\s/:'\"]+)+/", "", first)).strip(" .:")[:160]
