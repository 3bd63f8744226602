# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: where things are, how they fail and what
# they need installed.
set -eu -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
TREE=$BUILD/linux
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

# The caller's make and shell must not reach into kernel builds or git.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE CC \
	KBUILD_OUTPUT KCONFIG_CONFIG GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export LC_ALL=C.UTF-8

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

# need PACKAGE...: installs what is missing, or says how.
need() {
	local package missing=()

	if ! command -v dpkg-query >/dev/null; then
		note "this is no Debian; be sure to have what these packages hold: $*"
		return
	fi
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] ||
		die "packages are missing; as root: apt-get install ${missing[*]}"
	note "installing ${missing[*]}"
	mkdir -p "$BUILD/log"
	{ apt-get update && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${missing[@]}"; } \
		>"$BUILD/log/apt.log" 2>&1 </dev/null ||
		die "apt-get could not install ${missing[*]}; see build/log/apt.log"
}

# need_space GIGABYTES WHAT
need_space() {
	local free

	mkdir -p "$BUILD"
	free=$(df --output=avail -BG "$BUILD" | tail -n 1 | tr -dc 0-9)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 GB of disk below $BUILD, $free GB are free"
}

# The series of directory $1, one patch a line with its new files.
series_lines() {
	[ -f "$1/patches/series" ] || die "there is no patches/series"
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1/patches/series"
}

# The files that the series adds, as patches/series of directory $1 lists them.
series_files() {
	series_lines "$1" | awk '{ for (i = 2; i <= NF; i++) if ($i !~ /^-/) print $i }'
}

platform_names() {
	sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' "$ROOT/harness/platforms"
}

# Platforms of these architectures may be built and booted side by side: those
# that share a build directory are in one lane.
LANES=("arm64 sparc" "um x86_64 powerpc")

# platforms_of LANE
platforms_of() {
	local name

	for name in $(platform_names); do
		platform "$name"
		[[ " $1 " != *" $P_ARCH "* ]] || echo "$name"
	done
}

# platform NAME: sets P_* from its line in harness/platforms.
platform() {
	P_NAME=$1
	read -r _ P_BUILD_ARCH P_RUN_ARCH P_ARCH P_DIR P_CROSS P_SECONDS P_SHOWS \
		P_PACKAGES <<<"$(sed -n "s/^$1 /& /p" "$ROOT/harness/platforms")"
	[ "$P_SHOWS" ] || die "unknown PLATFORM=$1; there are: $(platform_names | one_line)"
	P_CROSS=${P_CROSS#-}
	P_PACKAGES=${P_PACKAGES#-}
	# Two CPUs where the emulator has them.
	P_SMP=(--qemu_args="-smp 2")
	[[ $P_ARCH != um && $P_ARCH != sparc ]] || P_SMP=()
	P_OUT=$BUILD/$P_DIR
	P_LOG=$BUILD/log/$1
	# What make and the kernel are told besides, what only the KUnit kernel is
	# configured with, KUnit's filter and the suite that it leaves out, and the
	# number of tests that test_vmalloc is to pass.
	P_MAKE=() P_KERNEL=() P_KUNIT=() P_SUITES='' P_WITHOUT='' P_VMALLOC_TESTS=0
	# shellcheck source=harness/configs/arm64_debug.args
	[ ! -f "$ROOT/harness/configs/$1.args" ] || . "$ROOT/harness/configs/$1.args"
	mkdir -p "$BUILD/log"
}

# What any kernel build takes.
BUILD_PACKAGES="gcc make flex bison bc libc6-dev libelf-dev libssl-dev cpio perl python3"
LINT_PACKAGES="sparse shellcheck codespell python3-ply python3-git coccinelle"
DOCS_PACKAGES="python3-sphinx python3-sphinx-rtd-theme graphviz"

# Lines of a boot log that fail a run, whatever else it says.
TROUBLE='WARNING:|BUG:|Ignoring spurious|Kernel panic|Oops|Internal error'
TROUBLE+='|Unable to handle kernel|general protection fault|rcu: INFO:|blocked for more than|\(XEN\) .*([Cc]rash|Panic)'

# Suites that provoke such lines.
PROVOKING='kasan|kfence|slub_test|lazy_mmu_mode_xen_refused'

# The package with the C library for programs of a platform.
libc_package() {
	case $P_ARCH in
	um | x86_64) echo libc6-dev ;;
	arm64) echo libc6-dev-arm64-cross ;;
	powerpc) echo libc6-dev-ppc64-cross ;;
	sparc) echo libc6-dev-sparc64-cross ;;
	esac
}

# guest_program SOURCE DIR: the only program of a guest, in DIR, with the list
# of files that CONFIG_INITRAMFS_SOURCE takes.
guest_program() {
	mkdir -p "$2"
	"${P_CROSS}gcc" -static -O2 -Wall -o "$2/init" "$1" ||
		die "the program for $P_NAME does not build"
	{
		cat "$ROOT/harness/initramfs"
		echo "file /init $2/init 0755 0 0"
	} >"$2/initramfs"
}

# kconfig_add DIR: sets OPTIONS so that kunit.py takes the options in $PARTS, where
# an architecture may have some of its own, over those of other fragments, and a
# guest's files from DIR.
kconfig_add() {
	local line fragments=("$PARTS/${PARTS##*/}.config")

	[ ! -f "$PARTS/$P_ARCH.config" ] || fragments+=("$PARTS/$P_ARCH.config")
	OPTIONS=(--kconfig_add="CONFIG_INITRAMFS_SOURCE=\"$1/initramfs\"")
	while read -r line; do
		OPTIONS+=(--kconfig_add="$line")
	done < <(cat "${fragments[@]}" | grep ^CONFIG_)
}
