#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs every check, goes on after one that fails, and ends in
# "N passed, N failed". A step that counts by itself, like a platform's KUnit
# cases, adds what it counted; any other is one.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

passed=0 failed=0 skipped=0 wrong=()

# step NAME COMMAND...
step() {
	local name=$1 log start=$SECONDS status=0 p=0 f=0 s=0

	shift
	log=$BUILD/log/check.$name
	"$@" >"$log" 2>&1 </dev/null || status=$?
	read -r p f s <<<"$(sed -nE \
		's/.*\b([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/p' "$log" |
		tail -n 1)"
	if [ -z "$p" ]; then
		p=$((status == 0)) f=$((status != 0))
	elif [ $status != 0 ] && [ "$f" = 0 ]; then
		f=1
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + ${s:-0}))
	if [ "$f" = 0 ]; then
		echo "ok      $name: $p passed, $((SECONDS - start)) s"
	else
		wrong+=("$name")
		echo "FAILED  $name: $f failed, $((SECONDS - start)) s; log: build/log/check.$name"
		grep -E '^(error|FAILED|FAIL)|\[FAILED\]|complains|WARNING|ERROR|BUG:|did not run|no test ran' \
			"$log" | head -n 15 | sed 's/^/        /' || :
	fi
}

start=$SECONDS
mkdir -p "$BUILD/log"
# Every package at once, so that what follows takes no turns with apt.
packages=$(for name in $(platform_names); do platform "$name"; echo "$P_PACKAGES"; done)
# shellcheck disable=SC2086 # lists of packages
need git xz-utils $BUILD_PACKAGES $LINT_PACKAGES $DOCS_PACKAGES $packages

step harness "$ROOT/harness/test.sh"
step tree "$ROOT/harness/tree.sh" tree
step round-trip "$ROOT/harness/tree.sh" verify
step versions "$ROOT/harness/versions.sh"
for name in $(platform_names); do
	step "kunit-$name" "$ROOT/harness/kunit.sh" kunit "$name"
done
step run "$ROOT/harness/kunit.sh" run arm64
# A short form, with one seed: a failure is to come from a change.
for name in arm64 x86_64_xen powerpc sparc64; do
	step "stress-$name" "$ROOT/harness/stress.sh" "$name" 30 1
done
step lint "$ROOT/harness/lint.sh"
step docs "$ROOT/harness/docs.sh"

echo
[ ${#wrong[@]} = 0 ] || echo "failed: ${wrong[*]}; logs: build/log/check.*"
echo "took $(((SECONDS - start) / 60)) minutes"
[ $skipped = 0 ] || echo "$skipped KUnit cases skipped"
echo "$passed passed, $failed failed" | tee "$BUILD/log/summary"
[ $failed = 0 ]
