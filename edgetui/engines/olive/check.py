"""`python -m edgetui.engines.olive.check`: what Olive thinks of a workflow on standard input, without running it.

Reads JSON and answers one object: `message`, empty for a good workflow, and `path`, the keys to what is wrong.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from edgetui.core.olive_config import passes_of


class Objection(NamedTuple):
    """What Olive does not accept."""

    message: str
    path: tuple[str | int, ...]


def objection_to(config: dict[str, Any]) -> Objection | None:
    """The first thing that Olive does not accept in a workflow; None for a good one.

    `isolation.isolate` and `calibration.register` were called before.
    """
    from olive.package_config import OlivePackageConfig
    from olive.workflows.run.config import RunConfig
    from pydantic import ValidationError

    package = OlivePackageConfig.load_default_config()
    for name, system in (config.get("systems") or {}).items():
        if isinstance(system, dict) and system.get("type") not in (None, "LocalSystem"):
            return Objection("edgetui runs workflows on this machine only (LocalSystem)", ("systems", name, "type"))
    for name, type_name in passes_of(config):
        path = ("passes", name, "type")
        if type_name.lower() not in package.passes:
            return Objection(f"Olive has no pass {type_name}{_closest(type_name, package)}", path)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                pass_class = package.import_pass_module(type_name)
        except ImportError as error:
            return Objection(f"the pass {type_name} lacks a package here ({error})", path)
        told = config["passes"][name]
        told = told[0] if isinstance(told, list) else told
        unknown = _unknown_setting(pass_class, told)
        if unknown is not None:
            return Objection(f"the pass {type_name} has no setting {unknown}", ("passes", name, unknown))
    # A workflow that is saved for any model may leave it out.
    whole = {"input_model": {"type": "HfModel", "model_path": "model"}, **deepcopy(config)}
    try:
        ready = RunConfig.model_validate(whole)
        if not ready.engine.search_strategy:
            return _wrong_value(ready, package, config)
    except ValidationError as error:
        first = error.errors()[0]
        return Objection(_plain(first["msg"]), _known_part(config, first["loc"]))
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        return Objection(_plain(str(error)) or type(error).__name__, ())
    return None


def _wrong_value(ready: Any, package: Any, config: dict[str, Any]) -> Objection | None:
    """The first setting of a pass whose value the pass does not take."""
    from olive.hardware import DEFAULT_CPU_ACCELERATOR
    from pydantic import ValidationError

    for name, passes in ready.passes.items():
        pass_class = package.import_pass_module(passes[0].type)
        try:
            pass_class.generate_config(DEFAULT_CPU_ACCELERATOR, passes[0].config or {}, {}, True)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            told = _plain(first["msg"])
            path = ("passes", name, field)
            return Objection(f"{field} of the pass {name}: {told[:1].lower()}{told[1:]}", _known_part(config, path))
    return None


def _unknown_setting(pass_class: Any, told: dict[str, Any]) -> str | None:
    from olive.hardware import DEFAULT_CPU_ACCELERATOR

    known = {*pass_class.default_config(DEFAULT_CPU_ACCELERATOR), "type", "config", "host", "evaluator"}
    inner = told.get("config")
    given = {**told, **(inner if isinstance(inner, dict) else {})}
    return next((key for key in given if key not in known), None)


def _closest(type_name: str, package: Any) -> str:
    import difflib

    names = {name.lower(): module.module_path.rpartition(".")[2] for name, module in package.passes.items()}
    close = difflib.get_close_matches(type_name.lower(), names, n=1)
    return f", did you mean {names[close[0]]}?" if close else ""


def _plain(message: str) -> str:
    first = message.strip().partition("\n")[0]
    return re.sub(r"^(Value|Assertion) error, ", "", first)[:200]


def _known_part(config: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of pydantic's path that leads through the JSON: it also names the classes that it tried."""
    found: list[str | int] = []
    here = config
    for key in path:
        inside = (isinstance(here, dict) and key in here) or (
            isinstance(here, list) and isinstance(key, int) and key < len(here)
        )
        if inside:
            found.append(key)
            here = here[key]
    return tuple(found)


def main() -> None:
    """Check what stands on standard input."""
    from edgetui.engines.olive import calibration
    from edgetui.engines.olive.isolation import isolate

    isolate(allow_hub=False)
    calibration.register(Path(), is_onnx=False)
    found = objection_to(json.load(sys.stdin))
    print(json.dumps({"message": found.message if found else "", "path": list(found.path) if found else []}))


if __name__ == "__main__":
    main()
