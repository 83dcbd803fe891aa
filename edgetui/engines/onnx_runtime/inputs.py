"""What a plain session is fed: arrays of a person's file, or synthetic ones that the graph can do something with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import FedInput, GraphValue, extents_of, names_in, with_free_dimensions
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import reason
from edgetui.engines.onnx_runtime.session import head_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.onnx_latency import Sizes
    from edgetui.formats.onnx import OnnxModel

NUMPY_TYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64", "tensor(bool)": "bool",
}  # fmt: skip
"""ONNX Runtime's names of types that NumPy has too."""
STRINGS = "tensor(string)"
_LARGEST_UNKNOWN_ID = 2
"""Whole numbers of which nothing is known are 0 or 1, which stand in every table of more than one row."""


def values_of(nodes: list[Any]) -> tuple[GraphValue, ...]:
    """Inputs or outputs of a session."""
    return tuple(
        GraphValue(
            node.name,
            NUMPY_TYPES.get(node.type, node.type),
            tuple(extent if isinstance(extent, int) else str(extent or "?") for extent in node.shape or ()),
        )
        for node in nodes
    )


def feeds_of_file(path: Path, inputs: tuple[GraphValue, ...]) -> dict[str, Any]:
    """Arrays of an .npz by the inputs' names, or of an .npy for the only input.

    Raises `EdgetuiError`: `not_found`, `bad_file`, `bad_request` for arrays that the graph does not take.
    """
    import numpy

    if not path.is_file():
        raise EdgetuiError("not_found", f"The file {path} with inputs is not there.")
    try:
        # No pickles: those run what they hold.
        with numpy.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (TypeError, AttributeError):
        arrays = {inputs[0].name if len(inputs) == 1 else "": numpy.load(path, allow_pickle=False)}
    except Exception as error:
        # zipfile, zlib and numpy each raise their own.
        raise EdgetuiError(
            "bad_file", f"{path.name} is no .npz or .npy that can be read ({reason(error)}): write it anew."
        ) from error
    wanted = [value.name for value in inputs]
    if missing := [name for name in wanted if name not in arrays]:
        there = ", ".join(sorted(filter(None, arrays))) or "a single array without a name"
        raise EdgetuiError(
            "bad_request",
            f"{path.name} holds {there}, and the graph wants {', '.join(wanted)}: save {', '.join(missing)} too.",
        )
    return {value.name: _checked(value, arrays[value.name], path.name) for value in inputs}


def _checked(value: GraphValue, array: Any, file: str) -> Any:
    import numpy

    if len(array.shape) != len(value.shape) or any(
        isinstance(wanted, int) and wanted != given for wanted, given in zip(value.shape, array.shape, strict=False)
    ):
        given = " x ".join(map(str, array.shape)) or "scalar"
        raise EdgetuiError(
            "bad_request", f"{value.name} in {file} is {given}, and the graph takes {value.shape_text}: save it so."
        )
    if value.type_name == STRINGS and array.dtype.kind == "U":
        return array.astype(object)
    if str(array.dtype) != value.type_name:
        if value.type_name not in NUMPY_TYPES.values() or not numpy.can_cast(array.dtype, value.type_name, "same_kind"):
            raise EdgetuiError(
                "bad_request",
                f"{value.name} in {file} is {array.dtype}, and the graph takes {value.type_name}: convert it first.",
            )
        _require_range(value, array, file)
        array = array.astype(value.type_name)
    if array.dtype.kind == "f" and not numpy.isfinite(array).all():
        raise EdgetuiError(
            "bad_request", f"{value.name} in {file} holds NaN or infinity, from which nothing can be computed: mend it."
        )
    return array


def _require_range(value: GraphValue, array: Any, file: str) -> None:
    """Raise `EdgetuiError("bad_request")` for whole numbers that would wrap around in the graph's type."""
    import numpy

    if array.dtype.kind not in "iu" or numpy.dtype(value.type_name).kind not in "iu" or not array.size:
        return
    limits, least, most = numpy.iinfo(value.type_name), int(array.min()), int(array.max())
    if least < limits.min or most > limits.max:
        raise EdgetuiError(
            "bad_request",
            f"{value.name} in {file} holds {least if least < limits.min else most}, and the graph takes"
            f" {value.type_name} ({limits.min} to {limits.max}): scale or convert it first.",
        )


