"""Downloads through the real huggingface_hub from a hub on which everything goes wrong that may."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubFile, HubPage
from edgetui.formats.hub_cache import partial_blob, repo_folder
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload, point_to
from tests.hub.content import Repo, StoredFile
from tests.hub.fixtures import WEIGHTS
from tests.hub.server import LoopbackHub

REPO = "maker/tiny-GGUF"
NAME = "tiny-Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wait is short; how long waits become is tested by itself."""
    monkeypatch.setattr("edgetui.hub.download._FIRST_WAIT_S", 0.01)


class Reports(list[tuple[int, str]]):
    """What a download tells on its way."""

    def __call__(self, here: int, note: str) -> None:
        self.append((here, note))

    @property
    def notes(self) -> str:
        return " | ".join(note for _, note in self if note)


def download(
    access: HubAccess,
    page: HubPage | None = None,
    *,
    path: str = NAME,
    limits: DownloadLimits | None = None,
    reports: Reports | None = None,
) -> Path:
    """Bring one file."""
    page = page or browse.page(access, REPO)
    file = next(file for file in page.files if file.path == path)
    limits = limits or DownloadLimits(stall_s=0.5, most_failures=4)
    reports = Reports() if reports is None else reports
    return FileDownload(access, page.model.repo, page.commit, file, limits, reports).run()


def leftovers(access: HubAccess) -> list[str]:
    """Names in the blobs folder that are no blob."""
    blobs = repo_folder(access.cache, REPO) / "blobs"
    return sorted(path.name for path in blobs.iterdir() if "." in path.name) if blobs.exists() else []


def test_a_file_arrives_where_every_client_of_the_cache_finds_it(access: HubAccess, hub: LoopbackHub) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    page = browse.page(access, REPO)
    reports = Reports()
    path = download(access, page, reports=reports)
    point_to(access, REPO, "main", page.commit)
    assert path.read_bytes() == WEIGHTS and leftovers(access) == []
    assert path.resolve().name == hashlib.sha256(WEIGHTS).hexdigest()
    seen = len(hub.requests)
    own = hf_hub_download(REPO, NAME, cache_dir=access.cache, local_files_only=True)
    assert Path(own) == path and len(hub.requests) == seen
    (repo,) = scan_cache_dir(access.cache).repos
    assert repo.repo_id == REPO and repo.size_on_disk == len(WEIGHTS)
    assert reports[-1] == (len(WEIGHTS), "checking") and [here for here, _ in reports] == sorted(
        here for here, _ in reports
    )


def test_a_small_file_is_checked_by_gits_own_hash(access: HubAccess, hub: LoopbackHub) -> None:
    assert download(access, path="README.md").read_bytes().startswith(b"---\nlicense")
    hub.repos[REPO].put("config.json", b"{}" * 100)
    hub.fail("config.json", corrupt_at=11)
    with pytest.raises(EdgetuiError, match="its hash differs"):
        download(access, path="config.json")
    assert leftovers(access) == []


def test_what_is_here_already_is_not_fetched_again(access: HubAccess, hub: LoopbackHub) -> None:
    first = download(access)
    sent = hub.sent_bytes("/blobs/")
    assert download(access) == first and hub.sent_bytes("/blobs/") == sent == len(WEIGHTS)


def test_a_link_that_dies_again_and_again_goes_on_at_the_last_byte(access: HubAccess, hub: LoopbackHub) -> None:
    for _ in range(4):
        hub.fail("/blobs/", drop_after=600_000)
    reports = Reports()
    assert download(access, reports=reports).read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") <= len(WEIGHTS) + 4 * 65536
    assert "the connection was cut: next try in" in reports.notes


