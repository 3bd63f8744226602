#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# check and .ci/run: which steps there are, how they are counted, and that no old
# summary is taken for a new one. Each step only pretends.
# shellcheck disable=SC2030,SC2031 # each test is one

load fake

setup() {
	fresh
	machine
	cp -r "$ROOT/.ci" "$REPO"
	SUMMARY=$REPO/build/log/summary
	# For a script: kills the check.sh that called it, without its subshells.
	# shellcheck disable=SC2016 # for the script
	KILL='p=$PPID
		while q=$(cut -d" " -f4 "/proc/$p/stat") && tr "\0" " " <"/proc/$q/cmdline" | grep "^[^ ]*bash [^ ]*check.sh"; do
			p=$q
		done
		kill -9 $p'
	# What a check that is killed leaves behind.
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	rm -r "$REPO/harness/tests" "$REPO"/platforms/*
	mkdir -p "$REPO/harness/tests"
	cp -r "$ROOT/platforms/common" "$REPO/platforms"
	platform arm64 "Shows: x"
	platform slow "Like: arm64" "When-named: check-stress" "Kernel: slow"
	platform um "Shows: x" "Not-stress: one CPU"
	script kunit.sh "x: 2 passed, 0 failed, 1 skipped"
	script stress.sh "x: 30 s without a failure"
	script lint.sh "lint: 9 passed, 0 failed"
	script docs.sh "rendering"
	script tree.py "tree and save give back each of 12 files"
	script subsets.py "subsets: 5 passed, 0 failed"
	bats_file one '@test "a" { :; }' '@test "b" { :; }'
	bats_file two '@test "c" { :; }' '@test "d" { skip "not here"; }'
}

# script NAME OUTPUT [COMMAND]: a script that says what it is called for.
script() {
	{
		# shellcheck disable=SC2016 # for the script
		printf '%s\n' '#!/bin/bash' \
			'echo "${0##*/} $* $PLATFORM:$(printenv SECONDS):$SEED:$FILTER" >>"$FAKE/calls"' \
			'cat <<"END"' "$2" END "${3:-}"
	} >"$REPO/harness/$1"
	chmod +x "$REPO/harness/$1"
}

bats_file() {
	printf '%s\n' '#!/usr/bin/env bats' "${@:2}" >"$REPO/harness/tests/$1.bats"
}

check() {
	make_in_repo check
}

ci() {
	"$REPO/.ci/run" </dev/null
}

@test "adds what steps count" {
	works check
	# 3 kunit, run, subsets, lint, stress, docs, tree, round-trip, bats.
	is "${lines[-1]}" "$((3 * 2 + 2 + 5 + 3 + 9 + 1 + 1 + 1 + 1)) passed, 0 failed"
	is "$(cat "$SUMMARY")" "${lines[-1]}"
	# As many skipped: of kunit, run, and bats.
	grep -qx "5 cases skipped" <<<"$output"
	is "$(grep -c '^ok  ' <<<"$output")" 12
	grep -q "^ok      test-one: 2 passed, " <<<"$output"
	grep -q "^ok      test-two: 1 passed, " <<<"$output"
	is "$(grep -c '^failed:' <<<"$output")" 0
}

@test "runs each step once, whatever the caller's variables" {
	PLATFORM=um FILTER=a.b SEED=5 works check
	is "$(sort "$FAKE/calls" | sed 's/ *$//')" "$(sort <<-'END'
		tree.py tree :::
		tree.py verify :::
		subsets.py  :::
		docs.sh  :::
		lint.sh  :::
		kunit.sh kunit arm64:::
		kunit.sh run um:::
		kunit.sh kunit slow:::
		kunit.sh kunit um:::
		stress.sh  arm64:30:1:
	END
	)"
}

