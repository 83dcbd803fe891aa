"""The report as one HTML page: no scripts, nothing from outside, light or dark as the reader's system has it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from edgetui.core.chart_svg import as_svg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.core.bench_report import Report

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2328; --dim: #5b656e; --paper: #ffffff; --line: #dfe3e6; --soft: #f4f6f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8eb; --dim: #9aa5ae; --paper: #14181b; --line: #2b3238; --soft: #1c2227; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; font-size: 13px; }
dt { color: var(--dim); } dd { margin: 0 0 .3rem 0; overflow-wrap: anywhere; } svg { max-width: 54rem; width: 100%; }
.dim { color: var(--dim); } summary { cursor: pointer; margin: .4rem 0; }
"""
_FIGURES = range(6, 12)
"""Columns of the table that hold figures."""


def as_html(told: Report) -> str:
    """The page."""
    body = [f"<h1>{escape(told.title)}</h1>", f'<p class="dim">Made {escape(told.made)}.</p>', "<h2>Machine</h2>"]
    body.append(_list(told.machines))
    body += ["<h2>Rows</h2>", '<div class="scroll"><table>', _cells("th", told.table[0])]
    body += (_cells("td", cells) for cells in told.table[1:])
    body += ["</table></div>", '<p class="dim">! beside a number: measured on a noisy machine, see the warnings.</p>']
    if told.warnings:
        body += ["<h2>Warnings</h2>", _list(told.warnings)]
    for part in told.parts:
        body.append(f"<h2>{escape(part.title)}</h2>")
        body += (f"<p>{escape(sentence)}</p>" for sentence in part.sentences)
        body += (as_svg(chart) for chart in part.charts)
    body.append("<h2>Each row, and how to repeat it</h2>")
    for row in told.rows:
        body.append(f"<details><summary>{escape(row.title)}</summary><dl>")
        body += (f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in row.facts)
        body.append("</dl>")
        for command in row.commands:
            note = f' <span class="dim">{escape(command.note)}</span>' if command.note else ""
            body.append(f"<p>{escape(command.tool)}:{note}</p><pre>{escape(command.text.rstrip())}</pre>")
        body.append("</details>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(told.title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _cells(tag: str, cells: Iterable[str]) -> str:
    inner = "".join(
        f"<{tag}{' class=figure' if tag == 'td' and number in _FIGURES else ''}>{escape(cell)}</{tag}>"
        for number, cell in enumerate(cells)
    )
    return f"<tr>{inner}</tr>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
