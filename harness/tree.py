#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turns patches/ and the in-tree files into git commits, and back.

A commit of the branch names its topic in a trailer, "Topic: 20-core"; one
without it belongs to the topic of the commit before it. A file that the kernel
lacks stands whole in the repository, as the last commit leaves it. Its earlier
states are that one without the hunks of the mails that come later.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.header import Header
import fnmatch
import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple, NoReturn, Optional, Union

ROOT = Path(__file__).resolve().parent.parent
BRANCH = 'lazy-mmu'
MANIFEST = 'lazy-mmu-manifest'
DEFAULT_BASE = '6.12'
TOPIC_SIZE = 16
TOPIC = r'[0-9]{2}-[a-z0-9][a-z0-9_-]*'
# Files below patches/BASE that no command writes, but for base's Base:.
BY_HAND = re.compile(rf'base|subsets|{TOPIC}/cover')
# The kernel's, for the function that a hunk names and that -W shows.
ATTRIBUTES = '*.[ch] diff=cpp\n*.dts diff=dts\n*.dts[io] diff=dts\n*.rs diff=rust\n'

# Of git's variables only those count that say where the user's settings are.
ENV = {name: value for name, value in os.environ.items()
       if not name.startswith('GIT_') or
       name in ('GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM')}
ENV['LC_ALL'] = 'C.UTF-8'
NO_CONFIG = {**ENV, 'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_NOSYSTEM': '1'}


class Error(Exception):
	"""What the user did wrong, in one line."""


class GitError(Exception):
	"""What git said when it failed."""


def note(text: str) -> None:
	print(f'note: {text}', file=sys.stderr)


def decode(data: bytes) -> str:
	# Patches may hold any bytes, and each has to come back.
	return data.decode('utf-8', 'surrogateescape')


def encode(text: str) -> bytes:
	return text.encode('utf-8', 'surrogateescape')


def read(path: Path) -> str:
	return decode(path.read_bytes())


def write(path: Path, text: str) -> None:
	path.parent.mkdir(parents=True, exist_ok=True)
	path.write_bytes(encode(text))


def run(*command: Union[str, Path], text: str = '', env: Optional[dict[str, str]] = None) -> str:
	done = subprocess.run([str(word) for word in command], input=encode(text),
			      env=env or ENV, stdout=subprocess.PIPE,
			      stderr=subprocess.PIPE, check=False)
	if done.returncode:
		raise GitError(decode(done.stderr).strip())
	return decode(done.stdout)


def git(directory: Path, *words: str, text: str = '') -> str:
	"""git in a tree of the user's, with the user's settings."""
	return run('git', '-C', directory, *words, text=text)


def git_line(directory: Path, *words: str) -> str:
	"""What git prints, or nothing if it fails."""
	try:
		return git(directory, *words).strip()
	except GitError:
		return ''


def library(*words: str) -> None:
	"""Calls a function of lib.sh, which says what is wrong."""
	done = subprocess.run(['bash', '-c', '. "$0"; "$@"', ROOT / 'harness/lib.sh', *words],
			      env=ENV, check=False)
	if done.returncode:
		sys.exit(1)


# ------------------------------------------------------------------- the base

def bases() -> list[str]:
	return sorted(path.parent.name for path in ROOT.glob('patches/*/base'))


BASE = os.environ.get('BASE') or DEFAULT_BASE
PATCHES = f'patches/{BASE}'
BUILD = ROOT / 'build' if BASE == DEFAULT_BASE else ROOT / 'build' / BASE
TREE = BUILD / 'linux'


def named(path: Path) -> str:
	"""A path for messages."""
	return str(path.relative_to(ROOT))


def parse_fields(text: str) -> dict[str, str]:
	"""Of "Key: value" lines, where a line that starts with a blank goes on."""
	fields: dict[str, str] = {}
	key = ''
	for line in text.split('\n'):
		if line.startswith('#') or not line.strip():
			continue
		if line[0] in ' \t' and key:
			fields[key] += '\n' + line
			continue
		key, colon, value = line.partition(':')
		if not colon:
			raise Error(f'"{line}" is not a "Key: value" line')
		fields[key] = value.strip()
	return fields


