"""The Hardware screen's block about power: mode, meters, batteries, fans, and what holds the machine back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core import power_text as words
from edgetui.widgets.facts_panel import labelled
from edgetui.widgets.hardware_panels import ROOM_FOR_DETAILS, SamplePanel, flow, missing, notes
from edgetui.widgets.line_panel import Line, Span

if TYPE_CHECKING:
    from edgetui.core.hardware import HardwareSample, MachineInfo


class PowerPanel(SamplePanel):
    """What is not on this machine (a mode, a battery, a fan) shows a dash and where it was looked for."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """Throttling first: it explains every other figure on the screen."""
        lines = self._throttling(sample, width) + self._power(sample, width)
        if sample.power_mode.value is not None:
            lines += labelled("MODE", words.power_mode_text(sample.power_mode.value), width)
        else:
            lines += missing("MODE", sample.power_mode.reason, width)
        batteries = sample.batteries.value
        if batteries is None:
            lines += missing("BATTERY", sample.batteries.reason, width)
        else:
            lines += flow("BATTERY", [Span(words.battery_text(item)) for item in batteries], width)
            lines += notes([reading.reason for item in batteries for reading in (item.charge, item.status)], width)
        fans = sample.fans.value
        if fans is None:
            lines += missing("FANS", sample.fans.reason, width)
        else:
            lines += flow("FANS", [Span(words.fan_text(item)) for item in fans], width)
            lines += notes([item.rpm.reason for item in fans if item.duty.value is None], width)
        return lines

    def _throttling(self, sample: HardwareSample, width: int) -> list[Line]:
        signs = sample.throttling.value
        if signs is None:
            return missing("THROTTLE", sample.throttling.reason, width)
        spans = [Span(text, "warn" if active else "") for text, active in words.throttle_summary(signs)]
        unread = [sign.active.reason for sign in signs if sign.active.value is None and not sign.since_boot.value]
        return flow("THROTTLE", spans, width) + notes(unread, width)

    def _power(self, sample: HardwareSample, width: int) -> list[Line]:
        meters = sample.power.value
        if meters is None:
            return missing("POWER", sample.power.reason, width)
        detailed = width >= ROOM_FOR_DETAILS
        shown = [item for item in meters if not item.inside or detailed]
        lines = flow("POWER", [Span(words.power_text(item, with_joules=detailed)) for item in shown], width)
        return lines + notes([item.watts.reason for item in shown], width)
