"""Download jobs in processes of their own, against the loopback hub."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubQuery
from edgetui.core.run_settings import LoadSettings
from edgetui.formats.hub_cache import partial_blob_files, repo_folder
from edgetui.hub.access import HubAccess
from edgetui.services.downloads import Downloads
from edgetui.services.hub import Hub
from edgetui.store.job_folder import JobFolder
from edgetui.worker.job_events import JobStarted
from tests.hub.content import Repo
from tests.hub.fixtures import WEIGHTS

if TYPE_CHECKING:
    from edgetui.core.hub import HubPage
    from edgetui.core.jobs import JobRecord
    from edgetui.services.lab import Lab
    from tests.hub.server import LoopbackHub

REPO = "maker/tiny-GGUF"
BIG = random.Random(8).randbytes(24_000_000)


async def page_of(hub_lab: Lab, repo: str = REPO) -> HubPage:
    return (await hub_lab.hub.page(repo)).value


async def ended(hub_lab: Lab, job_id: str) -> JobRecord:
    async for _ in hub_lab.jobs.watch(job_id):
        pass
    return await hub_lab.jobs.get(job_id)


async def brought(hub_lab: Lab, job_id: str, least: int) -> None:
    """Wait until so many bytes are here."""

    async def pause(seconds: float = 0.02) -> None:
        await hub_lab.jobs.list()
        await asyncio.sleep(seconds)

    while ((await hub_lab.jobs.get(job_id)).bytes_done or 0) < least:
        await pause()


async def waiting(lab: Lab, job_id: str) -> None:
    """Wait until it stands in the queue."""

    async def pause(seconds: float = 0.02) -> None:
        await lab.jobs.list()
        await asyncio.sleep(seconds)

    while "waiting for other downloads" not in (await lab.jobs.get(job_id)).note:
        await pause()


def content(record: JobRecord) -> bytes:
    return Path(record.output or "").read_bytes()


def partials(hub_lab: Lab, data: bytes) -> tuple[Path, Path]:
    blob = repo_folder(hub_lab.hub.access.cache, REPO) / "blobs" / hashlib.sha256(data).hexdigest()
    return partial_blob_files(blob)


async def test_a_download_is_a_job_and_its_model_is_found(hub_lab: Lab, hub: LoopbackHub, demo_model: Path) -> None:
    hub.add(Repo("maker/demo-GGUF", tags=("gguf",))).put("demo-Q4_1.gguf", demo_model)
    page = await page_of(hub_lab, "maker/demo-GGUF")
    record = await ended(hub_lab, (await hub_lab.downloads.start(page, page.variants[0])).job_id)
    assert record.state == "succeeded" and "matches the hub's hashes" in record.summary
    assert (record.kind, record.subject, record.goal) == ("download", "maker/demo-GGUF", "demo-Q4_1")
    entries = await hub_lab.catalog.scan()
    found = next(entry for entry in entries if entry.path == Path(record.output or ""))
    assert found.repo == "maker/demo-GGUF" and found.problem is None
    assert (repo_folder(hub_lab.hub.access.cache, "maker/demo-GGUF") / "refs/main").read_text() == page.commit


async def test_files_of_one_model_are_counted_with_how_far_each_is(hub_lab: Lab, hub: LoopbackHub) -> None:
    for number in (1, 2):
        hub.repos[REPO].put(f"split-Q8_0-{number:05d}-of-00002.gguf", BIG[: number * 3_000_000])
    hub.fail("/blobs/", bytes_per_s=4_000_000, times=-1)
    page = await page_of(hub_lab)
    split = next(variant for variant in page.variants if len(variant.files) == 2)
    job = await hub_lab.downloads.start(page, split)
    notes: set[str] = set()
    while (record := await hub_lab.jobs.get(job.job_id)).is_running:
        notes.add(record.note)
        await hub_lab.jobs.list()
        await asyncio.sleep(0.05)
    second = [note for note in notes if note.startswith("2/2 split-Q8_0-00002-of-00002.gguf ")]
    assert second and any("/5.72 MiB" in note for note in second)
    assert record.state == "succeeded" and record.bytes_done == 9_000_000


async def test_kill_9_loses_next_to_nothing_and_the_next_run_goes_on(hub_lab: Lab, hub: LoopbackHub) -> None:
    hub.repos[REPO].put("tiny-Q8_0.gguf", BIG)
    slow = hub.fail("/blobs/", bytes_per_s=12_000_000, times=-1)
    page = await page_of(hub_lab)
    big = next(variant for variant in page.variants if variant.quant_type == "Q8_0")
    job = await hub_lab.downloads.start(page, big)
    await brought(hub_lab, job.job_id, 14_000_000)
    events, _ = JobFolder(hub_lab.paths.jobs_dir / job.job_id).read_journal()
    started = next(event for event in events if isinstance(event, JobStarted))
    os.kill(started.pid, signal.SIGKILL)
    assert (await ended(hub_lab, job.job_id)).state == "interrupted"
    slow.bytes_per_s = None
    before = hub.sent_bytes("/blobs/")
    await hub_lab.jobs.restart(job.job_id)
    record = await ended(hub_lab, job.job_id)
    assert record.state == "succeeded" and content(record) == BIG
    # At most the last step that was not yet safe on disk came twice.
    assert hub.sent_bytes("/blobs/") - before <= len(BIG) - 4_000_000


async def test_a_pause_keeps_what_came_and_a_cancel_removes_it(hub_lab: Lab, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", bytes_per_s=1_500_000, times=-1)
    page = await page_of(hub_lab)
    job = await hub_lab.downloads.start(page, page.variants[0])
    await brought(hub_lab, job.job_id, 300_000)
    with pytest.raises(EdgetuiError, match="is being downloaded already"):
        await hub_lab.downloads.start(page, page.variants[0])
    paused = await hub_lab.jobs.pause(job.job_id)
    assert paused.state == "paused" and "kept" in paused.summary
    partial, _ = partials(hub_lab, WEIGHTS)
    assert partial.stat().st_size >= 300_000
    await hub_lab.jobs.restart(job.job_id)
    await brought(hub_lab, job.job_id, 300_000)
    assert (await hub_lab.jobs.cancel(job.job_id)).state == "cancelled"
    assert not any(path.exists() for path in partials(hub_lab, WEIGHTS))
    with pytest.raises(EdgetuiError, match="is no download that is running"):
        await hub_lab.jobs.pause(job.job_id)


async def test_a_job_that_fails_says_why_and_keeps_what_came(hub_lab: Lab, hub: LoopbackHub) -> None:
    hub.repos[REPO].gated = "auto"
    page = await page_of(hub_lab)
    record = await ended(hub_lab, (await hub_lab.downloads.start(page, page.variants[0])).job_id)
    assert record.state == "failed" and "accept its conditions at" in record.summary


async def test_only_so_many_run_at_once_and_the_first_in_the_queue_is_the_next(hub_lab: Lab, hub: LoopbackHub) -> None:
    one_by_one = Downloads(msgspec.structs.replace(hub_lab.settings, downloads_at_once=1), hub_lab.jobs, hub_lab.hub)
    slow = hub.fail("/blobs/", bytes_per_s=100_000, times=-1)
    jobs = []
    for name in ("a", "b", "c"):
        hub.add(Repo(f"many/{name}", tags=("gguf",))).put(f"{name}-Q4_0.gguf", name.encode() * 1_500_000)
        page = await page_of(hub_lab, f"many/{name}")
        jobs.append(await one_by_one.start(page, page.variants[0]))
        if name == "a":
            await brought(hub_lab, jobs[0].job_id, 1)
        else:
            await waiting(hub_lab, jobs[-1].job_id)
    assert "waiting" not in (await hub_lab.jobs.get(jobs[0].job_id)).note
    await hub_lab.jobs.put_first(jobs[2].job_id)
    with pytest.raises(EdgetuiError, match="does not wait"):
        await hub_lab.jobs.put_first(jobs[0].job_id)
    slow.bytes_per_s = None
    assert [(await ended(hub_lab, job.job_id)).state for job in jobs] == ["succeeded"] * 3
    heads = [seen.path for seen in hub.requests if seen.method == "HEAD" and "/many/" in seen.path]
    assert list(dict.fromkeys(path.split("/")[2] for path in heads)) == ["a", "c", "b"]


async def test_too_little_room_and_missing_parts_start_no_job(
    hub_lab: Lab, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos[REPO].put("split-Q4_0-00001-of-00002.gguf", BIG)
    page = await page_of(hub_lab)
    split = next(variant for variant in page.variants if variant.missing)
    with pytest.raises(EdgetuiError, match="lacks 1 of its parts"):
        await hub_lab.downloads.start(page, split)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: os.terminal_size((0, 0)) and type("U", (), {"free": 1})())
    with pytest.raises(EdgetuiError, match=r"needs 2\.86 MiB") as caught:
        await hub_lab.downloads.start(page, page.variants[0])
    assert caught.value.failure.kind == "no_space" and await hub_lab.jobs.list() == ()


async def test_what_was_seen_is_browsable_without_a_link(hub_lab: Lab, hub: LoopbackHub) -> None:
    async def found(hub_service: Hub, **query: str) -> tuple[list[str], str]:
        async for told in hub_service.search(HubQuery(**query)):  # type: ignore[arg-type]
            return [model.repo for model in told.value], told.problem
        return [], ""

    assert await found(hub_lab.hub) == ([REPO], "")
    await page_of(hub_lab)
    offline = Hub(
        hub_lab.paths, hub_lab.database, lambda: HubAccess(hub.endpoint, hub_lab.hub.access.cache, is_offline=True)
    )
    rows, problem = await found(offline)
    assert rows == [REPO] and "HF_HUB_OFFLINE is set" in problem
    rows, problem = await found(offline, text="TINY")
    assert rows == [REPO] and problem
    told = await offline.page(REPO)
    assert told.problem and told.value == await page_of(hub_lab)
    with pytest.raises(EdgetuiError, match="HF_HUB_OFFLINE"):
        await offline.page("never/seen")
    with pytest.raises(EdgetuiError, match="HF_HUB_OFFLINE"):
        await found(offline, text="never seen")


async def test_a_model_that_is_not_here_has_an_exact_fit_before_it_is_downloaded(
    hub_lab: Lab, hub: LoopbackHub, demo_model: Path, demo_entry: object
) -> None:
    hub.add(Repo("maker/demo-GGUF", tags=("gguf",))).put("demo-Q4_1.gguf", demo_model)
    page = await page_of(hub_lab, "maker/demo-GGUF")
    entry = (await hub_lab.hub.inside(page, page.variants[0])).entry
    assert entry is not None
    assert (entry.architecture, entry.quant_type, entry.parameter_count) == ("llama", "Q4_1", 134_515_008)
    settings = LoadSettings(context_tokens=2048, threads=1)
    remote = await hub_lab.fit.memory(entry, settings)
    here = await hub_lab.fit.memory(demo_entry, settings)  # type: ignore[arg-type]
    assert (remote.parts.weights, remote.parts.kv_cache, remote.parts.compute) == (
        here.parts.weights,
        here.parts.kv_cache,
        here.parts.compute,
    )
    assert hub.sent_bytes("/blobs/") <= 4 * 1024**2


async def test_forgetting_an_old_job_keeps_what_a_newer_one_goes_on_with(hub_lab: Lab, hub: LoopbackHub) -> None:
    hub.fail("/blobs/", bytes_per_s=1_500_000, times=-1)
    page = await page_of(hub_lab)
    jobs = []
    for least in (300_000, 600_000):
        job = await hub_lab.downloads.start(page, page.variants[0])
        await brought(hub_lab, job.job_id, least)
        await hub_lab.jobs.pause(job.job_id)
        jobs.append(job.job_id)
    await hub_lab.jobs.remove(jobs[0])
    partial, _ = partials(hub_lab, WEIGHTS)
    assert partial.stat().st_size >= 600_000
    await hub_lab.jobs.remove(jobs[1])
    assert not partial.exists()