def base_fields() -> dict[str, str]:
	fields = parse_fields(read(ROOT / PATCHES / 'base'))
	for key in ('Base', 'Package'):
		if not fields.get(key):
			raise Error(f'{PATCHES}/base has no {key}:')
	return fields


def release_of(version: str) -> str:
	"""6.12.117 -> 6.12"""
	return '.'.join(version.split('.')[:2])


def version_of(makefile: str) -> str:
	"""Of a kernel's Makefile, as in 6.12.117; nothing if it is none."""
	found = dict(re.findall(r'^(VERSION|PATCHLEVEL|SUBLEVEL) *= *([0-9]+)$', makefile, re.M))
	try:
		return '{VERSION}.{PATCHLEVEL}.{SUBLEVEL}'.format_map(found)
	except KeyError:
		return ''


def tarball() -> Path:
	return Path(os.environ.get('LINUX_TARBALL') or
		    f'/usr/src/{base_fields()["Package"]}.tar.xz')


def tarball_id() -> str:
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
	if not source.is_file():
		if os.environ.get('LINUX_TARBALL'):
			raise Error(f'LINUX_TARBALL={source}: no such file')
		library('need', base_fields()['Package'])
	library('need_space', '8', 'the kernel tree')
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


def commit_base(new: Path, version: str) -> str:
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
	git(new, 'tag', 'base', base)
	write(git_dir / MANIFEST, f'base {tarball_id()}\nhead {base}\n')
	new.rename(TREE)
	return base


# ----------------------------------------------------------------- the series

class Section(NamedTuple):
	"""A mail's diff of one file."""
	path: str
	text: str


class Entry(NamedTuple):
	"""A file of an index."""
	mode: str
	blob: str


@dataclass
class Mail:
	"""A line of patches/BASE/series, and the file that it names."""
	name: str
	options: list[str]
	files: list[str]
	# The message with its headers, and the diff of files that the kernel has
	# or that an earlier mail added.
	head: str = ''
	sections: list[Section] = field(default_factory=list)

	@property
	def topic(self) -> str:
		return self.name.rpartition('/')[0]

	@property
	def title(self) -> str:
		"""The name but for topic and number."""
		return re.sub(r'^[0-9]*-(.*)\.patch$', r'\1', self.name.rpartition('/')[2])

	def parse(self, text: str) -> None:
		head, *sections = re.split(r'^(?=diff --git )', text, flags=re.M)
		self.head = head.partition('\n---\n')[0].rstrip('\n') + '\n'
		self.sections = split_diff(''.join(sections))


def split_diff(diff: str) -> list[Section]:
	sections = []
	for text in re.split(r'^(?=diff --git )', diff, flags=re.M):
		if text:
			found = re.match(r'diff --git a/(.+) b/\1\n', text)
			sections.append(Section(found.group(1) if found else '', text))
	return sections


def join_sections(sections: Iterable[Section]) -> str:
	return ''.join(section.text for section in sections)


class Cover:
	"""A topic's cover: "Key: value" lines, a blank line, text."""

	def __init__(self, root: Path, name: str) -> None:
		if not (root / name).is_file():
			raise Error(f'there is no {name}')
		head, _, self.text = read(root / name).partition('\n\n')
		try:
			self.fields = parse_fields(head)
		except Error as error:
			raise Error(f'{name}: {error}') from None
		if not self.fields.get('Subject'):
			raise Error(f'{name} has no Subject:')
		self.needs = self.fields.get('Needs', '').replace(',', ' ').split()


