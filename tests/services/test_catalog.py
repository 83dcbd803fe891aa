from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from edgetui.config import Paths, Settings
from edgetui.core.failures import EdgetuiError
from edgetui.services.lab import Lab
from edgetui.services.model_places import Places, look_around
from edgetui.store.provenance import Origin, Provenance
from tests.formats.test_safetensors import WEIGHT, write
from tests.gguf_files import STRING, Key, with_keys, write_gguf
from tests.waiting import until

EMBEDDED = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
def models_dir(lab: Lab) -> Path:
    lab.paths.models_dir.mkdir(parents=True)
    return lab.paths.models_dir


async def names(lab: Lab) -> list[str]:
    return [entry.name for entry in await lab.catalog.scan()]


async def test_the_embedded_model_is_listed_with_its_figures(lab: Lab, demo_model: Path) -> None:
    (entry,) = await lab.catalog.scan()
    assert (entry.name, entry.source, entry.path) == (EMBEDDED, "embedded", demo_model)
    assert (entry.architecture, entry.quant_type, entry.context_length) == ("llama", "Q4_1", 8192)
    assert entry.bits_per_weight == pytest.approx(98_362_432 * 8 / 134_515_008)
    assert lab.catalog.folder_problems == ()


async def test_the_models_folder_is_searched_with_all_below_it(lab: Lab, models_dir: Path) -> None:
    (models_dir / "deep" / "er").mkdir(parents=True)
    write_gguf(models_dir / "deep" / "er" / "tiny.gguf")
    write_gguf(models_dir / ".tiny.gguf.1.part.gguf")
    (models_dir / ".hidden").mkdir()
    write_gguf(models_dir / ".hidden" / "x.gguf")
    (models_dir / "notes.txt").write_text("no model")
    assert await names(lab) == [EMBEDDED, "tiny"]


