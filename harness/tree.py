#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turns patches/ and the in-tree files into git commits, and back.

A commit of the branch names its topic in a trailer, "Topic: 20-core"; one
without it belongs to the topic of the commit before it.
"""

import argparse
from collections.abc import Iterable, Iterator
import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import NamedTuple, Optional

# No files beside the scripts.
sys.dont_write_bytecode = True
from archive import TARBALL_OF_DEB, Archive
from patches import (
	BASE, BUILD, ENV, Entry, Error, GitError, NO_CONFIG, PATCHES, ROOT, Scratch, Series, TMP,
	TOPIC, TREE, base_fields, bases, bases_before, check_topics, files_of, git, git_line,
	library, main, make_commits, named, note, number, read, release_of, run, standing, version_of,
	without_topic, write, write_series)

BRANCH = 'lazy-mmu'
MANIFEST = 'lazy-mmu-manifest'
# Files below patches/BASE that no command writes, but for base's Base:.
BY_HAND = re.compile(rf'base|subsets|{TOPIC}/cover')


# ------------------------------------------------------------------- the base

def from_suite() -> bool:
	"""Whether the base comes from Debian's archive and not from this machine."""
	return bool(base_fields().get('Suite')) and not os.environ.get('LINUX_TARBALL')


def tarball() -> Path:
	return Path(os.environ.get('LINUX_TARBALL') or
		    f'/usr/src/{base_fields()["Package"]}.tar.xz')


def tarball_id() -> str:
	if from_suite():
		# A version never changes there. A tree of it that came from elsewhere will do.
		version = base_fields()['Base']
		return Recorded(TREE).base if TREE.exists() and tree_version() == version else version
	try:
		stat = tarball().stat()
	except OSError:
		return 'none'
	return f'{stat.st_size}-{stat.st_mtime_ns // 10**9}.{stat.st_mtime_ns % 10**9:09}'


def import_base() -> str:
	"""Commits the tarball's content to build/linux, which is made if it is
	missing. Nothing else in an existing tree changes.
	"""
	source, new = tarball(), TREE.with_name('linux.new')
	if not from_suite() and not source.is_file():
		if os.environ.get('LINUX_TARBALL'):
			raise Error(f'LINUX_TARBALL={source}: no such file')
		library('need', base_fields()['Package'])
	library('need_space', '8', 'the kernel tree')
	if from_suite():
		library('need', 'apt', 'dpkg', 'debian-archive-keyring')
		source = Archive().base_deb()
	print(f'unpacking {source}', flush=True)
	shutil.rmtree(new, ignore_errors=True)
	new.mkdir(parents=True)
	try:
		version = unpack_base(source, new)
		print(f'importing Linux {version} into {named(TREE)}', flush=True)
		return commit_base(new, version)
	finally:
		shutil.rmtree(new, ignore_errors=True)


def unpack_base(source: Path, new: Path) -> str:
	"""Returns the version."""
	try:
		if from_suite():
			run('bash', '-c', f'set -o pipefail; {TARBALL_OF_DEB} | tar -xJ --strip-components=1 '
			    '-C "$3"', 'bash', source, base_fields()['Package'], new)
		else:
			run('tar', '-xf', source, '--strip-components=1', '-C', new)
	except GitError:
		raise Error(f'{source} does not unpack') from None
	makefile = new / 'Makefile'
	version = version_of(read(makefile)) if makefile.is_file() else ''
	release = release_of(base_fields()['Base'])
	if release_of(version) != release:
		raise Error(f'{source} holds Linux {version or "unknown"}, not {release}')
	# Debian's .gitignore ends with a block that ignores every file, and lacks
	# kernel.org's exceptions, of which a tests directory needs this one.
	ignore = new / '.gitignore'
	if ignore.is_file():
		write(ignore, re.sub(r'#\n# Debian packaging: ignore everything.*',
				     '!.kunitconfig\n', read(ignore), flags=re.S))
	return version


