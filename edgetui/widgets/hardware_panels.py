"""The blocks of the Hardware screen: cores, memory, disks, sensors, accelerators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from edgetui.core import hardware_text as words
from edgetui.core.machine_text import control_facts, format_frequency, storage_text
from edgetui.core.units import MISSING, format_bytes
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.facts_panel import LABEL_WIDTH, fact_lines, labelled
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.hardware import (
        Accelerator,
        AcceleratorSample,
        CoreSample,
        DiskSample,
        HardwareSample,
        MachineInfo,
        Reading,
        TemperatureSample,
    )

ROOM_FOR_DETAILS = 90
"""Cells from which limits, energy and parts stand beside the main figures; `edgetui hw` has them always."""
_NEARLY_FULL, _FULL = 0.8, 0.95
_NEAR_CRITICAL_CELSIUS = 10
"""A sensor this close to where the hardware protects itself is marked."""


class SamplePanel(LinePanel):
    """A block that shows a part of each sample."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.info: MachineInfo | None = None
        self.sample: HardwareSample | None = None
        self._glyphs = default_glyphs()

    def show(self, info: MachineInfo, sample: HardwareSample) -> None:
        """Show another sample."""
        self.info, self.sample = info, sample
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Nothing before the first sample."""
        if self.info is None or self.sample is None:
            return []
        return self.layout_sample(width, self.info, self.sample)

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """What to show of a sample."""
        raise NotImplementedError

    def _meter(self, share: float | None, cells: int, tone: str = "bar") -> tuple[Span, Span]:
        bar, track = meter(share, cells, self._glyphs)
        return Span(bar, tone), Span(track, "track")


class CoresPanel(SamplePanel):
    """Load and clock of each CPU, in as many columns as fit."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """Row by row."""
        cores = sample.cores.value
        if cores is None:
            return missing("CORES", sample.cores.reason, width)
        if not cores:
            return []
        digits = len(str(cores[-1].cpu))
        with_clock = any(core.frequency_hz.value is not None for core in cores)
        fixed = digits + 8 + (9 if with_clock else 0)
        room = max(1, width - LABEL_WIDTH)
        most = max(1, room // (fixed + 4))
        rows = -(-len(cores) // most)
        columns = -(-len(cores) // rows)
        cells = max(1, min(20, room // columns - fixed))
        lines: list[Line] = []
        for start in range(0, len(cores), columns):
            line = [Span(("" if start else "CORES").ljust(LABEL_WIDTH), "label")]
            for core in cores[start : start + columns]:
                line += self._core(core, digits, cells, with_clock)
            lines.append(tuple(line))
        lines += notes([core.load.reason for core in cores], width, "load ")
        return [*lines, *notes([core.frequency_hz.reason for core in cores], width, "clock ")]

    def _core(self, core: CoreSample, digits: int, cells: int, with_clock: bool) -> list[Span]:
        clock = f" {format_frequency(core.frequency_hz.value):>8}" if with_clock else ""
        return [
            Span(f"{core.cpu:>{digits}} ", "muted"),
            *self._meter(core.load.value, cells),
            Span(f" {words.format_share(core.load.value):>5}{clock} "),
        ]


class MemoryPanel(SamplePanel):
    """Memory (under the chart that bears the label), the cgroup's share of it, swap."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """One line each; the limit only where there is one."""
        memory = sample.memory
        lines = self._use(
            "",
            memory.used_bytes,
            memory.total_bytes,
            f", {format_bytes(memory.available_bytes.value)} available",
            width,
        )
        if info.memory.limit_bytes.value is not None:
            lines += self._use("LIMIT", memory.group_used_bytes, info.memory.limit_bytes, " (cgroup)", width)
        if memory.swap_total_bytes.value == 0:
            lines.append((Span("SWAP".ljust(LABEL_WIDTH), "label"), Span("none")))
        else:
            lines += self._use("SWAP", memory.swap_used_bytes, memory.swap_total_bytes, "", width)
        return lines

    def _use(self, label: str, used: Reading[int], total: Reading[int], tail: str, width: int) -> list[Line]:
        if total.value is None:
            return missing(label, total.reason, width)
        share = used.value / total.value if used.value is not None and total.value else None
        line = (
            Span(label.ljust(LABEL_WIDTH), "label"),
            *self._meter(share, _meter_cells(width), _tone(share)),
            Span(f" {format_bytes(used.value)} of {format_bytes(total.value)} used{tail}"),
        )
        return [line, *notes([used.reason], width)]


