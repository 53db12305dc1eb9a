"""The looks of a report: the colours of a diagram and a few more, in light, in dark, on paper."""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.plan.diagram import style as diagram

LIGHT: Mapping[str, str] = {
    **diagram.LIGHT,
    "ground": "#eef1f5",
    "hair": "#d5dbe3",
    "fourth": "#7a3fb0",
    "low": "#000000",
    "mid": "#000000",
    "deep": "#ffffff",
}
DARK: Mapping[str, str] = {
    **diagram.DARK,
    "ground": "#0b0d11",
    "hair": "#2d343f",
    "fourth": "#c9a3f5",
    "low": "#ffffff",
    "mid": "#000000",
    "deep": "#000000",
}
"""Colours by what they are for; `low`, `mid` and `deep` are text on cells of that much colour.

Blue and orange stand for right and wrong, and for the model and what it is compared with: they stay
apart in every kind of colour blindness.
"""


_COLOURS = f"""
:root {{ color-scheme: light dark; {diagram.variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {diagram.variables(DARK)} }}
  .sound {{ filter: invert(1) }} }}
@media print {{ :root {{ color-scheme: light }}
  html .rnnspec-diagram {{ {diagram.variables(diagram.LIGHT)} }} }}
"""

_PAGE = """
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 12px }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  overflow-wrap: anywhere }
.sheet { max-width: 1060px; margin: 0 auto; padding: 28px 20px 48px }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px }
h2 { font-size: 20px; line-height: 1.3; margin: 0 0 8px }
p { margin: 0 0 12px }
a { color: var(--layer) }
:focus-visible { outline: 2px solid var(--layer); outline-offset: 2px }
section, .warnings, .notes { background: var(--page); border: 1px solid var(--hair);
  border-radius: 10px; padding: 20px 24px; margin: 0 0 20px }
main { display: flex; flex-wrap: wrap; column-gap: 20px }
section { flex: 1 1 100%; min-width: 0 }
section.half { flex: 1 1 400px }
section > :last-child, .warnings > :last-child, .notes > :last-child, .row > :last-child {
  margin-bottom: 0 }
.lead, .quiet, caption, figcaption { color: var(--quiet) }
.lead { max-width: 75ch }
.quiet, .key, caption, figcaption { font-size: 14px }
.about { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; margin: 0 0 20px;
  padding: 0; color: var(--quiet) }
.summary { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 0 0 20px }
.summary div { background: var(--page); border: 1px solid var(--hair); border-radius: 10px;
  padding: 12px 16px; border-top: 3px solid var(--layer) }
.summary dt { font-size: 14px; color: var(--quiet) }
.summary dd { margin: 0; font-size: 26px; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums }
.summary dd.note { font-size: 13px; font-weight: 400; color: var(--quiet) }
.warnings { border-left: 4px solid var(--output) }
.warnings ul, .notes ul { margin: 0; padding-left: 22px }
nav ol { display: flex; flex-wrap: wrap; gap: 8px; list-style: none; margin: 0 0 20px; padding: 0 }
nav a { display: block; padding: 3px 12px; border: 1px solid var(--hair); border-radius: 16px;
  background: var(--page); font-size: 14px; text-decoration: none; max-width: 90vw }
nav a:hover { border-color: var(--layer) }
details { margin: 12px 0 0 }
summary { cursor: pointer; color: var(--layer); font-size: 14px }
pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
  white-space: pre-wrap; background: var(--box); border: 1px solid var(--hair);
  border-radius: 6px; padding: 12px 14px; margin: 12px 0 0; max-height: 80vh; overflow: auto }
.none { color: var(--quiet); font-style: italic }
.better { color: var(--layer); font-weight: 600 }
.worse, .warning { color: var(--output); font-weight: 600 }
footer { color: var(--quiet); font-size: 13px }
"""