def tree_version() -> str:
	return git_line(TREE, 'log', '-1', '--format=%s', 'base').rpartition(' ')[2]


def commit_base(new: Path, version: str) -> str:
	"""Returns the commit."""
	exists = TREE.exists()
	env = dict(NO_CONFIG)
	if exists:
		env['GIT_INDEX_FILE'] = str(Path(TMP, 'base-index'))
		git_dir = TREE / '.git'
	else:
		run('git', 'init', '-q', '-b', BRANCH, new)
		run('git', '-C', new, 'config', 'gc.auto', '0')
		git_dir = new / '.git'
	# A threshold of one byte writes one pack instead of 86000 files.
	run('git', f'--git-dir={git_dir}', f'--work-tree={new}', '-c', 'core.bigFileThreshold=1',
	    '-c', 'core.compression=1', 'add', '-A', '-f', env=env)
	for who in ('AUTHOR', 'COMMITTER'):
		env.update({f'GIT_{who}_NAME': 'Linux', f'GIT_{who}_EMAIL': 'linux@localhost',
			    f'GIT_{who}_DATE': '2024-11-17T00:00:00Z'})
	tree = run('git', f'--git-dir={git_dir}', 'write-tree', env=env).strip()
	base = run('git', f'--git-dir={git_dir}', 'commit-tree', '-m', f'Linux {version}', tree,
		   env=env).strip()
	if exists:
		return base
	git(new, 'update-ref', f'refs/heads/{BRANCH}', base)
	git(new, 'update-ref', 'refs/tags/base', base)
	write(git_dir / MANIFEST, f'base {tarball_id()}\nhead {base}\n')
	new.rename(TREE)
	return base


# ------------------------------------------------------- commits to repository

class Commit(NamedTuple):
	"""What must survive a round trip, and more."""
	id: str
	short: str
	tree: str
	name: str
	email: str
	date: str
	slug: str
	message: str
	topic: str

	@property
	def title(self) -> str:
		return f'{self.short} ("{self.message.partition(chr(10))[0]}")'

	@property
	def facts(self) -> str:
		return f'{self.tree} {self.name} <{self.email}> {self.date} {self.topic}\n{self.message}'


def branch_commits(repo: Scratch, start: str, end: str) -> list[Commit]:
	fields = '%x00'.join(('%H', '%h', '%T', '%an', '%ae', '%ad', '%f', '%B', ''))
	words = repo.git('log', '--reverse', '--topo-order', f'--format={fields}',
			 f'{start}..{end}').split('\0')
	commits, topic = [], ''
	for i in range(0, len(words) - 1, 8):
		message, topics = without_topic(words[i + 7])
		ident, title = words[i].strip(), f'{words[i + 1]} ("{message.partition(chr(10))[0]}")'
		if len(set(topics)) > 1:
			raise Error(f'{title} names more than one topic: {" ".join(dict.fromkeys(topics))}')
		last = message.rstrip('\n').rpartition('\n')[2]
		if last.startswith('Topic:'):
			raise Error(f'{title}: "{last}" is not a topic, like "Topic: 20-core"')
		topic = topics[0] if topics else topic
		if not topic:
			raise Error(f'{title} and the commits before it have no topic; '
				    'add a line like "Topic: 20-core" to the message')
		commits.append(Commit(ident, *words[i + 1:i + 7], message, topic))
	return commits


def is_ours(name: str) -> bool:
	"""A kernel file cannot stand there."""
	return '/' not in name or name.partition('/')[0] in (
		'.ci', '.git', 'build', 'harness', 'mutants', 'patches', 'platforms', 'results')


