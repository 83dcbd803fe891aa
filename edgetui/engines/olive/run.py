"""Running a workflow by Olive's own runner, alone in this process, into a folder like any other ONNX build."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_config import (
    OUR_KEYS,
    TEXT_DATASET,
    config_of,
    config_text,
    line_of,
    passes_of,
    read_config,
    with_model,
)
from edgetui.core.olive_footprint import FOOTPRINT_FILE, WORKFLOW_FILE, footprint_lines
from edgetui.core.workflows.olive import OliveCustom
from edgetui.engines.olive import isolation
from edgetui.engines.onnx_runtime.beside import refuse_pipeline
from edgetui.store.olive_cache import OliveCache

if TYPE_CHECKING:
    from edgetui.core.workflows.olive import OliveWorkflow
    from edgetui.engines.olive.watch import Watch
    from edgetui.engines.reporting import Reporter
    from edgetui.store.database import Database

_MOST_WORKFLOW_BYTES = 1024 * 1024
_HERE = {
    "type": "LocalSystem",
    "accelerators": [{"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}],
}


class OliveJob(Protocol):
    """What `make` needs of the job that runs it, besides a place to report to."""

    @property
    def database(self) -> Database:
        """It lies in the state folder, as Olive's cache does."""


def make(source: Path, target: Path, settings: OliveWorkflow, job: Any) -> None:
    """Make an ONNX folder of the model whose first file is `source`; see `Maker`.

    Raises `EdgetuiError`: `bad_request` (the workflow), `unsupported` (a pass on this model), `network`, `not_found`,
    `bad_file`, `no_space`, `out_of_memory`.
    """
    cache = OliveCache(job.database.path.parent)
    name = source.parent.name
    is_onnx = source.suffix.lower() == ".onnx"
    model = str(source if is_onnx else source.parent)
    config = _workflow(settings, model, is_onnx=is_onnx)
    isolation.isolate(allow_hub=isinstance(settings, OliveCustom) and settings.allow_hub)
    _require_text(config)
    if is_onnx:
        refuse_pipeline(source)
    job.progress(0, len(config["passes"]), "passes", "starting Olive")
    _refuse_objection(config, settings, source, is_onnx=is_onnx)
    target.mkdir()
    work = target / "work"
    (work / "tmp").mkdir(parents=True)
    # What passes write on the way goes with the rest when the job is cancelled.
    tempfile.tempdir = os.environ["TMPDIR"] = str(work / "tmp")
    with cache.in_use() as folder:
        watch, output = _run(config, source, work, folder, name, job)
        from edgetui.engines.olive.result import take_result

        best = output.get_best_candidate()
        job.progress(len(config["passes"]), len(config["passes"]), "passes", "putting the model together")
        try:
            take_result(best.olive_model_config, work / "made", source, target, name)
            (target / WORKFLOW_FILE).write_text(config_text(config), encoding="utf-8")
            rows = watch.rows(output.footprint, _source_bytes(source))
            (target / FOOTPRINT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
        except OSError as error:
            from edgetui.engines.onnx_runtime.failures import sentence_of

            raise sentence_of(error, name, "Putting together") from error
    for line in footprint_lines(rows):
        print(line, flush=True)
    shutil.rmtree(work)


def _run(config: dict[str, Any], source: Path, work: Path, cache: Path, name: str, job: Reporter) -> tuple[Watch, Any]:
    """Olive's runner, and why it did not make a model where it did not."""
    from olive.workflows import run

    from edgetui.engines.olive.failures import pass_failure, pass_refusal
    from edgetui.engines.olive.watch import Watch

    _mend_enumerations()
    passes = passes_of(config)
    watch = Watch(passes, job)
    # It reports each node that it looks at.
    logging.getLogger("onnx_ir").setLevel(logging.WARNING)
    output = None
    try:
        with watch.around():
            output = run(_for_this_run(config, source, work, cache), tempdir=str(work / "tmp"))
    except EdgetuiError:
        raise
    except Exception as error:
        pass_type, cause = watch.failed or (passes[0].type, error)
        raise pass_failure(cause, pass_type, name) from error
    if output is not None and output.has_output_model() and output.get_best_candidate() is not None:
        return watch, output
    if watch.failed is not None:
        pass_type, cause = watch.failed
        raise pass_failure(cause, pass_type, name) from cause
    pass_type, words = watch.refused or (passes[-1].type, watch.last_words)
    raise pass_refusal(pass_type, name, words)


def _mend_enumerations() -> None:
    """Let Olive 0.13 look for resources in an evaluator's settings: it asks None for its small letters there."""
    from olive.common.config_utils import CaseInsensitiveEnum

    find = CaseInsensitiveEnum._missing_

    def find_text(_: type, value: object) -> object:
        return find(value) if isinstance(value, str) else None

    CaseInsensitiveEnum._missing_ = classmethod(find_text)


def _workflow(settings: OliveWorkflow, model: str, *, is_onnx: bool) -> dict[str, Any]:
    if not isinstance(settings, OliveCustom):
        return config_of(settings, model, len(os.sched_getaffinity(0)))
    path = Path(settings.file).expanduser()
    return with_model(read_config(_read(path), path.name), model, is_onnx=is_onnx)


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise EdgetuiError("not_found", f"The workflow {path} is not there: name a JSON file, as file=PATH.")
        if path.stat().st_size > _MOST_WORKFLOW_BYTES:
            raise EdgetuiError("bad_request", f"The workflow {path.name} is larger than 1 MiB: name a JSON file.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EdgetuiError("bad_request", f"The workflow {path.name} is not UTF-8 text: name a JSON file.") from error
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The workflow {path} cannot be read ({error.strerror}): name another file."
        ) from error


def _require_text(config: dict[str, Any]) -> None:
    """Refuse a calibration text that cannot be read before Olive has begun."""
    from edgetui.engines.olive.calibration import read_text

    for data in _text_datasets(config):
        read_text(str(data.get("text", "topics")))


def _text_datasets(config: dict[str, Any]) -> list[dict[str, Any]]:
    told = config.get("data_configs")
    loads = (
        [each.get("load_dataset_config") for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    )
    return [load for load in loads if isinstance(load, dict) and load.get("type") == TEXT_DATASET]


def _refuse_objection(config: dict[str, Any], settings: OliveWorkflow, source: Path, *, is_onnx: bool) -> None:
    from edgetui.engines.olive import calibration
    from edgetui.engines.olive.check import objection_to

    try:
        calibration.register(source, is_onnx=is_onnx)
        objection = objection_to(config)
    except ImportError as error:
        raise EdgetuiError(
            "engine_missing",
            f"The toolchain olive lacks a package ({error}): install it anew with"
            " `edgetui toolchain install olive --again`.",
        ) from error
    if objection is None:
        return
    where = "The workflow"
    if isinstance(settings, OliveCustom):
        path = Path(settings.file).expanduser()
        where = f"{path.name}, line {line_of(_read(path), objection.path)},"
    raise EdgetuiError("bad_request", f"{where} is not accepted: {objection.message}.")


def _for_this_run(config: dict[str, Any], source: Path, work: Path, cache: Path) -> dict[str, Any]:
    """The workflow with what is ours in it: where things are put, and on what it runs."""
    ready = deepcopy(config)
    for part in (ready, ready.get("engine")):
        if isinstance(part, dict):
            for key in OUR_KEYS:
                part.pop(key, None)
            part.pop("host", None)
            part.pop("target", None)
    for data in _text_datasets(ready):
        # Olive knows a dataset by its settings alone; a text that was changed is another one.
        text = Path(str(data.get("text", ""))).expanduser()
        data["written"] = text.stat().st_mtime_ns if text.is_file() else 0
    return {
        **ready,
        "systems": {**(ready.get("systems") or {}), "here": _HERE},
        "host": "here",
        "target": "here",
        # Olive's hash of an ONNX model is that of its graph; two models may share that and differ in their weights.
        "workflow_id": _identity(source),
        "cache_dir": str(cache),
        "output_dir": str(work / "made"),
        # What a pass made holds for good, what was measured only for now.
        "clean_evaluation_cache": True,
        "evaluate_input_model": bool(ready.get("evaluate_input_model", False)),
        "log_severity_level": 1,
    }


def _identity(source: Path) -> str:
    """Tells the files of this very model from any other's, by names, sizes and times of change."""
    told = hashlib.sha256(str(source).encode("utf-8", "surrogateescape"))
    for path in sorted(source.parent.iterdir()):
        if path.is_file():
            status = path.stat()
            told.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return told.hexdigest()[:16]


def _source_bytes(source: Path) -> int:
    return sum(path.stat().st_size for path in source.parent.iterdir() if path.is_file())
