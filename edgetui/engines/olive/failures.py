"""What Olive and its passes raise or only log, in one sentence each."""

from __future__ import annotations

import re
import traceback

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.engines.olive import isolation
from edgetui.engines.onnx_runtime.failures import reason, sentence_of

_MISSING_PACKAGE = re.compile(r"No module named '([\w.]+)'|[Pp]lease install `?([\w.-]+)")
_WRONG_MODEL = re.compile(
    r"object has no attribute '(?:model_path|get_hf_model_config|get_hf_model_type)'|HfModel|ONNXModel"
)
_BLOCKS = re.compile(r"divisible by|multiple of|must divide|not divide|shape '\[.*\]' is invalid for input of size")


def pass_failure(error: BaseException, pass_type: str, name: str) -> EdgetuiError:
    """Why a pass on the model `name` ended."""
    cause = _root(error)
    if isinstance(cause, EdgetuiError):
        return cause
    detail = "".join(traceback.format_exception(error))
    if isolation.asked_hosts:
        return EdgetuiError(
            "network",
            f"The pass {pass_type} wanted {plain_line(isolation.asked_hosts[-1])} on the network, which is not allowed:"
            " give it local data, or run the workflow with allow_hub=true.",
            detail,
        )
    said = str(cause)
    if isinstance(cause, ImportError) or _MISSING_PACKAGE.search(said):
        found = _MISSING_PACKAGE.search(said)
        package = next(filter(None, found.groups()), "a package") if found else "a package"
        return EdgetuiError(
            "unsupported",
            f"The pass {pass_type} needs {package}, which the toolchain olive does not have: take another pass.",
            detail,
        )
    if isinstance(cause, NotImplementedError) or (isinstance(cause, AttributeError) and _WRONG_MODEL.search(said)):
        return EdgetuiError(
            "unsupported",
            f"The pass {pass_type} does not take a model like {name}: passes on PyTorch models need safetensors, passes"
            " on graphs ONNX.",
            detail,
        )
    if _BLOCKS.search(said):
        return EdgetuiError(
            "unsupported",
            f"Rows of {name} do not divide into the blocks of {pass_type} ({reason(RuntimeError(said))}): take a"
            " smaller block or group size.",
            detail,
        )
    if isinstance(cause, Exception):
        made = sentence_of(cause, name, f"The pass {pass_type} on")
        return EdgetuiError(made.failure.kind, made.failure.message, detail)
    return EdgetuiError("unsupported", f"The pass {pass_type} on {name} failed; the log has its own words.", detail)


def pass_refusal(pass_type: str, name: str, last_words: str) -> EdgetuiError:
    """A pass looked at its settings, or at the model, and declined without raising anything."""
    words = plain_line(last_words).strip(" .")
    because = f" ({words[:160]})" if words else ""
    return EdgetuiError("bad_request", f"The pass {pass_type} refuses its settings for {name}{because}: change them.")


def _root(error: BaseException) -> BaseException:
    """What began it: Olive wraps the exceptions of others in its own."""
    while error.__cause__ is not None and not isinstance(error, EdgetuiError):
        error = error.__cause__
    return error
