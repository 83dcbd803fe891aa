"""Verifying and deleting real files of a real cache, filled from the loopback hub."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.hub_cache import repo_folder
from edgetui.hub import browse
from edgetui.hub.download import DownloadLimits, FileDownload, point_to
from tests.gguf_files import write_gguf
from tests.hub.content import Repo

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from tests.hub.server import LoopbackHub

REPO = "maker/two-GGUF"


def bring(lab: Lab) -> None:
    """Everything of the newest commit, as a download job does."""
    access = lab.hub.access
    page = browse.page(access, REPO)
    for file in page.files:
        FileDownload(access, REPO, page.commit, file, DownloadLimits(), lambda *_: None).run()
    point_to(access, REPO, "main", page.commit)


@pytest.fixture
def gguf(tmp_path: Path) -> bytes:
    path = tmp_path / "made.gguf"
    write_gguf(path)
    return path.read_bytes() + bytes(2000)


@pytest.fixture
def cached(hub_lab: Lab, hub: LoopbackHub, gguf: bytes) -> Lab:
    """A cache with two files of one revision."""
    repo = hub.add(Repo(REPO, tags=("gguf",)))
    repo.put("two-Q8_0.gguf", gguf)
    repo.put("two-Q4_0.gguf", gguf + b"4")
    bring(hub_lab)
    return hub_lab


async def entry_of(lab: Lab, name: str) -> ModelEntry:
    return next(entry for entry in await lab.catalog.scan() if entry.name.endswith(name))


async def test_a_downloaded_file_is_verified_by_its_promised_hash(cached: Lab, gguf: bytes) -> None:
    read: list[int] = []
    (found,) = await cached.library.verify(await entry_of(cached, "two-Q8_0"), read.append)
    assert found.is_right is True and found.sha256 == hashlib.sha256(gguf).hexdigest() and read[-1] == len(gguf)
    blob = found.path.resolve()
    damaged = bytearray(gguf)
    damaged[-1] ^= 1
    blob.write_bytes(damaged)
    (found,) = await cached.library.verify(await entry_of(cached, "two-Q8_0"))
    assert found.is_right is False


async def test_what_nobody_promised_is_hashed_and_said_to_be_so(hub_lab: Lab, gguf: bytes) -> None:
    hub_lab.paths.models_dir.mkdir(parents=True)
    (hub_lab.paths.models_dir / "own.gguf").write_bytes(gguf)
    (found,) = await hub_lab.library.verify(await entry_of(hub_lab, "own"))
    assert found.is_right is None and found.sha256 == hashlib.sha256(gguf).hexdigest()


async def test_a_removal_says_what_goes_and_how_much_becomes_free_before_it_goes(cached: Lab, gguf: bytes) -> None:
    preview = await cached.library.removal(await entry_of(cached, "two-Q8_0"))
    assert "two-Q4_0.gguf, two-Q8_0.gguf" in preview.what and preview.freed_bytes == 2 * len(gguf) + 1
    assert all(path.exists() for path in preview.paths)
    assert await cached.library.remove(preview) == preview.freed_bytes
    assert not any(path.exists() for path in preview.paths)
    assert not [entry for entry in await cached.catalog.scan() if entry.source == "hub"]


async def test_superseded_revisions_are_found_and_the_one_that_stands_is_kept(
    cached: Lab, hub: LoopbackHub, gguf: bytes
) -> None:
    assert await cached.library.unreferenced() == []
    hub.repos[REPO].put("two-Q8_0.gguf", gguf + b"newer")
    bring(cached)
    (old,) = await cached.library.unreferenced()
    # The file that both revisions share stays.
    assert old.freed_bytes == len(gguf) and "1 superseded revision of maker/two-GGUF" in old.what
    await cached.library.remove(old)
    assert await cached.library.unreferenced() == []
    kept = await entry_of(cached, "two-Q8_0")
    assert kept.path.read_bytes() == gguf + b"newer"


async def test_ones_own_file_goes_alone_and_what_belongs_to_others_stays(hub_lab: Lab, gguf: bytes) -> None:
    hub_lab.paths.models_dir.mkdir(parents=True)
    own = hub_lab.paths.models_dir / "own.gguf"
    own.write_bytes(gguf)
    await hub_lab.library.remove(await hub_lab.library.removal(await entry_of(hub_lab, "own")))
    assert not own.exists()
    with pytest.raises(EdgetuiError, match="belongs to the demo model's package"):
        await hub_lab.library.removal(await entry_of(hub_lab, "SmolLM2-135M-Instruct.Q4_1"))


async def test_the_same_content_twice_is_found_with_its_cost_and_links_cost_nothing(lab: Lab) -> None:
    folder = lab.paths.models_dir
    folder.mkdir(parents=True)
    one = write_gguf(folder / "one.gguf")
    (folder / "two.gguf").write_bytes(one.read_bytes())
    assert len(found := await lab.library.duplicates(await lab.catalog.scan())) == 1
    assert {entry.name for entry in found[0].entries} == {"one", "two"}
    assert found[0].wasted_bytes == one.stat().st_size
    (folder / "two.gguf").unlink()
    (folder / "two.gguf").hardlink_to(one)
    (found_link,) = await lab.library.duplicates(await lab.catalog.scan())
    assert found_link.wasted_bytes == 0


async def test_files_that_only_look_alike_are_told_apart_by_their_hashes(lab: Lab) -> None:
    """The fingerprint reads samples; a change between them is found by the whole hash."""
    folder = lab.paths.models_dir
    folder.mkdir(parents=True)
    content = write_gguf(folder / "one.gguf").read_bytes() + bytes(1024 * 1024)
    (folder / "one.gguf").write_bytes(content)
    other = bytearray(content)
    other[200_000] ^= 1
    (folder / "two.gguf").write_bytes(other)
    rows = await lab.catalog.scan()
    assert len({row.fingerprint for row in rows}) == 2
    assert await lab.library.duplicates(rows) == []


def test_a_file_is_revealed_only_where_there_is_a_desktop(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert lab.library.reveal(tmp_path / "x.gguf") is False
    opened, script = tmp_path / "opened", tmp_path / "xdg-open"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    assert lab.library.reveal(tmp_path / "x.gguf") is True
    deadline = time.monotonic() + 10
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened.read_text() == str(tmp_path)


async def test_a_model_is_not_deleted_from_under_an_unfinished_download(cached: Lab) -> None:
    entry = await entry_of(cached, "two-Q8_0")
    blobs = repo_folder(cached.hub.access.cache, REPO) / "blobs"
    partial = blobs / f"{'0' * 64}.edgetui-partial"
    partial.write_bytes(b"what has come so far")
    with pytest.raises(EdgetuiError, match="unfinished"):
        await cached.library.removal(entry)
    partial.unlink()
    removal = await cached.library.removal(entry)
    partial.write_bytes(b"it began meanwhile")
    with pytest.raises(EdgetuiError, match="unfinished"):
        await cached.library.remove(removal)
    assert partial.exists() and entry.path.exists()
