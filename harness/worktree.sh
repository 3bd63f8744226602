# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced behind lib.sh by what builds other versions of the series than the
# one that is checked out in build/linux: in a tree and in build directories of
# its own, below build/NAME.

# worktree NAME: sets HOME_DIR and WORK.
worktree() {
	HOME_DIR=$BUILD/$1
	WORK=$HOME_DIR/linux
	mkdir -p "$HOME_DIR"
}

checkout() {
	git -C "$TREE" worktree prune
	[ -e "$WORK/.git" ] || git -C "$TREE" worktree add -q --detach "$WORK" base
	git -C "$WORK" checkout -q --detach --force "$1"
}

# make_in_worktree TARGET
make_in_worktree() {
	make -C "$WORK" O="$HOME_DIR/$P_DIR" ARCH="$P_ARCH" CROSS_COMPILE="$P_CROSS" \
		"${P_MAKE[@]}" -j"$(nproc)" "$1"
}

# build LOG: what is in the tree, with the branch's configuration.
build() {
	local config=$HOME_DIR/$P_DIR/.config

	need_space 3 "a kernel"
	mkdir -p "$HOME_DIR/$P_DIR"
	{
		# An older commit drops the options that it does not have.
		cmp -s "$P_OUT/.config" "$config" ||
			{ cp "$P_OUT/.config" "$config" && make_in_worktree olddefconfig; } ||
			return
		make_in_worktree all
	} >"$1" 2>&1 </dev/null
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

# boots LOG [FILTER]
boots() {
	"$ROOT/harness/kunit.sh" commit "$P_NAME" "$HOME_DIR/$P_DIR" "$1" "${2:-}" \
		>"$1.out" 2>&1
}
