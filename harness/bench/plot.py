#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plots the JSON of report.py as SVG: cost against pages, both axes logarithmic.

	plot.py JSON SVG

Each operation that was measured at several sizes has a panel for each counter
that grows with them. Stock is the widest line, so that all show where they are
the same.
"""
import json
import math
import sys
from html import escape

COLUMNS, WIDTH, HEIGHT = 4, 250, 190
LEFT, TOP, RIGHT, BOTTOM = 52, 34, 20, 26
# Of each kernel: its colour, how wide its line is, and its name.
KERNELS = {'stock': ('#b33', 3.5, 'stock 6.12'), 'peer': ('#2a2', 2.5, 'the peer'),
           'series': ('#06c', 1.5, 'the series')}


def panels_of(data):
    """Yields (title, {kernel: [(pages, count)]}), as far as there is a plot."""
    counters = list(data['rows'][0]['counts']['series'])
    operations = dict.fromkeys(row['operation'] for row in data['rows'])
    for operation in operations:
        rows = [row for row in data['rows'] if row['operation'] == operation]
        if len(rows) < 3:
            continue
        for counter in counters:
            lines = {kernel: [(row['pages'], row['counts'][kernel][counter])
                              for row in rows if row['counts'].get(kernel)]
                     for kernel in KERNELS}
            lines = {kernel: line for kernel, line in lines.items() if line}
            counts = [y for line in lines.values() for _, y in line]
            if max(counts) >= 10 * max(1, min(counts)):
                yield f'{operation}: {counter}', lines


def panel(title, lines):
    points = [point for line in lines.values() for point in line]
    # A count of 0 lies on the axis, a decade below the least that is none.
    low = min(math.floor(math.log10(y)) for _, y in points if y)
    if not all(y for _, y in points):
        low -= 1
    high = max(math.ceil(math.log10(max(y, 1))) for _, y in points)
    high = max(high, low + 1)
    right = math.log10(max(x for x, _ in points)) or 1

    def place(x, y):
        along = math.log10(x) / right
        up = (math.log10(y) - low) / (high - low) if y else 0
        return (f'{LEFT + along * (WIDTH - LEFT - RIGHT):.1f}',
                f'{HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM):.1f}')

    yield f'<text x="{LEFT}" y="22" class="title">{escape(title)}</text>'
    for decade in range(low, high + 1):
        x, y = place(1, 10 ** decade)
        label = f'{10 ** decade:,}' if decade >= 0 else '0'
        if decade < 4:
            label = label.replace(',', '')
        elif decade >= 6:
            label = f'{10 ** (decade - 6)}M'
        yield f'<path d="M{x} {y}H{WIDTH - RIGHT}" class="grid"/>'
        yield f'<text x="{LEFT - 5}" y="{float(y) + 4:.1f}" class="y">{label}</text>'
    for pages in sorted({x for x, _ in points}):
        # Not one label over another.
        if pages in (1000, 4096) and pages != max(points)[0]:
            continue
        x, _ = place(pages, 0)
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 14}" class="x">{pages}</text>'
    for kernel, line in lines.items():
        path = 'L'.join(' '.join(place(*point)) for point in line)
        colour, wide, _ = KERNELS[kernel]
        yield (f'<path d="M{path}" fill="none" stroke="{colour}" '
               f'stroke-width="{wide}"/>')


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        data = json.load(file)
    panels = list(panels_of(data))
    kernels = [k for k in KERNELS if any(k in lines for _, lines in panels)]
    legend = ', '.join(f'<tspan fill="{KERNELS[k][0]}">{KERNELS[k][2]}</tspan>'
                       for k in kernels)
    height = 40 + HEIGHT * math.ceil(len(panels) / COLUMNS)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" '
           f'viewBox="0 0 {COLUMNS * WIDTH} {height}" font-size="10" '
           'font-family="sans-serif"><!-- SPDX-License-Identifier: GPL-2.0 -->',
           '<style>.title{font-weight:bold}.grid{stroke:#ddd}'
           '.y{text-anchor:end}.x{text-anchor:middle}</style>',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{LEFT}" y="22" font-size="14">{escape(data["platform"])}: '
           f'cost against pages, {legend}</text>']
    for n, (title, lines) in enumerate(panels):
        x, y = n % COLUMNS * WIDTH, 40 + n // COLUMNS * HEIGHT
        out += [f'<g transform="translate({x} {y})">', *panel(title, lines), '</g>']
    with open(sys.argv[2], 'w', encoding='utf-8') as file:
        file.write('\n'.join(out + ['</svg>']) + '\n')


main()
