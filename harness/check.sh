#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs every check, goes on after one that fails, and ends in
# "N passed, N failed". A step that counts by itself, like a platform's KUnit
# cases, adds what it counted; any other is one. Two lanes of steps run side by
# side: one boots or thinks on a single CPU while the other one compiles.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

# step NAME SCRIPT ARGUMENT...
step() {
	local name=$1 log start=$SECONDS status=0 p=0 f=0 s=0 complaints

	log=$BUILD/log/check.$name
	"$ROOT/harness/$2.sh" "${@:3}" >"$log" 2>&1 </dev/null || status=$?
	read -r p f s <<<"$(sed -nE \
		's/.*\b([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/p' "$log" |
		tail -n 1)"
	if [ -z "$p" ]; then
		p=$((status == 0)) f=$((status != 0))
	elif [ $status != 0 ] && [ "$f" = 0 ]; then
		f=1
	fi
	echo "$p $f ${s:-0} $name" >>"$TMP/results"
	if [ "$f" = 0 ]; then
		echo "ok      $name: $p passed, $((SECONDS - start)) s"
	else
		complaints=$(grep -E '^(error|FAILED|FAIL)|\[FAILED\]|complains|WARNING|ERROR|BUG:|did not run|no test ran' \
			"$log" | head -n 15 | sed 's/^/        /' || :)
		echo "FAILED  $name: $f failed, $((SECONDS - start)) s; log: build/log/check.$name${complaints:+
$complaints}"
	fi
}

# lane: the steps on stdin, a line each, one after the other.
lane() {
	local line

	while read -ra line; do
		step "${line[@]}"
	done
}

# platform_steps LANE
platform_steps() {
	local name

	for name in $(platforms_of "$1"); do
		echo "kunit-$name kunit kunit $name"
		# A short form, with one seed: a failure is to come from a change.
		case $name in
		arm64 | x86_64_xen | powerpc | sparc64)
			echo "stress-$name stress $name 30 1"
			;;
		esac
		[ "$name" != arm64 ] || echo "run kunit run arm64"
	done
}

start=$SECONDS
mkdir -p "$BUILD/log"
: >"$TMP/results"
# Every package at once, so that what follows takes no turns with apt.
packages=$(for name in $(platform_names); do platform "$name"; echo "$P_PACKAGES $(libc_package)"; done)
# shellcheck disable=SC2086 # lists of packages
need git xz-utils $BUILD_PACKAGES $LINT_PACKAGES $DOCS_PACKAGES $packages

step tree tree tree
lane < <(platform_steps "${LANES[0]}") &
lanes=($!)
lane < <(
	platform_steps "${LANES[1]}"
	echo "harness test"
	echo "round-trip tree verify"
	echo "versions versions"
	echo "docs docs"
) &
lanes+=($!)
for pid in "${lanes[@]}"; do
	wait "$pid" || echo "0 1 0 lane" >>"$TMP/results"
done
# Compiles in the directories of all platforms.
step lint lint

read -r passed failed skipped <<<"$(awk \
	'{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$TMP/results")"
wrong=$(awk '$2 { print $4 }' "$TMP/results" | one_line)
echo
[ ! "$wrong" ] || echo "failed: $wrong; logs: build/log/check.*"
echo "took $(((SECONDS - start) / 60)) minutes"
[ "$skipped" = 0 ] || echo "$skipped KUnit cases skipped"
echo "$passed passed, $failed failed" | tee "$BUILD/log/summary"
[ "$failed" = 0 ]
