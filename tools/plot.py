"""Plots as SVG, to stand in a page: lines over time, one a run, and stacked areas."""
import html
import math

# Okabe and Ito's colours: told apart by all eyes, and in print by the dashes.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
DASHES = ["", "6 3", "2 2", "8 3 2 3", "1 3", "12 4"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 210, 52, 10, 26, 32


def ticks(most, count=4):
    """Round numbers from 0 to at least `most`."""
    if most <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(most / count))
    step = next(s for s in (step, 2 * step, 5 * step, 10 * step) if s * count >= most)
    return [i * step for i in range(math.ceil(most / step - 1e-9) + 1)]


def short(number):
    for unit, size in ("G", 1e9), ("M", 1e6), ("k", 1e3):
        if abs(number) >= size:
            return "%.3g %s" % (number / size, unit)
    return "%.3g" % number


class Plot:
    def __init__(self, title, unit, last, most):
        self.xs, self.ys = ticks(last, 6), ticks(most)
        self.parts = ['<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (WIDTH, HEIGHT, html.escape(title)),
                      '<text class="plot-title" x="%d" y="14">%s<tspan class="unit"> %s</tspan></text>' % (
                          LEFT, html.escape(title), html.escape(unit))]
        self.grid()

    def x(self, t):
        return LEFT + (WIDTH - LEFT - RIGHT) * t / self.xs[-1]

    def y(self, v):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v / self.ys[-1]

    def grid(self):
        for v in self.ys:
            self.parts.append('<path class="grid" d="M%d %.1fH%d"/><text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>' % (
                LEFT, self.y(v), WIDTH - RIGHT, LEFT - 5, self.y(v) + 3, short(v)))
        for t in self.xs:
            self.parts.append('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
                self.x(t), HEIGHT - BOTTOM + 14, short(t)))
        self.parts.append('<text class="tick" x="%d" y="%d" text-anchor="end">guest seconds</text>' % (
            WIDTH - RIGHT, HEIGHT - 4))

    def points(self, times, values):
        return " ".join("%.1f,%.1f" % (self.x(t), self.y(v)) for t, v in zip(times, values))

    def line(self, number, times, values):
        self.parts.append('<polyline fill="none" stroke="%s" stroke-width="1.6" stroke-dasharray="%s" points="%s"/>' % (
            COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)], self.points(times, values)))

    def area(self, number, times, low, high):
        self.parts.append('<polygon fill="%s" fill-opacity="0.75" points="%s %s"/>' % (
            COLOURS[number % len(COLOURS)], self.points(times, high),
            self.points(times[::-1], low[::-1])))

    def text(self):
        return "".join(self.parts) + "</svg>"


def lines(title, unit, series):
    """series: [(name, times, values)]. "" if nothing is there."""
    if not any(max(values, default=0) for _, _, values in series):
        return ""
    plot = Plot(title, unit, max(times[-1] for _, times, _ in series), max(max(v) for _, _, v in series))
    for i, (_, times, values) in enumerate(series):
        plot.line(i, times, values)
    return plot.text()


def bars(title, unit, groups, series, log=False):
    """Bars from left to right, one a series, in groups below each other. series: [(name, [number or None of each group])]."""
    values = [v for _, column in series for v in column if v]
    if not values:
        return ""
    low = 10 ** math.floor(math.log10(min(values))) if log else 0
    marks = [low * 10 ** i for i in range(math.ceil(math.log10(max(values) / low) + 1e-9) + 1)] if log else ticks(max(values))
    left, bar, gap, width = 150, 9, 9, 2 * WIDTH
    height = TOP + len(groups) * (bar * len(series) + gap) + 20

    def x(v):
        part = math.log10(max(v, low) / low) / math.log10(marks[-1] / low) if log else v / marks[-1]
        return left + (width - left - 60) * part
    parts = ['<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (width, height, html.escape(title)),
             '<text class="plot-title" x="%d" y="14">%s<tspan class="unit"> %s</tspan></text>' % (left, html.escape(title), html.escape(unit))]
    for v in marks:
        parts.append('<path class="grid" d="M%.1f %dV%d"/><text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
            x(v), TOP, height - 18, x(v), height - 6, short(v)))
    for g, group in enumerate(groups):
        top = TOP + g * (bar * len(series) + gap) + gap / 2
        parts.append('<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>' % (
            left - 6, top + bar * len(series) / 2 + 3, html.escape(group)))
        for i, (_, column) in enumerate(series):
            if column[g]:
                parts.append('<path fill="%s" d="M%d %.1fH%.1fv%dH%dz"/><text class="tick" x="%.1f" y="%.1f">%s</text>' % (
                    COLOURS[i % len(COLOURS)], left, top + i * bar, x(column[g]), bar - 1, left, x(column[g]) + 3,
                    top + i * bar + 8, short(column[g])))
    return "".join(parts) + "</svg>"


def stacked(title, unit, times, series):
    """series: [(name, values)], the first at the bottom."""
    sums = [sum(column) for column in zip(*(values for _, values in series))]
    if not any(sums):
        return ""
    plot, low = Plot(title, unit, times[-1], max(sums)), [0.0] * len(times)
    for i, (_, values) in enumerate(series):
        high = [a + b for a, b in zip(low, values)]
        plot.area(i, times, low, high)
        low = high
    return plot.text()


def legend(names, areas=False):
    """What the colours stand for, and, of lines, the dashes."""
    items = ['<span class="key"><svg viewBox="0 0 28 8" width="28" height="8"><path d="M0 4H28" stroke="%s" stroke-width="%d" '
             'stroke-dasharray="%s"/></svg> %s</span>' % (
                 COLOURS[i % len(COLOURS)], 8 if areas else 2, "" if areas else DASHES[i % len(DASHES)], html.escape(n))
             for i, n in enumerate(names)]
    return '<p class="legend">%s</p>' % " ".join(items)