def added_files(repo: Scratch, commits: list[Commit]) -> list[list[str]]:
	"""The files that each commit adds."""
	added_by: dict[str, Commit] = {}
	result = []
	for commit in commits:
		words = repo.git('diff-tree', '-r', '-z', '--no-commit-id', '--no-renames',
				 commit.id).split('\0')[:-1]
		result.append([])
		for what, name in zip(words[::2], words[1::2]):
			mode, status = what.split()[1], what.split()[4]
			if name in added_by and status == 'D':
				raise Error(f'{name} enters with {added_by[name].title} and goes with '
					    f'{commit.title}: a new file has to stay where it is')
			if status != 'A' and name not in added_by:
				continue
			if is_ours(name) or not re.fullmatch(r'[!-~]+', name) or re.search(r'["\\#]|^-', name):
				raise Error(f'{commit.title} adds {name!a}, a name the repository cannot hold')
			if mode not in ('100644', '100755'):
				raise Error(f'{commit.title} adds {name}, which is not a plain file')
			if status == 'A':
				added_by[name] = commit
				result[-1].append(name)
	return result


def bare_commits(repo: Scratch, start: str, commits: list[Commit]) -> Iterator[str]:
	"""The commits without their trailers."""
	parent, env = start, dict(repo.env)
	for commit in commits:
		for who in ('AUTHOR', 'COMMITTER'):
			env.update({f'GIT_{who}_NAME': commit.name, f'GIT_{who}_EMAIL': commit.email,
				    f'GIT_{who}_DATE': commit.date})
		parent = run('git', 'commit-tree', '-p', parent, commit.tree, text=commit.message,
			     env=env).strip()
		yield parent


def old_options() -> dict[str, list[str]]:
	"""Options of mails, by title, so that they move with their commits."""
	try:
		return {mail.title: mail.options for mail in Series().mails}
	except Error:
		return {}


def series_head() -> str:
	"""The comment that patches/BASE/series starts with."""
	path = ROOT / PATCHES / 'series'
	found = re.match(r'(#.*\n)+', read(path)) if path.is_file() else None
	return found.group() if found else '# SPDX-License-Identifier: GPL-2.0\n'


def export_commits(repo: Scratch, start: str, end: str, out: Path) -> list[Commit]:
	"""The reverse of make_commits(), and patches/BASE/final."""
	try:
		repo.git('merge-base', '--is-ancestor', start, end)
	except GitError:
		raise Error('the branch does not start at base') from None
	if repo.git('rev-list', '--merges', f'{start}..{end}'):
		raise Error('the branch holds a merge; a series is a line of commits')
	commits = branch_commits(repo, start, end)
	check_topics([commit.topic for commit in commits], ROOT, PATCHES)
	lines, options, number, topic = [series_head()], old_options(), 0, ''
	everything = added_files(repo, commits)
	new = [name for added in everything for name in added]
	# As another base has them, and as they are here.
	shared = standing(repo, ROOT, sorted(files_of(bases_before()) & {*new}))
	final = repo.tree_entries(end, new)
	for commit, bare, added in zip(commits, bare_commits(repo, start, commits), everything):
		number = number + 1 if commit.topic == topic else 1
		topic = commit.topic
		name = f'{topic}/{number:02}-{commit.slug}.patch'
		# Three lines of context, or what -U in patches/BASE/series says: fewer
		# let a mail apply where its neighbours differ. --sparse and --always
		# keep a commit that only adds files.
		context = options.get(commit.slug, [])
		mail = repo.git(
			'format-patch', '-1', '--stdout', '-N', '--no-signature', '--abbrev=12',
			'--no-renames', '--stat=72', '--always', '--sparse', '--zero-commit', *context,
			bare, '--', '.', *(f':(exclude,literal){path}' for path in added))
		write(out / PATCHES / name, mail + difference(repo, shared, final, added))
		lines.append(' '.join([name, *context, *added]) + '\n')
	write(out / PATCHES / 'series', ''.join(lines))
	for name, entry in {**final, **shared}.items():
		data = subprocess.run(['git', 'cat-file', 'blob', entry.blob], env=repo.env,
				      stdout=subprocess.PIPE, check=True).stdout
		(out / name).parent.mkdir(parents=True, exist_ok=True)
		(out / name).write_bytes(data)
		(out / name).chmod(0o755 if entry.mode == '100755' else 0o644)
	for area, paths in changed_areas(repo, start, end).items():
		write(out / PATCHES / 'final' / f'{area}.diff', repo.git(
			'diff', '-W', '--no-renames', '--abbrev=12', start, end, '--',
			*(f':(literal){path}' for path in paths)))
	version = version_of(repo.git('cat-file', 'blob', f'{start}:Makefile'))
	write(out / PATCHES / 'base', re.sub(r'^Base:.*', f'Base: {version}',
					     read(ROOT / PATCHES / 'base'), flags=re.M))
	return commits


