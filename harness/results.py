#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Writes results/BASE/README.md and plots/ from the JSON in results/BASE.

	results.py [--check] [BASE...]

With --check nothing is written: it fails if a file is not what would be written.
results/BASE/*.json are tables: a title, the command, when and of which series
it was measured, text, and rows that are objects. results/BASE/bench/PLATFORM.json
is what make bench writes, as it is. One that says "selection" has some of the
rows only and gets no plot.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

ROOT = Path(__file__).resolve().parent.parent
PLOT = Path(__file__).resolve().parent / 'bench' / 'plot.py'
# The short tables first; others follow by name.
ORDER = ('kunit', 'kernels', 'mutants', 'compare', 'stress', 'userland', 'bisect', 'helpers', 'mainline', 'bench')
# A row of the bench that differs by less is named and not shown.
ALIKE = 0.01

Counts = Optional[Dict[str, int]]


class Error(Exception):
	"""What is wrong with the data."""


def load(path: Path, keys: List[str]) -> Dict[str, Any]:
	name = path.relative_to(ROOT)
	try:
		data = json.loads(path.read_text(encoding='utf-8'))
	except ValueError as error:
		raise Error(f'{name}: {error}') from None
	for key in keys:
		if not isinstance(data, dict) or key not in data:
			raise Error(f'{name} has no "{key}"')
	return data


def cell(value: Any) -> str:
	if value is None:
		return '–'
	return f'{value:,}' if isinstance(value, int) else str(value).replace('|', '\\|')


def table(rows: List[Dict[str, Any]]) -> Iterator[str]:
	"""A column for each key, numbers to the right."""
	columns = list(dict.fromkeys(key for row in rows for key in row))
	right = [all(isinstance(row.get(c), (int, type(None))) for row in rows) for c in columns]
	yield '| ' + ' | '.join(columns) + ' |'
	yield '|' + '|'.join('--:' if r else '---' for r in right) + '|'
	for row in rows:
		yield '| ' + ' | '.join(cell(row[c]) if c in row else '' for c in columns) + ' |'
	yield ''


def origin(data: Dict[str, Any]) -> str:
	"""Where, when and of what it was measured, as far as that is known."""
	releases = data.get('releases', {})
	parts = [f'`{data["command"]}`'] if data.get('command') else []
	if data.get('measured'):
		parts.append(f'measured {data["measured"]}')
	if data.get('base') or releases:
		parts.append('on ' + (data.get('base') or releases.get('stock', 'an unknown release')))
	if data.get('series'):
		parts.append(f'with the series of {data["series"]}')
	if data.get('peer') or releases.get('peer'):
		parts.append('beside ' + (data.get('peer') or releases['peer']))
	parts += data.get('compilers', [])
	text = ', '.join(parts)
	return text[:1].upper() + text[1:] + '.' if text else ''


def section(data: Dict[str, Any]) -> Iterator[str]:
	yield from (f'## {data["title"]}', '')
	for text in (origin(data), *data['text']):
		if text:
			yield from (text, '')
	rows = data['rows']
	if data.get('total'):
		sums = {key: sum(row.get(key) or 0 for row in rows) for key in rows[0]
			if all(isinstance(row.get(key), (int, type(None))) for row in rows)}
		rows = rows + [{next(iter(rows[0])): 'all', **sums}]
	if rows:
		yield from table(rows)


def beyond(stock: int, other: int, part: float) -> bool:
	return abs(other - stock) > part * stock


def differs(row: Dict[str, Any]) -> bool:
	stock: Counts = row['counts'].get('stock')
	others = [counts for kernel, counts in row['counts'].items() if kernel != 'stock']
	return any((stock is None) != (counts is None) or
		   (stock is not None and counts is not None and
		    any(beyond(stock[name], counts[name], ALIKE) for name in stock))
		   for counts in others)


def compared(counts: Dict[str, Counts], name: str) -> str:
	"""`stock → series`, or one number if they are the same."""
	values = {kernel: (of or {}).get(name) for kernel, of in counts.items()}
	shown = cell(values['series'])
	if values['stock'] != values['series']:
		shown = f'{cell(values["stock"])} → {shown}'
	if 'peer' in values:
		shown += f' (peer {cell(values["peer"])})'
	return shown


def sizes_of(rows: List[Dict[str, Any]]) -> str:
	"""`vmalloc 1, 64; vfree 4,096`"""
	operations: Dict[str, List[str]] = {}
	for row in rows:
		operations.setdefault(row['operation'], []).append(cell(row['pages'] or None))
	return '; '.join(f'{operation} {", ".join(pages)}'.replace(' –', '')
			 for operation, pages in operations.items())


def costs(data: Dict[str, Any], name: str, plotted: bool, not_drawn: str) -> Iterator[str]:
	yield from (f'### {name}', '', origin(data), '')
	if data.get('note'):
		yield from (data['note'], '')
	rows = data['rows']
	shown = rows
	if data.get('selection') and rows:
		yield from ('These rows are a selection; `make bench` measures more.', '')
	elif rows:
		shown = [row for row in rows if differs(row)]
		alike = [row for row in rows if not differs(row)]
		if alike:
			yield from (f'Within {ALIKE:.0%} of stock in every count, and not in the table '
				    f'(by pages): {sizes_of(alike)}.', '')
	if shown:
		counters = list(dict.fromkeys(counter for row in rows
					      for counts in row['counts'].values()
					      for counter, n in (counts or {}).items() if n))
		yield 'Stock → series; one number where they are the same.'
		yield ''
		yield from table([{'operation': row['operation'], 'pages': row['pages'] or None,
				   **{counter: compared(row['counts'], counter)
				      for counter in counters}} for row in shown])
	more = [row for row in rows if row['counts'].get('stock') and row['counts'].get('series') and
		row['counts']['series'].get('instructions', 0) >
		(1 + ALIKE) * row['counts']['stock'].get('instructions', 0)]
	if more:
		yield from (f'Over {ALIKE:.0%} more instructions than stock: {sizes_of(more)}.', '')
	if plotted:
		yield from (f'![{name}: cost against pages](plots/{name}.svg)', '')
	if not_drawn:
		yield from (not_drawn, '')


def sizes(bench: Dict[str, Dict[str, Any]]) -> Iterator[str]:
	rows = [{'platform': name, 'size': what, 'stock': of['stock'], 'series': of['series'],
		 'more': of['series'] - of['stock']}
		for name, data in bench.items() for what, of in data['sizes'].items()
		if of.get('stock') and of.get('series')]
	if rows:
		yield from ('### Sizes', '', 'In bytes, of the kernels above.', '')
		yield from table(rows)


def plot(source: Path, output: Path) -> str:
	done = subprocess.run([PLOT, source, output], stdout=subprocess.PIPE,
			      stderr=subprocess.PIPE, encoding='utf-8', check=False)
	if done.returncode:
		raise Error(f'{source.relative_to(ROOT)} cannot be plotted: '
			    f'{(done.stderr.strip() or "?").splitlines()[-1]}')
	return done.stdout.strip()


def produce(directory: Path) -> Dict[Path, str]:
	"""What is to be in which file."""
	files: Dict[Path, str] = {}
	known = {path.stem: path for path in directory.glob('*.json')}
	names = [name for name in ORDER if name in known] + \
		sorted(name for name in known if name not in ORDER)
	if not names:
		raise Error(f'{directory.relative_to(ROOT)} holds no results')
	lines = ['<!-- Written by make results from the JSON beside it: edit that. -->',
		 f'# Results for Linux {directory.name}', '',
		 'A series is named by the commit of this repository that it was measured at.', '']
	if (directory / 'known-issues.md').exists():
		lines += [f'Bugs of {directory.name} that were found on the way and left alone: '
			  '[known-issues.md](known-issues.md).', '']
	for name in names:
		lines += section(load(known[name], ['title', 'text', 'rows']))
		if name != 'bench':
			continue
		bench: Dict[str, Dict[str, Any]] = {}
		for source in sorted((directory / 'bench').glob('*.json')):
			data = load(source, ['platform', 'sizes', 'rows'])
			if data['platform'] != source.stem:
				raise Error(f'{source.relative_to(ROOT)} is of {data["platform"]}')
			not_drawn = ''
			picture = directory / 'plots' / f'{source.stem}.svg'
			if not data.get('selection'):
				with tempfile.TemporaryDirectory() as tmp:
					drawn = Path(tmp) / 'svg'
					not_drawn = plot(source, drawn)
					if drawn.exists():
						files[picture] = drawn.read_text(encoding='utf-8')
			lines += costs(data, source.stem, picture in files, not_drawn)
			bench[source.stem] = data
		lines += sizes(bench)
	files[directory / 'README.md'] = '\n'.join(lines).rstrip() + '\n'
	return files


def main() -> None:
	arguments = sys.argv[1:]
	check = '--check' in arguments
	bases = [a for a in arguments if a != '--check'] or \
		sorted(path.name for path in (ROOT / 'results').iterdir() if path.is_dir())
	wrong = []
	for base in bases:
		directory = ROOT / 'results' / base
		if not directory.is_dir():
			raise Error(f'there is no results/{base}')
		files = produce(directory)
		stray = [path for path in directory.glob('plots/*') if path not in files]
		if check:
			wrong += stray + [path for path, text in files.items() if not path.exists() or
					  path.read_text(encoding='utf-8') != text]
			continue
		for path in stray:
			path.unlink()
		for path, text in files.items():
			path.parent.mkdir(exist_ok=True)
			path.write_text(text, encoding='utf-8')
	if wrong:
		names = ' '.join(str(path.relative_to(ROOT)) for path in wrong)
		raise Error(f'not what the data says, run make results: {names}')


try:
	main()
except Error as error:
	sys.exit(f'error: {error}')
