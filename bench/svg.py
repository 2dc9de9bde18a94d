"""Bars with error bars as SVG, by the standard library alone."""

from html import escape

# Told apart by everybody who sees colours differently too (Okabe and Ito), on white: the background is part of the
# picture, so that it is the same in a light page and in a dark one.
INK, FAINT, PAPER = "#222222", "#d9d9d9", "#ffffff"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 860, 400, 64, 84, 70, 40


class Bar:
    """One bar: its series, its median, its quartiles if it has samples, and a remark under its number."""

    def __init__(self, series, median, quartiles=None, remark=""):
        self.series, self.median, self.quartiles, self.remark = series, median, quartiles, remark

    def top(self):
        return max(self.median, self.quartiles[1] if self.quartiles else 0)


class Panel:
    """Groups of bars on one scale. What is above `cut` is cut off and says so."""

    def __init__(self, unit, axis, groups, cut=None, goal=None):
        self.unit, self.axis, self.groups, self.cut, self.goal = unit, axis, groups, cut, goal

    def bars(self):
        return [bar for _, bars in self.groups for bar in bars]


def number(value):
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(x, y, words, size=12, anchor="middle", more=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{INK}"{more}>'
        f"{escape(words)}</text>"
    )


def line(x1, y1, x2, y2, colour=INK, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def ticks(most):
    """Five to ten round numbers from zero to at least `most`."""
    step = 1e-6
    while most / step > 10:
        for factor in (2, 2.5, 2):
            if most / step > 10:
                step *= factor
    count = int(most / step) + 1
    return [step * at for at in range(count + 1)]


def panel(shown, colours, x, width):
    """The drawing of a panel that starts at `x`."""
    most = shown.cut or max([bar.top() for bar in shown.bars()] + [shown.goal or 0])
    marks = ticks(most * 1.02)
    floor, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP

    def at(value):
        return floor - room * min(value, marks[-1]) / marks[-1]

    out = []
    for mark in marks:
        out.append(line(x, at(mark), x + width, at(mark), FAINT))
        out.append(text(x - 6, at(mark) + 4, f"{mark:.6g}", 11, "end"))
    middle = (TOP + floor) / 2
    turned = f' transform="rotate(-90 {x - 44:.1f} {middle:.1f})"'
    out.append(text(x - 44, middle, shown.unit, 12, "middle", turned))
    out.append(text(x + width / 2, HEIGHT - 26, shown.axis))
    group = width / len(shown.groups)
    for index, (name, bars) in enumerate(shown.groups):
        start = x + group * index
        each = min(group * 0.84 / len(bars), 64)
        first = start + (group - each * len(bars)) / 2
        for place, bar in enumerate(bars):
            out += one(bar, colours[bar.series], first + each * place, each, at, floor, marks[-1])
        out.append(text(start + group / 2, floor + 18, name))
    out.append(line(x, floor, x + width, floor))
    if shown.goal:
        out.append(line(x, at(shown.goal), x + width, at(shown.goal), "#a00000", ' stroke-dasharray="6 4"'))
    return out


def one(bar, colour, x, each, at, floor, most):
    """A bar, its error bar and its number."""
    middle, top = x + each / 2, at(bar.median)
    out = [
        f'<rect x="{x + each * 0.08:.1f}" y="{top:.1f}" width="{each * 0.84:.1f}" height="{floor - top:.1f}"'
        f' fill="{colour}"/>'
    ]
    above = top
    if bar.median > most:
        out.append(line(x, top + 16, x + each, top + 8, PAPER, ' stroke-width="4"'))
    elif bar.quartiles:
        low, high = at(bar.quartiles[0]), at(bar.quartiles[1])
        out.append(line(middle, low, middle, high, INK, ' stroke-width="1.5"'))
        out += [line(middle - 5, end, middle + 5, end, INK, ' stroke-width="1.5"') for end in (low, high)]
        above = min(top, high)
    words = number(bar.median) + bar.remark
    return [*out, text(middle, above - 5, words, 11)]


def picture(title, under, panels, colours):
    """The whole file."""
    used = {bar.series for shown in panels for bar in shown.bars()}
    width = (WIDTH - LEFT - 16 - (len(panels) - 1) * (GAP + 32)) / len(panels)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        text(16, 24, title, 16, "start", ' font-weight="bold"'),
        text(16, 42, under, 11, "start"),
    ]
    x = 16.0
    for series, colour in colours.items():
        if series in used:
            out.append(f'<rect x="{x:.1f}" y="52" width="12" height="12" fill="{colour}"/>')
            out.append(text(x + 17, 62, series, 12, "start"))
            x += 40 + 6.6 * len(series)
    for index, shown in enumerate(panels):
        out += panel(shown, colours, LEFT + index * (width + GAP + 32), width)
    return "\n".join([*out, "</svg>"]) + "\n"