class Series:
	"""What patches/ below root holds."""

	def __init__(self, root: Path = ROOT, patches: str = PATCHES, flat: bool = False) -> None:
		self.root, self.patches = root, patches
		self.file = f'{patches}/series'
		self.mails: list[Mail] = []
		if not (root / self.file).is_file():
			raise Error(f'there is no {self.file}')
		pattern = r'[^/]+\.patch' if flat else rf'{TOPIC}/[0-9]{{2}}-[^/]+\.patch'
		for line in read(root / self.file).split('\n'):
			words = line.partition('#')[0].split()
			if not words:
				continue
			if not re.fullmatch(pattern, words[0]):
				raise Error(f'{self.file}: {words[0]} is not NN-topic/MM-name.patch')
			self.mails.append(Mail(words[0],
					       [word for word in words[1:] if word[0] == '-'],
					       [word for word in words[1:] if word[0] != '-']))
		seen = set()
		for name in [mail.name for mail in self.mails] + self.files:
			if name in seen:
				raise Error(f'{self.file} names {name} twice')
			seen.add(name)

	@property
	def files(self) -> list[str]:
		"""The files that the series adds."""
		return [name for mail in self.mails for name in mail.files]

	@property
	def topics(self) -> list[str]:
		return list(dict.fromkeys(mail.topic for mail in self.mails))

	def load(self) -> None:
		"""Reads the mails."""
		for mail in self.mails:
			path = self.root / self.patches / mail.name
			if not path.is_file():
				raise Error(f'{self.file} names {mail.name}, which is not there')
			mail.parse(read(path))
		for name in self.files:
			if not (self.root / name).is_file():
				raise Error(f'{self.file} names {name}, which is not there')

	def covers(self) -> dict[str, Cover]:
		check_topics([mail.topic for mail in self.mails], self.root, self.patches)
		covers = {}
		for topic in self.topics:
			name = f'{self.patches}/{topic}/cover'
			covers[topic] = cover = Cover(self.root, name)
			for need in cover.needs:
				if need not in self.topics:
					raise Error(f'{name} needs {need}, which does not exist')
				if need not in covers or need == topic:
					raise Error(f'{name} needs {need}, which does not come before it')
		return covers

	def select(self, topics: str) -> list[str]:
		"""Topics by name or glob, all if there is none, in the series' order.
		What they need has to be among them.
		"""
		covers, chosen = self.covers(), set()
		for word in topics.split() or ['*']:
			found = fnmatch.filter(self.topics, word)
			if not found and topics.split():
				raise Error(f'unknown topic {word}; there are: {" ".join(self.topics)}')
			chosen.update(found)
		for topic in self.topics:
			for need in covers[topic].needs if topic in chosen else []:
				if need not in chosen:
					raise Error(f'{topic} needs {need}, which is not selected')
		return [topic for topic in self.topics if topic in chosen]

	def mails_of(self, topics: Iterable[str]) -> list[Mail]:
		return [mail for mail in self.mails if mail.topic in topics]


def check_topics(topics: list[str], root: Path, patches: str) -> None:
	"""Of all mails, in order."""
	last = ''
	for topic in dict.fromkeys(topics):
		if topics.count(topic) > TOPIC_SIZE:
			raise Error(f'{topic} has {topics.count(topic)} mails; a topic has at most {TOPIC_SIZE}')
		if topic < last:
			raise Error(f'{topic} comes after {last}; topics are in the order of their numbers')
		last = topic
		first = topics.index(topic)
		if set(topics[first:first + topics.count(topic)]) != {topic}:
			raise Error(f'{topic} is interrupted by another topic; its commits have to be in a row')
		if not (root / patches / topic / 'cover').is_file():
			raise Error(f'{topic} has no cover: write {patches}/{topic}/cover')


# ------------------------------------------------------- repository to commits

