#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# subsets: on an archive with three versions of the fake kernel, one of which is
# installed.

load fake

# A package with the kernel, as the archive has it.
package() {
	local dir=$BATS_FILE_TMPDIR/package-$1

	mkdir -p "$dir/DEBIAN" "$dir/usr/src"
	cp "$KERNELS/linux-$1.tar.xz" "$dir/usr/src/linux-source-6.12.tar.xz"
	printf '%s\n' "Package: linux-source-6.12" "Version: $1-1" "Architecture: all" \
		"Maintainer: x <x@localhost>" "Description: x" >"$dir/DEBIAN/control"
	dpkg-deb --build "$dir" "$KERNELS/linux-source-6.12_$1-1_all.deb"
}

setup_file() {
	fake_kernel 6.12.999
	fake_kernel 6.12.998
	# Differs where the series has a hunk, or only above it.
	sed -i 's/^31$/other/' "$KERNELS/6.12.998/linux-source-6.12/mm/memory.c"
	fake_kernel 6.12.1000
	sed -i '10i # above' "$KERNELS/6.12.1000/linux-source-6.12/mm/memory.c"
	for version in 6.12.998 6.12.1000; do
		tar -cJf "$KERNELS/linux-$version.tar.xz" -C "$KERNELS/$version" linux-source-6.12
		package $version
	done
}

setup() {
	fresh
	grown
	cover 20-core "Needs: 10-fixes"
	cover 60-debug "Needs: 20-core"
	printf '%s\n' "# comment" "core: 10-fixes 20-*: um arm64" "all: *:" >"$PATCHES/subsets"
	stub id 1000
	stub dpkg-query "6.12.999-1"
	stub apt-cache ""
	# shellcheck disable=SC2016 # for the stub
	printf '#!/bin/sh\nfor last; do :; done\ncp "$KERNELS/linux-source-6.12_${last#*=}_all.deb" .\n' \
		>"$STUBS/apt-get"
	chmod +x "$STUBS/apt-get"
	printf '#!/bin/sh\nneed() { :; }\n' >"$REPO/harness/lib.sh"
	archive 6.12.999-1
	PATH=$STUBS:$PATH
}

# archive VERSION...
archive() {
	{
		printf '#!/bin/sh\n'
		for version; do
			printf 'echo "linux-source-6.12 | %s | http://example.org"\n' "$version"
		done
	} >"$STUBS/apt-cache"
}

subsets() {
	"$REPO/harness/subsets.py" "$@" </dev/null
}

@test "each subset on each version" {
	archive 6.12.999-1 6.12.1000-1
	works subsets
	is "$output" "$(printf '%s\n' "ok core alone" "ok 6.12.999-1 core" "ok 6.12.999-1 all" \
		"ok 6.12.1000-1 core" "ok 6.12.1000-1 all" "subsets: 5 passed, 0 failed")"
	is "$(find "$REPO/harness" -name __pycache__)" ""
	# What was fetched stays.
	rm "$STUBS/apt-get"
	works subsets
}

@test "a version where a topic does not apply" {
	archive 6.12.998-1 6.12.999-1
	complains "^FAILED 6.12.998-1 all: .*mm/memory.c:27 .*Patch failed at 0004 mm: grow" subsets
	is "$(tail -n 1 <<<"$output")" "subsets: 4 passed, 1 failed"
	grep -q "^ok 6.12.998-1 core" <<<"$output"
}

@test "a version that cannot be had" {
	archive 6.12.997-1 6.12.999-1
	complains "^FAILED 6.12.997-1: the package cannot be had: " subsets
	is "$(tail -n 1 <<<"$output")" "subsets: 3 passed, 1 failed"
}

