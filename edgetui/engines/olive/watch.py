"""Watching Olive from inside: which pass runs, how far it is, what it cost, and why it ended, which Olive only logs."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.olive_footprint import PassRow
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.core.olive_config import NamedPass
    from edgetui.engines.reporting import Reporter

_WORDS_KEPT = 40
_TELLS_NOTHING = ("Running pass", "Invalid config, pruned", "Flow ", "Skipping evaluation", "No output model")
_SEARCHED_SETTINGS = ("intra_thread_num_list", "opt_level_list", "execution_mode_list", "inter_thread_num_list")
"""Of passes that a search tries with several values."""


class Watch:
    """Follows one run: use `around` it, then read what was seen."""

    def __init__(self, passes: tuple[NamedPass, ...], job: Reporter) -> None:
        self._passes = passes
        self._job = job
        self._order = {each.name: index for index, each in enumerate(passes)}
        self._words: deque[str] = deque(maxlen=_WORDS_KEPT)
        self._steps = 0
        self._at: tuple[int, int | None, str] = (0, None, "")
        """The pass that runs: how many were before it, of how many, and its type."""
        self._computed: dict[str, float] = {}
        """Seconds that a model took that was not in the cache, by Olive's id."""
        self.failed: tuple[str, BaseException] | None = None
        """The pass that ended the run, and what it raised."""
        self.refused: tuple[str, str] | None = None
        """The first pass that declined without raising, and what Olive logged last before."""

    @contextmanager
    def around(self) -> Iterator[None]:
        """Watch what Olive's engine does inside."""
        from olive.engine import Engine
        from olive.systems.local import LocalSystem

        tqdm: Any = import_module("tqdm.std").tqdm
        run_pass, run_here, show_bar = Engine._run_pass, LocalSystem.run_pass, tqdm.display
        watch, computed = self, False

        def watched(engine: Any, name: str, *arguments: Any, **options: Any) -> Any:
            nonlocal computed
            pass_type = watch._type_of(engine.computed_passes_configs[name].type)
            watch._begin(name, pass_type)
            computed, began = False, time.monotonic()
            try:
                config, model_id = run_pass(engine, name, *arguments, **options)
            except Exception as error:
                watch.failed = (pass_type, error)
                raise
            if model_id is None or isinstance(config, str):
                watch.refused = watch.refused or (pass_type, watch.last_words)
            elif computed:
                watch._computed[model_id] = time.monotonic() - began
            return config, model_id

        def run_computed(*arguments: Any, **options: Any) -> Any:
            nonlocal computed
            computed = True
            return run_here(*arguments, **options)

        def display(bar: Any, *arguments: Any, **options: Any) -> Any:
            watch._inside(bar.desc or "", bar.n, bar.total)
            return show_bar(bar, *arguments, **options)

        handler = _Listener(self)
        logger = logging.getLogger("olive")
        logger.addHandler(handler)
        Engine._run_pass, LocalSystem.run_pass, tqdm.display = watched, run_computed, display
        try:
            yield
        finally:
            Engine._run_pass, LocalSystem.run_pass, tqdm.display = run_pass, run_here, show_bar
            logger.removeHandler(handler)

    @property
    def last_words(self) -> str:
        """What Olive logged last before it gave up."""
        telling = [words for words in self._words if not words.startswith(_TELLS_NOTHING)]
        return telling[-1] if telling else ""

    def rows(self, footprint: Any, source_bytes: int) -> tuple[PassRow, ...]:
        """What the run left on record, in the order of its models."""
        rows = []
        for model_id, node in footprint.nodes.items():
            began_with = node.from_pass is None
            computed = self._computed.get(model_id)
            taken = computed if computed is not None else max(0.0, node.end_time - node.start_time)
            config = (node.model_config_data or {}).get("config") or {}
            rows.append(
                PassRow(
                    pass_type=self._type_of(node.from_pass),
                    duration_s=None if began_with else taken,
                    size_bytes=source_bytes if began_with else model_bytes(config.get("model_path")),
                    from_cache=not began_with and computed is None,
                    metrics=_metrics(node.metrics),
                    settings={
                        key: str(value)
                        for key, value in (node.pass_run_config or {}).items()
                        if key in _SEARCHED_SETTINGS and value is not None
                    },
                )
            )
        return tuple(rows)

    def _type_of(self, from_pass: str | None) -> str:
        """Olive's own spelling: its footprint has small letters."""
        return next((each.type for each in self._passes if each.type.lower() == (from_pass or "")), from_pass or "")

    def _begin(self, name: str, pass_type: str) -> None:
        index = self._order.get(name, 0)
        # A search runs the passes again and again, and nobody knows how often.
        total = len(self._passes) if self._steps < len(self._passes) else None
        self._at = (self._steps if total is None else index, total, pass_type)
        self._steps += 1
        self._job.progress(*self._at[:2], "passes", pass_type)

    def _inside(self, doing: str, done: float, total: float | None) -> None:
        """How far a pass is by its own bar, such as one of GPTQ's layers."""
        index, passes, pass_type = self._at
        if pass_type and total:
            what = plain_line(doing).strip(" .:")
            note = f"{pass_type}: {what} {done:.0f}/{total:.0f}"
            self._job.progress(index + min(done / total, 1.0), passes, "passes", note)

    def hear(self, words: str, error: BaseException | None) -> None:
        """One line of Olive's log."""
        self._words.append(words)
        if error is not None and self.failed is None and self.refused is None:
            current = self._passes[min(max(self._steps, 1), len(self._passes)) - 1]
            self.failed = (current.type, error)


class _Listener(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.INFO)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._watch.hear(plain_line(record.getMessage()), error if record.levelno >= logging.ERROR else None)


def model_bytes(path: str | None) -> int | None:
    """Size of a model: a folder, or a graph with the files that begin with its name; None when it is gone."""
    if path is None or not os.path.exists(path):
        return None
    found = Path(path)
    files = found.rglob("*") if found.is_dir() else found.parent.glob(f"{found.name}*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _metrics(told: Any) -> dict[str, float]:
    if told is None or told.value is None:
        return {}
    return {str(name): float(metric.value) for name, metric in told.value.root.items()}
