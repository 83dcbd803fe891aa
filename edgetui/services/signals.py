"""State that several screens show is published; whoever shows it subscribes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """Calls every subscriber with each published value, in the thread that publishes."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], None]] = []

    def subscribe(self, callback: Callable[[T], None]) -> Callable[[], None]:
        """Call `callback` from now on; returns a function that ends it, harmless when called twice."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def publish(self, value: T) -> None:
        """Tell all subscribers; one may end its subscription meanwhile."""
        for callback in list(self._callbacks):
            callback(value)