def files_of_other_bases() -> set[str]:
	return files_of([name for name in bases() if name != BASE])


def difference(repo: Scratch, old: dict[str, Entry], new: dict[str, Entry], names: list[str]) -> str:
	"""The diff from old to new of those files that both have."""
	trees = []
	for entries in (old, new):
		repo.set_index({name: entries[name] for name in names if name in old})
		trees.append(repo.git('write-tree').strip())
	return repo.git('diff-tree', '-r', '-p', '--abbrev=12', '--no-renames', *trees)


def changed_areas(repo: Scratch, start: str, end: str) -> dict[str, list[str]]:
	"""The files of the base that change, by area."""
	areas: dict[str, list[str]] = {}
	for path in repo.git('diff', '--name-only', '-z', '--no-renames', '--diff-filter=a',
			     start, end).split('\0')[:-1]:
		parts = path.split('/')
		area = parts[1] if parts[0] == 'arch' and len(parts) > 2 else parts[0]
		areas.setdefault(area if len(parts) > 1 else 'top', []).append(path)
	return areas


# --------------------------------------------------- who holds the newest work

def state(path: Path) -> Optional[str]:
	"""Nothing if there is no file."""
	if not path.is_file():
		return None
	digest = hashlib.sha256(path.read_bytes()).hexdigest()
	return f'{digest} {755 if os.access(path, os.X_OK) else 644}'


def states(root: Path, names: Iterable[str]) -> dict[str, str]:
	found = {name: state(root / name) for name in names}
	return {name: what for name, what in found.items() if what}


def files_below(root: Path, *where: str) -> list[str]:
	return [str(path.relative_to(root)) for path in (root.joinpath(*where)).rglob('*')
		if path.is_file() or path.is_symlink()]


def repo_files() -> list[str]:
	"""The files that save writes, as the repository has them now."""
	names = [name for name in files_below(ROOT, PATCHES)
		 if not BY_HAND.fullmatch(name[len(PATCHES) + 1:])]
	if (ROOT / PATCHES / 'series').is_file():
		names += Series().files
	return names


class Recorded:
	"""What the repository and the branch were when they last agreed."""

	def __init__(self, tree: Path) -> None:
		self.path = tree / '.git' / MANIFEST
		self.base = self.head = ''
		self.files: dict[str, str] = {}
		if not self.path.is_file():
			return
		for line in read(self.path).rstrip('\n').split('\n'):
			key, _, value = line.partition(' ')
			if key == 'file':
				digest, mode, name = value.split(' ', 2)
				self.files[name] = f'{digest} {mode}'
			else:
				setattr(self, key, value)

	def edited(self) -> list[str]:
		"""Files that changed in the repository since."""
		now = states(ROOT, {*repo_files(), *self.files})
		return sorted(name for name in {*now, *self.files}
			      if now.get(name) != self.files.get(name))


def record(base: str, head: str) -> None:
	path = TREE / '.git' / MANIFEST
	new = path.with_suffix('.new')
	write(new, f'base {base}\nhead {head}\n' + ''.join(
		f'file {what} {name}\n' for name, what in sorted(states(ROOT, repo_files()).items())))
	new.rename(path)


