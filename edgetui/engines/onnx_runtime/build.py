"""An ONNX decoder out of safetensors, or out of an unquantized GGUF, by onnxruntime-genai's model builder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.workflows.onnx import OnnxBuild
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import carry_along
from edgetui.engines.onnx_runtime.failures import reason, told
from edgetui.engines.onnx_runtime.listening import printed_lines, quantized_nodes
from edgetui.engines.onnx_runtime.session import PROVIDERS, prove
from edgetui.formats.model_folder import check_convertible, read_json

if TYPE_CHECKING:
    from edgetui.engines.reporting import Reporter

_MIXED = {"last": "last_matmul:int8", "layers": "last_matmul:int8,mixed_layers:int8"}
_READ = re.compile(r"Reading layer (\d+)")
_LAYER = re.compile(r"\.(\d+)/")


def make(source: Path, target: Path, settings: OnnxBuild, job: Reporter) -> None:
    """Make the folder `target`: `model.onnx`, its weights, `genai_config.json`, tokenizer and chat template.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request`, `out_of_memory`, `no_space`, `engine_missing`.
    """
    _check(settings)
    work = target / graph.WORK
    os.makedirs(work)
    # The builder's progress bars are made for a terminal.
    os.environ["TQDM_DISABLE"] = "1"
    if source.suffix == ".gguf":
        job.progress(0, None, "steps", "reading the configuration and tokenizer of the GGUF file")
        folder = _folder_of_gguf(source, work)
        weights = source
    else:
        folder = weights = source.parent
        check_convertible(folder)
        graph.require_memory(sum(file.stat().st_size for file in folder.glob("*.safetensors")), source.parent.name)
    name = source.stem if source.suffix == ".gguf" else folder.name
    layers = _layers(folder)
    progress = _Progress(job, layers, settings.is_quantizing)
    with told(name, "Building"), printed_lines(progress.printed), quantized_nodes(progress.quantized):
        _build(folder, weights, target, work, settings)
    carry_along(folder / "config.json", target, but={file.name for file in target.iterdir()} | {"quantize_config.json"})
    shutil.rmtree(work)
    progress.note("checking")
    _prove(target, settings, job)


def _check(settings: OnnxBuild) -> None:
    """Refuse what the builder does not do or does otherwise than it was asked."""
    if settings.precision == "bf16" and settings.provider != "cuda":
        raise EdgetuiError("bad_request", "Precision bf16 is built for provider=cuda only: take fp16 or fp32.")
    if settings.precision == "fp16" and settings.provider == "webgpu":
        raise EdgetuiError("bad_request", "For provider=webgpu there are int4 and int8 builds only: take one of these.")
    if settings.precision == "fp32" and settings.provider in ("dml", "webgpu"):
        raise EdgetuiError("bad_request", f"For provider={settings.provider} there are no fp32 builds: take int4.")
    if settings.precision == "int8" and settings.provider == "dml":
        raise EdgetuiError("bad_request", "For provider=dml there are int4 and fp16 builds only: take one of these.")
    if settings.mixed != "none" and settings.precision != "int4":
        raise EdgetuiError("bad_request", "Mixed int8 belongs to precision=int4: leave mixed out, or take int4.")


def _layers(folder: Path) -> int | None:
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    number = config.get("num_hidden_layers") or (text.get("num_hidden_layers") if isinstance(text, dict) else None)
    return number if isinstance(number, int) and number > 0 else None


def _build(folder: Path, weights: Path, target: Path, work: Path, settings: OnnxBuild) -> None:
    from onnxruntime_genai.models import builder

    options = ["hf_token=false"]
    if settings.is_quantizing:
        options += [
            f"block_size={settings.block_size}",
            f"is_symmetric={str(settings.symmetric).lower()}",
            f"algo_config={settings.algorithm}",
        ]
        if settings.accuracy_level:
            options.append(f"accuracy_level={settings.accuracy_level}")
        if settings.mixed != "none":
            options.append(f"matmul_mixed_precision={_MIXED[settings.mixed]}")
    # A folder as the model's name is read as one; a GGUF file as the input gives the weights alone.
    chosen: dict[str, Any] = {
        "model_name": os.fspath(folder),
        "input_path": os.fspath(weights),
        "output_dir": os.fspath(target),
        "precision": settings.precision,
        "execution_provider": settings.provider,
        "cache_dir": os.fspath(work / "cache"),
    }
    try:
        extra = builder.parse_extra_options(**chosen, extra_options=options)
        builder.create_model(**chosen, **extra)
    except NotImplementedError as error:
        architecture = plain_line(str(read_json(folder / "config.json").get("architectures", ["unknown"])[0]))
        raise EdgetuiError(
            "unsupported",
            f"The installed model builder does not know the architecture {architecture}: take another model, or update"
            " the toolchain onnx.",
            detail=str(error),
        ) from error
    except Exception as error:
        if type(error).__name__ == "SafetensorError":
            raise EdgetuiError(
                "bad_file", f"The weights in {folder.name} are damaged ({reason(error)}): fetch them again."
            ) from error
        raise


class _Progress:
    """Layers read, then layers quantized."""

    def __init__(self, job: Reporter, layers: int | None, is_quantizing: bool) -> None:
        self._job = job
        self._layers = layers
        self._total = layers * (2 if is_quantizing else 1) if layers else None
        self._done = 0
        self.note("loading the weights")

    def note(self, note: str) -> None:
        """Say what is being done."""
        self._job.progress(self._done, self._total, "steps", note)

    def printed(self, line: str) -> None:
        """A line of the builder's."""
        if match := _READ.match(line):
            self._done = int(match[1]) + 1
            self.note(f"layer {self._done} of {self._layers or '?'} read")
        elif line.startswith("Saving ONNX model"):
            self.note("writing")

    def quantized(self, node: str) -> None:
        """A product that the quantizer has done."""
        match = _LAYER.search(node)
        if match and self._layers:
            self._done = min(self._layers + int(match[1]), 2 * self._layers)
        self.note(f"quantized {plain_line(node)}")


def _prove(target: Path, settings: OnnxBuild, job: Reporter) -> None:
    import onnxruntime

    if PROVIDERS[settings.provider] not in onnxruntime.get_available_providers():
        print(f"Not tried: this machine has no execution provider {settings.provider}.")
        return
    prove(target / "model.onnx", "model.onnx", settings.provider)


# --- from GGUF ----------------------------------------------------------------------------------------------


def _folder_of_gguf(source: Path, work: Path) -> Path:
    """A folder with the configuration and tokenizer that a GGUF file holds; raises `EdgetuiError`."""
    from edgetui.formats.gguf import check_loadable

    header = check_loadable(source)
    packed = sorted({tensor.type.name for tensor in header.tensors} - set(OnnxBuild.GGUF_TYPES))
    if packed or len(header.parts) > 1:
        why = f"holds {', '.join(packed[:3])} weights" if packed else "is split into several files"
        raise EdgetuiError(
            "unsupported",
            f"The model builder reads F16 and F32 weights out of a single GGUF file, and {source.name} {why}: unpack it"
            " with to-safetensors first.",
        )
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise EdgetuiError(
            "unsupported",
            f"The toolchain onnx was installed without the package gguf, so {source.name} cannot be read here: unpack"
            " it with to-safetensors first.",
        ) from error
    from transformers import AutoConfig, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as ARCHITECTURES

    folder = work / source.stem
    folder.mkdir()
    with told(source.name, "Reading"):
        config = AutoConfig.from_pretrained(source.parent, gguf_file=source.name)
        # A GGUF file names a family of models only.
        config.architectures = [ARCHITECTURES[config.model_type]]
        config.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    return folder
