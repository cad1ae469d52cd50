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

AHEAD = """\
const ahead = (t) => {
  let its = shifts[0][1]
  for (const [since, by] of shifts) {
    if (since > t) { break }
    its = by
  }
  return its
}
const written = (by) => {
  const minutes = Math.abs(Math.round(by / 60e3))
  const two = (n) => String(n).padStart(2, "0")
  return `${by < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
"""

LOCAL_TICKS = """\
const {start, end} = cb_data
const DAY = 864e5, HOUR = 36e5
const found = new Set()
// an hour that comes twice has two ticks, and one that is skipped has none
const put = (wall) => {
  const near = [start, end].map((t) => ahead(wall - ahead(t)))
  for (const by of [...near, ahead(start), ahead(end)]) {
    const t = wall - by
    if (ahead(t) == by && start <= t && t <= end) { found.add(t) }
  }
}
const least = (end - start) / 5
const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5,
  6e5, 9e5, 18e5, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY,
  14 * DAY]
const step = steps.find((each) => each >= least)
if (!(end > start)) {
  return []
} else if (step !== undefined) {
  // a day more on both sides: the offset may change on the way
  const last = end + ahead(end) + DAY
  const least_wall = Math.floor((start + ahead(start) - (step < DAY ? 3 * HOUR : DAY)) / step)
  for (let n = least_wall; n * step <= last && found.size < 50; n++) { put(n * step) }
} else {
  const months = [1, 2, 3, 6, 12, 24, 60, 120, 240].find((each) => 30 * DAY * each >= least) ?? 600
  let n = Math.floor(new Date(start).getUTCFullYear() * 12 / months) * months
  for (; Date.UTC(Math.floor(n / 12), n % 12) <= end + DAY; n += months) {
    put(Date.UTC(Math.floor(n / 12), n % 12))
  }
}
return [...found].sort((a, b) => a - b)
"""

LOCAL_LABEL = """\
const local = (t) => new Date(t + ahead(t)).toISOString()
const step = ticks.length > 1 ? Math.min(...ticks.slice(1).map((t, i) => t - ticks[i])) : 0
const day = local(tick).slice(0, 10), clock = local(tick).slice(11)
if (step > 20 * 864e5) { return day.slice(0, 7) }
if (step > 20 * 36e5) { return clock.startsWith("00:00") ? day : `${day} ${clock.slice(0, 5)}` }
const text = clock.slice(0, step >= 6e4 ? 5 : step >= 1e3 ? 8 : 12)
const steps = ticks.some((t) => ahead(t) != ahead(ticks[0])) ? ` ${written(ahead(tick))}` : ""
const place = ticks.indexOf(tick)
const is_first = place < 1 || local(ticks[place - 1]).slice(0, 10) != day
return text + steps + (is_first ? `\\n${day}` : "")
"""

LOCAL_TIME = """\
const by = ahead(value)
return `${new Date(value + by).toISOString().slice(0, 19).replace("T", " ")} ${written(by)}`
"""

SWITCH = """\
const key = cb_obj.value
for (const [name, source] of Object.entries(stored[key])) { shown[name].data = source.data }
for (const [name, div] of Object.entries(divs)) { div.text = texts[key][name] }
for (const [name, ends] of Object.entries(ranges[key])) {
  axes[name].setv({start: ends[0], end: ends[1]})
}
"""
