"""The demo model's shape, against what its makers publish of it (SmolLM2-135M's config.json)."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import KvLayer
from edgetui.formats.gguf import read_gguf
from edgetui.formats.model_shape import model_shape
from tests.gguf_files import write_gguf


def test_the_demo_models_shape_is_the_published_one(demo_model: Path) -> None:
    shape = model_shape(read_gguf(demo_model))
    # 30 layers, 9 heads of 64 of which 3 for keys and values, hidden size 576, vocabulary 49152.
    layer = KvLayer(kind="full", key_width=192, value_width=192, query_width=576, head_width=64, queries_per_head=3.0)
    assert shape.layers == (layer,) * 30
    assert (shape.embedding_length, shape.vocabulary_size, shape.trained_context_tokens) == (576, 49152, 8192)
    # The embedding is the output too, so that a token goes through every weight.
    assert shape.active_weights == shape.parameter_count == 134_515_008
    assert shape.bytes_per_token == shape.weights_bytes <= demo_model.stat().st_size


def test_a_header_without_layers_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", tensors=())
    with pytest.raises(EdgetuiError, match="does not tell the model's layers"):
        model_shape(read_gguf(path))
