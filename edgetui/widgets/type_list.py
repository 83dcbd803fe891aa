"""The types that a model can be quantized to, grouped, each with its predicted size as it becomes known."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding
from textual.content import Content
from textual.style import Style
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from edgetui.core.plain_text import plain_line
from edgetui.core.quant_speed import speed_beside_f16, speed_class
from edgetui.core.quant_types import OTHER_GROUP, QUANT_TYPES, describe_type, fallback_lines, plan_note
from edgetui.core.units import MISSING, format_bytes

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

    from edgetui.core.calibration import ThreadCalibration
    from edgetui.core.quant_types import Fallback
    from edgetui.core.reading import Reading

WAITING = "..."
"""Stands where a figure is being worked out."""
_GROUP = "group "
_FIGURES = "{mark} {name:<9}{bits:>6}{size:>10}{share:>7}{speed:>7}"


class TypeForecast(NamedTuple):
    """What one type would make of the model."""

    type_name: str
    size_bytes: int | None
    bits_per_weight: float | None
    needs_imatrix: bool
    fallbacks: tuple[Fallback, ...]
    product_weights: tuple[tuple[str, int], ...]
    problem: str | None

    @property
    def can_start(self) -> bool:
        """Whether it can be made now."""
        return self.problem is None and not self.needs_imatrix


class TypeList(OptionList):
    """Enter chooses (`OptionSelected`); `highlighted_type` is what the person looks at."""

    DEFAULT_CSS = """
    TypeList { height: 1fr; border: none; padding: 0; background: $background; }
    TypeList > .option-list--option-disabled { color: $text-primary; text-style: bold; }
    TypeList:ansi > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: underline;
    }
    TypeList:ansi:focus > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Start")]
    HEADER = _FIGURES.format(mark=" ", name="TYPE", bits="BPW", size="SIZE", share="SHARE", speed="SPEED") + "  FOR"
    """Column titles, to be shown above."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False, compact=True)
        self._source_bytes = 0
        self._known: dict[str, TypeForecast] = {}
        self._measured: ThreadCalibration | None = None

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """Textual's own, with the reversal that it leaves out: without colour nothing else shows the cursor."""
        style = super().get_visual_style(*component_classes, partial=partial)
        reverse = any(self.get_component_styles(name).text_style.reverse for name in component_classes)
        return style + Style(reverse=True) if reverse else style

    @property
    def highlighted_type(self) -> str | None:
        """Name of the type under the cursor."""
        option = self.highlighted_option
        return None if option is None or option.id is None or option.id.startswith(_GROUP) else option.id

    def forecast(self, type_name: str) -> TypeForecast | None:
        """What is known of a type, None while it is being worked out."""
        return self._known.get(type_name)

    def speed(self, type_name: str) -> Reading[float] | None:
        """How many times as fast as F16 a type decodes here, or why not; None while it is being worked out."""
        forecast = self._known.get(type_name)
        return None if forecast is None else speed_beside_f16(forecast.product_weights, self._measured)

    def calibrate(self, measured: ThreadCalibration | None) -> None:
        """Show speeds by what was measured of this CPU."""
        self._measured = measured
        self._redraw()

    def begin(self, source_bytes: int, highlight: str) -> None:
        """List the usual types without figures; `highlight` is put under the cursor."""
        self._source_bytes = source_bytes
        self._known = {}
        self.clear_options()
        group = ""
        for kind in QUANT_TYPES:
            if kind.group != group:
                group = kind.group
                self.add_option(Option(Content(group), id=f"{_GROUP}{group}", disabled=True))
            self.add_option(Option(self._row(kind.name), id=kind.name))
        self.highlighted = self.get_option_index(highlight)

    def show(self, forecast: TypeForecast) -> None:
        """Fill in one type's figures; one that is not in the list yet is added to it."""
        name = forecast.type_name
        self._known[name] = forecast
        if name in self._option_names:
            self.replace_option_prompt(name, self._row(name))
            return
        group = f"{_GROUP}{OTHER_GROUP}"
        if group not in self._option_names:
            self.add_option(Option(Content(OTHER_GROUP), id=group, disabled=True))
        self.add_option(Option(self._row(name), id=name))

    def end(self) -> None:
        """All figures are there: types that nobody has heard of go."""
        kept = self.highlighted_type
        unknown = {name for name in self._option_names if not name.startswith(_GROUP) and name not in self._known}
        groups = {describe_type(name).group for name in self._known}
        unknown |= {f"{_GROUP}{kind.group}" for kind in QUANT_TYPES if kind.group not in groups}
        for name in unknown & self._option_names:
            self.remove_option(name)
        if kept in self._known:
            self.highlighted = self.get_option_index(kept)

    def on_resize(self, _event: events.Resize) -> None:
        """As much of the purpose as there is room for."""
        self._redraw()
        self.call_after_refresh(self.scroll_to_highlight)

    def _redraw(self) -> None:
        for name in self._option_names:
            if not name.startswith(_GROUP):
                self.replace_option_prompt(name, self._row(name))

    @property
    def _option_names(self) -> set[str]:
        return {option.id for option in self.options if option.id is not None}

    def _row(self, name: str) -> Content:
        forecast = self._known.get(name)
        words = describe_type(name).purpose
        bits = size = share = speed = WAITING
        mark = " "
        if forecast is not None:
            bits = MISSING if forecast.bits_per_weight is None else f"{forecast.bits_per_weight:.2f}"
            size = format_bytes(forecast.size_bytes)
            share = MISSING
            if forecast.size_bytes is not None and self._source_bytes:
                share = f"{forecast.size_bytes / self._source_bytes:.0%}"
            reading = self.speed(name)
            speed = speed_class(reading.value if reading else None)
            note = plan_note(forecast.problem, forecast.needs_imatrix, len(forecast.fallbacks))
            if not forecast.can_start:
                mark, words = "-", note
            elif note:
                mark = "~"
        row = _FIGURES.format(mark=mark, name=name, bits=bits, size=size, share=share, speed=speed) + f"  {words}"
        # One row a type: the whole text stands below the list for the one under the cursor.
        return Content(plain_line(row)[: max(40, self.size.width - 2)])


def explain_type(name: str, forecast: TypeForecast | None, speed: Reading[float] | None) -> str:
    """The whole story of a type for this model, in a sentence."""
    purpose = describe_type(name).purpose
    if forecast is None:
        return f"{name}: {purpose}"
    if forecast.problem is not None:
        return f"{name} cannot be made of this model: {forecast.problem}"
    if forecast.needs_imatrix:
        return f"{name} needs an importance matrix (imatrix): enter makes one first, i chooses one."
    if speed is None:
        return f"{name}: {purpose}"
    if speed.value is None:
        return f"{name}: {purpose}; no speed, {speed.reason}"
    return f"{name}: {purpose}; decodes {speed.value:.1f}x as fast as F16"


def explain_fallbacks(forecast: TypeForecast) -> str:
    """How many fall back, and the first kinds of them."""
    return f"~ {plan_note(None, False, len(forecast.fallbacks))}: {'; '.join(fallback_lines(forecast.fallbacks))}"
