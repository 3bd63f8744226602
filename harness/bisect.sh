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

HOME_DIR=$BUILD/bisect
WORK=$HOME_DIR/linux
PASSED=$HOME_DIR/passed
passed=0 failed=0

checkout() {
	[ -e "$WORK/.git" ] || git -C "$TREE" worktree add -q --detach "$WORK" base
	git -C "$WORK" checkout -q --detach --force "$1"
}

# build LOG: the checked out commit, with the branch's configuration.
build() {
	local out=$HOME_DIR/$P_DIR target

	need_space 3 "a kernel"
	mkdir -p "$out"
	# Each time: an older commit drops the options that it does not have.
	cp "$P_OUT/.config" "$out/.config"
	for target in olddefconfig all; do
		make -C "$WORK" O="$out" ARCH="$P_ARCH" CROSS_COMPILE="$P_CROSS" \
			-j"$(nproc)" $target || return
	done >"$1" 2>&1 </dev/null
}

# content COMMIT: what a kernel for the platform can be made from, by its hash:
# the options that are on, and no documents, tests or other architectures.
content() {
	local arch=$P_ARCH

	case $arch in
	um) arch='(um|x86)' ;;
	x86_64) arch=x86 ;;
	esac
	git -C "$TREE" ls-tree -r "$1" | grep -E $'\t'"(arch/$arch/|arch/Kconfig|[^a]|a[^r])" |
		grep -vE $'\t''(Documentation/|MAINTAINERS|tools/testing/)' |
		cat - <(grep -v '^#' "$P_OUT/.config") | sha256sum | cut -c-64
}

# The kernel that is in the build directory, by its hash.
image() {
	sha256sum "$HOME_DIR/$P_DIR"/vmlinux | cut -c-64
}

# boots LOG
boots() {
	"$ROOT/harness/kunit.sh" commit "$P_NAME" "$HOME_DIR/$P_DIR" "$1" >"$1.out" 2>&1
}

# The debug kernels compile what arm64's does, and more slowly.
names=${1:-$(platform_names | grep -vE '_(debug|kasan)$')}
for name in $names; do
	"$ROOT/harness/kunit.sh" config "$name"
done
mkdir -p "$HOME_DIR"
touch "$PASSED"
git -C "$TREE" worktree prune
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
