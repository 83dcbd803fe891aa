"""Models that are folders, listed, found, named, deleted and known again like any other."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry, ModelMarks
from edgetui.services.lab import Lab
from edgetui.store.provenance import Origin, Provenance
from tests.formats.test_model_folder import CONFIG, fill
from tests.formats.test_safetensors import WEIGHT, write
from tests.gguf_files import write_gguf
from tests.onnx_files import FLOAT, matmul, tensor, write_onnx


@pytest.fixture
def models_dir(lab: Lab) -> Path:
    lab.paths.models_dir.mkdir(parents=True)
    return lab.paths.models_dir


async def rows(lab: Lab) -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in await lab.catalog.scan() if entry.source != "embedded"}


async def test_every_kind_of_folder_and_a_lone_graph_are_listed(lab: Lab, models_dir: Path) -> None:
    fill(models_dir / "Plain", "model.safetensors", "tokenizer.json", config={**CONFIG, "max_position_embeddings": 99})
    fill(models_dir / "Apple", "model.safetensors", config={**CONFIG, "quantization": {"bits": 4}})
    fill(models_dir / "Graph", "model.onnx", "genai_config.json")
    fill(models_dir, "lone.onnx")
    fill(models_dir / ".hidden", "model.onnx")
    found = await rows(lab)
    assert {name: entry.format for name, entry in found.items()} == {
        "Plain": "safetensors", "Apple": "mlx", "Graph": "onnx", "lone": "onnx",
    }  # fmt: skip
    plain, lone = found["Plain"], found["lone"]
    assert (plain.path.name, plain.folder) == ("model.safetensors", models_dir / "Plain")
    assert (plain.architecture, plain.context_length, plain.quant_type) == ("llama", 99, "BF16")
    assert plain.size_bytes == sum(part.stat().st_size for part in plain.parts) and len(plain.parts) == 3
    assert (lone.folder, lone.quant_type, lone.parameter_count) == (None, "fp32", 12)
    assert not any(entry.problem for entry in found.values())
    assert {name for name, entry in found.items() if entry.can_run} == {"Apple", "Graph"}


async def test_weights_by_another_name_belong_to_their_graph_in_every_scan(lab: Lab, models_dir: Path) -> None:
    graph = matmul(tensor("w", FLOAT, [4, 3], external={"location": "layer.0.weight", "offset": "0", "length": "48"}))
    write_onnx(models_dir / "net.onnx", graph)
    weights = models_dir / "layer.0.weight"
    weights.write_bytes(bytes(48))
    first, again = (await rows(lab))["net"], (await rows(lab))["net"]
    assert first == again and first.parts == (models_dir / "net.onnx", weights)
    assert first.size_bytes == len(graph) + 48
    weights.unlink()
    assert "needs layer.0.weight, which is missing" in ((await rows(lab))["net"].problem or "")


async def test_a_folder_with_a_missing_shard_says_which(lab: Lab, models_dir: Path) -> None:
    fill(models_dir / "Half", "model-00001-of-00002.safetensors", config=CONFIG)
    half = (await rows(lab))["Half"]
    assert "model-00002-of-00002.safetensors of Half is missing" in (half.problem or "")
    removal = await lab.library.removal(half)
    assert await lab.library.remove(removal) > 0 and await rows(lab) == {}


async def test_a_folder_knows_what_it_was_made_of_until_it_changes(lab: Lab, models_dir: Path) -> None:
    folder = fill(models_dir / "Made", "model.safetensors", config=CONFIG)
    origin = Origin(
        parent_name="Parent",
        parent_path="/x",
        type_name="BF16",
        recovered_from="Q4_1",
        recipe="way",
        created=time.time(),
    )
    Provenance(lab.database).record(folder, origin)
    made = (await rows(lab))["Made"]
    assert (made.parent, made.recipe, made.recovered_from) == ("Parent", "way", "Q4_1")
    (folder / "more.json").write_text("{}")
    assert (await rows(lab))["Made"].parent is None


async def test_names_tell_formats_of_one_model_apart(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "Tiny.gguf")
    fill(models_dir / "Tiny", "model.safetensors", config=CONFIG)
    fill(models_dir / "sub" / "Other", "model.safetensors", config=CONFIG)
    fill(models_dir / "Other", "model.safetensors", "notes.json", config=CONFIG)
    assert set(await rows(lab)) == {"Tiny", "Tiny-safetensors", "sub/Other", "models/Other"}


async def test_a_folder_is_found_by_its_path_or_a_file_of_it(lab: Lab, tmp_path: Path) -> None:
    folder = fill(tmp_path / "elsewhere", "model.safetensors", config=CONFIG)
    for named in (folder, folder / "model.safetensors"):
        entry = await lab.catalog.find(str(named))
        assert (entry.name, entry.format, entry.path) == ("elsewhere", "safetensors", folder / "model.safetensors")
    lone = write_onnx(tmp_path / "net.onnx")
    assert (await lab.catalog.find(str(lone))).parts == (lone,)
    for named, expected in ((tmp_path / "no" / "ne", "cannot be looked into"), (tmp_path / "none", "no model at")):
        with pytest.raises(EdgetuiError, match=expected):
            await lab.catalog.find(str(named))
    write(folder / "model.safetensors", {"a": WEIGHT}, bytes(11))
    with pytest.raises(EdgetuiError, match="cut short"):
        await lab.catalog.find(str(folder))


async def test_graphs_in_the_hubs_cache_are_listed_by_folder_and_variant(lab: Lab, models_dir: Path) -> None:
    snapshot = Path(os.environ["HF_HOME"]) / "hub" / "models--org--Net" / "snapshots" / "abc123"
    fill(snapshot, "model.safetensors", config=CONFIG)
    fill(snapshot / "onnx", "model.onnx", "model_q4.onnx", "config.json")
    fill(snapshot / "cpu-int4", "model.onnx", "genai_config.json")
    found = await rows(lab)
    assert {name: entry.format for name, entry in found.items()} == {
        "Net": "safetensors", "Net/onnx": "onnx", "Net/onnx/model_q4": "onnx", "Net/cpu-int4": "onnx",
    }  # fmt: skip
    assert {(entry.repo, entry.revision) for entry in found.values()} == {("org/Net", "abc123")}


async def test_a_whole_folder_goes_only_if_all_of_it_is_the_models(lab: Lab, models_dir: Path) -> None:
    whole = fill(models_dir / "Whole", "model.safetensors", "tokenizer.json", config=CONFIG)
    mixed = fill(models_dir / "Mixed", "model.safetensors", "photo.png", config=CONFIG)
    shared = fill(models_dir / "Shared", "model.safetensors", "tokenizer.json", config=CONFIG)
    write_gguf(shared / "other.gguf")
    found = await rows(lab)
    removal = await lab.library.removal(found["Whole"])
    assert removal.what.startswith("the folder Whole with all 3 files")
    freed = await lab.library.remove(removal)
    assert freed == found["Whole"].size_bytes and not whole.exists()

    removal = await lab.library.removal(found["Mixed"])
    assert "the folder stays, since photo.png is in it too" in removal.what
    await lab.library.remove(removal)
    assert [path.name for path in mixed.iterdir()] == ["photo.png"]

    await lab.library.remove(await lab.library.removal(found["Shared"]))
    # What the other model may need stays.
    assert sorted(path.name for path in shared.iterdir()) == ["config.json", "other.gguf", "tokenizer.json"]


async def test_weights_that_two_graphs_share_stay_with_the_other_one(lab: Lab, models_dir: Path) -> None:
    graph = matmul(tensor("w", FLOAT, [4, 3], external={"location": "shared.bin", "length": "48"}))
    for name in ("one.onnx", "two.onnx"):
        write_onnx(models_dir / name, graph)
    (models_dir / "shared.bin").write_bytes(bytes(48))
    found = await rows(lab)
    await lab.library.remove(await lab.library.removal(found["one"]))
    assert sorted(os.listdir(models_dir)) == ["shared.bin", "two.onnx"]
    await lab.library.remove(await lab.library.removal(found["two"]))
    assert os.listdir(models_dir) == []


async def test_deleting_what_is_linked_to_leaves_what_the_link_leads_to(
    lab: Lab, models_dir: Path, tmp_path: Path
) -> None:
    real = fill(tmp_path / "real", "model.safetensors", config=CONFIG)
    (models_dir / "Linked").symlink_to(real)
    await lab.library.remove(await lab.library.removal((await rows(lab))["Linked"]))
    assert not (models_dir / "Linked").is_symlink() and (real / "model.safetensors").exists()


async def test_notes_hashes_and_duplicates_know_folders(lab: Lab, models_dir: Path) -> None:
    for name in ("One", "Two"):
        fill(models_dir / name, "model.safetensors", "tokenizer.json", config=CONFIG)
    other = fill(models_dir / "Three", "model.safetensors", "tokenizer.json", config=CONFIG)
    (other / "tokenizer.json").write_text(json.dumps({"another": 1}))
    found = await rows(lab)
    await lab.catalog.mark(found["One"], ModelMarks(note="good"))
    marked = await rows(lab)
    assert [marked[name].marks.note for name in ("One", "Two", "Three")] == ["good", "good", ""]
    assert len(await lab.library.verify(found["One"])) == 3
    (group,) = await lab.library.duplicates(list(found.values()))
    assert {entry.name for entry in group.entries} == {"One", "Two"}
    assert group.wasted_bytes == found["One"].size_bytes
