"""Single tensors as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.tensor_errors import format_error, format_relative, format_shape
from edgetui.core.units import MISSING, format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.tensor_errors import TensorError, TensorRow


def tensor_lines(row: TensorRow) -> list[str]:
    """What is known of one tensor, in as many lines for each."""
    item, error = row.item, row.error
    lines = [
        item.name,
        f"{item.type_name}  {format_shape(item.shape)}  {format_bytes(item.size_bytes)}, {row.share:.2%} of the model",
    ]
    if error is None:
        lines += ["error not measured", ""]
    elif error.problem:
        lines += [f"error {MISSING}", error.problem]
    elif error.not_finite:
        lines += ["error NaN", f"{error.not_finite} weights are NaN or infinite"]
    else:
        rmse, largest = format_error(error.rmse), format_error(error.max_abs)
        lines += [f"error {format_relative(error)} of the parent's weights", f"RMSE {rmse}, largest {largest}"]
    lines.append(f"wanted {row.override}" if row.override else "")
    return lines


def trial_lines(tensor: str, trials: Sequence[TensorError]) -> list[str]:
    """A table of the errors that a tensor would have in other types."""
    if not trials:
        return [f"Quantizing {tensor} to other types... (esc ends it)"]
    share = min(error.share_read for error in trials)
    part = f", on {share:.1%} of its weights" if share < 1 else ""
    lines = [f"{tensor} in other types{part} (esc closes)", f"{'TYPE':<9}{'REL ERR':>9}{'RMSE':>11}{'MAX':>11}"]
    for error in trials:
        nan = error.not_finite
        lines.append(
            f"{error.type_name:<9}{format_relative(error):>9}{format_error(error.rmse, nan):>11}"
            f"{format_error(error.max_abs, nan):>11}"
        )
    return lines