@test "a new platform has its steps, and each of the repository" {
	platform new "Like: arm64"
	works check
	is "$(calls kunit.sh 'kunit new:')$(calls stress.sh new:)" 11
	# Steps of the kernel of each.
	cp -r "$ROOT/platforms" "$REPO"
	works "$REPO/harness/check.sh" queue
	# shellcheck disable=SC2016 # for the inner shell
	for name in $(bash -c '. "$0/harness/lib.sh"; platforms_for check-kunit' "$REPO"); do
		kernel=$(bash -c '. "$0/harness/lib.sh"; platform "$1"; echo "${P[Kernel]}"' "$REPO" "$name")
		is "$(grep -cx "kernel $kernel" <<<"$output")" 1
	done
}

@test "a platform that has none of a step" {
	platform um "Shows: x" "Not-stress: one CPU" "Not-kunit: it is asleep"
	works check
	is "$(calls um:)" 0
	is "$(calls 'kunit.sh kunit')" 2
}

@test "a platform that has to be named" {
	platform um "Shows: x" "When-named: check-kunit check-stress"
	works check
	is "$(calls um:)" 0
	is "$(calls 'kunit.sh kunit')" 2
}

@test "those that share a kernel take turns" {
	platform slow "Like: arm64" "When-named: check-stress"
	# shellcheck disable=SC2016 # for the script
	script kunit.sh "x: 2 passed, 0 failed" '
		[ "$PLATFORM" != um ] || exit 0
		mkdir "$FAKE/building" || exit 1
		sleep 0.2
		rmdir "$FAKE/building"'
	works check
	is "$(calls kunit.sh arm64:)$(calls kunit.sh slow:)" 11
}

@test "goes on after a step that fails" {
	script kunit.sh "no test ran
x: 1 passed, 4 failed, 1 skipped" "exit 1"
	complains "^FAILED  kunit-arm64: 4 failed, .*; log: build/log/check.kunit-arm64$" check
	grep -qx "        no test ran" <<<"$output"
	grep -q "^ok      lint: 9 passed" <<<"$output"
	is "$(cat "$SUMMARY")" "$((3 + 1 + 5 + 3 + 9 + 1 + 1 + 1 + 1)) passed, 16 failed"
	grep -qx "$(cat "$SUMMARY")" <<<"$output"
	is "$(sed -n 's/^failed: \(.*\);.*/\1/p' <<<"$output" | tr ' ' '\n' | sort | xargs)" \
		"kunit-arm64 kunit-slow kunit-um run"
}

@test "a step that dies is a failure, whatever it counted" {
	script lint.sh "lint: 9 passed, 0 failed" "exit 1"
	complains "^FAILED  lint: 1 failed" check
	is "$(cat "$SUMMARY")" "29 passed, 1 failed"
	script lint.sh "error: it cannot" "exit 1"
	complains "^FAILED  lint: 1 failed" check
	grep -qx "        error: it cannot" <<<"$output"
	is "$(cat "$SUMMARY")" "20 passed, 1 failed"
}

@test "each step that fails is seen" {
	for name in docs.sh subsets.py stress.sh tree.py; do
		script $name "error: it cannot" "exit 1"
	done
	complains "^FAILED  " check
	is "$(sed -n 's/^failed: \(.*\);.*/\1/p' <<<"$output" | tr ' ' '\n' | sort | xargs)" \
		"docs round-trip stress-arm64 subsets tree"
	is "$(cat "$SUMMARY")" "$((3 * 2 + 2 + 9 + 3)) passed, 5 failed"
}

@test "a test of the harness that fails" {
	bats_file two '@test "c" { false; }' '@test "d" { :; }' '@test "e" { skip; }'
	complains "^FAILED  test-two: 1 failed" check
	grep -q "^        not ok 1 c" <<<"$output"
	is "$(cat "$SUMMARY")" "29 passed, 1 failed"
	bats_file two '@test "c" { :; }' 'syntax ('
	complains "^FAILED  test-two: 1 failed" check
	is "$(cat "$SUMMARY")" "28 passed, 1 failed"
}

@test "a worker that is killed" {
	script kunit.sh "x: 2 passed, 0 failed" "$KILL"
	complains "^failed: worker; " check
	grep -q " passed, 1 failed$" "$SUMMARY"
}

# --- another base

