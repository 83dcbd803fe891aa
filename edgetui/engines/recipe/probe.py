"""A copy of a model in which single tensors take the values that quantizing would give them, and their own again."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.tensor_errors import TYPES, with_importance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy
    from numpy.typing import NDArray

    from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
    from edgetui.engines.llama_cpp.tensor_file import TensorFile


class ProbedCopy:
    """The copy keeps the parent's types: a quantization of all tensors to see the effect of one would take longer."""

    def __init__(self, parent: TensorFile, path: Path, codec: TensorCodec) -> None:
        """Copy a model that is one file; raises `EdgetuiError`: `unsupported` for a split one, `no_space`."""
        if len(parent.header.parts) > 1:
            raise EdgetuiError(
                "unsupported",
                f"{parent.header.path.name} is split, and sensitivities are measured in one file only: search with"
                " --choosing-chunks 0, or make one file of it.",
            )
        self._parent, self.path, self._codec = parent, path, codec
        try:
            shutil.copyfile(parent.header.path, path)
        except OSError as error:
            kind = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "no_permission"
            raise EdgetuiError(
                "no_space" if kind == "no_space" else "no_permission",
                f"A copy of {parent.header.path.name} cannot be made in {path.parent} ({error.strerror}): make room"
                " there, or search with --choosing-chunks 0.",
            ) from error

    def quantize(self, names: Iterable[str], type_name: str, importance: Mapping[str, NDArray[numpy.float32]]) -> None:
        """Give tensors the values that they would have in a type."""
        kind = TYPES[type_name]
        with self.path.open("r+b") as stream:
            for name in names:
                tensor = self._parent.tensors[name]
                stream.seek(self._parent.place(tensor)[1])
                for columns, block in with_importance(self._parent, tensor, importance.get(name)):
                    made = self._codec.dequantize(
                        kind, self._codec.quantize(kind, block, columns).data, tensor.shape[0]
                    )
                    stream.write(self._codec.quantize(tensor.type, made).data)

    def restore(self, names: Iterable[str]) -> None:
        """Give tensors their own values again."""
        with self.path.open("r+b") as stream, self._parent.header.path.open("rb") as source:
            for name in names:
                tensor = self._parent.tensors[name]
                _, offset = self._parent.place(tensor)
                source.seek(offset)
                stream.seek(offset)
                left = tensor.size_bytes
                while left:
                    data = source.read(min(left, 1 << 24))
                    stream.write(data)
                    left -= len(data)