class Scratch:
	"""A bare repository of our own that can read the objects of another: nobody's
	settings, hooks or index count in it, and what it makes is gone if a command
	fails.
	"""

	def __init__(self, borrow: Optional[Path] = None) -> None:
		self.dir = Path(tempfile.mkdtemp(dir=TMP))
		self.env = {**NO_CONFIG, 'GIT_DIR': str(self.dir),
			    'GIT_INDEX_FILE': str(self.dir / 'index')}
		run('git', 'init', '-q', '--bare', '--template=', self.dir, env=NO_CONFIG)
		write(self.dir / 'info/attributes', ATTRIBUTES)
		self.borrowed = borrow
		if borrow:
			path = ('rev-parse', '--path-format=absolute', '--git-path')
			write(self.dir / 'objects/info/alternates', git(borrow, *path, 'objects'))
			shallow = Path(git(borrow, *path, 'shallow').strip())
			if shallow.is_file():
				shutil.copy(shallow, self.dir / 'shallow')

	def git(self, *words: str, text: str = '') -> str:
		return run('git', *words, text=text, env=self.env)

	def set_index(self, entries: dict[str, Entry]) -> None:
		self.git('read-tree', '--empty')
		self.add_to_index(entries)

	def add_to_index(self, entries: dict[str, Entry]) -> None:
		if entries:
			self.git('update-index', '-z', '--index-info', text=''.join(
				f'{mode} {blob}\t{path}\0' for path, (mode, blob) in entries.items()))

	def index(self) -> dict[str, Entry]:
		entries = {}
		for line in self.git('ls-files', '-s', '-z').split('\0')[:-1]:
			what, _, path = line.partition('\t')
			entries[path] = Entry(*what.split()[:2])
		return entries

	def tree_entries(self, commit: str, paths: Iterable[str]) -> dict[str, Entry]:
		paths, entries = sorted(set(paths)), {}
		if paths:
			for line in self.git('ls-tree', '-z', commit, '--', *paths).split('\0')[:-1]:
				what, _, path = line.partition('\t')
				mode, kind, blob = what.split()
				if kind == 'blob':
					entries[path] = Entry(mode, blob)
		return entries

	def apply(self, sections: list[Section], *options: str) -> None:
		"""Applies a diff to the index."""
		if sections:
			self.git('apply', '--cached', '--whitespace=nowarn', *options,
				 text=join_sections(sections))

	def publish(self, head: str, start: str) -> None:
		"""Gives the objects of commits to the repository that was borrowed from."""
		assert self.borrowed
		pack = subprocess.run(['git', 'pack-objects', '-q', '--revs', '--stdout'],
				      input=f'{head}\n^{start}\n'.encode(), env=self.env,
				      stdout=subprocess.PIPE, check=True)
		subprocess.run(['git', '-C', str(self.borrowed), 'unpack-objects', '-q'],
			       input=pack.stdout, env=ENV, check=True)


def why_not(error: GitError) -> str:
	"""Where a diff does not apply."""
	lines = str(error).split('\n')
	where = [line[len('error: patch failed: '):] for line in lines
		 if line.startswith('error: patch failed: ')]
	return ' '.join(where) or lines[0].partition('error: ')[2] or lines[0]


def first_states(repo: Scratch, series: Series) -> dict[str, Entry]:
	"""What the commits that add files add: takes later hunks off their final states,
	the last mail first.
	"""
	first: dict[str, Entry] = {}
	final: dict[str, Entry] = {}
	if series.files:
		blobs = repo.git('hash-object', '-w', '--no-filters', '--stdin-paths', text=''.join(
			f'{series.root / name}\n' for name in series.files)).split()
		for name, blob in zip(series.files, blobs):
			mode = '100755' if os.access(series.root / name, os.X_OK) else '100644'
			final[name] = Entry(mode, blob)
	repo.set_index(final)
	later = set(final)
	for mail in reversed(series.mails):
		sections = [section for section in mail.sections if section.path in later]
		for section in sections:
			if section.path in mail.files:
				raise Error(f'{series.patches}/{mail.name} adds {section.path} and has a '
					    'hunk for it; the file stands whole in the repository')
		try:
			repo.apply(sections, '-R')
		except GitError as error:
			raise Error(f'{series.patches}/{mail.name} is not in the files as they stand: '
				    f'{why_not(error)}; such an edit has to be made in '
				    f'{named(TREE)}') from None
		if mail.files:
			now = repo.index()
			first.update((name, now[name]) for name in mail.files)
			later.difference_update(mail.files)
	return first


