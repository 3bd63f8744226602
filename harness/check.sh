#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs every check, continues after one that fails, and ends in
# "N passed, N failed". A step that counts by itself, like a platform's KUnit
# cases, adds what it counted; any other is one.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

# Lines of "passed failed skipped step".
COUNTS=$BUILD/log/check.counts
COMPLAINTS='^(error|FAILED|FAIL|not ok)|\[FAILED\]|complains|(warning|error): |WARNING|ERROR|BUG:|no test ran|does not build'

# step NAME COMMAND...
step() {
	local name=$1 log=$LOGS/check.$1 start=$SECONDS status=0 p=0 f=0 s=0 wrong

	(cd "$ROOT" && "${@:2}") >"$log" 2>&1 </dev/null || status=$?
	# As kunit.sh and others end, or as bats counts.
	read -r p f s <<<"$(sed -nE \
		'/^#/d; s/.*\b([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/p' "$log" |
		tail -n 1)"
	if [ -z "$p" ] && grep -q '^1\.\.[0-9]' "$log"; then
		s=$(grep -c '^ok .* # skip' "$log" || :)
		p=$(($(grep -c '^ok ' "$log" || :) - s)) f=$(grep -c '^not ok ' "$log" || :)
	fi
	: "${p:=$((status == 0))}" "${f:=0}"
	[ $status = 0 ] || [ "$f" != 0 ] || f=1
	echo "$p $f ${s:-0} $name" >>"$COUNTS"
	if [ "$f" = 0 ]; then
		echo "ok      $name: $p passed, $((SECONDS - start)) s"
	else
		wrong=$(grep -E "$COMPLAINTS" "$log" | head -n 15 | sed 's/^/        /' || :)
		echo "FAILED  $name: $f failed, $((SECONDS - start)) s; log: $(named "$log")${wrong:+
$wrong}"
	fi
}

# kernel DIR: the steps of platforms that share it, one after the other.
kernel() {
	local name

	for name in $(platforms_for check-kunit); do
		platform "$name"
		[ "${P[Kernel]}" = "$1" ] || continue
		export PLATFORM=$name
		step "kunit-$name" harness/kunit.sh kunit
		# A short form, with one seed: a failure is to come from a change.
		! platforms_for check-stress | grep -x "$name" >/dev/null ||
			step "stress-$name" env SECONDS=30 SEED=1 harness/stress.sh
		[ "$name" != um ] || step run harness/kunit.sh run
	done
}

# other_base BASE PLATFORM...: the steps of another base. Debian's archive keeps one
# only until there is a newer one, which is no fault of the series.
other_base() {
	local name log=$LOGS/check.tree-$1

	export BASE=$1
	# It is a tarball of this base.
	unset LINUX_TARBALL
	(cd "$ROOT" && harness/tree.py tree) >"$log" 2>&1 </dev/null || :
	if grep -q 'no longer has' "$log"; then
		echo "skipped tree-$1: $(tail -n 1 "$log")"
		echo "0 0 1 tree-$1" >>"$COUNTS"
		return
	fi
	step "tree-$1" harness/tree.py tree
	grep -q "^1 0 .* tree-$1$" "$COUNTS" || return 0
	step "round-trip-$1" harness/tree.py verify
	step "subsets-$1" harness/subsets.py
	for name in "${@:2}"; do
		step "kunit-$1-$name" env PLATFORM="$name" harness/kunit.sh kunit
	done
}

# queue: what may run side by side, the longest first.
queue() {
	local name

	for name in $(platforms_for check-kunit); do
		platform "$name"
		echo "kernel ${P[Kernel]}"
	done | sort -u
	# Bases beside this one, and the platforms that it says are to be checked.
	(cd "$ROOT/patches" && { grep -s '^Check: ' -- /dev/null */base || :; }) |
		sed "/^$BASE\\//d; s,/base:Check:,,; s/^/other_base /"
	for name in "$ROOT"/harness/tests/*.bats; do
		echo "step test-$(basename "$name" .bats) bats $(named "$name")"
	done
	echo "step round-trip harness/tree.py verify"
	echo "step subsets harness/subsets.py"
	echo "step docs harness/docs.sh"
}

if [ $# -gt 0 ]; then
	"$@"
	exit
fi
start=$SECONDS
rm -f "$LOGS/summary"
: >"$COUNTS"
unset PLATFORM FILTER TOPICS LINUX FROM COMMIT LINUX_PEER SEED MUTANT GDB
# Every package at once, so that what follows takes no turns with apt.
packages=$(for name in $(all_platforms); do platform "$name"; echo "${P[Packages]} ${P[Libc]}"; done)
# shellcheck disable=SC2086 # lists of packages
need git xz-utils bats $BUILD_PACKAGES $LINT_PACKAGES $DOCS_PACKAGES $packages

step tree harness/tree.py tree
# Two workers: one boots or thinks on a single CPU while the other one compiles.
queue | xargs -P 2 -L 1 "$0" || echo "0 1 0 worker" >>"$COUNTS"
# Compiles in the directories of all platforms.
step lint harness/lint.sh

read -r passed failed skipped <<<"$(awk \
	'{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$COUNTS")"
wrong=$(awk '$2 { print $4 }' "$COUNTS" | one_line)
echo
[ ! "$wrong" ] || echo "failed: $wrong; logs: $(named "$LOGS")/check.*"
echo "took $(((SECONDS - start) / 60)) minutes"
[ "$skipped" = 0 ] || echo "$skipped cases skipped"
echo "$passed passed, $failed failed" | tee "$LOGS/summary"
[ "$failed" = 0 ]
