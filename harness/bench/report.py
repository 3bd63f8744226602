#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table and JSON of what kernels did under count.c.

	report.py PLATFORM DIR REPS JSON KERNEL...

DIR has for each kernel the lines KERNEL.said that it printed, the counts
KERNEL.counts of the plugin and KERNEL.text, a number; and the log of its boot,
KERNEL.1.boot, of which the first line of the kernel is kept. The first two
kernels are stock and series; there may be another.
"""
import json
import re
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

Key = Tuple[int, str]
Rows = Dict[Key, Dict[str, int]]
BANNER = re.compile(r'Linux version (\S+) \(.*?\) \(((?:.*gcc|.*clang).*?), ')


class Error(Exception):
	"""What was measured is not complete."""


def rows_of(directory: Path, kernel: str, reps: int) -> Tuple[Rows, Optional[int], List[str]]:
	"""{(pages, step): {counter: least count}}, the size of task_struct and the counters."""
	said = (directory / f'{kernel}.said').read_text(encoding='utf-8').splitlines()
	table = (directory / f'{kernel}.counts').read_text(encoding='utf-8').splitlines()
	names, *counts = [line.split('\t') for line in table]
	rows: Rows = {}
	task_struct, at = None, 0
	if not said or said[-1] != 'end':
		raise Error(f'{kernel} did not come to its end')
	for words in map(str.split, said[:-1]):
		if words[0] == 'sizeof(task_struct)':
			task_struct = int(words[1])
			continue
		pages, *steps = words
		group = counts[at:at + reps * len(steps)]
		at += reps * len(steps)
		for i, step in enumerate(steps):
			# An interrupt adds to some repetitions, so the least is the cost.
			rows[int(pages), step] = {
				name: min(int(rep[n]) for rep in group[i::len(steps)])
				for n, name in enumerate(names)}
	if at != len(counts):
		raise Error(f'{kernel}: {len(counts)} counts, not {at}')
	return rows, task_struct, names


def banner(directory: Path, kernel: str) -> Optional[Tuple[str, str]]:
	"""The release and the compiler of a kernel, as its log has them."""
	log = directory / f'{kernel}.1.boot'
	match = log.exists() and BANNER.search(log.read_text(encoding='utf-8', errors='replace'))
	return (match[1], match[2]) if match else None


def dump(data: dict, output: Path) -> None:
	"""JSON with a row a line, so that a diff of two says what changed."""
	rows = ',\n'.join('  ' + json.dumps(row) for row in data['rows'])
	head = json.dumps({k: v for k, v in data.items() if k != 'rows'}, indent=1)
	text = f'{head[:-2]},\n "rows": [\n{rows}\n ]\n}}\n'
	assert json.loads(text) == data
	output.write_text(text, encoding='utf-8')


def ratio(stock: Optional[int], series: Optional[int]) -> str:
	if stock is None or series is None:
		return '-'
	if stock == series:
		return '1'
	return f'{series / stock:.3f}' if stock else '-'


def cell(value: Optional[int]) -> str:
	return '-' if value is None else str(value)


def main() -> None:
	platform, where, reps, output, *kernels = sys.argv[1:]
	directory = Path(where)
	measured = {k: rows_of(directory, k, int(reps)) for k in kernels}
	text = {k: int((directory / f'{k}.text').read_text(encoding='utf-8')) for k in kernels}
	banners = {k: b for k, b in ((k, banner(directory, k)) for k in kernels) if b}
	names = measured['stock'][2]
	keys = list(dict.fromkeys(key for k in ('series', *kernels)
				  for key in measured[k][0]))
	# Each operation in a block, with its sizes in order.
	order = list(dict.fromkeys(step for _, step in keys))
	keys.sort(key=lambda key: (order.index(key[1]), key[0]))

	def count(kernel: str, key: Key, name: str) -> Optional[int]:
		return measured[kernel][0].get(key, {}).get(name)

	names = [n for n in names if any(count(k, key, n) for k in kernels
					 for key in keys)]
	sizes = {'sizeof(task_struct)': {k: measured[k][1] for k in kernels},
		 'text of all objects': text}
	dump({'platform': platform, 'measured': time.strftime('%Y-%m-%d'),
	      'releases': {k: release for k, (release, _) in banners.items()},
	      'compilers': sorted({compiler for _, compiler in banners.values()}),
	      'sizes': sizes,
	      'rows': [{'operation': step, 'pages': pages, 'counts': {
			k: measured[k][0].get((pages, step)) for k in kernels}}
		       for pages, step in keys]}, Path(output))

	columns = ['stock', 'series', 'ratio', *kernels[2:]]
	lines = [['operation', 'pages'] + columns * len(names)]
	for pages, step in keys:
		line = [step, str(pages) if pages else '']
		for name in names:
			values = [count(k, (pages, step), name) for k in kernels]
			line += [*map(cell, values[:2]), ratio(*values[:2]), *map(cell, values[2:])]
		lines.append(line)
	width = [max(len(line[i]) for line in lines)
		 for i in range(len(lines[0]))]
	# The name of a counter stands above its columns.
	title = ' ' * (width[0] + 2 + width[1])
	for first in range(2, len(lines[0]), len(columns)):
		name = names[(first - 2) // len(columns)]
		gaps = 2 * (len(columns) - 1)
		missing = len(name) - sum(width[first:first + len(columns)]) - gaps
		width[first] += max(0, missing)
		title += '  ' + name.rjust(sum(width[first:first + len(columns)]) + gaps)
	print(title)
	for line in lines:
		cells = [c.rjust(width[i]) for i, c in enumerate(line)]
		print('  '.join([line[0].ljust(width[0])] + cells[1:]).rstrip())
	for what, of in sizes.items():
		print(f'{what}:', ', '.join(f'{k} {of[k]}' for k in kernels))


try:
	main()
except Error as error:
	sys.exit(f'error: {error}')