def synthetic_feeds(
    path: Path, model: OnnxModel, inputs: tuple[GraphValue, ...], sizes: Sizes, seed: int
) -> tuple[dict[str, Any], tuple[FedInput, ...]]:
    """Arrays of the right types and extents, and what they hold in words.

    Raises `EdgetuiError`: `bad_request` for sizes that fit nothing, `unsupported` for an input of a type that cannot be
    made up, `out_of_memory`.
    """
    import numpy

    if unknown := sorted(sizes.keys() - names_in(inputs)):
        known = ", ".join(sorted(names_in(inputs)))
        raise EdgetuiError("bad_request", f"{unknown[0][:60]!r} is no input and no free dimension: there are {known}.")
    random = numpy.random.default_rng(seed)
    sizes = with_free_dimensions(inputs, {**_head_size(path, inputs), **sizes})
    extents = {value.name: extents_of(value, sizes) for value in inputs}
    needed = sum(math.prod(shape) * 8 for shape in extents.values())
    graph.require_memory(needed, f"The input of {path.name}")
    feeds, fed = {}, []
    for value in inputs:
        if value.type_name == STRINGS:
            raise EdgetuiError(
                "unsupported",
                f"The input {value.name} takes text, which is not made up here: give an .npz with --file.",
            )
        if value.type_name not in NUMPY_TYPES.values():
            raise EdgetuiError(
                "unsupported",
                f"The input {value.name} is of the type {value.type_name}, which NumPy does not have, so this graph"
                " cannot be fed here.",
            )
        array, content = _made_up(value, extents[value.name], _rows(path, model, value), random)
        feeds[value.name] = array.astype(value.type_name)
        fed.append(FedInput(value.name, value.type_name, extents[value.name], content))
    return feeds, tuple(fed)


def fed_of(feeds: Mapping[str, Any], file: str) -> tuple[FedInput, ...]:
    """The words for arrays of a file."""
    return tuple(FedInput(name, str(array.dtype), tuple(array.shape), file) for name, array in feeds.items())


def _head_size(path: Path, inputs: tuple[GraphValue, ...]) -> Sizes:
    """The width of a head in a KV cache where the graph leaves it open, as the configurations beside it say it."""
    found = head_size(path)
    return {
        str(value.shape[3]): (found,)
        for value in inputs
        if found and value.name.startswith("past") and len(value.shape) == 4 and isinstance(value.shape[3], str)
    }


def _rows(path: Path, model: OnnxModel, value: GraphValue) -> int | None:
    """How many different numbers an input may hold; None where nothing is known."""
    rows = model.rows_numbered_by(value.name)
    if rows is None and value.name == "input_ids":
        vocabulary = configuration(path, "config.json").get("vocab_size")
        rows = vocabulary if isinstance(vocabulary, int) and vocabulary > 0 else None
    return rows


def _made_up(value: GraphValue, shape: tuple[int, ...], rows: int | None, random: Any) -> tuple[Any, str]:
    import numpy

    name = value.name.lower()
    if value.type_name == "bool":
        on = "use_cache" not in name
        return numpy.full(shape, on), "true" if on else "false"
    if "mask" in name:
        return numpy.ones(shape), "ones"
    if name.startswith("past") or "token_type" in name or "segment" in name:
        return numpy.zeros(shape), "zeros"
    if value.type_name.startswith("float"):
        return random.standard_normal(shape), "normally distributed"
    if "position" in name and shape:
        most = rows or shape[-1]
        return numpy.broadcast_to(numpy.arange(shape[-1]) % most, shape), "positions in order"
    if rows is not None:
        return random.integers(0, rows, shape), f"ids below {rows}"
    if not shape or shape == (1,):
        # A length or a count, which zero would make empty.
        return numpy.ones(shape), "one"
    if value.type_name == "uint8" and len(shape) in (3, 4):
        return random.integers(0, 256, shape), "pixels of 0 to 255"
    return random.integers(0, _LARGEST_UNKNOWN_ID, shape), "zeros and ones"