class Message(NamedTuple):
	"""A mail's, as git understands it."""
	name: str
	email: str
	date: str
	text: str


def mail_message(repo: Scratch, series: Series, mail: Mail) -> Message:
	body = Path(TMP, 'body')
	try:
		info = repo.git('mailinfo', '--encoding=UTF-8', '--no-scissors', str(body), '/dev/null',
				text=mail.head)
		found = dict(line.split(': ', 1) for line in info.rstrip('\n').split('\n'))
		text = stripspace(f'{found["Subject"]}\n\n{read(body)}')
		return Message(found['Author'], found['Email'], found['Date'], text)
	except (GitError, KeyError, ValueError):
		raise Error(f'{series.patches}/{mail.name} is not a mail') from None


def stripspace(text: str) -> str:
	"""As git commit would have it."""
	lines = [line.rstrip(' \t\v\f\r') for line in text.split('\n')]
	return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip('\n') + '\n'


def with_topic(message: str, topic: str) -> str:
	"""The message with its trailer."""
	last = message.rstrip('\n').rpartition('\n\n')[2]
	trailers = '\n\n' in message and all(
		re.match(r'[A-Za-z0-9-]+: |[ \t]', line) for line in last.rstrip('\n').split('\n'))
	return f'{message}{"" if trailers else chr(10)}Topic: {topic}\n'


def without_topic(message: str) -> tuple[str, list[str]]:
	"""The message without its trailer, and the topics that it named: after
	fixups and squashes there may be many, anywhere.
	"""
	topics = re.findall(rf'^Topic: ({TOPIC})$', message, re.M)
	if topics:
		message = stripspace(re.sub(rf'^Topic: {TOPIC}$\n?', '', message, flags=re.M))
	return message, topics


