"""What a benchmark hands back, and how it is printed: the figure, its bar, whether it passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Result:
    """One measured figure against its bar."""

    name: str
    value: float
    unit: str
    """Empty for a ratio."""
    bar: float
    better: Literal["higher", "lower"]
    details: tuple[str, ...] = ()
    """How it came about: rounds, medians, settings."""

    @property
    def passed(self) -> bool:
        """Whether the figure is on the right side of its bar."""
        return self.value >= self.bar if self.better == "higher" else self.value <= self.bar

    @property
    def bar_text(self) -> str:
        """`>= 0.97`."""
        return f"{'>=' if self.better == 'higher' else '<='} {self.bar:g} {self.unit}".rstrip()

    @property
    def value_text(self) -> str:
        """The figure with its unit."""
        return f"{self.value:.3g} {self.unit}".rstrip()


def show(results: list[Result]) -> int:
    """Print the results; returns the exit status, 1 when one missed its bar."""
    for result in results:
        verdict = "pass" if result.passed else "FAIL"
        print(f"{result.name}: {result.value_text} (bar {result.bar_text}) {verdict}")
        for line in result.details:
            print(f"    {line}")
    return 0 if all(result.passed for result in results) else 1


def as_markdown(results: list[Result], machine: list[str]) -> str:
    """The page that `make bench` writes."""
    rows = "\n".join(
        f"| {result.name} | {result.value_text} | {result.bar_text} | {'pass' if result.passed else 'FAIL'} |"
        for result in results
    )
    details = "\n\n".join(
        f"### {result.name}\n\n" + "\n".join(f"- {line}" for line in result.details) for result in results
    )
    facts = "\n".join(f"- {line}" for line in machine)
    return (
        "# Measured\n\n"
        "Made by `make bench`; every figure is a median of alternating rounds on one machine.\n\n"
        f"{facts}\n\n"
        "| what | measured | bar | |\n|---|---|---|---|\n"
        f"{rows}\n\n## How\n\n{details}\n"
    )
