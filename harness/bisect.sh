#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds every commit of branch lazy-mmu on every platform, or on some, boots it
# and runs the tests it has. What passed is recorded by content: a second run
# resumes where the first one stopped, a commit that changes no source of a
# platform's kernel is not built for it again, and one that leaves the kernel as
# it was, byte for byte, is not booted again.
#
#   [PLATFORM="NAME..."] [TOPICS="NAME..."] bisect.sh
#
# With TOPICS only their commits are, each with all that comes before it. The record is
# build/bisect/passed; results/BASE/bisect.passed, a copy of an earlier one, is added.

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

HOME_DIR=$BUILD/bisect
PASSED=$HOME_DIR/passed
RECORD=$ROOT/results/$BASE/bisect.passed
# A line for each kernel to boot: what platforms share, platform, commit, name of
# its logs, title.
JOBS=$HOME_DIR/jobs

# A commit before the tests has none: then booting without trouble is all.
boots() {
	run_tests "$1" "$2" && return
	grep -qE '^(\[[^]]*\] *)?1\.\.0$' "$2.boot" && check_log "$2" && return
	fails_as_base "$2"
}

# faults LOG: what run_tests found wrong, without what differs each time.
faults() {
	sed -nE 's/\+0x.*//; s/^(the kernel complains: [A-Z]*): .* at /\1 at /
		/^(the kernel complains|the suites|suite|run again|no test|this was not|test_)/p' "$1.out"
	sed -nE 's/^(\[[^]]*\])? *(not ok) [0-9]+/\2/p' "$1.boot"
}

# fails_as_base LOG: whether all that is wrong are tests and warnings that fail on the
# base as well, because a later commit mends it.
fails_as_base() {
	local log out=$HOME_DIR/${P[Kernel]}/base

	# Another base has faults of its own.
	log=$HOME_DIR/base.$(git -C "$TREE" rev-parse --short base).$name
	if [ ! -f "$log.boot" ]; then
		tree_at "$work" base && build "$OUT/.config" "$work" "$out" "$log.build" || return
		run_tests "$out" "$log" >"$log.out" 2>&1 || :
	fi
	faults "$log" | grep -E '^(not ok|run again|the kernel complains: (WARNING|BUG))' >"$log.known"
	# What fails without a fault did not boot.
	faults "$1" >"$1.faults" || return
	[ -s "$1.faults" ] || return
	! grep -qvxFf "$log.known" "$1.faults" || return
	said=", as the base fails"
}

# worker KERNEL: what there is to do in its directory, with a work tree of its own.
worker() {
	local work=$HOME_DIR/$1/linux name commit slug title start content log out image said

	grep "^$1 " "$JOBS" | while read -r _ name commit slug title; do
		platform "$name"
		start=$SECONDS said=
		content=$(content "$commit")
		log=$HOME_DIR/$slug.$name out=$HOME_DIR/$1/out
		if grep -q "^$content $name " "$PASSED"; then
			echo "ok      $name, $title (before)"
		elif tree_at "$work" "$commit" && build "$OUT/.config" "$work" "$out" "$log.build" &&
		     image=$(sha256sum "$out/vmlinux" | cut -c-64) &&
		     { grep -q "^$image $name " "$PASSED" || boots "$out" "$log" >"$log.out" 2>&1; }; then
			printf '%s\n' "$content $name $title" "$image $name image" >>"$PASSED"
			echo "ok      $name, $title, $((SECONDS - start)) s$said"
		else
			echo "FAILED  $name, $title; logs: $(named "$log").*"
		fi
	done
}

all_jobs() {
	local commit words name

	git -C "$TREE" log --reverse base..lazy-mmu \
		--format='%(trailers:key=Topic,valueonly,separator=) %H %f %h %s' |
		awk -v topics=" ${TOPICS:-} " '/^[^ ]/ { topic = $1 }
			topics == "  " || index(topics, " " topic " ") { sub(/^[^ ]* /, ""); print }' |
		while read -r commit words; do
			for name in $names; do
				platform "$name"
				echo "${P[Kernel]} $name $commit $words"
			done
		done
}

if [ "${1:-}" = worker ]; then
	worker "$2"
	exit
fi
names=$(chosen bisect)
topics=$(lines "$ROOT/patches/$BASE/series" | cut -d / -f 1 | uniq)
for topic in ${TOPICS:-}; do
	grep -qxF -e "$topic" <<<"$topics" ||
		die "unknown topic $topic; there are: $(one_line <<<"$topics")"
done
mkdir -p "$HOME_DIR"
touch "$PASSED"
[ ! -f "$RECORD" ] || sort -u -o "$PASSED" "$PASSED" "$RECORD"
"$ROOT/harness/tree.py" tree
all_jobs >"$JOBS"
cut -d ' ' -f 1,2 "$JOBS" | sort -u | while read -r kernel name; do
	[ "$kernel" != "${last:-}" ] || continue
	last=$kernel
	platform "$name"
	configure_tests
done
# Two kernels at a time: one boots while the other one compiles.
cut -d ' ' -f 1 "$JOBS" | sort -u |
	xargs -r -n 1 -P 2 "$0" worker | tee "$TMP/said"
[ "$(wc -l <"$TMP/said")" = "$(wc -l <"$JOBS")" ] || die "not every kernel came to its end"
echo "$(grep -c ^ok "$TMP/said" || :) passed, $(grep -c ^FAILED "$TMP/said" || :) failed"
! grep -q ^FAILED "$TMP/said"