def test_a_connection_that_brings_nothing_any_more_is_made_anew(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", stall_after=1_000_000)
    reports = Reports()
    assert download(access, reports=reports).read_bytes() == WEIGHTS
    assert "nothing comes any more" in reports.notes


def test_a_break_off_is_resumed_by_the_next_run_from_what_is_safe(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", drop_after=2_000_000)
    with pytest.raises(EdgetuiError) as caught:
        hub.fail("/blobs/", status=503, times=-1)
        download(access)
    assert caught.value.failure.kind == "network" and "status 503" in str(caught.value)
    here = partial_blob(repo_folder(access.cache, REPO) / "blobs" / hashlib.sha256(WEIGHTS).hexdigest())
    assert here.stat().st_size == 2_000_000
    snapshot = repo_folder(access.cache, REPO) / "snapshots"
    assert not list(snapshot.rglob("*.gguf"))
    hub.faults.clear()
    before = hub.sent_bytes("/blobs/")
    assert download(access).read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") - before == len(WEIGHTS) - 2_000_000


def test_bytes_that_were_not_safe_on_disk_are_fetched_again(access: HubAccess, hub: LoopbackHub) -> None:
    here = partial_blob(repo_folder(access.cache, REPO) / "blobs" / hashlib.sha256(WEIGHTS).hexdigest())
    here.parent.mkdir(parents=True)
    # As after a power cut: longer than what was put on disk, with rubbish at the end.
    here.write_bytes(WEIGHTS[:1_000_000] + bytes(500_000))
    here.with_name(f"{here.name}.safe").write_text("1000000")
    assert download(access).read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") == len(WEIGHTS) - 1_000_000


def test_a_wrong_byte_is_found_deleted_and_named(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", corrupt_at=1_234_567)
    with pytest.raises(EdgetuiError, match=r"tiny-Q4_K_M\.gguf came with other content") as caught:
        download(access)
    assert caught.value.failure.kind == "bad_file" and leftovers(access) == []
    assert download(access).read_bytes() == WEIGHTS


def test_an_answer_that_is_too_short_is_continued(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", cut_to=1_000_000)
    hub.fail("/blobs/", cut_to=0)
    assert download(access).read_bytes() == WEIGHTS


def test_a_server_that_ignores_ranges_starts_over_without_mixing(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", drop_after=700_000)
    hub.fail("/blobs/", status=200, body=WEIGHTS)
    assert download(access).read_bytes() == WEIGHTS


def test_a_hub_that_asks_to_slow_down_is_waited_for_as_long_as_it_says(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    hub.fail("/resolve/", method="HEAD", status=429, headers={"Retry-After": "1"})
    hub.fail("/blobs/", status=503, headers={"Retry-After": "1"})
    reports = Reports()
    assert download(access, page, reports=reports).read_bytes() == WEIGHTS
    assert "the hub asks to slow down: next try in 1 s" in reports.notes
    assert "the hub answers with status 503: next try in 1 s" in reports.notes


def test_an_address_that_has_expired_is_asked_for_again(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", drop_after=1_000_000)
    hub.fail("/blobs/", status=403)
    assert download(access).read_bytes() == WEIGHTS
    assert sum(seen.method == "HEAD" and "/resolve/" in seen.path for seen in hub.requests) >= 2


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    access: HubAccess, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fail("/blobs/", drop_after=1_000_000)
    download(access)
    sent = {seen.host: "hf_secret" in str(seen.headers) for seen in hub.requests}
    assert sent == {"hub": True, "content": False}


def test_a_gated_model_names_the_page_to_accept(
    access: HubAccess, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos[REPO].gated = "manual"
    page = browse.page(access, REPO)
    with pytest.raises(EdgetuiError, match=f"accept its conditions at {hub.endpoint}/{REPO}") as caught:
        download(access, page)
    assert caught.value.failure.kind == "gated"
    hub.tokens["hf_reader"] = "reader"
    hub.repos[REPO].readers = ("hf_reader",)
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert download(access, page).read_bytes() == WEIGHTS


def test_a_commit_in_between_changes_nothing_of_what_was_chosen(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    hub.fail("/blobs/", drop_after=1_000_000, before=lambda: hub.repos[REPO].put(NAME, b"other" * 1000) and None)
    assert download(access, page).read_bytes() == WEIGHTS


def test_a_hub_that_gives_another_file_for_the_same_commit_is_not_believed(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    other = HubFile(path=NAME, size_bytes=5, sha256="0" * 64)
    with pytest.raises(EdgetuiError, match="is another file on the hub now"):
        FileDownload(access, REPO, page.commit, other, DownloadLimits(), Reports()).run()


@pytest.mark.parametrize(
    "path", ["../../escape", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b", "nul\0", "", "a//b", "."]
)
def test_no_path_of_a_repository_leads_out_of_the_cache(access: HubAccess, path: str) -> None:
    with pytest.raises(EdgetuiError, match="outside the cache"):
        FileDownload(access, REPO, "0" * 40, HubFile(path=path), DownloadLimits(), Reports()).run()
    assert not access.cache.exists()


def test_an_etag_that_is_no_hash_names_no_file(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    headers = {
        "X-Repo-Commit": page.commit,
        "X-Linked-Etag": '"../../../escape"',
        "X-Linked-Size": "5",
        "Location": "/x",
    }
    hub.fail("/resolve/", method="HEAD", status=200, headers=headers)
    with pytest.raises(EdgetuiError, match="it is no hub"):
        download(access, page)


def test_too_little_room_is_said_before_anything_is_fetched(access: HubAccess, hub: LoopbackHub) -> None:
    with pytest.raises(EdgetuiError, match=r"needs 2\.86 MiB more") as caught:
        download(access, limits=DownloadLimits(headroom_bytes=1 << 60))
    assert caught.value.failure.kind == "no_space" and hub.sent_bytes("/blobs/") == 0


def test_a_cache_that_cannot_be_written_is_named(access: HubAccess, tmp_path: Path) -> None:
    access.cache.parent.mkdir(parents=True)
    access.cache.write_text("a file")
    with pytest.raises(EdgetuiError) as caught:
        download(access)
    assert str(access.cache) in str(caught.value)


def test_a_hub_that_is_gone_is_said_after_so_many_tries(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    gone = HubAccess("http://127.0.0.1:9", access.cache, is_offline=False)
    reports = Reports()
    with pytest.raises(EdgetuiError, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
        download(gone, page, reports=reports)
    assert caught.value.failure.kind == "network"
    assert reports.notes.count("cannot be reached") >= 4


def test_offline_asks_nobody(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    seen = len(hub.requests)
    with pytest.raises(EdgetuiError, match="HF_HUB_OFFLINE is set"):
        download(HubAccess(access.endpoint, access.cache, is_offline=True), page)
    assert len(hub.requests) == seen


def test_a_rate_limit_is_kept_to(access: HubAccess) -> None:
    import time

    began = time.monotonic()
    download(access, limits=DownloadLimits(bytes_per_s=6_000_000))
    # Half a second for 3 MB; only too fast is wrong.
    assert time.monotonic() - began >= 0.4


def test_two_downloads_of_one_file_wait_for_each_other(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    hub.fail("/blobs/", bytes_per_s=6_000_000, times=-1)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(download(access, page))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0].read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") == len(WEIGHTS)


def test_another_client_of_the_hub_waits_for_us_and_takes_what_we_brought(access: HubAccess, hub: LoopbackHub) -> None:
    from huggingface_hub import hf_hub_download

    page = browse.page(access, REPO)
    begun = threading.Event()
    hub.fail("/blobs/", bytes_per_s=6_000_000, before=begun.set)
    ours = threading.Thread(target=lambda: download(access, page))
    ours.start()
    begun.wait(5)
    theirs = hf_hub_download(REPO, NAME, revision=page.commit, cache_dir=access.cache, endpoint=hub.endpoint)
    ours.join()
    assert Path(theirs).read_bytes() == WEIGHTS and hub.sent_bytes("/blobs/") == len(WEIGHTS)


def test_a_full_disk_keeps_what_has_come(access: HubAccess, monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub) -> None:
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset >= 1_000_000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(EdgetuiError, match="is full: make room and resume") as caught:
        download(access)
    assert caught.value.failure.kind == "no_space"
    monkeypatch.setattr("os.pwrite", real)
    before = hub.sent_bytes("/blobs/")
    assert download(access).read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") - before < len(WEIGHTS)


def test_a_repository_that_is_not_there_is_said(access: HubAccess, hub: LoopbackHub) -> None:
    hub.add(Repo("maker/empty"))
    with pytest.raises(EdgetuiError, match="has no model maker/none") as caught:
        browse.page(access, "maker/none")
    assert caught.value.failure.kind == "not_found"


@pytest.mark.parametrize("commit", ["../../../../pwned", "/tmp/pwned", "\x1b]0;x\x07", "a" * 39, "é" * 40, ""])
def test_a_commit_that_is_none_reaches_no_path(
    access: HubAccess, hub: LoopbackHub, tmp_path: Path, commit: str
) -> None:
    page = browse.page(access, REPO)
    with pytest.raises(EdgetuiError, match="is no commit of"):
        download(access, msgspec.structs.replace(page, commit=commit))
    body = json.dumps({"id": REPO, "sha": commit, "siblings": []}).encode()
    hub.fail(f"/api/models/{REPO}", status=200, body=body, headers={"Content-Type": "application/json"})
    with pytest.raises(EdgetuiError, match="does not answer as a hub does"):
        browse.page(access, REPO)
    assert not access.cache.exists() or not list(access.cache.rglob("*pwned*"))


def test_a_file_that_is_another_when_it_is_linked_is_not_taken(access: HubAccess, hub: LoopbackHub) -> None:
    page = browse.page(access, REPO)
    file = next(file for file in page.files if file.path == NAME)
    repo = hub.repos[REPO]

    def swapped_link() -> Path:
        # Between the question where the file is and the link: the same commit tells of another content.
        repo.files[NAME] = StoredFile(NAME, WEIGHTS[::-1])
        repo.history[page.commit] = repo.files
        return link()

    bringing = FileDownload(access, REPO, page.commit, file, DownloadLimits(), lambda *_: None)
    link = bringing._link
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bringing, "_link", swapped_link)
        with pytest.raises(EdgetuiError, match="is another file on the hub now"):
            bringing.run()
    snapshot = repo_folder(access.cache, REPO) / "snapshots" / page.commit / NAME
    assert not snapshot.exists()


def test_a_blob_of_another_length_is_fetched_anew_and_one_that_was_here_is_not_called_checked(
    access: HubAccess, hub: LoopbackHub
) -> None:
    page = browse.page(access, REPO)
    file = next(file for file in page.files if file.path == NAME)
    blob = repo_folder(access.cache, REPO) / "blobs" / file.sha256
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"short")
    bringing = FileDownload(access, REPO, page.commit, file, DownloadLimits(), lambda *_: None)
    assert bringing.run().read_bytes() == WEIGHTS and bringing.was_fetched
    again = FileDownload(access, REPO, page.commit, file, DownloadLimits(), lambda *_: None)
    assert again.run().read_bytes() == WEIGHTS and not again.was_fetched


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": b"<html>log in</html>", "headers": {"Content-Type": "text/html"}},
        {"status": 416, "headers": {"Content-Range": f"bytes */{len(WEIGHTS)}"}},
    ],
)
def test_an_answer_that_is_not_the_file_takes_nothing_away(
    access: HubAccess, hub: LoopbackHub, fault: dict[str, Any]
) -> None:
    hub.fail("/blobs/", drop_after=2_500_000)
    hub.fail("/blobs/", **fault)
    assert download(access).read_bytes() == WEIGHTS
    assert hub.sent_bytes("/blobs/") < len(WEIGHTS) + 100_000


def test_a_store_that_ignores_ranges_and_always_breaks_off_is_given_up(access: HubAccess, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", drop_after=700_000)
    hub.fail("/blobs/", status=200, body=WEIGHTS[:900_000], headers={"Transfer-Encoding": "identity"}, times=-1)
    with pytest.raises(EdgetuiError):
        download(access)
    assert hub.sent_bytes("/blobs/") < 20_000_000