async def test_linked_folders_are_searched_and_circles_end(lab: Lab, models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    write_gguf(tmp_path / "stick" / "tiny.gguf")
    (tmp_path / "stick" / "back").symlink_to(tmp_path / "stick")
    (models_dir / "usb").symlink_to(tmp_path / "stick")
    assert await names(lab) == [EMBEDDED, "tiny"]


async def test_a_bad_file_is_a_row_that_says_why(lab: Lab, models_dir: Path) -> None:
    (models_dir / "note.gguf").write_text("just a text, long enough to be one")
    write_gguf(models_dir / "short.gguf", cut=10)
    rows = {entry.name: entry.problem for entry in await lab.catalog.scan()}
    assert rows[EMBEDDED] is None
    assert "it is text" in str(rows["note"]) and "cut short" in str(rows["short"])


async def test_a_split_model_is_one_row(lab: Lab, models_dir: Path) -> None:
    from tests.formats.test_gguf import split_set

    parts = split_set(models_dir)
    entry = (await lab.catalog.scan())[1]
    assert (entry.name, entry.parts, entry.problem) == ("tiny", tuple(parts), None)
    parts[2].unlink()
    entry = (await lab.catalog.scan())[1]
    assert "is missing" in str(entry.problem)


async def test_a_changed_file_is_read_again(lab: Lab, models_dir: Path) -> None:
    path = write_gguf(models_dir / "tiny.gguf")
    assert (await lab.catalog.scan())[1].architecture == "llama"
    write_gguf(path, with_keys(Key("general.architecture", STRING, "qwen3")))
    assert (await lab.catalog.scan())[1].architecture == "qwen3"


async def test_subscribers_hear_of_changes_and_only_of_changes(lab: Lab, models_dir: Path) -> None:
    heard: list[int] = []
    lab.catalog.changed.subscribe(lambda entries: heard.append(len(entries)))
    await lab.catalog.scan()
    await lab.catalog.scan()
    write_gguf(models_dir / "tiny.gguf")
    await lab.catalog.scan()
    assert heard == [1, 2]


async def test_models_of_one_name_stay_apart(lab: Lab, models_dir: Path) -> None:
    for folder in ("a", "b"):
        (models_dir / folder).mkdir()
        write_gguf(models_dir / folder / "tiny.gguf")
    found = await names(lab)
    assert found == [EMBEDDED, "a/tiny", "b/tiny"]
    assert (await lab.catalog.find("b/tiny")).path == models_dir / "b" / "tiny.gguf"


async def test_a_folder_that_cannot_be_read_is_one_sentence(lab: Lab) -> None:
    lab.paths.models_dir.parent.mkdir(parents=True)
    lab.paths.models_dir.write_text("a file where the folder should be")
    assert await names(lab) == [EMBEDDED]
    (problem,) = lab.catalog.folder_problems
    assert str(lab.paths.models_dir) in problem


async def test_a_folder_named_in_the_settings_should_exist(home: Path) -> None:
    (home / "settings.toml").write_text(f'models_dir = "{home}/none"\nextra_model_dirs = ["{home}/neither"]\n')
    lab = Lab()
    await lab.catalog.scan()
    assert [f"{home}/none" in p or f"{home}/neither" in p for p in lab.catalog.folder_problems] == [True, True]
    await lab.close()


async def test_extra_folders_are_searched_too(home: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    write_gguf(tmp_path / "more" / "tiny.gguf")
    (home / "settings.toml").write_text(f'extra_model_dirs = ["{tmp_path}/more"]\n')
    lab = Lab()
    assert await names(lab) == [EMBEDDED, "tiny"]
    await lab.close()


def cached_repo(hub: Path, repo: str, revision: str = "abc123") -> Path:
    folder = hub / "hub" / f"models--{repo.replace('/', '--')}"
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    return snapshot


async def test_the_hub_cache_is_listed_through_its_links(lab: Lab, home: Path) -> None:
    hub = home.parent / "hub"
    snapshot = cached_repo(hub, "org/Tiny-GGUF")
    blob = snapshot.parent.parent / "blobs" / "0a1b"
    write_gguf(blob)
    (snapshot / "tiny-f32.gguf").symlink_to("../../blobs/0a1b")
    (snapshot / "gone.gguf").symlink_to("../../blobs/none")
    weights = cached_repo(hub, "org/Tiny")
    write(weights / "model.safetensors", {"a": WEIGHT}, bytes(12))
    (weights / "config.json").write_text('{"model_type": "llama"}')
    _, tiny, plain = sorted(await lab.catalog.scan(), key=lambda entry: (entry.source, entry.format))
    assert (tiny.name, tiny.repo, tiny.revision, tiny.format) == ("tiny-f32", "org/Tiny-GGUF", "abc123", "gguf")
    assert (plain.name, plain.repo, plain.format, plain.quant_type) == ("Tiny", "org/Tiny", "safetensors", "BF16")
    assert (plain.architecture, plain.parameter_count) == ("llama", 6)


async def test_a_quantized_file_names_its_parent_until_it_changes(lab: Lab, models_dir: Path) -> None:
    path = write_gguf(models_dir / "tiny.gguf")
    Provenance(lab.database).record(
        path,
        Origin(
            parent_name=EMBEDDED,
            parent_path="/x",
            type_name="F32",
            recovered_from="Q4_1",
            recipe="test",
            created=time.time(),
        ),
    )
    entry = (await lab.catalog.scan())[1]
    assert (entry.parent, entry.recovered_from) == (EMBEDDED, "Q4_1")
    write_gguf(path, with_keys(Key("general.name", STRING, "Another")))
    entry = (await lab.catalog.scan())[1]
    assert (entry.parent, entry.recovered_from) == (None, None)


async def test_a_model_is_found_by_name_part_of_it_or_path(lab: Lab, models_dir: Path, demo_model: Path) -> None:
    tiny = write_gguf(models_dir / "tiny.gguf")
    assert (await lab.catalog.find(EMBEDDED)).path == demo_model
    assert (await lab.catalog.find("smollm2")).path == demo_model
    assert (await lab.catalog.find("q4_1")).path == demo_model
    assert (await lab.catalog.find(str(tiny))).path == tiny


async def test_what_is_not_found_says_what_comes_closest(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny-a.gguf")
    write_gguf(models_dir / "tiny-b.gguf")
    with pytest.raises(EdgetuiError, match=EMBEDDED):
        await lab.catalog.find("SmolLM2-135M-Instruct.Q4_K_M")
    with pytest.raises(EdgetuiError, match="fits 2 models"):
        await lab.catalog.find("tiny")
    with pytest.raises(EdgetuiError, match="There is no file"):
        await lab.catalog.find(str(models_dir / "none.gguf"))
    (models_dir / "bad.gguf").write_text("a text that is named as if it were a model")
    with pytest.raises(EdgetuiError, match="it is text"):
        await lab.catalog.find(str(models_dir / "bad.gguf"))


async def test_details_are_what_the_file_says(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny.gguf")
    details = await lab.catalog.details(await lab.catalog.find("tiny"))
    metadata = {item.key: (item.type_name, item.value) for item in details.metadata}
    assert metadata["general.name"] == ("string", "Tiny")
    assert metadata["tokenizer.ggml.tokens"] == ("string[4]", "a, b, é, d")
    assert [tensor.name for tensor in details.tensors] == [
        "token_embd.weight",
        "blk.0.attn_q.weight",
        "output_norm.weight",
    ]
    assert {share.type_name: share.tensor_count for share in details.shares} == {"F32": 2, "Q4_0": 1}


async def test_a_machine_without_models_has_an_empty_list(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, demo_model: Path
) -> None:
    monkeypatch.setattr("edgetui.services.model_places.EMBEDDED_PACKAGE", "no_such_package_here")
    assert await lab.catalog.scan() == []
    with pytest.raises(EdgetuiError, match="nor any other"):
        await lab.catalog.find("x")


async def test_a_model_that_vanishes_leaves_the_list(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny.gguf")
    assert "tiny" in await names(lab)
    shutil.rmtree(models_dir)
    assert "tiny" not in await names(lab)


async def test_models_of_other_programs_are_used_where_they_are(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama"))
    person = tmp_path / "person"
    places = {
        "LM Studio": person / ".lmstudio/models/maker/repo/studio.gguf",
        "GPT4All": person / ".local/share/nomic.ai/GPT4All/four.gguf",
        "Jan": person / "jan/models/jan/janus.gguf",
        "llama.cpp": tmp_path / "llama/maker_repo_cached.gguf",
    }
    for path in places.values():
        path.parent.mkdir(parents=True)
        write_gguf(path)
    ollama = person / ".ollama/models"
    digest = "ab" * 32
    (ollama / "blobs").mkdir(parents=True)
    write_gguf(ollama / "blobs" / f"sha256-{digest}")
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    library = ollama / "manifests/registry.ollama.ai/library/qwen3"
    other = ollama / "manifests/hf.co/maker/repo"
    for folder in (library, other):
        folder.mkdir(parents=True)
    (library / "0.6b").write_text(json.dumps({"layers": layers}))
    (library / "gone").write_text(json.dumps({"layers": [{**layers[1], "digest": "sha256:" + "c" * 64}]}))
    (library / "evil").write_text(json.dumps({"layers": [{**layers[1], "digest": "sha256:../../../etc/passwd"}]}))
    for number, damaged in enumerate(("[" * 5000, "{}", '{"layers": 3}', "\xff", '{"layers": [3]}')):
        (library / f"damaged{number}").write_text(damaged)
    os.mkfifo(library / "pipe")
    entries = {entry.source: entry for entry in await lab.catalog.scan()}
    assert {program: entries[program].path for program in places} == places  # type: ignore[index]
    assert entries["Ollama"].name == "qwen3:0.6b" and entries["Ollama"].problem is None
    assert lab.catalog.folder_problems == ()
    assert (await lab.catalog.find("qwen3:0.6b")).path == entries["Ollama"].path


async def test_what_a_look_found_is_listed_though_whoever_asked_gave_up(
    lab: Lab, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.catalog.scan()
    write_gguf(models_dir / "tiny.gguf")
    looking = threading.Event()

    def slowly(settings: Settings, paths: Paths) -> Places:
        looking.set()
        time.sleep(0.2)
        return look_around(settings, paths)

    monkeypatch.setattr("edgetui.services.catalog.look_around", slowly)
    asking = asyncio.create_task(lab.catalog.scan_if_changed())
    assert await asyncio.to_thread(looking.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: [entry.name for entry in lab.catalog.entries] == [EMBEDDED, "tiny"], asyncio.sleep)


async def test_a_file_that_came_right_after_a_look_is_seen_by_the_next(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny.gguf")
    await lab.catalog.scan()
    changed = os.stat(models_dir).st_mtime_ns
    write_gguf(models_dir / "other.gguf")
    # As on a disk whose clock ticks seldom.
    os.utime(models_dir, ns=(changed, changed))
    await lab.catalog.scan_if_changed()
    assert [entry.name for entry in lab.catalog.entries] == [EMBEDDED, "other", "tiny"]
