"""The file types of llama.cpp that the installed library knows, by name."""

from __future__ import annotations

from edgetui.engines.llama_cpp import library

_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")


def known_types() -> dict[str, int]:
    """Name (`Q4_K_M`) to `llama_ftype` of every type that the library itself has a name for, in its order."""
    lib = library.load()
    types: dict[str, int] = {}
    for attribute in dir(lib):
        prefix = next((p for p in _PREFIXES if attribute.startswith(p)), None)
        if prefix is None:
            continue
        ftype = getattr(lib, attribute)
        described = lib.llama_ftype_name(ftype)
        if described is None or described.startswith(b"unknown"):
            continue
        types[attribute[len(prefix) :].removesuffix("_MOE")] = ftype
    return dict(sorted(types.items(), key=lambda item: item[1]))
