"""Pieces of a page: one HTML file that needs nothing beside it, on a screen and on paper."""
import html

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.45 "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; color: #1d232b; background: #fff;
       max-width: 1120px; margin: 0 auto; padding: 28px 32px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 8px; padding-top: 12px; border-top: 2px solid #1d232b; }
h3 { font-size: 15px; margin: 22px 0 6px; }
.host { font-weight: 600; margin: 0 0 6px; }
.note, .legend { color: #56616e; font-size: 13px; margin: 4px 0 10px; max-width: 95ch; }
.warn { border-left: 4px solid #d55e00; padding: 4px 12px; background: #fdf3ec; max-width: 95ch; font-size: 14px; }
table { border-collapse: collapse; font-size: 13px; margin: 8px 0 14px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; border-bottom: 1.5px solid #1d232b; padding: 4px 12px; vertical-align: bottom; max-width: 17em; }
td { text-align: right; padding: 3px 12px; border-bottom: 1px solid #e3e7eb; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 2px; }
td.text, th.text { text-align: left; white-space: normal; color: #56616e; }
td.left, th.left { text-align: left; }
tr.total td { border-top: 1.5px solid #1d232b; font-weight: 600; }
td.good { color: #00664a; font-weight: 600; } td.bad { color: #b33c00; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 10px 22px; }
.plots > figure { margin: 0; break-inside: avoid; }
svg { width: 100%; height: auto; display: block; }
.plot-title { font-size: 12.5px; font-weight: 600; fill: #1d232b; } .unit { font-weight: 400; fill: #56616e; }
.tick { font-size: 10px; fill: #56616e; } .grid { stroke: #e3e7eb; stroke-width: 1; }
.key { margin-right: 18px; white-space: nowrap; } .key svg { display: inline-block; width: 28px; vertical-align: middle; }
pre { font: 11.5px/1.4 "DejaVu Sans Mono", Consolas, monospace; background: #f6f7f9; padding: 10px 14px; overflow-x: auto;
      border-radius: 4px; break-inside: avoid; }
@media print {
  body { font-size: 10.5pt; padding: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; }
  table { font-size: 8.5pt; } .plots { grid-template-columns: 1fr 1fr; } pre { white-space: pre-wrap; font-size: 7.5pt; }
  td, th { padding: 2px 7px; }
}
"""


def escape(text):
    return html.escape(str(text), quote=False)


def number(value, digits=3):
    """As a person reads it: digits in groups, as many decimals as say something; "" for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, int):
        return "{:,}".format(value)
    if value == 0:
        return "0"
    decimals = max(0, digits - len(str(int(abs(value)))) if abs(value) >= 1 else digits)
    return "{:,.{}f}".format(value, decimals)


class Cell:
    def __init__(self, text, kind=""):
        self.text, self.kind = text, kind


def cell(value, tag="td"):
    kind = ""
    if isinstance(value, Cell):
        value, kind = value.text, ' class="%s"' % value.kind
    return "<%s%s>%s</%s>" % (tag, kind, number(value), tag)


def table(head, rows, total=None):
    """Rows of texts, numbers, Cells; the first column is left-aligned."""
    out = ["<table><thead><tr>", *(cell(h, "th") for h in head), "</tr></thead><tbody>"]
    for row in rows:
        out += ["<tr>", *map(cell, row), "</tr>"]
    if total:
        out += ['<tr class="total">', *map(cell, total), "</tr>"]
    return "".join(out) + "</tbody></table>"


def heading(text, level=2):
    return "<h%d>%s</h%d>" % (level, escape(text), level)


def note(text):
    return '<p class="note">%s</p>' % escape(text)


def plots(figures):
    figures = [f for f in figures if f]
    return '<div class="plots">%s</div>' % "".join("<figure>%s</figure>" % f for f in figures) if figures else ""


def document(title, body):
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>%s</title><style>%s</style></head><body>%s'
            "</body></html>\n" % (escape(title), STYLE, body))
