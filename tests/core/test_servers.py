"""What a server is called and how its address is read."""

from __future__ import annotations

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.servers import proposed_name, read_address


@pytest.mark.parametrize(
    ("url", "taken", "name"),
    [
        ("http://127.0.0.1:8080", (), "local"),
        ("http://localhost:8080/v1", ("local",), "local-8080"),
        ("http://localhost:8080", ("local", "local-8080"), "local-2"),
        ("http://192.168.1.20:8080", (), "192.168.1.20"),
        ("https://lab.example.org/v1", (), "lab"),
        ("https://lab.example.org", ("lab",), "lab-2"),
        ("http://", (), "server"),
    ],
)
def test_a_name_is_proposed_by_host(url: str, taken: tuple[str, ...], name: str) -> None:
    assert proposed_name(url, taken) == name


@pytest.mark.parametrize("text", ["localhost:8080", "http://", "http://me:secret@x", "http://x:99999"])
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    assert read_address(" http://127.0.0.1:8080 ") == "http://127.0.0.1:8080"
    with pytest.raises(EdgetuiError) as caught:
        read_address(text)
    assert "secret" not in str(caught.value)
