#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds every commit of branch lazy-mmu on every platform, or on one, boots it
# and runs the tests it has. What passed is recorded by content: a second run
# goes on where the first one stopped, a commit that changes no source of a
# platform's kernel is not built for it again, and one that leaves the kernel as
# it was, byte for byte, is not booted again.
#
#   bisect.sh [PLATFORM]

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=harness/worktree.sh
. "$ROOT/harness/worktree.sh"

worktree bisect
PASSED=$HOME_DIR/passed
passed=0 failed=0

# The kernel that is in the build directory, by its hash.
image() {
	sha256sum "$HOME_DIR/$P_DIR"/vmlinux | cut -c-64
}

# The debug kernels compile what arm64's does, and more slowly.
names=${1:-$(platform_names | grep -vE '_(debug|kasan)$')}
for name in $names; do
	"$ROOT/harness/kunit.sh" config "$name"
done
touch "$PASSED"
for commit in $(git -C "$TREE" rev-list --reverse base..lazy-mmu); do
	title=$(git -C "$TREE" log -1 --format='%h %s' "$commit")
	for name in $names; do
		platform "$name"
		start=$SECONDS
		content=$(content "$commit")
		log=$HOME_DIR/$(git -C "$TREE" log -1 --format=%f "$commit").$name
		if grep -qx "$content $name" "$PASSED"; then
			passed=$((passed + 1))
			echo "ok      $name, $title (before)"
		elif checkout "$commit" && build "$log.build" && kernel=$(image) &&
		     { grep -qx "$kernel $name" "$PASSED" || boots "$log"; }; then
			passed=$((passed + 1))
			printf '%s\n' "$content $name" "$kernel $name" >>"$PASSED"
			echo "ok      $name, $title, $((SECONDS - start)) s"
		else
			failed=$((failed + 1))
			echo "FAILED  $name, $title; logs: ${log#"$ROOT"/}.*"
		fi
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