def make_commits(repo: Scratch, start: str, series: Series, mails: Optional[list[Mail]] = None,
		 trailers: bool = False) -> str:
	"""Puts mails, or all, on commit start. Returns the last commit."""
	series.load()
	whole = mails is None
	mails = series.mails if mails is None else mails
	first = first_states(repo, series)
	# An index of the files that matter is small, and fast.
	before = repo.tree_entries(start, [section.path for mail in mails for section in mail.sections] +
				   [name for mail in mails for name in mail.files])
	repo.set_index(before)
	stream = []
	for mail in mails:
		label = f'{series.patches}/{mail.name}'
		message = mail_message(repo, series, mail)
		try:
			repo.apply(mail.sections)
		except GitError as error:
			raise Error(f'{label} does not apply: {why_not(error)}') from None
		now = repo.index()
		for name in mail.files:
			if name in now:
				raise Error(f'{label} adds {name}, which the kernel has')
			now[name] = first[name]
		repo.add_to_index({name: first[name] for name in mail.files})
		text = encode(with_topic(message.text, mail.topic) if trailers else message.text)
		who = f'{message.name} <{message.email}> {message.date}'
		stream.append(encode(f'commit refs/heads/made\nauthor {who}\ncommitter {who}\n'
				     f'data {len(text)}\n') + text)
		if len(stream) == 1:
			stream.append(f'from {start}\n'.encode())
		stream.extend(encode(f'D {name}\n') for name in before if name not in now)
		stream.extend(encode(f'M {entry.mode} {entry.blob} {name}\n')
			      for name, entry in now.items() if before.get(name) != entry)
		before = now
	if not mails:
		return start
	for name in series.files if whole else []:
		blob = repo.git('hash-object', '--no-filters', str(series.root / name)).strip()
		if before[name].blob != blob:
			raise Error(f'{name} is not what the mails make of it')
	subprocess.run(['git', 'fast-import', '--quiet', '--force', '--date-format=rfc2822'],
		       input=b''.join(stream), env=repo.env, check=True)
	return repo.git('rev-parse', 'refs/heads/made').strip()


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
	for commit, bare, added in zip(commits, bare_commits(repo, start, commits), everything):
		number = number + 1 if commit.topic == topic else 1
		topic = commit.topic
		name = f'{topic}/{number:02}-{commit.slug}.patch'
		# Three lines of context, or what -U in patches/BASE/series says: fewer
		# let a mail apply where its neighbours differ. --sparse and --always
		# keep a commit that only adds files.
		context = options.get(commit.slug, [])
		write(out / PATCHES / name, repo.git(
			'format-patch', '-1', '--stdout', '-N', '--no-signature', '--abbrev=12',
			'--no-renames', '--stat=72', '--always', '--sparse', '--zero-commit', *context,
			bare, '--', '.', *(f':(exclude,literal){path}' for path in added)))
		lines.append(' '.join([name, *context, *added]) + '\n')
	write(out / PATCHES / 'series', ''.join(lines))
	new = [name for added in everything for name in added]
	for name, entry in repo.tree_entries(end, new).items():
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
	git(TREE, 'tag', '-f', 'base', base)
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
	again = make_commits(repo, base, Series(out), trailers=True)
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
	if lost:
		raise Error(f'edited in the repository since make tree, not overwritten: {" ".join(lost)}')
	for name in sorted({*now} - {*want}):
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
	for name in bases():
		if name != BASE:
			other.update(files_below(ROOT, 'patches', name))
			other.update(Series(ROOT, f'patches/{name}').files)
	now = {}
	for top in ROOT.iterdir():
		if top.is_dir() and (top.name == 'patches' or not is_ours(f'{top.name}/')):
			now.update(states(ROOT, files_below(ROOT, top.name)))
	wrong = sorted(name for name in {*now, *want}
		       if now.get(name) != want.get(name) and (name in want or name not in other))
	if wrong:
		raise Error(f'not part of the series, or not as save writes it: {" ".join(wrong)}')
	print(f'tree and save give back each of {len(want)} files')


def complete(repo: Scratch, mail: Mail, first: dict[str, Entry]) -> list[Section]:
	"""A mail's diff with the files that it adds."""
	if not mail.files:
		return mail.sections
	repo.set_index({name: first[name] for name in mail.files})
	empty = repo.git('hash-object', '-t', 'tree', '/dev/null').strip()
	added = repo.git('diff-tree', '-r', '-p', '--abbrev=12', '--no-renames', empty,
			 repo.git('write-tree').strip())
	return sorted(mail.sections + split_diff(added), key=lambda section: encode(section.path))


def header(mail: Mail, name: str) -> str:
	"""A header with its further lines."""
	found = re.search(rf'^{name}: .*\n(?:[ \t].*\n)*', mail.head, re.M)
	return found.group() if found else ''


