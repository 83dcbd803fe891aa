"""The form of a quantization's options."""

from __future__ import annotations

from edgetui.core.quant_options import QuantForm, QuantOptions, form_of
from edgetui.screens.fields_dialog import Field, FieldsDialog

_FIELDS = (
    ("tensor_types", "Tensor types", ""),
    ("output_type", "Output type", "of output.weight, such as Q8_0"),
    ("embedding_type", "Embedding type", "of token_embd.weight"),
    ("pure", "Pure", "all tensors in the one type"),
    ("leave_output", "Leave output", "output.weight as it is"),
    ("keep_split", "Keep split", "as many files as the source has"),
    ("prune_layers", "Prune layers", "EXPERIMENT: leaves out layers 3,5"),
    ("max_buffer", "Memory ceiling", "most tensor data held at once"),
    ("threads", "Threads", "0 takes all that may be used"),
)


def options_dialog(options: QuantOptions, threads: int) -> FieldsDialog:
    """Asks for the values of a `QuantForm`; tensor types are written `ffn_down=Q6_K attn_v=Q8_0`."""
    form = form_of(options, threads)
    fields = [Field(QuantForm, name, label, note, getattr(form, name)) for name, label, note in _FIELDS]
    return FieldsDialog("Options", fields)
