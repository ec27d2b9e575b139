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
