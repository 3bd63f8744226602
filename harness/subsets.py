#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tries the subsets of topics that patches/BASE/subsets lists.

	subsets.py		each on every kernel of Debian's archive, by git am, and
				whether one that is built refers to what it leaves out
	subsets.py commits	makes a commit of each that is built, on the base, in
				build/linux's object store, and prints a line for it:
				NAME COMMIT PLATFORM...
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
import re
import subprocess
import sys
from typing import NamedTuple

# No files beside the scripts.
sys.dont_write_bytecode = True
from archive import Archive, TARBALL_OF_DEB, ask
import patches
from patches import Error, GitError, Mail, Scratch, Series
import tree

WHO = ('-c', 'user.name=x', '-c', 'user.email=x@localhost')


class Subset(NamedTuple):
	"""A line of patches/BASE/subsets: NAME: TOPICS: PLATFORMS."""
	name: str
	topics: list[str]
	platforms: list[str]


def subsets(series: Series) -> list[Subset]:
	path, result = patches.ROOT / patches.PATCHES / 'subsets', []
	for line in patches.read(path).split('\n') if path.is_file() else []:
		line = line.partition('#')[0].strip()
		if not line:
			continue
		parts = [part.strip() for part in line.split(':')]
		if len(parts) != 3 or not parts[0] or not parts[1]:
			raise Error(f'{patches.named(path)}: "{line}" is not "name: topics: platforms"')
		if parts[0] in [subset.name for subset in result]:
			raise Error(f'{patches.named(path)} lists {parts[0]} twice')
		try:
			topics = series.select(parts[1])
		except Error as error:
			raise Error(f'{patches.named(path)}: {parts[0]}: {error}') from None
		result.append(Subset(parts[0], topics, parts[2].split()))
	if not result:
		raise Error(f'{patches.named(path)} lists no subset')
	return result


# --------------------------------------------------------- what is left out

def configs(text: str) -> set[str]:
	return set(re.findall(r'^\+?[ \t]*(?:menu)?config[ \t]+(\w+)', text, re.M))


def is_kconfig(path: str) -> bool:
	return PurePosixPath(path).name.startswith('Kconfig')


def defined(series: Series, mails: Iterable[Mail]) -> tuple[set[str], set[str]]:
	"""The Kconfig symbols and the files that mails bring."""
	symbols: set[str] = set()
	files: set[str] = set()
	for mail in mails:
		files.update(mail.files)
		for section in mail.sections:
			if is_kconfig(section.path):
				added = [line for line in section.text.split('\n') if line[:1] == '+']
				symbols |= configs('\n'.join(added))
		for name in mail.files:
			if is_kconfig(name):
				symbols |= configs(patches.read(series.root / name))
	return symbols, files


def includes(name: str) -> set[str]:
	"""How others include a header."""
	if '/include/' not in f'/{name}':
		return set()
	short = f'/{name}'.rpartition('/include/')[2]
	# The architectures that have none of their own take the generic one.
	return {short, re.sub('^asm-generic/', 'asm/', short)}


def left_out(repo: Scratch, base: str, head: str, series: Series, topics: list[str]) -> Iterator[str]:
	"""What files that a selection changes have of topics that are not in it."""
	inside = series.mails_of(topics)
	symbols, files = defined(series, inside)
	shorts = {short for name in files for short in includes(name)}
	# For Kconfig, for any file, and for files of one name.
	words: dict[str, str] = {}
	headers: dict[str, str] = {}
	paths: dict[str, str] = {}
	for topic in series.topics:
		if topic in topics:
			continue
		more_symbols, more_files = defined(series, series.mails_of([topic]))
		words.update((symbol, topic) for symbol in more_symbols - symbols)
		paths.update((name, topic) for name in more_files - files)
		headers.update((short, topic) for name in more_files - files
			       for short in includes(name) - shorts)
	if words:
		try:
			old = repo.git('grep', '-hE', rf'^[ \t]*(menu)?config[ \t]+({"|".join(words)})$', base,
				       '--', '*Kconfig*')
		except GitError:
			old = ''
		for symbol in configs(old):
			del words[symbol]

	for path in repo.git('diff', '--name-only', '-z', '--no-renames', '--diff-filter=d',
			     base, head).split('\0')[:-1]:
		folder = PurePosixPath(path).parent
		for number, line in enumerate(repo.git('cat-file', 'blob', f'{head}:{path}').split('\n'), 1):
			found = {word: words[word] for word in re.findall(r'\bCONFIG_(\w+)', line) if word in words}
			if is_kconfig(path):
				found.update((word, words[word]) for word in re.findall(r'\w+', line) if word in words)
			include = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
			if include:
				short, local = include.group(1), str(folder / include.group(1))
				if short in headers:
					found[short] = headers[short]
				elif local in paths:
					found[short] = paths[local]
			if PurePosixPath(path).name in ('Makefile', 'Kbuild'):
				for word in re.findall(r'[\w./-]+\.o\b', line):
					for source in (str(folder / word)[:-1] + kind for kind in 'cS'):
						if source in paths:
							found[word] = paths[source]
			for word in re.findall(r'[\w./-]+/[\w./-]+', line):
				if word in paths:
					found[word] = paths[word]
			for word, topic in found.items():
				yield f'{path}:{number} has {word} of {topic}'


# ------------------------------------------------------------- every version

