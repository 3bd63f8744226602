#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plots the JSON of report.py as SVG: cost against pages, both axes logarithmic.

	plot.py JSON SVG

An operation that was measured at several sizes has a panel for each counter by
which the kernels differ visibly. The others are named in one sentence, which is
printed and stands below the panels. Without any panel there is no SVG.
"""
import json
import math
import sys
import textwrap
from html import escape
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

COLUMNS, WIDTH, HEIGHT = 4, 250, 190
LEFT, TOP, RIGHT, BOTTOM = 52, 34, 20, 26
# Less than this is a hair's breadth where a decade is an inch.
VISIBLE = 0.1
# Of each kernel: its colour, how wide its line is, and its name. Stock is the
# widest line, so that all show where they are the same.
KERNELS = {'stock': ('#b33', 3.5, 'stock'), 'peer': ('#2a2', 2.5, 'the peer'),
	   'series': ('#06c', 1.5, 'the series')}

Lines = Dict[str, List[Tuple[int, int]]]


def candidates(data: dict) -> Iterator[Tuple[str, str, Lines]]:
	"""Yields (operation, counter, {kernel: [(pages, count)]})."""
	for operation in dict.fromkeys(row['operation'] for row in data['rows']):
		rows = [row for row in data['rows'] if row['operation'] == operation]
		if len(rows) < 3:
			continue
		for counter in next(c for c in rows[0]['counts'].values() if c):
			lines = {kernel: [(row['pages'], row['counts'][kernel][counter])
					  for row in rows if row['counts'].get(kernel)]
				 for kernel in KERNELS}
			lines = {kernel: line for kernel, line in lines.items() if line}
			if any(y for line in lines.values() for _, y in line):
				yield operation, counter, lines


def difference(lines: Lines) -> float:
	"""By how much a kernel differs from stock at most, as a part of it."""
	stock = dict(lines.get('stock', []))
	return max((abs(y - stock[x]) / stock[x] if stock[x] else math.inf
		    for line in lines.values() for x, y in line
		    if x in stock and y != stock[x]), default=0)


def sentence(same: Dict[str, List[str]]) -> str:
	"""Names what has no panel."""
	if not same:
		return ''
	named = '; '.join(f'{counter}: {", ".join(operations)}'
			  for counter, operations in same.items())
	return f'Within {VISIBLE:.0%} of stock at every size, and not drawn: {named}.'


def labels(sizes: List[int], place) -> Iterator[Tuple[str, int]]:
	"""The sizes below the axis, from the largest; none covers the next."""
	free = math.inf
	for pages in sorted(sizes, reverse=True):
		x, half = float(place(pages, 0)[0]), 3 * len(str(pages))
		if x + half < free:
			yield f'{x:.1f}', pages
			free = x - half - 3


def panel(title: str, lines: Lines) -> Iterator[str]:
	points = [point for line in lines.values() for point in line]
	# A count of 0 lies on the axis, a decade below the least that is not 0.
	low = min(math.floor(math.log10(y)) for _, y in points if y)
	if not all(y for _, y in points):
		low -= 1
	high = max(math.ceil(math.log10(max(y, 1))) for _, y in points)
	high = max(high, low + 1)
	right = math.log10(max(x for x, _ in points)) or 1

	def place(x: int, y: float) -> Tuple[str, str]:
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
	for x, pages in labels(list({x for x, _ in points}), place):
		yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 14}" class="x">{pages}</text>'
	for kernel, line in lines.items():
		path = 'L'.join(' '.join(place(*point)) for point in line)
		colour, wide, _ = KERNELS[kernel]
		yield (f'<path d="M{path}" fill="none" stroke="{colour}" '
		       f'stroke-width="{wide}"/>')


def svg(platform: str, panels: List[Tuple[str, Lines]], below: str) -> str:
	kernels = [k for k in KERNELS if any(k in lines for _, lines in panels)]
	legend = ', '.join(f'<tspan fill="{KERNELS[k][0]}">{KERNELS[k][2]}</tspan>'
			   for k in kernels)
	end = 40 + HEIGHT * math.ceil(len(panels) / COLUMNS)
	wrapped = textwrap.wrap(below, 185)
	out = [f'<svg xmlns="http://www.w3.org/2000/svg" '
	       f'viewBox="0 0 {COLUMNS * WIDTH} {end + 15 * len(wrapped) + 10}" '
	       'font-size="10" font-family="sans-serif">'
	       '<!-- SPDX-License-Identifier: GPL-2.0 -->',
	       '<style>.title{font-weight:bold}.grid{stroke:#ddd}'
	       '.y{text-anchor:end}.x{text-anchor:middle}</style>',
	       '<rect width="100%" height="100%" fill="#fff"/>',
	       f'<text x="{LEFT}" y="22" font-size="14">{escape(platform)}: '
	       f'cost against pages, {legend}</text>']
	for n, (title, lines) in enumerate(panels):
		x, y = n % COLUMNS * WIDTH, 40 + n // COLUMNS * HEIGHT
		out += [f'<g transform="translate({x} {y})">', *panel(title, lines), '</g>']
	out += [f'<text x="{LEFT}" y="{end + 15 * n + 10}">{escape(line)}</text>'
		for n, line in enumerate(wrapped)]
	return '\n'.join(out + ['</svg>']) + '\n'


def main() -> None:
	data = json.loads(Path(sys.argv[1]).read_text(encoding='utf-8'))
	output = Path(sys.argv[2])
	panels: List[Tuple[str, Lines]] = []
	same: Dict[str, List[str]] = {}
	for operation, counter, lines in candidates(data):
		if difference(lines) > VISIBLE:
			panels.append((f'{operation}: {counter}', lines))
		elif 'stock' in lines:
			same.setdefault(counter, []).append(operation)
	below = sentence(same)
	if below:
		print(below)
	if panels:
		output.write_text(svg(data['platform'], panels, below), encoding='utf-8')
	elif output.exists():
		# An older one would tell something else.
		output.unlink()


if __name__ == '__main__':
	main()
