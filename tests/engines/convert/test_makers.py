"""What the makers make of sound sources of every kind, and the one sentence that each bad one gets."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.engines.convert import to_safetensors
from edgetui.engines.convert.failures import require_room
from edgetui.formats.gguf import check_loadable
from edgetui.formats.model_folder import chat_template
from edgetui.worker.spawn import toolchain_environment
from tests.engines.convert.tiny_llama import LAYERS, shapes, write_tiny
from tests.gguf_files import F32, STRING, Key, Tensor, with_keys, write_gguf

REPOSITORY = Path(__file__).resolve().parents[3]
BF16_NAN = b"\xc0\x7f"
CONFIGURED_CODE = "raise SystemExit('the code of a model was run')"
Told = dict[str, dict[str, Any]]


class Bench:
    """A folder for sources and results, and the cases to run in it."""

    def __init__(self, folder: Path, demo: Path) -> None:
        self.folder, self.demo = folder, demo
        self.cases: list[dict[str, Any]] = []

    def target(self, name: str) -> Path:
        return self.folder / f"{name}.out"

    def add(self, name: str, source: Path, most_bytes: int = 0, **settings: str) -> None:
        case = {"name": name, "source": str(source), "target": str(self.target(name)), "settings": settings}
        self.cases.append({**case, "most_bytes": most_bytes})

    def tiny(self, name: str, most_bytes: int = 0, out_type: str = "auto", **changed: Any) -> Path:
        """A case of to-gguf on a folder of its own."""
        folder = write_tiny(self.folder / name, self.demo, **changed)
        weights = sorted(path for path in folder.iterdir() if path.suffix == ".safetensors")
        self.add(name, weights[0], most_bytes, out_type=out_type)
        return folder

    def replace(self, folder: Path, name: str, content: Any) -> None:
        """Put another file in place of a link."""
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture(scope="module")
def bench(demo_safetensors: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("makers"), demo_safetensors)
    for out_type in ("auto", "f32", "q8_0"):
        made.tiny(out_type, out_type=out_type)
    made.tiny("half", dtype="F16")
    made.tiny("sharded {ftype} {}", shards=3)
    made.tiny("architecture", architectures=["LlamaForCausalLLM"])
    made.tiny("nameless", architectures=None)
    made.tiny("fewer layers", num_hidden_layers=LAYERS - 1)
    made.tiny("more layers", num_hidden_layers=LAYERS + 3)
    made.tiny("small vocabulary", vocab_size=10)
    made.tiny("packed", quantization_config={"quant_method": "unheard-of"})
    made.tiny("full disk", most_bytes=2 << 20)
    damaged = made.tiny("not a number") / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-2] + BF16_NAN)
    made.replace(made.tiny("no tokenizer"), "tokenizer.json", "")
    made.folder.joinpath("no tokenizer", "tokenizer.json").unlink()
    made.replace(made.tiny("broken tokenizer"), "tokenizer.json", "not JSON")
    words = json.loads((demo_safetensors / "tokenizer.json").read_text())
    made.replace(made.tiny("strange tokenizer"), "tokenizer.json", {**words, "pre_tokenizer": {"type": "Whitespace"}})
    coded = made.tiny("coded", model_type="own", auto_map={"AutoConfig": "own.OwnConfig"})
    made.replace(coded, "own.py", CONFIGURED_CODE)
    coded = made.tiny("coded tokenizer")
    made.replace(coded, "own.py", CONFIGURED_CODE)
    tokenizer = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    made.replace(coded, "tokenizer_config.json", tokenizer)
    made.add("unknown GGUF", write_gguf(made.folder / "unknown.gguf", unknown_architecture()))
    return made


def unknown_architecture() -> tuple[Key, ...]:
    return with_keys(Key("general.architecture", STRING, "qwen33"))


@pytest.fixture(scope="module")
def told(bench: Bench, gguf_toolchain: Path) -> Told:
    """What came of every case, by its name."""
    script = Path(__file__).with_name("in_environment.py")
    ran = subprocess.run(
        [str(gguf_toolchain / "bin" / "python"), str(script), str(REPOSITORY)],
        input=json.dumps(bench.cases),
        capture_output=True,
        text=True,
        env=toolchain_environment(),
        timeout=170,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return {case["name"]: case for case in map(json.loads, ran.stdout.splitlines()) if isinstance(case, dict)}


@pytest.mark.parametrize(
    ("name", "quant_type"),
    [
        ("auto", "BF16"),
        ("f32", "F32"),
        ("q8_0", "Q8_0"),
        ("half", "F16"),
        ("sharded {ftype} {}", "BF16"),
    ],
)
def test_every_type_comes_out_as_asked_with_each_tensor_reported(
    bench: Bench, told: Told, name: str, quant_type: str
) -> None:
    assert told[name]["sentence"] == ""
    header = check_loadable(bench.target(name))
    assert (header.quant_type, header.parameter_count) == (quant_type, sum(map(elements, shapes().values())))
    assert header.metadata["tokenizer.chat_template"] == chat_template(bench.demo)
    reported = [(done, total) for done, total, _ in told[name]["reports"] if total is not None]
    assert reported == [(done, len(shapes())) for done in range(1, len(shapes()) + 1)]


def elements(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("not a number", "bad_file", "are no numbers (NaN or infinite)"),
        (
            "architecture",
            "unsupported",
            "LlamaForCausalLLM, which llama.cpp cannot convert; it knows Llama",
        ),
        ("nameless", "bad_file", "names no architecture"),
        ("fewer layers", "unsupported", "which llama.cpp does not expect by its config.json"),
        ("more layers", "bad_file", f"speaks of {LAYERS + 3} layers and its weights have {LAYERS}"),
        ("small vocabulary", "bad_file", "tokens beyond the vocab_size of config.json"),
        ("packed", "unsupported", "'unheard-of'"),
        ("full disk", "no_space", "The disk ran full"),
        ("no tokenizer", "bad_file", "has no tokenizer (such as tokenizer.json)"),
        ("broken tokenizer", "bad_file", "The tokenizer of broken tokenizer cannot be used"),
        ("strange tokenizer", "unsupported", "splits text in a way that this llama.cpp does not know"),
        ("coded", "unsupported", "needs Python code of its own, which edgetui does not run"),
        ("coded tokenizer", "unsupported", "needs Python code of its own, which edgetui does not run"),
        ("unknown GGUF", "unsupported", "architecture qwen33, which transformers cannot convert; it knows qwen3"),
    ],
)
def test_a_bad_source_gets_one_sentence(told: Told, name: str, kind: str, sentence: str) -> None:
    assert told[name]["kind"] == kind
    assert sentence in told[name]["sentence"] and "\n" not in told[name]["sentence"]


def test_what_cannot_fit_into_memory_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    # A hole on the disk, and a list of weights that no machine unpacks.
    weights = Tensor("token_embd.weight", (1 << 20, 1 << 22), 2)
    path = write_gguf(tmp_path / "huge.gguf", with_keys(Key("llama.x", F32, 0.5)), (weights,))
    with path.open("r+b") as stream:
        stream.truncate((1 << 42) // 32 * 18 + (1 << 20))
    recorder: Any = None
    with pytest.raises(EdgetuiError, match=r"huge\.gguf takes about \S+ \S+ of memory and \S+ \S+ are free"):
        to_safetensors.make(path, tmp_path / "target", ToSafetensors(), recorder)
    assert not (tmp_path / "target").exists()


def test_the_memory_that_is_foreseen_is_what_is_taken(demo_model: Path) -> None:
    header = check_loadable(demo_model)
    needed = to_safetensors.needed_memory(header, ToSafetensors())
    # Measured at its peak: 886 MiB in BF16, 1131 MiB in F32.
    assert 886 << 20 < needed < 1.5 * (886 << 20)
    needed = to_safetensors.needed_memory(header, ToSafetensors(dtype="f32"))
    assert 1131 << 20 < needed < 1.6 * (1131 << 20)
    assert needed < psutil.virtual_memory().total


def test_a_disk_without_room_is_told_of_before(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path / "target", free // 2)
    with pytest.raises(EdgetuiError, match="make room, or name another folder"):
        require_room(tmp_path / "target", free * 2)