class Kernels(Archive):
	"""Debian's versions of the base, as far as the series changes them."""

	def __init__(self, members: Iterable[str]) -> None:
		super().__init__()
		# Only these files are unpacked.
		self.members = Path(patches.TMP, 'members')
		patches.write(self.members, ''.join(f'{self.package}/{name}\n' for name in sorted({*members, 'Makefile'})))
		self.installed = '' if self.suite else ask('dpkg-query', '-W', '-f', '${Version}', self.package)

	def versions(self) -> list[str]:
		result = super().versions()
		for version in patches.base_fields().get('Tried', '').split():
			if not any(other.startswith(f'{version}-') for other in result):
				patches.note(f'{version} is no longer in the archive, and was not tried')
		return result

	def unpack(self, version: str) -> Path:
		"""A repository with the files of that version that change, tagged base."""
		out, source, command = self.cache / version, tree.tarball(), 'cat "$1"'
		if version != self.installed or not source.is_file():
			source, command = self.deb(version), TARBALL_OF_DEB
		patches.run('rm', '-rf', out)
		out.mkdir()
		# Some files may be missing there: git am says which.
		ask('bash', '-c', f'{command} | tar -xJ -C "$3" --strip-components=1 --occurrence=1 -T "$4"',
			 'bash', str(source), self.package, str(out), str(self.members))
		if not (out / 'Makefile').is_file():
			raise Error('it does not unpack')
		env = patches.NO_CONFIG
		patches.run('git', 'init', '-q', out, env=env)
		patches.write(out / '.git/info/attributes', patches.ATTRIBUTES)
		patches.run('git', '-C', out, 'add', '-A', '-f', env=env)
		patches.run('git', '-C', out, *WHO, 'commit', '-qm', version, env=env)
		patches.run('git', '-C', out, 'tag', 'base', env=env)
		return out


def places(diff: str) -> list[str]:
	"""Every changed line with its file and function, wherever it is in there."""
	return [re.sub(r'^@@ [^@]*@@', '@@', line) for line in diff.split('\n')
		if not line.startswith('index ')]


def wrong_with(kernel: Path, mails: list[Path], want: list[str]) -> str:
	"""Why mails do not do on a kernel what they do on the base; nothing if they do."""
	env = patches.NO_CONFIG
	patches.run('git', '-C', kernel, 'checkout', '-q', '-f', '--detach', 'base', env=env)
	done = subprocess.run(['git', '-C', str(kernel), *WHO, 'am', '-q', *map(str, mails)],
			      env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			      stderr=subprocess.STDOUT, check=False)
	if done.returncode:
		patches.run('git', '-C', kernel, *WHO, 'am', '--abort', env=env)
		return ' '.join(line for line in patches.decode(done.stdout).split('\n')
				if re.match('Patch failed|error', line)) or 'git am fails'
	now = places(patches.run('git', '-C', kernel, 'diff', '-U0', '--no-renames', 'base', 'HEAD', env=env))
	for line, other in zip(now + [''], want + ['']):
		if line != other:
			return f'a hunk is in another function than on the base: {line}'
	return ''


# ------------------------------------------------------------------- commands

def check() -> None:
	passed = failed = 0

	def count(what: str, wrong: str) -> None:
		nonlocal passed, failed
		passed, failed = passed + (not wrong), failed + bool(wrong)
		print(f'FAILED {what}: {wrong}' if wrong else f'ok {what}', flush=True)

	patches.library('need', 'git', 'xz-utils', 'dpkg', 'apt')
	tree.cmd_tree(argparse.Namespace())
	series = Series()
	chosen, base, repo = subsets(series), tree.need_tree(), Scratch(patches.TREE)
	series.load()
	mails: dict[str, list[Path]] = {}
	want: dict[str, list[str]] = {}
	members: set[str] = set()
	for subset in list(chosen):
		try:
			head = patches.make_commits(repo, base, series, series.mails_of(subset.topics))
		except Error as error:
			count(f'{subset.name} on the base', str(error))
			chosen.remove(subset)
			continue
		out = Path(patches.TMP, 'subset', subset.name)
		patches.write_series(out, subset.topics, series)
		mails[subset.name] = [out / name for name in patches.read(out / 'series').split()]
		want[subset.name] = places(repo.git('diff', '-U0', '--no-renames', base, head))
		members.update(repo.git('diff', '--name-only', '-z', '--no-renames', '--diff-filter=a',
					base, head).split('\0')[:-1])
		if subset.platforms:
			count(f'{subset.name} alone',
			      '; '.join(list(left_out(repo, base, head, series, subset.topics))[:5]))
	archive = Kernels(members)
	for version in archive.versions():
		try:
			kernel = archive.unpack(version)
		except (Error, GitError) as error:
			count(version, f'the package cannot be had: {" ".join(str(error).split())}')
			continue
		for subset in chosen:
			count(f'{version} {subset.name}', wrong_with(kernel, mails[subset.name], want[subset.name]))
	print(f'subsets: {passed} passed, {failed} failed')
	if failed:
		sys.exit(1)


def commits() -> None:
	for subset in subsets(Series()):
		if subset.platforms:
			print(subset.name, tree.selection_commit(' '.join(subset.topics)), *subset.platforms)


if __name__ == '__main__':
	parser = argparse.ArgumentParser(description=__doc__,
					 formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument('command', nargs='?', choices=('check', 'commits'), default='check')
	patches.main({'check': check, 'commits': commits}[parser.parse_args().command])
