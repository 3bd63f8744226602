#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tries `git am build/series/*.patch` on each linux-source-6.12 that Debian's
# archive holds. Only the files that the series changes are unpacked.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

# Versions the series is known to apply to. Debian drops old ones in time.
KNOWN="6.12.107 6.12.111 6.12.113 6.12.115 6.12.117"
CACHE=$BUILD/cache
passed=0 failed=0

archive_versions() {
	apt-cache madison linux-source-6.12 | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' |
		sort -uV
}

# unpack VERSION DIR: the changed files of that package.
unpack() {
	local deb installed

	installed=$(dpkg-query -W -f '${Version}' linux-source-6.12 2>/dev/null || :)
	deb=$CACHE/linux-source-6.12_${1}_all.deb
	if [ "$installed" != "$1" ] && [ ! -f "$deb" ]; then
		(cd "$CACHE" && apt-get download -qq -o APT::Sandbox::User=root "linux-source-6.12=$1" 2>&1) || return
	fi
	rm -rf "$2"
	mkdir -p "$2"
	if [ "$installed" = "$1" ]; then
		cat /usr/src/linux-source-6.12.tar.xz
	else
		dpkg-deb --fsys-tarfile "$deb" 2>/dev/null | tar -xO ./usr/src/linux-source-6.12.tar.xz
	fi | tar -xJ -C "$2" --strip-components=1 --occurrence=1 -T "$TMP/members" 2>"$TMP/err" || :
	[ -f "$2/Makefile" ]
}

# Every changed line with its file and function, wherever it is in there.
places() {
	git -C "$1" diff -U0 --no-renames base "$2" | sed -E 's/^@@ [^@]*@@/@@/; /^index /d'
}

try() {
	local dir=$CACHE/$1

	if ! unpack "$1" "$dir"; then
		echo "FAILED $1: the package cannot be had"
		return 1
	fi
	git -C "$dir" init -q
	printf '*.%s diff=cpp\n' c h >"$dir/.git/info/attributes"
	git -C "$dir" add -A -f
	git -C "$dir" -c user.name=x -c user.email=x@localhost commit -qm "$1"
	git -C "$dir" tag base
	if ! git -C "$dir" -c user.name=x -c user.email=x@localhost \
		am -q "$BUILD"/series/*.patch >"$TMP/am" 2>&1; then
		echo "FAILED $1: $(grep -E '^(Patch failed|error)' "$TMP/am" | one_line)"
		return 1
	fi
	if ! cmp -s <(places "$dir" HEAD) <(places "$TREE" lazy-mmu); then
		echo "FAILED $1: a hunk is in another function than on the base:" \
			"$(diff <(places "$dir" HEAD) <(places "$TREE" lazy-mmu) | sed -n 2p)"
		return 1
	fi
	echo "ok $1"
}

need git xz-utils dpkg apt
"$ROOT/harness/tree.sh" series
mkdir -p "$CACHE"
{
	echo linux-source-6.12/Makefile
	git -C "$TREE" diff --name-only --no-renames --diff-filter=MDT base lazy-mmu |
		sed 's,^,linux-source-6.12/,'
} | sort -u >"$TMP/members"
versions=$(archive_versions)
if [ -z "$versions" ] && [ "$(id -u)" = 0 ]; then
	apt-get update -qq
	versions=$(archive_versions)
fi
[ "$versions" ] || die "apt-cache knows no linux-source-6.12; as root: apt-get update"
for version in $KNOWN; do
	case $versions in
	*"$version-"*) ;;
	*) note "$version is no longer in the archive, and was not tried" ;;
	esac
done
for version in $versions; do
	if try "$version"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "versions: $passed passed, $failed failed"
[ $failed = 0 ]
