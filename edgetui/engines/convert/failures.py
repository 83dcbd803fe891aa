"""What llama.cpp's converter and transformers say of a model that they refuse, in one sentence each."""

from __future__ import annotations

import difflib
import errno
import re
import shutil
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_TOOLCHAIN = "gguf"
_PRE_TOKENIZER = "pre-tokenizer was not recognized"
_SHORT_WRITE = re.compile(r"requested and \d+ written")
"""numpy's words for a disk that takes no more."""
_MOST_CHARACTERS = 200


def require_room(target: Path, needed_bytes: int) -> None:
    """Raises `EdgetuiError("no_space")` where the disk does not take what will be written."""
    free = shutil.disk_usage(target.parent).free
    if free < needed_bytes:
        raise EdgetuiError(
            "no_space",
            f"The result takes about {format_bytes(needed_bytes)} and {target.parent} has {format_bytes(free)} free:"
            " make room, or name another folder.",
        )


def unsupported_architecture(name: str, architecture: str, known: Iterable[str], tool: str) -> EdgetuiError:
    """Says which architectures of a similar name are known."""
    close = difflib.get_close_matches(architecture, list(known), n=3, cutoff=0.5)
    nearby = f"; it knows {', '.join(close)}" if close else ""
    return EdgetuiError(
        "unsupported",
        f"{name} has the architecture {_short(architecture)}, which {tool} cannot convert{nearby}: take a model of a"
        " known one, or update the toolchain.",
    )


@contextmanager
def told_of_tokenizer(name: str, tool: str) -> Iterator[None]:
    """As `told`, for the part of the work that reads a tokenizer: whatever goes wrong is put down to that."""
    try:
        yield
    except (EdgetuiError, MemoryError, ImportError):
        raise
    except Exception as error:
        if _PRE_TOKENIZER in str(error):
            raise _sentence(error, name, tool) from error
        is_beyond = isinstance(error, AssertionError)
        reason = "it has tokens beyond the vocab_size of config.json" if is_beyond else _words(error)
        raise EdgetuiError(
            "bad_file",
            f"The tokenizer of {name} cannot be used by {tool} ({reason}): get its files again.",
            traceback.format_exc(),
        ) from error


@contextmanager
def told(name: str, tool: str) -> Iterator[None]:
    """Turn whatever a library raises inside into an `EdgetuiError` about the model `name`."""
    try:
        yield
    except (EdgetuiError, MemoryError):
        # The job's process has a sentence for the latter.
        raise
    except ImportError as error:
        raise EdgetuiError(
            "engine_missing",
            f"The toolchain {_TOOLCHAIN} lacks a package ({_short(str(error))}): install it anew with"
            f" `edgetui toolchain install {_TOOLCHAIN} --again`.",
            traceback.format_exc(),
        ) from error
    except Exception as error:
        # The libraries' exceptions have no common base: what they say tells them apart.
        raise _sentence(error, name, tool) from error


def _sentence(error: Exception, name: str, tool: str) -> EdgetuiError:
    said, detail = str(error), traceback.format_exc()
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if is_full or _SHORT_WRITE.search(said):
        return EdgetuiError("no_space", f"The disk ran full while {name} was converted: make room and try again.")
    if _PRE_TOKENIZER in said:
        return EdgetuiError(
            "unsupported",
            f"The tokenizer of {name} splits text in a way that this llama.cpp does not know: take the tokenizer of the"
            " model that it was made from, or update the toolchain.",
            detail,
        )
    if (lacking := re.search(r"could not find any of: (.+)", said)) or isinstance(error, KeyError):
        keys = lacking[1] if lacking else said
        return EdgetuiError(
            "bad_file",
            f"The configuration of {name} does not say {_short(keys)}: take config.json from its repository.",
            detail,
        )
    if unmapped := re.search(r"Can not map tensor ['\"](.+?)['\"]", said):
        return EdgetuiError(
            "unsupported",
            f"{name} has the tensor {_short(unmapped[1])}, which {tool} does not expect by its config.json: that may be"
            " another model's, or the model newer than the toolchain.",
            detail,
        )
    if "detect model architecture" in said:
        return EdgetuiError(
            "bad_file",
            f"config.json of {name} names no architecture (`architectures`): take the one of its repository.",
            detail,
        )
    return EdgetuiError("unsupported", f"{tool} cannot convert {name} ({_words(error)}): see the log.", detail)


def _words(error: Exception) -> str:
    return _short(str(error)) or type(error).__name__


def _short(text: str) -> str:
    line = plain_line(text.strip())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}..."
