"""How far mlx-lm's own loops are: they tell it through tqdm only, which is listened to here."""

from __future__ import annotations

from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from edgetui.engines.reporting import Reporter


@contextmanager
def heard(module: ModuleType, job: Reporter, unit: str, note: str) -> Iterator[None]:
    """Report every turn of the loops over `tqdm` in one of mlx-lm's modules; `note` where they have no name."""

    class Bar:
        """As much of tqdm as mlx-lm uses."""

        def __init__(self, iterable: Iterable[Any], desc: str = "", total: int | None = None, **_: Any) -> None:
            self._iterable, self._note = iterable, desc or note
            self._total = len(iterable) if total is None and isinstance(iterable, Sized) else total

        def __iter__(self) -> Iterator[Any]:
            for number, item in enumerate(self._iterable):
                job.progress(number, max(self._total or 0, number + 1), unit, self._note)
                yield item

        def set_description(self, desc: str = "", **_: Any) -> None:
            """Put the loss into the note."""
            self._note = f"{note}, {desc}"

        @staticmethod
        def write(text: str, **_: Any) -> None:
            """Into the log."""
            print(text, flush=True)

    before = module.tqdm
    module.tqdm = Bar  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.tqdm = before  # type: ignore[attr-defined]