class DisksPanel(SamplePanel):
    """Mounted filesystems with their free space."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """One line each."""
        disks = sample.disks.value
        if disks is None:
            return missing("DISKS", sample.disks.reason, width)
        kinds = max(cell_len(storage_text(disk)) for disk in disks)
        wanted = max(8, max(cell_len(disk.mount_point) for disk in disks))
        # The meter gives way to the path, down to where it still tells something.
        cells = max(4, min(_meter_cells(width), width - LABEL_WIDTH - wanted - kinds - 28))
        room = max(8, min(wanted, width - LABEL_WIDTH - cells - kinds - 28))
        lines = [self._disk(disk, index == 0, room, cells) for index, disk in enumerate(disks)]
        return [*lines, *notes([reading.reason for disk in disks for reading in (disk.free_bytes, disk.kind)], width)]

    def _disk(self, disk: DiskSample, first: bool, room: int, cells: int) -> Line:
        used, free, total = disk.used_bytes.value, disk.free_bytes.value, disk.total_bytes.value
        # As df counts it: what is reserved for the system is neither used nor free.
        share = used / (used + free) if used is not None and free is not None and used + free else None
        return (
            Span(("DISKS" if first else "").ljust(LABEL_WIDTH), "label"),
            *self._meter(share, cells, _tone(share)),
            Span(f" {_end_of(disk.mount_point, room)} {format_bytes(free)} free of {format_bytes(total)}"),
            Span(f" {storage_text(disk)}", "muted"),
        )


class ControlPanel(SamplePanel):
    """Governor, compressed memory, huge pages, models folder: as `edgetui hw` tells them."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """Each fact on as many lines as it needs."""
        return fact_lines(control_facts(info, sample), width)


class SensorsPanel(SamplePanel):
    """Load averages and temperatures."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """The averages on one line, the sensors on as many as they need."""
        averages = sample.load_averages.value
        lines = (
            missing("AVERAGE", sample.load_averages.reason, width)
            if averages is None
            else labelled("AVERAGE", "{:.2f}  {:.2f}  {:.2f}  load over 1, 5, 15 min".format(*averages), width)
        )
        sensors = sample.temperatures.value
        if sensors is None:
            return [*lines, *missing("TEMP", sample.temperatures.reason, width)]
        spans = [_sensor(sensor, with_limit=width >= ROOM_FOR_DETAILS) for sensor in sensors]
        return [*lines, *flow("TEMP", spans, width), *self._reasons(sensors, width)]

    def _reasons(self, sensors: Sequence[TemperatureSample], width: int) -> list[Line]:
        return notes([sensor.celsius.reason for sensor in sensors], width)


class AcceleratorsPanel(SamplePanel):
    """GPUs and NPUs, and what their drivers tell of them now."""

    def layout_sample(self, width: int, info: MachineInfo, sample: HardwareSample) -> list[Line]:
        """What it is, then what it does."""
        now = {item.key: item for item in sample.accelerators}
        lines: list[Line] = []
        for label, found in (("GPU", info.gpus), ("NPU", info.npus)):
            if found.value is None:
                lines += missing(label, found.reason, width)
            for accelerator in found.value or ():
                lines += self._accelerator(label, accelerator, now.get(accelerator.key), width)
        return lines

    def _accelerator(
        self, label: str, accelerator: Accelerator, sample: AcceleratorSample | None, width: int
    ) -> list[Line]:
        lines = labelled(label, words.accelerator_text(accelerator), width)
        if sample is not None:
            lines += labelled("", words.accelerator_sample_text(sample), width)
            lines += notes(words.accelerator_reasons(sample), width)
        return lines


def _end_of(path: str, cells: int) -> str:
    """A path in just so many cells; of a long one the end, which tells more."""
    if cell_len(path) > cells:
        path = ".." + path[-max(1, cells - 2) :]
    return set_cell_size(path, cells)


def _sensor(sensor: TemperatureSample, *, with_limit: bool) -> Span:
    celsius, critical = sensor.celsius.value, sensor.critical_celsius.value
    text = f"{sensor.label} {words.format_celsius(celsius)}"
    if celsius is not None and critical is not None and celsius >= critical - _NEAR_CRITICAL_CELSIUS:
        return Span(f"{text} (hot: critical at {words.format_celsius(critical)})", "warn")
    if with_limit and critical is not None:
        text += f" (limit {critical:.0f})"
    return Span(text)


def missing(label: str, reason: str, width: int) -> list[Line]:
    """A dash and the reason in place of a whole line."""
    return labelled(label, f"{MISSING}  {reason}", width, "muted")


def notes(reasons: Sequence[str], width: int, what: str = "") -> list[Line]:
    """Why figures show `-`, each reason once; `what` names the figure where the line alone would not tell."""
    return [
        line
        for reason in dict.fromkeys(reasons)
        if reason
        for line in labelled("", f"{what}{MISSING}  {reason}", width, "muted")
    ]


def flow(label: str, items: Sequence[Span], width: int) -> list[Line]:
    """Items one after another, as many on a line as fit."""
    lines: list[Line] = []
    line = [Span(label.ljust(LABEL_WIDTH), "label")]
    used = LABEL_WIDTH
    for item in items:
        if len(line) > 1 and used + len(item.text) > width:
            lines.append(tuple(line))
            line, used = [Span(" " * LABEL_WIDTH)], LABEL_WIDTH
        line.append(Span(item.text + "   ", item.tone))
        used += len(item.text) + 3
    return [*lines, tuple(line)]


def _meter_cells(width: int) -> int:
    return max(4, min(40, (width - LABEL_WIDTH) // 5))


def _tone(share: float | None) -> str:
    if share is None or share < _NEARLY_FULL:
        return "bar"
    return "warn" if share < _FULL else "error"