_TABLES = """
.scroll { overflow-x: auto; margin: 0 0 12px }
table { border-collapse: collapse; overflow-wrap: break-word; font-size: 14.5px;
  min-width: min(100%, 420px) }
caption { text-align: left; padding: 0 0 6px }
.aloud { font-size: 0; line-height: 0; padding: 0 }
th, td { text-align: left; vertical-align: top; padding: 5px 18px 5px 0;
  border-bottom: 1px solid var(--hair); font-weight: 400 }
thead th { color: var(--quiet); font-size: 13px; border-bottom-color: var(--edge) }
th:last-child, td:last-child { padding-right: 0 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tbody tr:last-child > * { border-bottom: 0 }
thead .number { white-space: normal }
.metrics td:last-child { color: var(--quiet); min-width: 15em }
.classes .number:nth-child(2) { text-align: left }
.figure { display: inline-block; min-width: 4.4em; text-align: right; margin-right: 10px }
.bar { display: inline-block; width: clamp(60px, 18vw, 180px); height: 10px; border-radius: 2px;
  background: var(--hair) }
.bar span { display: block; height: 100%; border-radius: 2px; background: var(--layer) }
.bar.low span { background: var(--output) }
.examples { width: 100%; min-width: 560px; table-layout: fixed }
.examples caption { font-weight: 600; font-size: 15px; color: var(--layer) }
.examples.wrong caption { color: var(--output) }
.examples td, .examples th { overflow-wrap: anywhere }
.examples .picture { display: block; max-width: 100%; max-height: 320px; min-height: 32px;
  image-rendering: pixelated }
.examples thead th:nth-child(n + 4) { width: 8.5em }
.examples thead th:first-child { width: 30% }
.examples.whole thead th:first-child { width: 42% }
.examples thead th { overflow-wrap: break-word }
mark { color: inherit; border-radius: 2px; padding: 0 1px }
.off { background: color-mix(in srgb, var(--output) 22%, transparent);
  box-shadow: inset 0 -2px var(--output) }
.missed { background: color-mix(in srgb, var(--layer) 18%, transparent);
  box-shadow: inset 0 -2px var(--layer) }
mark.found { background: none; box-shadow: inset 0 -2px var(--layer) }
"""

_CHARTS = """
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr));
  gap: 20px 28px }
.pair { display: flex; flex-wrap: wrap; gap: 20px 24px; align-items: flex-start }
.pair > .scroll { max-width: 100% }
.pair figure { flex: 1 1 380px; max-width: 520px }
figure { margin: 0; min-width: 0 }
figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; align-items: baseline; margin: 0 0 4px }
.name { color: var(--text); font-weight: 600; font-size: 15px }
svg.chart { display: block; width: 100%; max-width: 500px; height: auto }
svg.heat { display: block }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  fill: var(--text) }
svg text.low, svg text.mid, svg text.deep { font-size: 11px }
svg text.small { font-size: 9px }
svg text.quiet { fill: var(--quiet) }
.grid { stroke: var(--hair); stroke-width: 1 }
.axis { stroke: var(--edge); stroke-width: 1 }
.best { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 2 3 }
.origin { stroke: var(--edge); stroke-width: 1 }
.zone { fill: var(--layer); fill-opacity: .05 }
.front { --line: var(--layer); stroke-width: 2.4 }
.other { --line: var(--output); stroke-width: 2; stroke-dasharray: 7 4 }
.third { --line: var(--input); stroke-width: 2; stroke-dasharray: 2 4 }
.fourth { --line: var(--fourth); stroke-width: 2; stroke-dasharray: 9 3 2 3 }
.fifth { --line: var(--layer); stroke-width: 2; stroke-dasharray: 2 3 }
.sixth { --line: var(--output); stroke-width: 2 }
.seventh { --line: var(--input); stroke-width: 2; stroke-dasharray: 9 4 }
.eighth { --line: var(--fourth); stroke-width: 2 }
.back { --line: var(--quiet); stroke-width: 1.6; stroke-dasharray: 4 3 }
.true { --line: var(--text); stroke-width: 1.6 }
path.line { fill: none; stroke: var(--line); stroke-linejoin: round; stroke-linecap: round }
.dot { fill: var(--line); stroke: var(--page); stroke-width: 1; stroke-dasharray: none }
.point { fill: var(--line); fill-opacity: .45; stroke: none }
.cross { fill: none; stroke: var(--line, var(--output)); stroke-width: 2; stroke-dasharray: none }
.band { fill: var(--layer); fill-opacity: .2; stroke: none }
.bars rect, rect.bars { fill: var(--line); stroke: none }
.other.bars rect, rect.other.bars { fill-opacity: .75 }
.columns rect { fill: transparent }
.columns rect:hover { fill: var(--text); fill-opacity: .09 }
.right { fill: var(--layer) }
.wrong { fill: var(--output) }
.heat .most { stroke: var(--text); stroke-width: 1.4 }
.outline { fill: none; stroke: var(--edge); stroke-width: 1 }
.heat g:hover > rect { stroke: var(--text); stroke-width: 1.5 }
svg text.low { fill: var(--low) }
svg text.mid { fill: var(--mid) }
svg text.deep { fill: var(--deep) }
.key { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 8px; color: var(--text) }
figure .key { margin: 4px 0 0 }
.half .charts { grid-template-columns: minmax(0, 500px) }
.sample { width: 26px; height: 12px; margin-right: 7px; vertical-align: -1px }
.sample.wide { width: 80px }
.maps { display: flex; flex-wrap: wrap; gap: 20px 32px }
.aligned .pixels { image-rendering: pixelated }
.stretch { fill: var(--layer); fill-opacity: .55; stroke: var(--layer); stroke-width: 1 }
.stretch.off { fill: var(--output); stroke: var(--output); stroke-dasharray: 3 2 }
.stretch.missed { fill: none; stroke: var(--layer); stroke-dasharray: 1 2 }
.shade { fill: var(--layer); fill-opacity: .22 }
.shade.off { fill: var(--output); fill-opacity: .3 }
svg text.token-off { fill: var(--output); font-weight: 600 }
svg text.token-missed { fill: var(--layer); font-weight: 600 }
.maps figure { max-width: 100% }
"""

