"""The line at the top: the app's modes, which one is open, and how many jobs run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual import events


class NavItem(NamedTuple):
    """One place to go to."""

    name: str
    key: str
    title: str
    short: str


class NavBar(Widget):
    """One line; the current item stands in brackets, so that it shows without colour too."""

    class Chosen(Message):
        """An item was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"nav-bar--current", "nav-bar--brand"}

    running_jobs: reactive[int] = reactive(0)
    """How many jobs run now; shown at the right end."""

    def __init__(self, items: Sequence[NavItem], current: str) -> None:
        super().__init__()
        self._items = items
        self._current = current
        self._ends: list[tuple[int, str]] = []

    def render(self) -> Content:
        """The longest form that fits."""
        width = self.size.width
        jobs = f"{self.running_jobs} job{'' if self.running_jobs == 1 else 's'}" if self.running_jobs else ""
        labels: list[str] = []
        brand, gap = "", " "
        for brand, gap, forms in self._forms():
            labels = [self._label(item, form) for item, form in zip(self._items, forms, strict=True)]
            # The last gap stands before the count of jobs, if there is one.
            needed = len(brand) + sum(len(label) + len(gap) for label in labels) + (len(jobs) or -len(gap))
            if needed <= width:
                break
        current_style = self.get_visual_style("nav-bar--current")
        parts: list[str | Content] = [Content.styled(brand, self.get_visual_style("nav-bar--brand"))]
        self._ends = []
        column = len(brand)
        for item, label in zip(self._items, labels, strict=True):
            parts.append(Content.styled(label, current_style) if item.name == self._current else label)
            parts.append(gap)
            column += len(label) + len(gap)
            self._ends.append((column, item.name))
        parts.append(jobs.rjust(width - column))
        return Content.assemble(*parts)

    def _forms(self) -> Iterator[tuple[str, str, list[int]]]:
        """From the longest to the shortest: brand, gap and form of each title.

        The brand goes first, then titles, those that give most room first, then the gaps.
        """
        forms = [0] * len(self._items)
        for brand in ("edgetui  ", "edgetui ", ""):
            yield brand, " ", forms
        others = [number for number, item in enumerate(self._items) if item.name != self._current]
        for number in sorted(others, key=lambda n: len(self._items[n].short) - len(self._items[n].title)):
            forms[number] = 1
            yield "", " ", forms
        yield "", " ", [1] * len(forms)
        yield "", " ", [2] * len(forms)
        yield "", "", [2] * len(forms)

    def on_click(self, event: events.Click) -> None:
        """Say which item was hit."""
        for end, name in self._ends:
            if event.x < end:
                self.post_message(self.Chosen(name))
                break

    def _label(self, item: NavItem, form: int) -> str:
        title = (item.title, item.short, "")[form]
        if item.name == self._current:
            return f"[{item.key} {title or item.short}]"
        return f"{item.key} {title}".rstrip()
