"""Weights in huge pages: asked for before they are written, and only where that pays and memory allows it."""

from __future__ import annotations

import mmap
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.failures import EdgetuiError
from edgetui.core.studies import AS_A_CHAT
from edgetui.engines import host, huge_pages
from edgetui.engines.huge_pages import HugePages
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.bench import open_runner
from edgetui.engines.measuring import measure
from tests.engines.llama_cpp_driver import driven

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.worker.protocol import Loaded

T = TypeVar("T")

MIB = 1024**2
PROMPT = "The sea is"
ASKED_FOR = huge_pages.are_available() and "[madvise]" in Path(huge_pages._ENABLED).read_text()
given = pytest.mark.skipif(
    not ASKED_FOR, reason="this system gives huge pages to nobody, or to those too who do not ask"
)


def own_memory() -> mmap.mmap:
    """64 MiB as an allocator gets them."""
    return mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def in_a_new_process(function: Callable[..., T], *arguments: object) -> T:
    """Where a worker loads a model: what other tests have freed here would be taken again, as it lies."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@pytest.fixture
def without_huge_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a kernel whose administrator has switched them off."""
    setting = tmp_path / "enabled"
    setting.write_text("always madvise [never]\n")
    monkeypatch.setattr(huge_pages, "_ENABLED", setting)


@given
def test_memory_that_is_asked_for_before_it_is_written_lies_in_huge_pages() -> None:
    pages = HugePages()
    with own_memory() as mapped, own_memory() as later:
        pages.ask()
        for part in (mapped, later):
            part.write(b"x" * 64 * MIB)
        # All but the ends that fill no huge page of their own.
        assert pages.gained_bytes() >= 100 * MIB
    assert pages.gained_bytes() < 100 * MIB


@given
def test_memory_that_was_there_before_is_left_alone() -> None:
    with own_memory() as before:
        pages = HugePages()
        pages.ask()
        before.write(b"x" * 64 * MIB)
        assert pages.gained_bytes() < 32 * MIB


@pytest.mark.parametrize("name", ["line\u2028end.gguf", "form\x0cfeed", os.fsdecode(b"latin\xe9"), " two  blanks "])
def test_no_name_of_a_mapped_file_is_in_the_way(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x" * mmap.PAGESIZE)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        HugePages().ask()


@given
def test_only_what_came_since_is_asked_for_where_both_are_one_stretch() -> None:
    with own_memory() as first:
        pages = HugePages()
        # The kernel puts it right beside the first, and shows both as one.
        with own_memory() as second:
            pages.ask()
            first.write(b"x" * 64 * MIB)
            before = pages.gained_bytes()
            second.write(b"x" * 64 * MIB)
            assert before < 32 * MIB < 48 * MIB < pages.gained_bytes() - before


@given
def test_a_system_without_them_is_not_asked(without_huge_pages: None) -> None:
    assert not huge_pages.are_available()
    pages = HugePages()
    with own_memory() as mapped:
        pages.ask()
        mapped.write(b"x" * 64 * MIB)
        assert pages.gained_bytes() < 32 * MIB


def test_a_system_that_tells_nothing_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huge_pages, "_ENABLED", tmp_path / "nothing")
    assert not huge_pages.are_available()


def _loads(model: Path) -> list[tuple[Loaded, str]]:
    """A model as a chat loads it and then mapped, and what each says."""
    found = []
    alone: dict[str, Any] = {}
    for settings in (alone, {"use_mmap": True}):
        with driven(model, **settings) as loaded:
            found.append((loaded.loaded, loaded.say(PROMPT, max_tokens=16)[0]))
    return found


@given
def test_a_model_is_read_into_huge_pages_by_itself_and_says_the_same(demo_model: Path) -> None:
    (read, said), (mapped, said_mapped) = in_a_new_process(_loads, demo_model)
    assert read.use_mmap is False and mapped.use_mmap is True
    assert read.huge_page_bytes > 0.9 * read.weights_bytes and mapped.huge_page_bytes == 0
    assert said and said == said_mapped


@given
def test_it_can_be_read_without_them(demo_model: Path) -> None:
    with driven(demo_model, use_mmap=False, huge_pages=False) as read:
        assert (read.loaded.use_mmap, read.loaded.huge_page_bytes) == (False, 0)


@pytest.mark.parametrize(
    ("settings", "backend", "room"),
    [
        ({"huge_pages": False}, "CPU", 3.0),
        ({}, "CPU", 1.9),
        ({}, "CUDA0", 3.0),
    ],
    ids=["huge pages are not wanted", "there is no room for twice its size", "an accelerator computes it"],
)
def test_a_file_is_mapped_where_reading_it_gains_nothing(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], backend: str, room: float
) -> None:
    monkeypatch.setattr(library, "backend", lambda: backend)
    free = int(demo_model.stat().st_size * room)
    monkeypatch.setattr(host, "available_memory_bytes", lambda: free)
    with driven(demo_model, context_tokens=256, **settings) as model:
        assert (model.loaded.use_mmap, model.loaded.huge_page_bytes) == (True, 0)


def test_a_file_is_mapped_where_there_are_none(demo_model: Path, without_huge_pages: None) -> None:
    with driven(demo_model) as model:
        assert (model.loaded.use_mmap, model.loaded.huge_page_bytes) == (True, 0)


@given
def test_layers_that_no_accelerator_has_are_read(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "backend", lambda: "CUDA0")
    with driven(demo_model, gpu_layers=0) as model:
        assert model.loaded.use_mmap is False


def _row_of(model: Path, use_mmap: bool | None, are_asked: bool) -> tuple[bool | None, bool | None]:
    settings = BenchSettings(
        prompt_tokens=4, generated_tokens=0, repetitions=1, threads=1, use_mmap=use_mmap, huge_pages=are_asked
    )
    (row,) = measure(open_runner, model, "demo", settings, lambda repetition: None)
    return row.use_mmap, row.huge_pages


@given
def test_a_row_tells_how_the_weights_lay(demo_model: Path) -> None:
    assert in_a_new_process(_row_of, demo_model, True, False) == (True, False)
    assert in_a_new_process(_row_of, demo_model, False, True) == (False, True)
    assert in_a_new_process(_row_of, demo_model, None, True) == (False, True)
    # Asked for and not come, since all of this model is mapped.
    assert in_a_new_process(_row_of, demo_model, True, True) == (True, False)


def test_a_row_is_not_measured_in_huge_pages_that_there_are_not(demo_model: Path, without_huge_pages: None) -> None:
    asked = BenchSettings(prompt_tokens=4, generated_tokens=0, repetitions=1, threads=1, huge_pages=True)
    with pytest.raises(EdgetuiError, match="gives no huge pages"):
        list(measure(open_runner, demo_model, "demo", asked, lambda repetition: None))


def test_the_settings_of_a_chat_are_measured_as_far_as_the_system_has_them(
    demo_model: Path, without_huge_pages: None
) -> None:
    runner = open_runner(demo_model, "demo", AS_A_CHAT, BenchTest(prompt_tokens=4))
    try:
        assert (runner.facts.use_mmap, runner.facts.huge_pages) == (True, False)
    finally:
        runner.close()
