# SPDX-License-Identifier: GPL-2.0
"""What patches/ holds, and what can be made of it without a kernel tree: complete
mails, and commits in a repository that has the base.

A file that the kernel lacks stands whole in the repository, as the last commit
leaves it. Its earlier states are that one without the hunks of the mails that
come later. If more than one base adds it, it is as the first of them has it, 6.12
before the others; where another one differs, the mail that adds it there has the hunks
from the former to the latter.

	patches/BASE/base		Base: the version that the mails are made on; Package:
					Debian's; Suite: of Debian, if it is not this machine's;
					Tried: other versions
	patches/BASE/series		a line a mail, in order: its name, -U1 for less context,
					the files that it adds
	patches/BASE/TOPIC/cover	Subject:, Needs: topics, To:, a blank line, text
	patches/BASE/TOPIC/*.patch	mails without the files that they add, but for what
					differs from another base's
	patches/BASE/final/*.diff	what git diff -W has of files that the base has
	patches/BASE/subsets		see subsets.py
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.header import Header
import fnmatch
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
import textwrap
from typing import NamedTuple, NoReturn, Optional, Union

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_BASE = '6.12'
TOPIC_SIZE = 16
TOPIC = r'[0-9]{2}-[a-z0-9][a-z0-9_-]*'
# The kernel's, for the function that a hunk names and that -W shows.
ATTRIBUTES = '*.[ch] diff=cpp\n*.dts diff=dts\n*.dts[io] diff=dts\n*.rs diff=rust\n'

# Is removed at the end.
TEMPORARY = tempfile.TemporaryDirectory()
TMP = Path(TEMPORARY.name)

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

def bases(root: Path = ROOT) -> list[str]:
	"""In the order in which files that they share are theirs."""
	return sorted((path.parent.name for path in root.glob('patches/*/base')),
		      key=lambda name: (name != DEFAULT_BASE, name))


BASE = os.environ.get('BASE') or DEFAULT_BASE
PATCHES = f'patches/{BASE}'
BUILD = ROOT / 'build' if BASE == DEFAULT_BASE else ROOT / 'build' / BASE
TREE = BUILD / 'linux'


def number(count: int, noun: str, plural: str = 's') -> str:
	return f'{count} {noun}{"" if count == 1 else plural}'


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
	# What files that it adds have otherwise than in the base they are shared with.
	differs: list[Section] = field(default_factory=list)

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
		diff = split_diff(''.join(sections))
		self.sections = [section for section in diff if section.path not in self.files]
		self.differs = [section for section in diff if section.path in self.files]


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

	def __init__(self, root: Path = ROOT, patches: str = PATCHES, flat: bool = False,
		     others: Optional[Path] = None) -> None:
		# Where the other bases are, if not beside it.
		self.root, self.patches, self.others = root, patches, others or root
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
			missing = [need for need in covers[topic].needs if need not in chosen]
			if missing and topic in chosen:
				verb = 'is' if len(missing) == 1 else 'are'
				raise Error(f'{topic} needs {", ".join(missing)}, which {verb} not selected')
		return [topic for topic in self.topics if topic in chosen]

	def shared(self) -> set[str]:
		"""The files that stand as another base has them."""
		if self.patches != PATCHES:
			return set()
		return files_of(bases_before(self.others), self.others) & {*self.files}

	def mails_of(self, topics: Iterable[str]) -> list[Mail]:
		return [mail for mail in self.mails if mail.topic in topics]


def bases_before(root: Path = ROOT) -> list[str]:
	"""Whose the files are that this base adds too."""
	names = bases(root)
	return names[:names.index(BASE)] if BASE in names else []


def files_of(names: list[str], root: Path = ROOT) -> set[str]:
	"""The files that bases add."""
	return {name for base in names for name in Series(root, f'patches/{base}').files}


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
			write(self.dir / 'objects/info/alternates', git(
				borrow, 'rev-parse', '--path-format=absolute', '--git-path', 'objects'))

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


def standing(repo: Scratch, root: Path, names: list[str]) -> dict[str, Entry]:
	"""Files as the repository has them."""
	blobs = repo.git('hash-object', '-w', '--no-filters', '--stdin-paths', text=''.join(
		f'{root / name}\n' for name in names)).split() if names else []
	return {name: Entry('100755' if os.access(root / name, os.X_OK) else '100644', blob)
		for name, blob in zip(names, blobs)}


def final_states(repo: Scratch, series: Series) -> dict[str, Entry]:
	"""The files that the series adds, as its last commit leaves them."""
	shared = series.shared()
	repo.set_index(standing(repo, series.root, series.files))
	for mail in series.mails:
		for section in mail.differs:
			if section.path not in shared:
				raise Error(f'{series.patches}/{mail.name} adds {section.path} and has a '
					    'hunk for it; the file stands whole in the repository')
		try:
			repo.apply(mail.differs)
		except GitError as error:
			raise Error(f'{series.patches}/{mail.name} does not fit the file that another base '
				    f'has too: {why_not(error)}') from None
	return repo.index()


def first_states(repo: Scratch, series: Series) -> dict[str, Entry]:
	"""What the commits that add files add: takes later hunks off their final states,
	the last mail first.
	"""
	first: dict[str, Entry] = {}
	later = set(final_states(repo, series))
	for mail in reversed(series.mails):
		sections = [section for section in mail.sections if section.path in later]
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
	for name, entry in final_states(repo, series).items() if whole else []:
		if before[name].blob != entry.blob:
			raise Error(f'{name} is not what the mails make of it')
	subprocess.run(['git', 'fast-import', '--quiet', '--force', '--date-format=rfc2822'],
		       input=b''.join(stream), env=repo.env, check=True)
	return repo.git('rev-parse', 'refs/heads/made').strip()


# ------------------------------------------------------------- complete mails

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
	options = cover.fields.get('Options', 'none')
	if options != 'none':
		text.append(textwrap.fill(f'Options: {options}', 72, subsequent_indent='  ') + '\n\n')
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
	text.append(f' {number(len(counts), "file")} changed, {number(plus, "insertion")}(+), '
		    f'{number(minus, "deletion")}(-)\n\n'
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


def fail(text: str) -> NoReturn:
	print(f'error: {text}', file=sys.stderr)
	sys.exit(1)


def main(work: Callable[[], None]) -> None:
	"""Calls work(), and says in one line what it raises."""
	for stream in (sys.stdout, sys.stderr):
		stream.reconfigure(encoding='utf-8', errors='surrogateescape')
	try:
		if BASE not in bases():
			raise Error(f'there is no patches/{BASE}; BASE is one of: {" ".join(bases())}')
		work()
	except Error as error:
		fail(str(error))
	except GitError as error:
		fail(' '.join(str(error).split()) or 'git fails')
	except subprocess.CalledProcessError as error:
		fail(f'{" ".join(error.cmd[:2])} fails')
	except OSError as error:
		fail(str(error))
	except KeyboardInterrupt:
		sys.exit(130)