_ROWS = """
.row { border-top: 1px solid var(--hair); padding: 12px 0 }
.row p { margin-bottom: 6px; font-size: 14.5px }
.tokens { display: flex; flex-wrap: wrap; gap: 8px 4px; list-style: none; margin: 0; padding: 0 }
.tokens li { display: flex; flex-direction: column; padding: 2px 7px; border-radius: 6px;
  max-width: 100% }
.tokens .wrong { background: color-mix(in srgb, var(--output) 9%, transparent);
  box-shadow: inset 0 0 0 1px var(--output) }
.tag { font-size: 12px; color: var(--quiet); border-radius: 3px; padding: 0 3px; align-self: start }
.token { padding: 0 3px }
.tag.off, .tag.missed { color: var(--text) }
.key .tag { font-size: 13px; margin-right: 6px }
.row p.spans { line-height: 1.6; font-size: 15px; margin: 0 }
.group { display: inline-flex; flex-direction: column; vertical-align: top; max-width: 100%;
  margin: 0 1px 6px; padding: 0 4px 2px; border-radius: 5px; background: var(--box);
  box-shadow: inset 0 -2px var(--layer) }
.group.wrong { background: color-mix(in srgb, var(--output) 9%, transparent);
  box-shadow: inset 0 0 0 1px var(--output) }
.group .tag { line-height: 1.35; margin-bottom: 2px }
.tag.found { color: var(--layer) }
.text { white-space: pre-wrap; background: var(--box); border: 1px solid var(--hair);
  border-radius: 6px; padding: 10px 14px }
.prompt { background: color-mix(in srgb, var(--layer) 18%, transparent); border-radius: 2px;
  box-shadow: inset 0 -2px var(--layer); font-weight: 600 }
.key .prompt { margin-right: 10px; padding: 0 4px }
"""

_ENDS = """
@media (max-width: 600px) {
  body { font-size: 15px }
  .sheet { padding: 18px 12px 32px }
  section, .warnings, .notes { padding: 16px 14px; border-radius: 8px }
  h1 { font-size: 25px }
  .summary { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px }
  .summary dd { font-size: 21px }
  th, td { padding-right: 12px }
  .examples { min-width: 0 }
  .examples, .examples tbody, .examples tr, .examples th, .examples td { display: block }
  .examples thead { display: none }
  .examples tbody tr { border-bottom: 1px solid var(--hair); padding: 6px 0 }
  .examples caption { display: block }
  .examples tbody tr > * { border: 0; padding: 2px 0 2px 104px; text-align: left;
    white-space: normal; width: auto }
  .examples tbody tr > *::before { content: attr(data-name); display: inline-block;
    width: 100px; margin: 0 4px 0 -104px; vertical-align: top; color: var(--quiet);
    font-size: 13px }
  .figure { min-width: 0; margin: 0 }
  .bar { display: block; width: 100%; height: 6px }
}
@media print {
  body { background: none; font-size: 11pt; print-color-adjust: exact;
    -webkit-print-color-adjust: exact }
  .sheet { max-width: none; padding: 0 }
  nav { display: none }
  section { border: 0; border-top: 1px solid var(--edge); border-radius: 0; padding: 12px 0 }
  h2 { break-after: avoid }
  section, figure, tr, .row, .summary div { break-inside: avoid }
  .scroll { overflow: visible }
  .charts { grid-template-columns: 1fr 1fr }
  svg.heat { max-width: 100%; height: auto }
  pre { max-height: none }
}
"""

STYLE = _COLOURS + _PAGE + _TABLES + _CHARTS + _ROWS + _ENDS
"""The style sheet of a report."""
