#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds every commit of branch lazy-mmu on every platform, or on some, boots it
# and runs the tests it has. What passed is recorded by content: a second run
# goes on where the first one stopped, a commit that changes no source of a
# platform's kernel is not built for it again, and one that leaves the kernel as
# it was, byte for byte, is not booted again.
#
#   bisect.sh ["PLATFORM..."]

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=harness/worktree.sh
. "$ROOT/harness/worktree.sh"

worktree bisect
PASSED=$HOME_DIR/passed

# The kernel that is in the build directory, by its hash.
image() {
	sha256sum "$HOME_DIR/$P_DIR"/vmlinux | cut -c-64
}

# lane NUMBER PLATFORM...: with a work tree of its own.
lane() {
	local commit title name start content log kernel

	WORK=$HOME_DIR/linux-$1
	for commit in $(git -C "$TREE" rev-list --reverse base..lazy-mmu); do
		title=$(git -C "$TREE" log -1 --format='%h %s' "$commit")
		for name in "${@:2}"; do
			platform "$name"
			start=$SECONDS
			content=$(content "$commit")
			log=$HOME_DIR/$(git -C "$TREE" log -1 --format=%f "$commit").$name
			if grep -qx "$content $name" "$PASSED"; then
				echo "ok      $name, $title (before)"
			elif checkout "$commit" && build "$log.build" && kernel=$(image) &&
			     { grep -qx "$kernel $name" "$PASSED" || boots "$log"; }; then
				printf '%s\n' "$content $name" "$kernel $name" >>"$PASSED"
				echo "ok      $name, $title, $((SECONDS - start)) s"
			else
				echo "FAILED  $name, $title; logs: ${log#"$ROOT"/}.*"
			fi
		done
	done
}

# The debug kernels compile what arm64's does, and more slowly.
# shellcheck disable=SC2086 # a list
names=$(printf '%s\n' ${1:-$(platform_names | grep -vE '_(debug|kasan)$')})
for name in $names; do
	"$ROOT/harness/kunit.sh" config "$name"
done
touch "$PASSED"
{
	lanes=()
	for number in "${!LANES[@]}"; do
		# shellcheck disable=SC2046 # a list
		lane "$number" $(platforms_of "${LANES[number]}" | grep -xF "$names") &
		lanes+=($!)
	done
	for pid in "${lanes[@]}"; do
		wait "$pid" || die "a lane did not come to its end"
	done
} | tee "$TMP/said"
echo "$(grep -c ^ok "$TMP/said" || :) passed, $(grep -c ^FAILED "$TMP/said" || :) failed"
! grep -q ^FAILED "$TMP/said"
