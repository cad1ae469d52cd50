"""The frame of the page, its style sheets, and the scripts that run in the browser."""

from __future__ import annotations

PAGE = """\
{% from macros import embed %}<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ title|e }}</title>
{{ bokeh_css }}
{{ bokeh_js }}
<style>
:root { --ink: #1d2126; --faint: #59616b; --line: #d8dce1; --ground: #ffffff; --head: #f3f5f7 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --faint: #a2abb6; --line: #363d46; --ground: #14171b; --head: #1f242a }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 12px 16px 32px; max-width: 1400px; background: var(--ground);
  color: var(--ink); font: 14px/1.45 system-ui, sans-serif }
h1 { font-size: 20px; margin: 4px 0 12px; overflow-wrap: anywhere }
h2 { font-size: 15px; margin: 24px 0 4px; padding-top: 8px; border-top: 1px solid var(--line) }
section > p { margin: 0 0 4px; color: var(--faint); font-size: 12px }
section > div, .grid > div { min-width: 0 }
details { color: var(--faint); font-size: 12px; overflow-wrap: anywhere }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
  gap: 8px 16px }
</style>
</head>
<body>
<h1>{{ title|e }}</h1>
{% if notes %}<details open><summary>How the rows were read</summary><ul>
{% for note in notes %}<li>{{ note|e }}</li>
{% endfor %}</ul></details>
{% endif %}{% for heading, note, names in sections %}<section>
{% if heading %}<h2>{{ heading|e }}</h2>{% endif %}
{% if note %}<p>{{ note|e }}</p>{% endif %}
<div{% if note %} class="grid"{% endif %}>
{% for name in names %}<div>{{ embed(roots[name]) }}</div>
{% endfor %}</div>
</section>
{% endfor %}{{ plot_script }}
</body>
</html>
"""

TABLES = """\
:host { width: 100%; min-width: 0; color: var(--ink); font: 14px/1.45 system-ui, sans-serif }
.bk-clearfix { width: 100% }
a { color: inherit }
h3 { margin: 0 0 6px; font-size: 17px; overflow-wrap: anywhere }
p { margin: 4px 0; color: var(--faint); font-size: 12px }
dl { display: flex; flex-wrap: wrap; gap: 8px 24px; margin: 0 0 4px }
dt { color: var(--faint); font-size: 12px }
dd { margin: 0; font-size: 16px; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere }
.chip { white-space: nowrap; font-weight: 600 }
.chip i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 3px }
.scroll { overflow: auto; max-width: 100%; border: 1px solid var(--line); border-radius: 4px }
.tall { max-height: 24em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px;
  width: 100% }
th { position: sticky; top: 0; background: var(--head); font-weight: 600; text-align: left }
th, td { padding: 4px 12px 4px 8px; white-space: nowrap }
td { border-top: 1px solid var(--line) }
"""

WRAP = """\
:host { flex-wrap: wrap; width: 100%; min-width: 0 }
"""

BUTTON = """\
.bk-btn.bk-btn-default { color: var(--ink); background-color: var(--head);
  border: 1px solid var(--line); min-height: 36px; font: 14px/1.45 system-ui, sans-serif }
.bk-btn.bk-btn-default:disabled { opacity: .45 }
"""

CHOICE = """\
:host { color: var(--ink); font: 14px/1.45 system-ui, sans-serif; max-width: 100% }
input.bk-input { color: var(--ink); background-color: var(--head); border-color: var(--line);
  min-height: 36px; max-width: 100%; font-size: 14px; color-scheme: light dark }
select.bk-input { color: var(--ink); background-color: var(--head); border-color: var(--line);
  min-height: 36px; max-width: 100%; font-size: 14px; background-image: none !important;
  appearance: auto !important;
  color-scheme: light dark }
"""

PAINT = """\
const scheme = window.matchMedia("(prefers-color-scheme: dark)")
const mine = {sync: false}
function paint() {
  const [ink, faint, line] = scheme.matches
    ? ["#e4e7eb", "#a2abb6", "#363d46"] : ["#1d2126", "#59616b", "#d8dce1"]
  for (const plot of figures) {
    for (const axis of [...plot.below, ...plot.left]) {
      axis.setv({axis_label_text_color: ink, major_label_text_color: faint,
        axis_line_color: faint, major_tick_line_color: faint}, mine)
    }
    for (const each of plot.center) {
      if ("grid_line_color" in each) { each.setv({grid_line_color: line}, mine) }
    }
    for (const each of plot.renderers) {
      if (each.name == "text") { each.glyph.setv({text_color: {value: ink}}, mine) }
      if (each.name == "line") { each.glyph.setv({line_color: ink}, mine) }
    }
  }
}
scheme.addEventListener("change", paint)
paint()
"""

SWITCH = """\
const key = cb_obj.value
for (const [name, source] of Object.entries(stored[key])) { shown[name].data = source.data }
for (const [name, div] of Object.entries(divs)) { div.text = texts[key][name] }
for (const [name, ends] of Object.entries(ranges[key])) {
  axes[name].setv({start: ends[0], end: ends[1]})
}
"""
