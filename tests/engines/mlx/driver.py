"""Runs in the toolchain's interpreter: answers one order a line, so that mlx is imported once a session.

An order is `{"do": NAME, ...}`; the answer `{"answer": ...}`, or `{"kind", "message", "detail"}` of an `EdgetuiError`.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

WIDTH, FEED_FORWARD, LAYERS, HEADS, VOCABULARY = 64, 128, 2, 2, 384
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 1,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "dtype": "bfloat16",
}
CHAT_TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


class Told:
    """A job as `make` sees it, that remembers what it was told."""

    cancelled = False

    def __init__(self) -> None:
        self.notes: list[tuple[float, float | None, str]] = []

    def progress(self, done: float, total: float | None, unit: str, note: str = "", **_: object) -> None:
        """Remember it."""
        self.notes.append((done, total, note))


def small_model(order: dict[str, Any]) -> None:
    """Write a Llama of two layers with a tokenizer of its own; its weights are random, but for those of `changed`."""
    from pydoc_data.topics import topics

    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_map
    from mlx_lm.models import llama
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    folder = Path(order["folder"])
    folder.mkdir(parents=True)
    config = {**CONFIG, **order.get("config", {})}
    mx.random.seed(1)
    model = llama.Model(llama.ModelArgs.from_dict({**CONFIG, **order.get("shape", {})}))
    weights = dict(tree_flatten(tree_map(lambda value: value.astype(mx.bfloat16), model.parameters())))
    for name, value in order.get("changed", {}).items():
        weights[name] = mx.full(weights[name].shape, value, dtype=mx.bfloat16)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "pt"})
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [topics["lambda"], topics["class"]],
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, text in (
        ("config.json", json.dumps(config)),
        ("tokenizer_config.json", json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})),
        ("chat_template.jinja", CHAT_TEMPLATE),
        ("generation_config.json", json.dumps({"temperature": 0.5})),
        ("modeling_small.py", "raise SystemExit('this code must never run')"),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def adapter(order: dict[str, Any]) -> None:
    """Write an adapter of rank 4 for the small model's projections of queries, as mlx_lm.lora writes it."""
    import mlx.core as mx

    folder = Path(order["folder"])
    folder.mkdir(parents=True)
    width, rank = order.get("width", WIDTH), 4
    mx.random.seed(2)
    tensors = {}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}.self_attn.q_proj"
        tensors[f"{name}.lora_a"] = 0.3 * mx.random.normal((width, rank))
        tensors[f"{name}.lora_b"] = 0.3 * mx.random.normal((rank, WIDTH))
    mx.save_safetensors(str(folder / "adapters.safetensors"), tensors)
    parameters = {"rank": rank, "scale": 2.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]}
    told = {"fine_tune_type": "lora", "num_layers": LAYERS, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")


def make(order: dict[str, Any]) -> Any:
    """Make a model by a workflow; answers the notes of the job. `most_bytes` limits the files it may write."""
    from importlib import import_module

    import msgspec

    from edgetui.core.workflows import AnyWorkflow, workflow_name
    from edgetui.worker.runners.workflow import MAKERS

    settings: Any = msgspec.convert(order["settings"], AnyWorkflow)
    job = Told()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    maker = import_module(MAKERS[workflow_name(settings)])
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.get("most_bytes", usual[0]), usual[1]))
        maker.make(Path(order["source"]) / "model.safetensors", Path(order["target"]), settings, job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    return job.notes


def native_logits(order: dict[str, Any]) -> None:
    """Logits by mlx's own layers, with 32-bit activations, into a file of numpy's; an adapter is applied as trained."""
    import mlx.core as mx
    import numpy
    from mlx_lm.utils import load_adapters, load_model

    model, _ = load_model(Path(order["folder"]))
    if "adapter" in order:
        load_adapters(model, order["adapter"])
        model.eval()
    model.set_dtype(mx.float32)
    numpy.save(order["to"], numpy.asarray(model(mx.array([order["tokens"]]))[0]))


def logits(order: dict[str, Any]) -> Any:
    """Logits by our source, into a file of numpy's; answers what the source says of itself."""
    import numpy

    from edgetui.engines.mlx.logits import open_logits

    path = Path(order["folder"]) / "model.safetensors"
    source = open_logits(path, context_tokens=order.get("context_tokens", 64), threads=1)
    try:
        found = [each.copy() for each in source.logits(order.get("chunks", []), order.get("first", 0))]
        if found:
            numpy.save(order["to"], numpy.concatenate(found))
        return {
            "tokens": source.tokenize(order.get("text", ""), add_special=True),
            "bos": source.bos,
            "vocabulary_size": source.vocabulary_size,
            "engine": source.engine,
            "version": source.engine_version,
            "shapes": [each.shape for each in found],
        }
    finally:
        source.close()


def measure(order: dict[str, Any]) -> Any:
    """Measure a model; answers its rows, and the repetitions as they were told."""
    import msgspec

    from edgetui.core.bench import BenchSettings
    from edgetui.engines.measuring import measure as measured
    from edgetui.engines.mlx.bench import open_runner

    told: list[Any] = []
    settings = msgspec.convert(order["settings"], BenchSettings)
    rows = list(measured(open_runner, Path(order["folder"]) / "model.safetensors", "demo", settings, told.append))
    return {
        "rows": msgspec.to_builtins(rows),
        "told": [(each.test.kind, each.number, each.duration_ns) for each in told],
    }


def first_layers(order: dict[str, Any]) -> None:
    """Write a copy of a model that ends after its first layers, its tokenizer and template as they are."""
    import re
    import shutil

    import mlx.core as mx

    source, folder, layers = Path(order["source"]), Path(order["folder"]), order["layers"]
    folder.mkdir(parents=True)
    weights = {
        name: value
        for name, value in mx.load(str(source / "model.safetensors")).items()
        if (found := re.match(r"model\.layers\.(\d+)\.", name)) is None or int(found[1]) < layers
    }
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copyfile(source / name, folder / name)


def converse(order: dict[str, Any]) -> Any:
    """Answers of a conversation, computed ahead as on a GPU or one token after another; and what the cache holds."""
    import time
    from contextlib import nullcontext

    import msgspec

    from edgetui.core.run_settings import SamplingSettings
    from edgetui.engines.mlx.conversation import Conversation
    from edgetui.engines.mlx.decoder import Decoder
    from edgetui.engines.mlx.folder import load
    from edgetui.engines.mlx.vocabulary import read_vocabulary
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Generate, Tokens

    loaded = load(Path(order["folder"]) / "model.safetensors", "Loading")
    conversation = Conversation(
        "small",
        Decoder(loaded.model),
        read_vocabulary(loaded.folder, loaded.config),
        "",
        context_tokens=order.get("context", 256),
        batch_tokens=16,
        vocabulary_size=VOCABULARY,
        wired=nullcontext if order["ahead"] else None,
    )
    answers = []
    for turn in order["turns"]:
        said: list[str] = []
        sampling = msgspec.convert(turn["sampling"], SamplingSettings)
        command = Generate(turn=1, prompt=turn["prompt"], sampling=sampling)

        def keep(event: Any, said: list[str] = said) -> None:
            said.append(event.text if isinstance(event, Tokens) else "")

        finished = conversation.generate(command, time.perf_counter_ns(), keep, StopFlag())
        answers.append({"text": "".join(said), **msgspec.to_builtins(finished)})
    return answers


if __name__ == "__main__":
    # At the end, so that the toolchain's own packages come first.
    sys.path.append(sys.argv[1])
    from tests.toolchain_driver import serve

    serve(globals())