# base_of NAME LINE...: patches/NAME/base.
base_of() {
	mkdir -p "$REPO/patches/$1"
	printf '%s\n' "${@:2}" >"$REPO/patches/$1/base"
}

@test "another base has steps for the platforms that it names" {
	base_of 9.9 "Base: 9.9.1" "Check: slow um"
	base_of 9.8 "Base: 9.8.1"
	# shellcheck disable=SC2016 # for the script
	script kunit.sh "x: 2 passed, 0 failed" 'echo "$BASE $PLATFORM" >>"$FAKE/based"'
	works check
	is "$(grep -c '^9.9 ' "$FAKE/based")$(grep -c '^9.9 slow$' "$FAKE/based")" 21
	is "$(grep -c '^9.8' "$FAKE/based")" 0
	# tree, round-trip, subsets and two of kunit.
	is "$(cat "$SUMMARY")" "$((4 * 2 + 5 + 3 + 9 + 4 + 1 + 1 + 5 + 2 * 2)) passed, 0 failed"
	# shellcheck disable=SC2016 # for the script
	script tree.py "error: apt-cache knows no linux-source-9.9" '[ ! "$BASE" ]'
	complains "^FAILED  tree-9.9: 1 failed" check
	is "$(sed -n 's/^failed: \(.*\);.*/\1/p' <<<"$output")" tree-9.9
}

@test "another base whose first attempt fails" {
	base_of 9.9 "Base: 9.9.1" "Check: slow"
	# shellcheck disable=SC2016 # for the script
	script tree.py "making" '[ ! "$BASE" ] || [ -e "$FAKE/again" ] || { touch "$FAKE/again"; false; }'
	works check
	is "$(calls 'kunit.sh kunit slow')" 2
}

@test "a base that the archive no longer has is skipped, and said to be" {
	base_of 9.9 "Base: 9.9.1" "Check: slow"
	# shellcheck disable=SC2016 # for the script
	script tree.py "error: sid no longer has linux-source-9.9 9.9.1: write Base: 9.9.2" '[ ! "$BASE" ]'
	works check
	grep -q "^skipped tree-9.9: error: sid no longer has .*: write Base: 9.9.2$" <<<"$output"
	is "$(cat "$SUMMARY")" "29 passed, 0 failed"
	grep -qx "6 cases skipped" <<<"$output"
}

# --- no old summary

@test ".ci/run ends as check does" {
	works ci
	is "${lines[-1]}" "29 passed, 0 failed"
	script lint.sh "lint: 8 passed, 1 failed" "exit 1"
	complains "^FAILED  lint" ci
	is "${lines[-1]}" "28 passed, 1 failed"
}

# dies MESSAGE [EARLY]: a check that has nothing to count, after one that was green;
# EARLY: where check.sh cannot even remove a summary.
dies() {
	for command in check ci; do
		echo "99 passed, 0 failed" >"$SUMMARY"
		complains "$1" $command
		is "$(grep -c '99 passed' <<<"$output")" 0
		[ "${2:-}" ] || [ ! -e "$SUMMARY" ]
	done
	is "${lines[-1]}" "0 passed, 1 failed"
}

@test "packages are missing, after a check that was green" {
	works check
	stub dpkg-query "unknown ok not-installed"
	stub id 1000
	dies "^error: packages are missing; as root: apt-get install git xz-utils bats .*sparse"
	is "$(calls 'tree.py tree')" 1
}

@test "a record is wrong, after a check that was green" {
	works check
	platform new "Like: arm64" "Consoles: 2"
	dies "^error: platforms/new/platform: there is no key Consoles"
}

@test "a script is missing, after a check that was green" {
	works check
	rm "$REPO/harness/lib.sh"
	dies "lib.sh: No such file" early
}

@test "check is killed, after one that was green" {
	works check
	script tree.py "" "$KILL"
	dies "Killed"
}

@test "the Makefile is broken, after a check that was green" {
	works check
	echo 'what is this' >>"$REPO/Makefile"
	dies "missing separator" early
}