def unsaved_work(tree: Path) -> str:
	"""Why a tree may hold work that the repository lacks; nothing if it cannot."""
	recorded = Recorded(tree)
	if (tree / '.git/rebase-merge').is_dir() or (tree / '.git/rebase-apply').is_dir():
		return 'it is in the middle of a rebase'
	if git_line(tree, 'symbolic-ref', '-q', 'HEAD') != f'refs/heads/{BRANCH}':
		return f'it is not on branch {BRANCH}'
	dirty = [line[3:] for line in git(tree, 'status', '--porcelain', '--untracked-files=normal',
					  '--ignore-submodules=none').split('\n') if line]
	if dirty:
		return f'it has uncommitted changes in {" ".join(dirty[:5])}'
	if not recorded.path.is_file():
		return 'commits were never saved'
	if git_line(tree, 'rev-parse', BRANCH) != recorded.head:
		return 'commits are not saved'
	return ''


# -------------------------------------------------------------------- commands

def need_tree() -> str:
	"""Returns the base's commit."""
	if not TREE.exists():
		raise Error(f'there is no {named(TREE)}; make tree makes it')
	base = git_line(TREE, 'rev-parse', '-q', '--verify', 'base^{commit}')
	if not base:
		raise Error(f'{named(TREE)} has no tag base')
	return base


def cmd_tree(_: argparse.Namespace) -> None:
	if not shutil.which('git') or not shutil.which('xz'):
		library('need', 'git', 'xz-utils')
	if not TREE.exists():
		import_base()
	recorded, work = Recorded(TREE), unsaved_work(TREE)
	edited = recorded.edited()
	if work:
		if recorded.path.is_file() and edited:
			raise Error(f'{named(TREE)} ({work}) and the repository ({" ".join(edited)}) were '
				    'both edited since they last agreed; undo one of them')
		note(f'{named(TREE)} is used as it is: {work}')
		return
	ident, known = tarball_id(), recorded.base
	base, moved = need_tree(), False
	if ident == 'none' or not known:
		ident = known
	elif ident != known:
		base, moved = import_base(), True
	if not edited and not moved:
		return
	repo = Scratch(TREE)
	head = make_commits(repo, base, Series(), trailers=True)
	repo.publish(head, base)
	git(TREE, 'update-ref', 'refs/tags/base', base)
	git(TREE, 'reset', '-q', '--keep', head)
	record(ident, head)
	print(f'{named(TREE)}: {git(TREE, "rev-list", "--count", f"base..{BRANCH}").strip()} commits on '
	      f'{git(TREE, "log", "-1", "--format=%s", "base").strip()}')


def cmd_save(_: argparse.Namespace) -> None:
	base = need_tree()
	work, recorded = unsaved_work(TREE), Recorded(TREE)
	if work.startswith('it '):
		raise Error(f'{named(TREE)} cannot be saved: {work}')
	out, repo = Path(TMP, 'export'), Scratch(TREE)
	head = git(TREE, 'rev-parse', BRANCH).strip()
	commits = export_commits(repo, base, head, out)
	again = make_commits(repo, base, Series(out, others=ROOT), trailers=True)
	for old, new in zip(commits, branch_commits(repo, base, again)):
		pairs = zip(old.facts.rstrip('\n').split('\n') + [''], new.facts.split('\n') + [''])
		differs = [line for line, other in pairs if line != other]
		if differs:
			raise Error(f'a commit message does not survive as a mail: {old.title}, '
				    f'near: {differs[0] or "its end"}')

	want = states(out, files_below(out))
	now = states(ROOT, {*repo_files(), *want})
	kept = f'{PATCHES}/base'
	# Edited is what is neither as it was nor as it shall be.
	lost = sorted(name for name in {*now, *want, *recorded.files} - {kept}
		      if now.get(name) not in (want.get(name), recorded.files.get(name)))
	# What another base has changed here is not to be undone by hunks.
	lost += sorted(name for name in files_of(bases_before()) & {*recorded.files}
		       if now.get(name) != recorded.files[name])
	if lost:
		raise Error(f'edited in the repository since make tree, not overwritten: {" ".join(lost)}')
	for name in sorted({*now} - {*want} - files_of_other_bases()):
		print(f'remove {name}')
		(ROOT / name).unlink()
		for parent in (ROOT / name).parents:
			if parent == ROOT or any(parent.iterdir()):
				break
			parent.rmdir()
	for name in sorted(want):
		if now.get(name) != want[name]:
			print(f'write {name}')
			(ROOT / name).parent.mkdir(parents=True, exist_ok=True)
			shutil.copy(out / name, ROOT / name)
	record(recorded.base, head)


