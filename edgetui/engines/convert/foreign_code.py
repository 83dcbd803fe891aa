"""Python files that come with a model are never run, whatever the converter's own code allows."""

from __future__ import annotations

import sys
from typing import Any

from edgetui.core.failures import EdgetuiError


def run_no_foreign_code(name: str) -> None:
    """Take from transformers, in this process, the way to import a module out of a model's folder or from the hub.

    What transformers knows by itself is loaded all the same; anything else then raises `EdgetuiError("unsupported")`.
    """
    import transformers.dynamic_module_utils

    def refuse(*_args: Any, **_named: Any) -> Any:
        raise EdgetuiError(
            "unsupported",
            f"{name} needs Python code of its own, which edgetui does not run: use the tool's own script if you trust"
            " it.",
        )

    def resolve(
        _trust: Any, _name: Any, has_local_code: bool, has_remote_code: bool, *_args: Any, **_named: Any
    ) -> bool:
        return False if has_local_code or not has_remote_code else refuse()

    ours = {"resolve_trust_remote_code": resolve, "get_class_from_dynamic_module": refuse}
    # Whoever imports them later finds ours; whoever has them already is given them.
    for module in [transformers.dynamic_module_utils, *sys.modules.values()]:
        if getattr(module, "__name__", "").startswith("transformers."):
            for function, own in ours.items():
                if function in vars(module):
                    setattr(module, function, own)
