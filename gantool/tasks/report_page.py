"""A run's report as HTML: pure functions from values to text. Everything that is not ours is escaped here.

The page needs no network, no script and no other file: pictures are data URIs, curves are inline SVG.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from gantool.tasks.report_plot import COLOURS

GENERATOR = '<meta name="generator" content="gantool">'

STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5a6570; --paper: #fff; --panel: #f4f6f8;
  --rule: #d5dbe1; --line: #0072b2; --line1: #d55e00; --line2: #009e73; --line3: #b8609a;
  --mark: #fff1cc; --warn: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #a0abb6; --paper: #14181c;
  --panel: #1e242a; --rule: #3a434c; --line: #56b4e9; --line1: #f0954d;
  --line2: #3cc79b; --line3: #e39ac6; --mark: #453a17; --warn: #f0954d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; } h4 { font-size: .9rem; margin: .6rem 0 .3rem; }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .875rem; }
.status { display: inline-block; padding: 0 .6rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: .875rem; }
.status.bad, .warn { color: var(--warn); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; }
figcaption { max-width: 30rem; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; background: var(--panel); }
img.enlarged { image-rendering: pixelated; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 600; } th[scope=row] { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:last-child:not(.number) { min-width: 15rem; } th:first-child { padding-left: .4rem; }
tr.changed { background: var(--mark); }
tr.total { font-weight: 600; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
pre { background: var(--panel); padding: .6rem .8rem; margin: .3rem 0 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.2rem; }
svg.plot { display: block; width: 100%; height: auto; overflow: visible; font: 12px system-ui, sans-serif; }
.plot text { fill: var(--soft); } .plot .note { font-size: 11px; }
.plot .grid { stroke: var(--rule); stroke-width: .7; } .plot .axis { stroke: var(--soft); }
.plot .stage { stroke: var(--soft); stroke-dasharray: 3 3; stroke-width: .8; }
.plot .dots { stroke: var(--line); stroke-width: 4.5; stroke-linecap: round; opacity: .35; fill: none; }
.plot .line { stroke: var(--line); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; fill: none; }
.plot .k1 { stroke: var(--line1); } .plot .k2 { stroke: var(--line2); } .plot .k3 { stroke: var(--line3); }
.legend span::before { content: ""; display: inline-block; width: 1.4em; height: 3px; margin-right: .4em;
  vertical-align: middle; background: var(--line); }
.legend .k1::before { background: var(--line1); } .legend .k2::before { background: var(--line2); }
.legend .k3::before { background: var(--line3); } .legend span { margin-right: 1.2em; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --panel: #f4f6f8;
  --rule: #bbb; --line: #0072b2; --line1: #d55e00; --line2: #009e73; --line3: #b8609a; --mark: #fff1cc;
  --warn: #a04000; }
  body { padding: 0; font-size: 11pt; } figure, tr, pre { break-inside: avoid; } h2, h3, h4 { break-after: avoid; }
  * { print-color-adjust: exact; } }
"""


@dataclass(frozen=True)
class Image:
    """A picture to show.

    Attributes:
        data: the file's bytes.
        kind: "png" or "jpeg".
        width, height: in pixels.
        alt: what it shows, for those who cannot see it.
        caption: below it.
    """

    data: bytes
    kind: str
    width: int
    height: int
    alt: str
    caption: str


def enlargement(height: int, width: int, room: int = 300) -> int:
    """The whole number by which small pictures are enlarged, so that their pixels stay pixels."""
    return max(1, min(6, room // max(width, height)))


def figure(image: Image, factor: float = 1) -> str:
    """A <figure> with the picture `factor` times as large as its pixels."""
    uri = f"data:image/{image.kind};base64,{base64.b64encode(image.data).decode()}"
    enlarged = ' class="enlarged"' if factor > 1 else ""
    width, height = round(image.width * factor), round(image.height * factor)
    return (
        f'<figure><img{enlarged} src="{uri}" width="{width}" height="{height}" '
        f'alt="{escape(image.alt)}"><figcaption>{escape(image.caption)}</figcaption></figure>'
    )


def figures(images: Iterable[Image], factor: float = 1, title: str = "") -> str:
    """Figures side by side as far as there is room, under a title where there is one."""
    above = f"<h4>{escape(title)}</h4>" if title else ""
    return f'{above}<div class="row">{"".join(figure(image, factor) for image in images)}</div>'


def plots(panels: Iterable[tuple[str, str]], title: str = "") -> str:
    """(name, svg and what stands below it) pairs in a grid, under a title where there is one."""
    level, above = ("h4", f"<h3>{escape(title)}</h3>") if title else ("h3", "")
    cells = (f"<figure><{level}>{escape(name)}</{level}>{svg}</figure>" for name, svg in panels)
    return f'{above}<div class="plots">{"".join(cells)}</div>'


def legend(names: Sequence[str]) -> str:
    """What the colours of a plot's curves stand for."""
    css = ("" if i == 0 else f' class="k{i % COLOURS}"' for i in range(len(names)))
    keys = (f"<span{kind}>{escape(name)}</span>" for kind, name in zip(css, names, strict=True))
    return f'<figcaption class="legend">{"".join(keys)}</figcaption>'


def facts(pairs: Mapping[str, str]) -> str:
    """A list of names and values; empty values are left out."""
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items() if value)
    return f"<dl>{''.join(rows)}</dl>"


@dataclass(frozen=True)
class Row:
    """A row of a table; `kind` "changed" is highlighted, "total" stands out."""

    cells: Sequence[str]
    kind: str = ""


def table(head: Sequence[str], rows: Iterable[Row], *, numbers: Iterable[int] = (), caption: str = "") -> str:
    """A table with the first column as row headings; the columns in `numbers` are set to the right."""
    right = set(numbers)

    def css(column: int) -> str:
        return ' class="number"' if column in right else ""

    top = "".join(f'<th scope="col"{css(i)}>{escape(cell)}</th>' for i, cell in enumerate(head))
    body = []
    for row in rows:
        cells = "".join(
            f'<th scope="row"{css(i)}>{escape(cell)}</th>' if i == 0 else f"<td{css(i)}>{escape(cell)}</td>"
            for i, cell in enumerate(row.cells)
        )
        body.append(f'<tr class="{escape(row.kind)}">{cells}</tr>' if row.kind else f"<tr>{cells}</tr>")
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    inside = f"{title}<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{inside}</table></div>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; kinds "soft" and "warn"."""
    css = f' class="{escape(kind)}"' if kind else ""
    return f"<p{css}>{escape(text)}</p>"


def command(what: str, line: str) -> str:
    """A command to copy, and what it does."""
    return f"<h3>{escape(what)}</h3><pre><code>{escape(line)}</code></pre>"


def section(title: str, *parts: str) -> str:
    """A part of the page; without content, nothing."""
    body = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def status_line(status: str, sentence: str) -> str:
    """The status as a badge, and what it means."""
    css = "status" if status in ("finished", "running") else "status bad"
    return f'<p><span class="{css}">{escape(status)}</span> {escape(sentence)}</p>'


def page(title: str, head: str, sections: Iterable[str], foot: str) -> str:
    """The whole document. `head` and `sections` are HTML; `title` and `foot` are text."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR}\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>{head}</header>\n<main>\n"
        + "\n".join(s for s in sections if s)
        + f'\n</main>\n<footer><p class="soft">{escape(foot)}</p></footer>\n</body>\n</html>\n'
    )