def cmd_verify(_: argparse.Namespace) -> None:
	base, series = need_tree(), Series()
	out, repo = Path(TMP, 'export'), Scratch(TREE)
	export_commits(repo, base, make_commits(repo, base, series, trailers=True), out)
	want = states(out, files_below(out))
	# What is written by hand, and what belongs to other bases.
	other = {f'{PATCHES}/subsets', *(f'{PATCHES}/{topic}/cover' for topic in series.topics)}
	other |= files_of_other_bases()
	for name in bases():
		if name != BASE:
			other.update(files_below(ROOT, 'patches', name))
	now = {}
	for top in ROOT.iterdir():
		if top.is_dir() and (top.name == 'patches' or not is_ours(f'{top.name}/')):
			now.update(states(ROOT, files_below(ROOT, top.name)))
	wrong = sorted(name for name in {*now, *want}
		       if now.get(name) != want.get(name) and (name in want or name not in other))
	if wrong:
		raise Error(f'not part of the series, or not as save writes it: {" ".join(wrong)}')
	print(f'tree and save give back each of {len(want)} files')


def cmd_series(args: argparse.Namespace) -> None:
	series = Series()
	topics = series.select(args.topics)
	out, new = BUILD / 'series', BUILD / 'series.new'
	shutil.rmtree(new, ignore_errors=True)
	count = write_series(new, topics, series)
	shutil.rmtree(out, ignore_errors=True)
	new.rename(out)
	print(f'{named(out)}: {number(count, "patch", "es")} in {number(len(topics), "topic")}, on Linux '
	      f'{base_fields()["Base"]}')


def cmd_apply(args: argparse.Namespace) -> None:
	if not args.dir:
		raise Error('say which tree: make apply LINUX=DIR')
	series, directory, label = Series(), Path(args.dir), f'LINUX={args.dir}'
	topics = series.select(args.topics)
	top = git_line(directory, 'rev-parse', '--show-toplevel') if directory.is_dir() else ''
	if not top or Path(top) != directory.resolve():
		raise Error(f'{label} is not a git tree')
	version = version_of(git_line(directory, 'show', 'HEAD:Makefile'))
	release = release_of(base_fields()['Base'])
	if not version:
		raise Error(f'{label} holds no Linux')
	if release_of(version) != release:
		raise Error(f'{label} is Linux {version}, not {release}')
	if git_line(directory, 'rev-parse', '-q', '--verify', f'refs/heads/{BRANCH}'):
		raise Error(f'{label} already has a branch {BRANCH}')
	repo, start = Scratch(directory), git(directory, 'rev-parse', 'HEAD').strip()
	mails = series.mails_of(topics)
	for name in repo.tree_entries(start, [name for mail in mails for name in mail.files]):
		raise Error(f'{label} already has the series: {name} is there')
	if git(directory, 'status', '--porcelain', '--untracked-files=no'):
		raise Error(f'{label} is dirty; commit or stash its changes first')
	# Only when all is done does the tree get the commits.
	head = make_commits(repo, start, series, mails)
	repo.publish(head, start)
	git(directory, 'branch', '-q', '--no-track', BRANCH, head)
	try:
		git(directory, 'switch', '-q', BRANCH)
	except GitError as error:
		git(directory, 'branch', '-q', '-D', BRANCH)
		raise Error(f'{label}: {" ".join(str(error).split())}') from None
	print(f'{args.dir}: on the new branch {BRANCH}, {len(mails)} commits')


