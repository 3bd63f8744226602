# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: where things are, how they fail, what they
# need installed, and what platforms/ says.
set -eu -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
[[ ${BASE:=6.12} != */* && -f $ROOT/patches/$BASE/base ]] || {
	echo "error: there is no patches/$BASE; BASE is one of: $(cd "$ROOT/patches" && echo *)" >&2
	exit 1
}
[ "$BASE" = 6.12 ] || BUILD=$BUILD/$BASE
TREE=$BUILD/linux
LOGS=$BUILD/log
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
mkdir -p "$LOGS"

# The caller's make and shell must not reach into kernel builds or git.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE CC \
	KBUILD_OUTPUT KCONFIG_CONFIG GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export LC_ALL=C.UTF-8

# A kernel is the same whenever, wherever and by whom it is built.
export KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=lazy-mmu KBUILD_BUILD_HOST=localhost

# Debian's ccache has a directory of compilers, ours and the host's. With a base
# directory other clones hit as well, see build().
use_ccache() {
	local compiler

	[ -x /usr/bin/ccache ] || return 0
	mkdir -p "$BUILD/ccache"
	for compiler in /usr/lib/ccache/*; do
		compiler=$BUILD/ccache/${compiler##*/}
		# Others may do the same.
		[ -e "$compiler" ] || ln -s "$ROOT/harness/ccache.sh" "$compiler" 2>/dev/null || :
	done
	# Where it looks for the compilers themselves.
	export CCACHE_PATH=${CCACHE_PATH:-$PATH} CCACHE_NODEPEND=1 CCACHE_BASEDIR=$ROOT
	unset CCACHE_DEPEND
	PATH=$BUILD/ccache:$PATH
}
use_ccache

note() {
	echo "note: $*" >&2
}

die() {
	echo "error: $*" >&2
	exit 1
}

# Joins lines into one, for messages.
one_line() {
	tr '\n' ' ' | sed 's/ *$//'
}

# A path below the repository, for messages.
named() {
	echo "${1#"$ROOT"/}"
}

# The lines of a file, without comments.
lines() {
	grep -vE '^(#|$)' "$1"
}

# need PACKAGE...: installs what is missing, or says how.
need() {
	local package missing=() known

	if ! command -v dpkg-query >/dev/null; then
		note "this is not Debian; be sure to have what these packages hold: $*"
		return
	fi
	# shellcheck disable=SC2016 # for dpkg-query
	known=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) || :
	for package; do
		[[ $'\n'$known$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] ||
		die "packages are missing; as root: apt-get install ${missing[*]}"
	note "installing ${missing[*]}"
	{ apt-get update && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${missing[@]}"; } \
		>"$LOGS/apt.log" 2>&1 </dev/null ||
		die "apt-get could not install ${missing[*]}; log: $(named "$LOGS/apt.log")"
}

# need_space GIGABYTES WHAT
need_space() {
	local free

	free=$(df --output=avail -BG "$BUILD" | tail -n 1 | tr -dc 0-9)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 GB of disk below $BUILD, $free GB are free"
}

# What any kernel build takes.
BUILD_PACKAGES="gcc make flex bison bc libc6-dev libelf-dev libssl-dev cpio perl python3"
LINT_PACKAGES="sparse shellcheck codespell python3-ply python3-git coccinelle"
DOCS_PACKAGES="python3-sphinx python3-sphinx-rtd-theme graphviz"

# ----------------------------------------------------------------- platforms/

declare -A P

# record NAME [PLATFORM...]: on behalf of others that are like it, adds the keys of platforms/NAME/platform to P.
record() {
	local file=$ROOT/platforms/$1/platform key value
	local -A own=()

	[ -f "$file" ] || die "there is no $(named "$file"), which $2 is Like:"
	[[ " ${*:2} " != *" $1 "* ]] || die "$(named "$file") is Like: itself"
	# Without other programs: every command reads all of them.
	while read -r key value || [ "$key" ]; do
		[[ $key && $key != "#"* ]] || continue
		[[ $key = *: ]] || die "platforms/$1/platform: \"$key $value\" is not a \"Key: value\" line"
		own[${key%:}]+=${own[${key%:}]:+ }$value
	done <"$file"
	if [ "$1" = common ]; then
		P=()
	elif [ "${own[Like]:-}" ]; then
		record "${own[Like]}" "$@"
	else
		record common
		for key in Build Run Arch Source Kernel Config; do
			P[$key]=$1
		done
	fi
	for key in "${!own[@]}"; do
		[ "$1" = common ] || [ "${P[$key]+known}" ] ||
			die "$(named "$file"): there is no key $key, see platforms/common/platform"
		P[$key]=${own[$key]}
	done
}

all_platforms() {
	local file name

	for file in "$ROOT"/platforms/*/platform; do
		name=${file%/platform} name=${name##*/}
		[ "$name" = common ] || echo "$name"
	done
}

# platform NAME: sets P, all that there is to say of it.
platform() {
	local key

	[[ "$1" && $1 != */* && $1 != common && -f $ROOT/platforms/$1/platform ]] ||
		die "unknown PLATFORM=$1; there are: $(all_platforms | one_line)"
	record "$1"
	[ "${P[Shows]}" ] || die "platforms/$1/platform has no Shows:"
	for key in CPUs Seconds Vmalloc-tests; do
		[[ ${P[$key]} =~ ^[0-9]+$ ]] ||
			die "platforms/$1/platform: $key: ${P[$key]} is not a number"
	done
	for key in ${P[Config]}; do
		[ -d "$ROOT/platforms/$key" ] ||
			die "platforms/$1/platform: Config: there is no platforms/$key"
	done
	P[Name]=$1
	# Where its kernel is built, and what its logs begin with.
	OUT=$BUILD/${P[Kernel]}
	LOG=$LOGS/$1
}

# platforms_for COMMAND [all]: those that take part; all: also those that have to be
# named.
platforms_for() {
	local name

	for name in $(all_platforms); do
		platform "$name"
		[ "${P[Not-${1#check-}]:-}" ] ||
			{ [[ " ${P[When-named]} " =~ " "($1|all)" " ]] && [ ! "${2:-}" ]; } ||
			echo "$name"
	done
}

# takes_part COMMAND: dies with the reason if the platform does not.
takes_part() {
	[ ! "${P[Not-$1]}" ] ||
		die "PLATFORM=${P[Name]} has no $1: ${P[Not-$1]}; there are: $(platforms_for "$1" all | one_line)"
}

# chosen COMMAND: the platforms that PLATFORM names, or all that take part.
chosen() {
	local name names=${PLATFORM:-}

	[ "$names" ] || names=$(platforms_for "$1") || exit
	for name in $names; do
		platform "$name"
		takes_part "$1"
		echo "$name"
	done
}

# fragments KIND...: the platform's, and those of all.
fragments() {
	local kind dir

	for kind; do
		for dir in common ${P[Config]}; do
			[ ! -f "$ROOT/platforms/$dir/$kind.config" ] ||
				echo "$ROOT/platforms/$dir/$kind.config"
		done
	done
}
