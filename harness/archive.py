# SPDX-License-Identifier: GPL-2.0
"""Debian's archive: the versions of the base's package that it has, and their files.

A base that patches/BASE/base gives a Suite: is not of the release that runs here, so
apt gets lists of its own below build/, and the machine's are left alone.
"""

from pathlib import Path
import re

import patches
from patches import Error, GitError

MIRROR = 'http://deb.debian.org/debian'
# Of the package $2, whose file is $1.
TARBALL_OF_DEB = 'dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$2.tar.xz"'
KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'


def ask(*command: str) -> str:
	"""What a command prints, or nothing if it fails."""
	try:
		return patches.run(*command).strip()
	except (GitError, OSError):
		return ''


def by_number(version: str) -> list[int]:
	return [int(number) for number in re.findall(r'\d+', version)]


class Archive:
	def __init__(self) -> None:
		fields = patches.base_fields()
		self.package, self.base = fields['Package'], fields['Base']
		self.suite = fields.get('Suite', '')
		self.cache = patches.BUILD / 'cache'
		self.cache.mkdir(parents=True, exist_ok=True)
		# Without root there is nobody to drop privileges to.
		self.options = ['-qq', '-o', 'APT::Sandbox::User=root']
		if self.suite:
			self.own_lists()

	def own_lists(self) -> None:
		apt = patches.BUILD / 'apt'
		(apt / 'lists/partial').mkdir(parents=True, exist_ok=True)
		patches.write(apt / 'sources.list', f'deb [signed-by={KEYS}] {MIRROR} {self.suite} main\n')
		for name, where in (('Etc::SourceList', apt / 'sources.list'), ('Etc::SourceParts', '/dev/null'),
				    ('State::Lists', apt / 'lists'), ('Cache', apt / 'cache')):
			self.options += ['-o', f'Dir::{name}={where}']

	def known(self) -> list[str]:
		lines = ask('apt-cache', *self.options, 'madison', self.package).split('\n')
		return sorted({line.split('|')[1].strip() for line in lines if '|' in line}, key=by_number)

	def versions(self) -> list[str]:
		# The machine's lists are for its administrator to update, unless they are empty.
		result = [] if self.suite else self.known()
		if not result and (self.suite or ask('id', '-u') == '0'):
			ask('apt-get', *self.options, 'update')
			result = self.known()
		if not result:
			raise Error(f'apt-cache knows no {self.package} of {self.suite}; is the network there?'
				    if self.suite else
				    f'apt-cache knows no {self.package}; as root: apt-get update')
		return result

	def deb(self, version: str) -> Path:
		"""The package's file. What was fetched stays."""
		path = self.cache / f'{self.package}_{version}_all.deb'
		if not path.is_file():
			patches.run('env', '-C', self.cache, 'apt-get', *self.options, 'download',
				    f'{self.package}={version}')
		return path

	def fetched(self) -> list[Path]:
		"""Files of the base that are there already."""
		return sorted(self.cache.glob(f'{self.package}_{self.base}-*_all.deb'))

	def base_deb(self) -> Path:
		if self.fetched():
			return self.fetched()[-1]
		versions = self.versions()
		for version in reversed(versions):
			if version.startswith(f'{self.base}-'):
				print(f'fetching {self.package} {version} of {self.suite}', flush=True)
				return self.deb(version)
		raise Error(f'{self.suite} no longer has {self.package} {self.base}: write Base: '
			    f'{versions[-1].partition("-")[0]} into {patches.PATCHES}/base, or make tree '
			    f'LINUX_TARBALL=FILE with linux-{self.base}')
