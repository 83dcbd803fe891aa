"""The texts that quality is measured over."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.hub.access import HubAccess
from edgetui.worker.texts import WIKITEXT_ARCHIVE, WIKITEXT_MEMBER, WIKITEXT_REPO, prepare
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub

WIKITEXT = " \n = Robert <unk> = \n \n Robert <unk> is an English film , television and theatre actor . \n" * 40


def no_hub() -> HubAccess:
    raise AssertionError("the hub is not needed")


def archive(member: str = WIKITEXT_MEMBER, content: str = WIKITEXT) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        written.writestr("wikitext-2-raw/wiki.train.raw", "train")
        written.writestr(member, content)
    return stream.getvalue()


def publish(hub: LoopbackHub, data: bytes) -> None:
    hub.add(Repo(f"datasets/{WIKITEXT_REPO}")).put(WIKITEXT_ARCHIVE, data)


def test_pythons_topics_are_the_same_text_each_time(tmp_path: Path) -> None:
    one, two = prepare("topics", tmp_path / "a", no_hub), prepare("topics", tmp_path / "b", no_hub)
    raw = Path(one.path).read_bytes()
    assert one.sha256 == two.sha256 == hashlib.sha256(raw).hexdigest()
    assert one.name.startswith("topics of Python 3.") and len(raw) > 300_000
    assert b"\r" not in raw and raw.strip() == raw


def test_a_persons_file_is_copied_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("My text.\n")
    text = prepare(str(tmp_path / "mine.txt"), tmp_path / "job", no_hub)
    assert text.name == "mine.txt" and Path(text.path).read_text() == "My text."
    assert text.sha256 == hashlib.sha256(b"My text.").hexdigest()


def test_wikitext_comes_from_the_hub_once(hub: LoopbackHub, access: HubAccess, tmp_path: Path) -> None:
    publish(hub, archive())
    text = prepare("wikitext-2", tmp_path, lambda: access)
    assert Path(text.path).read_text() == WIKITEXT.removesuffix("\n") and text.name == "WikiText-2 test"
    asked = len(hub.requests)
    offline = HubAccess(access.endpoint, access.cache, is_offline=True)
    assert prepare("wikitext-2", tmp_path, lambda: offline).sha256 == text.sha256
    assert len(hub.requests) == asked


def test_without_a_link_wikitext_is_one_sentence(hub: LoopbackHub, access: HubAccess, tmp_path: Path) -> None:
    offline = HubAccess(access.endpoint, access.cache, is_offline=True)
    dead = HubAccess("http://127.0.0.1:9", access.cache, is_offline=False)
    for each in (offline, dead):
        with pytest.raises(EdgetuiError) as caught:
            prepare("wikitext-2", tmp_path, lambda each=each: each)  # type: ignore[misc]
        assert caught.value.failure.kind == "network" and "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"no archive at all" * 100, archive("elsewhere.raw")])
def test_an_archive_that_holds_something_else_is_told(
    hub: LoopbackHub, access: HubAccess, tmp_path: Path, data: bytes
) -> None:
    publish(hub, data)
    with pytest.raises(EdgetuiError, match="holds no WikiText-2") as caught:
        prepare("wikitext-2", tmp_path, lambda: access)
    assert caught.value.failure.kind == "bad_file"
