"""Runs in the toolchain's interpreter: answers one order a line, so that its packages are imported once a session.

An order is `{"do": NAME, ...}`; the answer `{"answer": ...}`, or `{"kind", "message", "detail"}` of an `EdgetuiError`.
"""

from __future__ import annotations

import json
import mmap
import resource
import sys
from pathlib import Path
from typing import Any


class Told:
    """A job as `make` sees it, that remembers what it was told."""

    cancelled = False

    def __init__(self) -> None:
        self.notes: list[tuple[float, float | None, str]] = []

    def progress(self, done: float, total: float | None, unit: str, note: str = "", **_: object) -> None:
        """Remember it."""
        self.notes.append((done, total, note))


def make(order: dict[str, Any]) -> Any:
    """Make a model by a workflow, on a disk that takes files of `largest_file` bytes only; answers the job's notes."""
    from importlib import import_module

    import msgspec

    from edgetui.core.workflows import AnyWorkflow, workflow_name
    from edgetui.worker.runners.workflow import MAKERS

    settings: Any = msgspec.convert(order["settings"], AnyWorkflow)
    job = Told()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest := order.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        import_module(MAKERS[workflow_name(settings)]).make(Path(order["source"]), Path(order["target"]), settings, job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    return job.notes


def logits(order: dict[str, Any]) -> Any:
    """Write logits of chunks into a file of numpy's; answers what the source says of itself."""
    import numpy

    from edgetui.engines.onnx_runtime.logits import open_logits

    source = open_logits(Path(order["path"]), context_tokens=order.get("context_tokens", 256), threads=1)
    try:
        tokens = source.tokenize(order["text"], add_special=False)
        chunks = order.get("chunks") or [tokens]
        found = [each.copy() for each in source.logits(chunks, order.get("first", 0))]
        if "to" in order:
            numpy.save(order["to"], numpy.concatenate(found))
        return {
            "tokens": tokens,
            "bos": source.bos,
            "vocabulary_size": source.vocabulary_size,
            "engine": source.engine,
            "shapes": [each.shape for each in found],
        }
    finally:
        source.close()


def torch_logits(order: dict[str, Any]) -> Any:
    """Logits of the same tokens by transformers, in 32 bits, into a file of numpy's."""
    import numpy
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(order["folder"], dtype=torch.float32)
    with torch.no_grad():
        numpy.save(order["to"], model(torch.tensor([order["tokens"]])).logits[0].numpy())


def measure(order: dict[str, Any]) -> Any:
    """Measure a decoder; answers its rows, and the repetitions as they were told."""
    import msgspec

    from edgetui.core.bench import BenchSettings
    from edgetui.engines.measuring import measure as measured
    from edgetui.engines.onnx_runtime.bench import open_runner

    told: list[Any] = []
    settings = msgspec.convert(order["settings"], BenchSettings)
    rows = list(measured(open_runner, Path(order["path"]), "demo", settings, told.append))
    return {
        "rows": msgspec.to_builtins(rows),
        "told": [(each.test.kind, each.number, each.duration_ns) for each in told],
    }


def fail_and_ask_again(order: dict[str, Any]) -> Any:
    """Ask twice, the first time failing at the answer's first tokens; answers how many tokens each prompt had.

    With `refuse_cache`, there is no memory for another cache after that failure.
    """
    import time

    from edgetui.core.failures import EdgetuiError
    from edgetui.core.run_settings import LoadSettings, SamplingSettings
    from edgetui.engines.onnx_runtime.engine import GenaiEngine
    from edgetui.engines.onnx_runtime.genai_library import Generator
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Generate, Load, PromptReady, Tokens

    make_cache = Generator.__init__

    def refuse(*arguments: Any) -> None:
        raise RuntimeError("bad allocation")

    engine, prompts, shown = GenaiEngine(), [], 0
    settings = LoadSettings(context_tokens=128, threads=1)
    engine.load(Load(path=order["path"], settings=settings), lambda fraction: None, StopFlag())

    def keep(event: Any) -> None:
        nonlocal shown
        if isinstance(event, PromptReady):
            prompts.append(event.prompt_tokens)
        if isinstance(event, Tokens):
            shown += 1
            if len(prompts) == 1:
                if order["refuse_cache"]:
                    Generator.__init__ = refuse  # type: ignore[assignment, method-assign]
                raise EdgetuiError("internal", "nobody listens")

    sampling = SamplingSettings(max_tokens=4, ignore_eos=True, temperature=0.0)
    for turn in (1, 2):
        command = Generate(turn=turn, prompt=order["prompt"], sampling=sampling)
        try:
            engine.generate(command, time.perf_counter_ns(), keep, StopFlag())
        except EdgetuiError as error:
            if error.failure.message != "nobody listens":
                raise
        Generator.__init__ = make_cache  # type: ignore[method-assign]
    engine.unload()
    return {"prompt_tokens": prompts, "tokens_shown": shown}


def watched_measure(order: dict[str, Any]) -> Any:
    """Tokens in the cache before, and tokens of, each call that a measurement makes of onnxruntime-genai."""
    import onnxruntime_genai

    from edgetui.core.bench import BenchSettings
    from edgetui.engines.measuring import measure as measured
    from edgetui.engines.onnx_runtime.bench import open_runner

    calls: list[tuple[int, int]] = []
    real = onnxruntime_genai.Generator

    class Watched:
        def __init__(self, *arguments: Any) -> None:
            self._real = real(*arguments)

        def append_tokens(self, tokens: Any) -> None:
            calls.append((self._real.token_count(), len(tokens)))
            self._real.append_tokens(tokens)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    settings = BenchSettings(
        prompt_tokens=40,
        generated_tokens=3,
        depth_tokens=order["depth"],
        repetitions=2,
        batch_tokens=16,
        threads=1,
    )
    onnxruntime_genai.Generator = Watched
    try:
        for _ in measured(open_runner, Path(order["path"]), "demo", settings, lambda repetition: None):
            pass
    finally:
        onnxruntime_genai.Generator = real
    return calls


def peak(order: dict[str, Any]) -> Any:
    """Peak of memory after so many bytes were held and let go, and after forgetting that."""
    from edgetui.engines import host

    host.forget_peak_memory()
    # Mapped anew: of the allocator it might be pages that other tests have held.
    held = mmap.mmap(-1, order["size"])
    for place in range(0, order["size"], 4096):
        held[place] = 1
    before = host.peak_resident_bytes()
    held.close()
    host.forget_peak_memory()
    return before, host.peak_resident_bytes()


def small_models(order: dict[str, Any]) -> Any:
    """A classifier by torch's exporter and a decoder's safetensors, with random weights and tokenizers of their own."""
    from pydoc_data.topics import topics

    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([topics["lambda"], topics["class"]], trainer)
    folder = Path(order["folder"])
    bert, llama = folder / "bert", folder / "llama"
    for each in (bert, llama):
        each.mkdir(parents=True)
        tokenizer.save(str(each / "tokenizer.json"))
    classifier = BertForSequenceClassification(
        BertConfig(
            vocab_size=384,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=96,
            num_labels=3,
        )
    ).eval()
    classifier.config.save_pretrained(bert)
    ids = torch.ones(1, 8, dtype=torch.long)
    names = ("input_ids", "attention_mask")
    torch.onnx.export(
        classifier,
        (ids, ids),
        str(bert / "model.onnx"),
        input_names=list(names),
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=384,
            hidden_size=96,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=256,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).save_pretrained(llama)
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "<s>"}
    (llama / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")


def run_classifier(order: dict[str, Any]) -> Any:
    """Outputs of a classifier for given tokens."""
    import onnxruntime

    from edgetui.engines.onnx_runtime.session import token_feeds

    session = onnxruntime.InferenceSession(order["path"])
    return session.run(None, token_feeds(session, order["tokens"], None))[0].tolist()


def rewrite(order: dict[str, Any]) -> Any:
    """Change a graph: its opset, its IR version, or NaN into its weights."""
    import numpy
    import onnx
    from onnx import numpy_helper

    model = onnx.load(order["path"])
    if "opset" in order:
        model.opset_import[0].version = order["opset"]
    if "ir" in order:
        model.ir_version = order["ir"]
    if order.get("nan"):
        weights = next(each for each in model.graph.initializer if len(each.dims) == 2 and each.data_type == 1)
        broken = numpy_helper.to_array(weights).copy()
        broken[:] = numpy.nan
        weights.CopyFrom(numpy_helper.from_array(broken, weights.name))
    if order.get("activation_only"):
        # A product of two inputs: nothing in it is constant.
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "y"], ["z"], "product")],
            "g",
            [value("x", 1, [2, 2]), value("y", 1, [2, 2])],
            [value("z", 1, [2, 2])],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, order["to"])


if __name__ == "__main__":
    # At the end, so that the toolchain's own packages come first.
    sys.path.append(sys.argv[1])
    from tests.toolchain_driver import serve

    serve(globals())
