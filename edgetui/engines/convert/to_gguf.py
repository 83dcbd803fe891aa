"""safetensors to GGUF by llama.cpp's own converter, whose model classes stand in the toolchain's environment."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.convert.failures import require_room, told, told_of_tokenizer, unsupported_architecture
from edgetui.engines.convert.finite import require_finite
from edgetui.engines.convert.foreign_code import run_no_foreign_code
from edgetui.formats.gguf import check_loadable
from edgetui.formats.model_folder import check_convertible, shards
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgetui.core.workflows.conversion import ToGguf
    from edgetui.engines.reporting import Reporter

CONVERTER = "llama.cpp"
"""Folder of the environment that holds the converter and the gguf package that it goes with."""
_BITS = {"f32": 32, "f16": 16, "bf16": 16, "auto": 16, "q8_0": 8.5}
"""Per weight; norms stay at 32."""
_HEADER_BYTES = 16 * 1024 * 1024
"""More than the largest vocabularies take."""
_TOOL = "llama.cpp"


def make(source: Path, target: Path, settings: ToGguf, job: Reporter) -> None:
    """Convert the folder of `source` into the file `target`.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `no_space`, `engine_missing`.
    """
    folder = source.parent
    check_convertible(folder)
    weights = [folder / name for name in shards(folder, [path.name for path in folder.iterdir()])]
    model = read_safetensors(weights)
    require_room(target, int(model.parameter_count * _BITS[settings.out_type] / 8) + _HEADER_BYTES)
    job.progress(0, None, "tensors", "loading the converter")
    with told(folder.name, _TOOL):
        require_finite(_tensors(weights), folder.name)
        conversion = _converter()
        run_no_foreign_code(folder.name)
        _convert(conversion, folder, target, settings, job)
    _check(folder, target)


def _tensors(weights: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """One after another; only the one being looked at is in memory."""
    from safetensors import safe_open

    for path in weights:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)


def _convert(conversion: Any, folder: Path, target: Path, settings: ToGguf, job: Reporter) -> None:
    import gguf
    import torch

    types = {
        "auto": gguf.LlamaFileType.GUESSED,
        "f32": gguf.LlamaFileType.ALL_F32,
        "f16": gguf.LlamaFileType.MOSTLY_F16,
        "bf16": gguf.LlamaFileType.MOSTLY_BF16,
        "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    }
    with torch.inference_mode():
        told_by_config = conversion.ModelBase.load_hparams(folder, False)
        architecture = conversion.get_model_architecture(told_by_config, conversion.ModelType.TEXT)
        try:
            model_class = conversion.get_model_class(architecture)
        except NotImplementedError:
            known = conversion.TEXT_MODEL_MAP
            raise unsupported_architecture(folder.name, architecture, known, _TOOL) from None
        # The name that it is given is taken for a pattern, and a person's own may look like one.
        model = model_class(folder, types[settings.out_type], Path("model.gguf"))
        job.progress(0, None, "tensors", "naming tensors")
        model.prepare_tensors()
        job.progress(0, None, "tensors", "carrying over tokenizer and chat template")
        set_vocabulary = model.set_vocab

        def set_vocabulary_in_words() -> None:
            with told_of_tokenizer(folder.name, _TOOL):
                set_vocabulary()

        model.set_vocab = set_vocabulary_in_words
        model.prepare_metadata(vocab_only=False)
        writer = model.gguf_writer
        writer.write_header_to_file(path=target)
        writer.write_kv_data_to_file()
        _watch(writer, job)
        writer.write_tensors_to_file(progress=False)
        writer.close()


def _check(folder: Path, target: Path) -> None:
    """What llama.cpp would refuse to load must not take a model's name."""
    header = check_loadable(target)
    told = header.of_architecture("block_count") or 0
    found = {tensor.name.split(".")[1] for tensor in header.tensors if tensor.name.startswith("blk.")}
    if len(found) < told:
        raise EdgetuiError(
            "bad_file",
            f"config.json of {folder.name} speaks of {told} layers and its weights have {len(found)}: take the one of"
            " its repository.",
        )


def _watch(writer: Any, job: Reporter) -> None:
    """Let every tensor report when it is written; only then is it read, converted and dropped."""
    tensors = [(name, info) for shard in writer.tensors for name, info in shard.items()]
    total, bytes_total = len(tensors), sum(info.nbytes for _, info in tensors)
    done, bytes_done = 0, 0

    def written(name: str, count: int) -> None:
        nonlocal done, bytes_done
        done += 1
        bytes_done += count
        job.progress(done, total, "tensors", name, bytes_done=bytes_done, bytes_total=bytes_total)

    for name, info in tensors:
        info.tensor = _Watched(name, info.tensor, written)


class _Watched:
    """Stands for a tensor in the writer's list, which asks for no more than this of it."""

    def __init__(self, name: str, tensor: Any, written: Any) -> None:
        self._name = name
        self._tensor = tensor
        self._written = written
        self.nbytes = tensor.nbytes

    def tofile(self, stream: Any) -> None:
        """Write it, and say so."""
        self._tensor.tofile(stream)
        self._written(self._name, self.nbytes)


def _converter() -> Any:
    """The package `conversion` of the environment, with the gguf package beside it and no other."""
    place = Path(sys.prefix) / CONVERTER
    if not (place / "conversion").is_dir():
        raise EdgetuiError(
            "engine_missing",
            "The toolchain gguf has no converter of llama.cpp: install it anew with"
            " `edgetui toolchain install gguf --again`.",
        )
    sys.path[:0] = [str(place / "gguf-py"), str(place)]
    return import_module("conversion")