def cmd_review(args: argparse.Namespace) -> None:
	if not args.rev:
		raise Error('say since when: make review FROM=REV')
	label, base = f'FROM={args.rev}', need_tree()
	rev = git_line(ROOT, 'rev-parse', '-q', '--verify', '--end-of-options', f'{args.rev}^{{commit}}')
	if not rev:
		raise Error(f'{label} is not a commit of this repository')
	old = Path(TMP, 'old')
	old.mkdir()
	archive = subprocess.run(['git', '-C', str(ROOT), 'archive', rev], env=ENV,
				 stdout=subprocess.PIPE, check=True)
	subprocess.run(['tar', '-x', '-C', str(old)], input=archive.stdout, check=True)
	repo = Scratch(TREE)
	try:
		if (old / PATCHES / 'series').is_file():
			series = Series(old)
		else:
			# Before there were topics.
			series = Series(old, 'patches', flat=True)
		before = make_commits(repo, base, series)
	except Error as error:
		raise Error(f'{label}: {error}') from None
	now = make_commits(repo, base, Series())
	sys.stdout.flush()
	done = subprocess.run(['git', 'range-diff', f'{base}..{before}', f'{base}..{now}'],
			      env=repo.env, check=False)
	# Who reads only its start ends it by a signal.
	if done.returncode > 0:
		raise Error('git range-diff fails')


def selection_commit(topics: str) -> str:
	"""The commit of topics on the base, in build/linux's object store; no branch
	or tag names it.
	"""
	base, series, repo = need_tree(), Series(), Scratch(TREE)
	head = make_commits(repo, base, series, series.mails_of(series.select(topics)))
	repo.publish(head, base)
	return head


def cmd_commit(args: argparse.Namespace) -> None:
	print(selection_commit(args.topics))


def cmd_clean(_: argparse.Namespace) -> None:
	build = ROOT / 'build'
	for tree in [build / 'linux', *build.glob('*/linux')]:
		if not (tree / '.git').is_dir():
			continue
		work = unsaved_work(tree)
		for name in git(tree, 'for-each-ref', '--format=%(refname:short)', 'refs/heads',
				'refs/stash').split():
			if not work and name != BRANCH:
				work = f'it has {name}'
		if work:
			raise Error(f'{named(tree)} is not saved: {work}; make save, or remove build/ by hand')
	if build.exists():
		shutil.rmtree(build)


def parse_arguments() -> argparse.Namespace:
	parser = argparse.ArgumentParser(description=__doc__,
					 formatter_class=argparse.RawDescriptionHelpFormatter)
	commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

	def command(name: str, text: str, topics: bool = False) -> argparse.ArgumentParser:
		result = commands.add_parser(name, help=text, description=text)
		result.set_defaults(run=globals()[f'cmd_{name}'])
		if topics:
			result.add_argument('--topics', default=os.environ.get('TOPICS', ''),
					    help='names or globs; default: $TOPICS, or all')
		return result

	command('tree', 'makes build/linux from the repository')
	command('save', 'makes the repository from build/linux')
	command('verify', 'checks that the repository is what save would write')
	command('series', 'writes build/series, ready to mail', topics=True)
	apply = command('apply', "puts the series onto a user's own tree", topics=True)
	apply.add_argument('dir', nargs='?', default=os.environ.get('LINUX', ''),
			   help='default: $LINUX')
	review = command('review', "compares with an older commit's series")
	review.add_argument('rev', nargs='?', default=os.environ.get('FROM', ''),
			    help='default: $FROM')
	command('commit', "prints a commit of topics on the base, in build/linux's object store",
		topics=True)
	command('clean', 'removes build/, unless work in it would be lost')
	return parser.parse_args()


if __name__ == '__main__':
	arguments = parse_arguments()
	main(lambda: arguments.run(arguments))