def cover_letter(repo: Scratch, series: Series, topic: str, covers: dict[str, Cover],
		 diff: str) -> str:
	cover, mails = covers[topic], series.mails_of([topic])
	release = release_of(base_fields()['Base'])
	subject = f'[PATCH {release} 0/{len(mails)}] {cover.fields["Subject"]}'
	if not subject.isascii():
		subject = Header(subject, 'utf-8', header_name='Subject').encode()
	log = []
	# As git log would have it, the last one first.
	for mail in reversed(mails):
		message = mail_message(repo, series, mail)
		title = message.text.partition('\n')[0]
		log.append(f'Author: {message.name} <{message.email}>\n\n    {title}\n\n')
	text = [cover.text.strip('\n') + '\n\n'] if cover.text.strip() else []
	if cover.needs:
		text.append('Needs, before it:\n' + ''.join(
			f'  {need}: {covers[need].fields["Subject"]}\n' for need in cover.needs) + '\n')
	text.append(repo.git('shortlog', '-w72,2,4', text=''.join(log)))
	counts: dict[str, list[int]] = {}
	for line in repo.git('apply', '--numstat', '-z', text=diff).split('\0')[:-1]:
		plus, minus, path = line.split('\t')
		sums = counts.setdefault(path, [0, 0])
		sums[0] += int(plus.replace('-', '0'))
		sums[1] += int(minus.replace('-', '0'))
	width = max(map(len, counts), default=0)
	text += [f' {path:<{width}} | +{plus} -{minus}\n' for path, (plus, minus) in sorted(counts.items())]
	plus, minus = (sum(sums[i] for sums in counts.values()) for i in (0, 1))
	text.append(f' {len(counts)} files changed, {plus} insertions(+), {minus} deletions(-)\n\n'
		    f'base: Linux {base_fields()["Base"]}\n')
	letter = ''.join(text)
	head = f'From {"0" * 40} Mon Sep 17 00:00:00 2001\n'
	head += header(mails[-1], 'From') + header(mails[-1], 'Date') + f'Subject: {subject}\n'
	if cover.fields.get('To'):
		head += f'To: {cover.fields["To"]}\n'
	if not letter.isascii():
		head += ('MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n'
			 'Content-Transfer-Encoding: 8bit\n')
	return f'{head}\n{letter}'


def write_series(out: Path, topics: list[str], series: Series) -> int:
	"""Complete mails of topics below out. Returns how many. Needs no kernel."""
	series.load()
	repo, covers = Scratch(), series.covers()
	first, release = first_states(repo, series), release_of(base_fields()['Base'])
	order = []
	for topic in topics:
		mails, diffs = series.mails_of([topic]), []
		for number, mail in enumerate(mails, 1):
			sections = complete(repo, mail, first)
			diffs.append(join_sections(sections))
			text = re.sub(r'^Subject: \[PATCH\]', f'Subject: [PATCH {release} {number}/{len(mails)}]',
				      mail.head, count=1, flags=re.M)
			if sections:
				text += f'---\n{repo.git("apply", "--stat", "--summary", text=diffs[-1])}\n{diffs[-1]}'
			order.append(f'{topic}/{number:04}-{mail.title}.patch')
			write(out / order[-1], text)
		# Not *.patch: git am must not meet it.
		write(out / topic / '0000-cover-letter.txt',
		      cover_letter(repo, series, topic, covers, ''.join(diffs)))
	write(out / 'series', ''.join(f'{name}\n' for name in order))
	write(out / 'base', f'Base: Linux {base_fields()["Base"]}\n')
	return len(order)


def cmd_series(args: argparse.Namespace) -> None:
	series = Series()
	topics = series.select(args.topics)
	out, new = BUILD / 'series', BUILD / 'series.new'
	shutil.rmtree(new, ignore_errors=True)
	count = write_series(new, topics, series)
	shutil.rmtree(out, ignore_errors=True)
	new.rename(out)
	print(f'{named(out)}: {count} patches in {len(topics)} topics, on Linux {base_fields()["Base"]}')


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
	shutil.rmtree(build, ignore_errors=True)


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


def fail(text: str) -> NoReturn:
	print(f'error: {text}', file=sys.stderr)
	sys.exit(1)


def main(work) -> None:
	"""Calls work() with a directory for what it needs in between."""
	global TMP  # pylint: disable=global-statement
	try:
		with tempfile.TemporaryDirectory() as TMP:
			if BASE not in bases():
				raise Error(f'there is no patches/{BASE}; BASE is one of: {" ".join(bases())}')
			work()
	except Error as error:
		fail(str(error))
	except GitError as error:
		fail(' '.join(str(error).split()) or 'git fails')
	except KeyboardInterrupt:
		sys.exit(130)


TMP = ''

if __name__ == '__main__':
	arguments = parse_arguments()
	main(lambda: arguments.run(arguments))
