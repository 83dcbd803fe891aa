"""The texts that quality is measured over, put where a step in any environment can read them."""

from __future__ import annotations

import hashlib
import platform
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.quality import EMBEDDED_TEXT, WIKITEXT, MeasuredText
from edgetui.formats.text_file import decode_text, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.hub.access import HubAccess

WIKITEXT_REPO, WIKITEXT_ARCHIVE = "ggml-org/ci", "wikitext-2-raw-v1.zip"
"""Where llama.cpp's own documentation has the text from: an archive that needs no reader of parquet files."""
WIKITEXT_MEMBER = "wikitext-2-raw/wiki.test.raw"
_MOST_MEMBER_BYTES = 16 * 1024**2


def prepare(text: str, folder: Path, access: Callable[[], HubAccess]) -> MeasuredText:
    """Write the text of `QualitySettings.text` into a folder; `access` is asked for only where the hub is needed.

    The SHA-256 is that of the whole text. Raises `EdgetuiError` as `read_text` and the hub do, and `unsupported` where
    Python came without its documentation's topics.
    """
    if text == EMBEDDED_TEXT:
        name, content = f"topics of Python {platform.python_version()}", topics()
    elif text == WIKITEXT:
        name, content = "WikiText-2 test", wikitext(access())
    else:
        name, content = Path(text).name, read_text(Path(text))
    raw = content.encode()
    path = folder / "text.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    except OSError as error:
        raise EdgetuiError(
            "no_space", f"The text cannot be written to {folder} ({error.strerror}): free some space there."
        ) from error
    return MeasuredText(name=name, path=str(path), sha256=hashlib.sha256(raw).hexdigest())


def topics() -> str:
    """CPython's documentation topics, in the order of their names, blank lines between.

    A version of Python has a text of its own; what joins them depends on nothing else.
    """
    try:
        from pydoc_data.topics import topics as found
    except ImportError as error:
        raise EdgetuiError(
            "unsupported",
            "This Python came without its documentation's topics: name a text file, or take wikitext-2.",
        ) from error
    return "\n\n".join(found[name].strip() for name in sorted(found))


def wikitext(access: HubAccess) -> str:
    """WikiText-2's raw test part; raises `EdgetuiError`."""
    from edgetui.hub.datasets import dataset_file

    path = dataset_file(access, WIKITEXT_REPO, WIKITEXT_ARCHIVE)
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(WIKITEXT_MEMBER)
            if member.file_size > _MOST_MEMBER_BYTES:
                raise _no_wikitext(path)
            return decode_text(archive.read(member), "WikiText-2")
    except (OSError, KeyError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise _no_wikitext(path) from error


def _no_wikitext(path: Path) -> EdgetuiError:
    return EdgetuiError(
        "bad_file", f"The archive {path} holds no WikiText-2 as it should: remove it, and it is fetched again."
    )
