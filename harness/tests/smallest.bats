#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# subsets.sh: which selections of topics are built, for which platforms.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
}

built() {
	"$REPO/harness/subsets.sh" </dev/null
}

# counted: what the last run ended with.
counted() {
	grep -o '[0-9]* passed, [0-9]* failed$' <<<"$output"
}

@test "where their list says" {
	printf '%s\n' "fixes: 10-*: um" "all: *: um arm64" "apply: *:" >"$PATCHES/subsets"
	works built
	is "$(grep ^ok <<<"$output" | cut -d, -f1 | sort)" \
		"$(printf '%s\n' "ok      all for arm64" "ok      all for um" "ok      fixes for um")"
	is "$(counted)" "3 passed, 0 failed"
	grep -q CONFIG_64BIT "$REPO/build/subsets/um/.config"
}

@test "a second run builds nothing" {
	echo "all: *: um arm64" >"$PATCHES/subsets"
	works built
	works built
	is "$(grep -c '(before)$' <<<"$output")" 2
}

@test "one that does not build" {
	echo broken >>"$TREE/mm/memory.c"
	commit "mm: break it"
	tool save
	printf '%s\n' "fixes: 10-*: um" "all: *: um" >"$PATCHES/subsets"
	complains "^FAILED  all for um; log: build/log/subset-all.um.build" built
	is "$(counted)" "1 passed, 1 failed"
}

@test "a list that is wrong" {
	echo "core: 7*: um" >"$PATCHES/subsets"
	complains "^error: patches/6.12/subsets: core: unknown topic 7\\*" built
}

@test "a list that names an unknown platform" {
	echo "core: 10-*: um arm46" >"$PATCHES/subsets"
	complains "^error: unknown PLATFORM=arm46; there are: arm64 " built
}