@test "a hunk in another function" {
	sed -i 's/first_10/tenth/' "$TREE/mm/vmalloc.c"
	commit "mm: a function"
	tool save
	dir=$BATS_TEST_TMPDIR/other
	cp -r "$KERNELS/6.12.999" "$dir"
	sed -i 's/int first/int fourth/' "$dir/linux-source-6.12/mm/vmalloc.c"
	cp -r "$BATS_FILE_TMPDIR/package-6.12.1000" "$dir/package"
	tar -cJf "$dir/package/usr/src/linux-source-6.12.tar.xz" -C "$dir" linux-source-6.12
	mkdir -p "$REPO/build/cache"
	dpkg-deb --build "$dir/package" "$REPO/build/cache/linux-source-6.12_6.12.996-1_all.deb"
	archive 6.12.996-1
	complains "^FAILED 6.12.996-1 all: a hunk is in another function than on the base: @@ int fourth" subsets
}

@test "a version that is known and gone is noted" {
	echo "Tried: 6.12.990 6.12.999" >>"$PATCHES/base"
	works subsets
	is "$(grep ^note <<<"$output")" "note: 6.12.990 is no longer in the archive, and was not tried"
}

@test "no archive" {
	archive
	complains "^error: apt-cache knows no linux-source-6.12; as root: apt-get update" subsets
}

@test "what a subset refers to of topics left out" {
	mkdir -p "$TREE/include/linux"
	printf 'config DEBUG_LAZY\n\tbool\n' >>"$TREE/mm/Kconfig"
	echo 1 >"$TREE/include/linux/check.h"
	echo 1 >"$TREE/mm/debug.c"
	echo 1 >"$TREE/mm/local.h"
	commit "mm: debug" "Topic: 60-debug"
	tool save
	works subsets
	git -C "$TREE" checkout -q --detach lazy-mmu~4
	{
		echo '#include <linux/check.h>'
		echo '#include "local.h"'
		echo 'CONFIG_DEBUG_LAZY CONFIG_MMU CONFIG_DEBUG_LAZYX'
	} >>"$TREE/mm/memory.c"
	echo 'obj-y += debug.o' >"$TREE/mm/Makefile"
	printf 'config CORE\n\tbool\n\tdepends on DEBUG_LAZY\n' >"$TREE/mm/Kconfig.core"
	commit "mm: refers to it" "Topic: 20-core"
	git -C "$TREE" rebase -q HEAD lazy-mmu
	tool save
	complains "^FAILED core alone: $(
		)mm/Kconfig.core:3 has DEBUG_LAZY of 60-debug; $(
		)mm/Makefile:1 has debug.o of 60-debug; $(
		)mm/memory.c:41 has linux/check.h of 60-debug; $(
		)mm/memory.c:42 has local.h of 60-debug; $(
		)mm/memory.c:43 has DEBUG_LAZY of 60-debug$" subsets
}

@test "a subset that does not apply to the base" {
	# 60-debug changes what 20-core adds, and its cover does not say so.
	cover 60-debug
	echo "debug: 60-*: um" >>"$PATCHES/subsets"
	complains "^FAILED debug on the base: patches/6.12/60-debug/01-mm-grow.patch does not apply: " subsets
	is "$(tail -n 1 <<<"$output")" "subsets: 3 passed, 1 failed"
}

@test "what is wrong in the list is refused" {
	echo "debug: 60-debug: um" >>"$PATCHES/subsets"
	refuses "patches/6.12/subsets: debug: 60-debug needs 20-core, which is not selected" subsets
	echo "core: 7*: um" >"$PATCHES/subsets"
	refuses "patches/6.12/subsets: core: unknown topic 7\*; there are: 10-fixes 20-core 60-debug" subsets
	echo "core 10-fixes" >"$PATCHES/subsets"
	refuses 'patches/6.12/subsets: "core 10-fixes" is not "name: topics: platforms"' subsets
	printf '%s\n' "core: 10-*:" "core: 10-*:" >"$PATCHES/subsets"
	refuses "patches/6.12/subsets lists core twice" subsets
	rm "$PATCHES/subsets"
	refuses "patches/6.12/subsets lists no subset" subsets
}

@test "commits of what is built" {
	works subsets commits
	[[ $output =~ ^"core "[0-9a-f]{40}" um arm64"$ ]]
	is "$(git -C "$TREE" rev-list --count "base..$(cut -d' ' -f2 <<<"$output")")" 3
}
