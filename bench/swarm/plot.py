"""A picture of one workload: a bar for each tool's median, a line from its fastest to its slowest."""

import statistics
from html import escape

from .report import good, why

ROW, TOP, LEFT, WIDTH, RIGHT = 26, 56, 170, 560, 150
COLOURS = {"parvi": "#1b6ca8", "other": "#9aa5b1"}


def ticks(most):
    """Round numbers from 0 up to at least `most`, four to eight of them."""
    step = 0.001
    while most / step > 8:
        for factor in (2, 2.5, 2):
            step *= factor
            if most / step <= 8:
                break
    return [round(step * i, 6) for i in range(int(most / step) + 2)]


def text(x, y, words, anchor="start", size=12, colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(words)}</text>')


def bar(y, tool, runs, scale):
    middle_y = y + ROW / 2
    parts = [text(LEFT - 8, middle_y + 4, tool, "end")]
    seconds = [run["seconds"] for run in good(runs)]
    if not seconds:
        return parts + [text(LEFT + 6, middle_y + 4, why(runs)[:70], size=11, colour="#a33")]
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    colour = COLOURS["parvi" if tool.startswith("parvi") else "other"]
    parts.append(f'<rect x="{LEFT}" y="{y + 4}" width="{middle * scale:.1f}" height="{ROW - 8}" '
                 f'fill="{colour}"/>')
    at = [LEFT + value * scale for value in (low, high)]
    parts.append(f'<path d="M{at[0]:.1f} {middle_y}H{at[1]:.1f}M{at[0]:.1f} {middle_y - 4}v8'
                 f'M{at[1]:.1f} {middle_y - 4}v8" stroke="#222" fill="none"/>')
    parts.append(text(at[1] + 8, middle_y + 4, f"{middle:.2f} s", size=11))
    return parts


def svg(result):
    runs = result["runs"]
    most = max((run["seconds"] for of in runs.values() for run in good(of)), default=1)
    marks = ticks(most)
    scale = WIDTH / marks[-1]
    height = TOP + ROW * len(runs) + 34
    bottom = TOP + ROW * len(runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
        f'height="{height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(12, 22, result["workload"], size=16),
        text(12, 42, result["says"] + " (seconds, less is better)", size=11, colour="#555"),
    ]
    for mark in marks:
        x = LEFT + mark * scale
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(text(x, bottom + 16, f"{mark:g}", "middle", 11, "#555"))
    for number, (tool, of) in enumerate(runs.items()):
        parts += bar(TOP + number * ROW, tool, of, scale)
    return "\n".join(parts + ["</svg>"]) + "\n"
