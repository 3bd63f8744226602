#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the tests that do not end alike on stock and with the series.

Usage: report.py PLATFORM DIRECTORY, which holds stock.json, stock.boot and the
like. Fails if a test that passes on stock does not with the series, or has no
result there, if the kernel complains with the series only, or if one of them has
no results at all or did not come to its end.
"""

import json
import pathlib
import re
import sys
from typing import Dict, List

COMMON = pathlib.Path(__file__).resolve().parents[2] / 'platforms/common'


def regex(name: str) -> str:
	"""One for all lines of a file."""
	lines = (COMMON / name).read_text().splitlines()
	return '|'.join(line for line in lines if line and line[0] != '#')


SPLATS = re.compile(regex('splats'))
PROVOKING = regex('provoking')
PROGRAM = re.compile(r'compare: ([^|]*)\| (.*)')
# What the program that runs them ends with.
END = 'compare: end'
TAP = re.compile(r'\s*(not ok|ok) \d+ *-? *(.*)')
VMALLOC = re.compile(r'Summary: (\S+) passed: \d+ failed: (\d+)')
# What differs from run to run.
VARYING = re.compile(r'0x[0-9a-f]+|\b\d+ ?(ns|us|ms|usec|msec)\b|(?<=Extra pages ).*|'
		     # What a child held that did not exit before it was reaped.
		     r'\b\d+MB(?= of memory allocations)')


def add(results: Dict[str, str], name: str, result: str) -> None:
	"""A name that was there already gets a number."""
	number, unique = 1, name
	while unique in results:
		number += 1
		unique = f'{name} ({number})'
	results[unique] = result


def kunit_results(group: dict, path: str, results: Dict[str, str]) -> None:
	for case in group.get('test_cases', []):
		add(results, f'{path}{case["name"]}', case['status'])
	for sub_group in group.get('sub_groups', []):
		kunit_results(sub_group, f'{path}{sub_group["name"]}.', results)


def program_results(lines: List[str], results: Dict[str, str]) -> None:
	for line in lines:
		match = PROGRAM.search(line)
		if not match:
			continue
		program, text = match.groups()
		tap = TAP.match(text)
		if text.startswith('exit: ') or text == 'not built':
			add(results, f'mm: {program}', text)
		elif tap:
			verdict, title = tap.groups()
			title, _, directive = title.partition('#')
			if directive.strip().upper().startswith('SKIP'):
				verdict = 'skip'
			add(results, f'mm: {program}: {VARYING.sub("N", title).strip()}', verdict)


def read(path: pathlib.Path, kernel: str) -> Dict[str, str]:
	results: Dict[str, str] = {}
	lines = (path / f'{kernel}.boot').read_text(errors='replace').splitlines()
	kunit_json = path / f'{kernel}.json'
	if kunit_json.exists():
		kunit_results(json.loads(kunit_json.read_text()), '', results)
	program_results(lines, results)
	for line in lines:
		match = VMALLOC.search(line)
		if match:
			add(results, f'test_vmalloc: {match[1]}', 'failed' if int(match[2]) else 'passed')
	return results


def complaints(path: pathlib.Path, kernel: str) -> Dict[str, int]:
	"""Those that no suite provokes, without what is different in each run."""
	found: Dict[str, int] = {}
	provoked = False
	for line in (path / f'{kernel}.boot').read_text(errors='replace').splitlines():
		if re.search(rf'# Subtest: ({PROVOKING})$', line):
			provoked = True
		elif re.search(rf'^(\[[^]]*\] )?(not )?ok \d+ ({PROVOKING})', line):
			provoked = False
		elif not provoked and SPLATS.search(line):
			line = re.sub(r'^.*?((CPU|PID): .*? at |(?=WARNING|BUG))', '', line)
			line = re.sub(r'0x[0-9a-f]+|\d+', 'N', line)
			found[line] = found.get(line, 0) + 1
	return found


def passes(result: str) -> bool:
	return result in ('PASS', 'ok', 'exit: 0', 'passed')


def main() -> int:
	platform, path = sys.argv[1], pathlib.Path(sys.argv[2])
	for kernel in 'stock', 'series':
		if not (path / f'{kernel}.boot').exists():
			sys.exit(f'error: {platform}: {kernel} did not boot')
	stock, series = read(path, 'stock'), read(path, 'series')
	if not stock or not series:
		sys.exit(f'error: {platform}: a kernel has no results')
	status = 0
	rows = []
	for name in sorted(set(stock) | set(series)):
		before, after = stock.get(name, '-'), series.get(name, '-')
		if before != after:
			rows.append((name, before, after))
			if passes(before) or after == '-':
				status = 1
	known, now = complaints(path, 'stock'), complaints(path, 'series')
	for line in sorted(set(known) | set(now)):
		if known.get(line, 0) != now.get(line, 0):
			rows.append((line, f'{known.get(line, 0)} times', f'{now.get(line, 0)} times'))
			if line not in known:
				status = 1
	if rows:
		print(f'| {platform} | stock | with the series |\n|---|---|---|')
		for row in rows:
			print('| {} | {} | {} |'.format(*row))
	for kernel in 'stock', 'series':
		if END not in (path / f'{kernel}.boot').read_text(errors='replace'):
			print(f'error: {platform}: {kernel} did not come to its end')
			status = 1
	alike = sum(stock.get(name) == series.get(name) for name in stock)
	passed = sum(passes(result) for result in series.values())
	print(f'{platform}: {alike} results are alike, {len(rows)} differ; '
	      f'{passed} of {len(series)} pass with the series')
	return status


if __name__ == '__main__':
	sys.exit(main())
