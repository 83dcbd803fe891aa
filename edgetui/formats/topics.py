"""CPython's own documentation topics: a text that is wherever Python is."""

from __future__ import annotations

from edgetui.core.failures import EdgetuiError


def read_topics() -> str:
    """All topics, in the order of their names; raises `EdgetuiError("not_found")` where Python came without them."""
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise EdgetuiError(
            "not_found", "This Python came without its documentation topics: name a text file of your own."
        ) from error
    return "\n".join(topics[name] for name in sorted(topics))
