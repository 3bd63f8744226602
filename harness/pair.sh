# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced behind lib.sh by what puts stock 6.12 beside the series: two trees, and
# two kernels with the configuration of the series, below build/NAME.

# pair NAME: sets PAIR, HOME_DIR and PARTS.
pair() {
	PAIR=$1
	KERNELS=(stock series)
	HOME_DIR=$BUILD/$1
	PARTS=$ROOT/harness/$1
	mkdir -p "$HOME_DIR"
}

# That of the series boots both.
kunit_py() {
	(
		cd "$HOME_DIR/linux-series" || exit
		PYTHONDONTWRITEBYTECODE=1 ./tools/testing/kunit/kunit.py "$@" </dev/null
	)
}

pair_source() {
	local work=$HOME_DIR/linux-$1

	[ -e "$work/.git" ] ||
		git -C "$TREE" worktree add -q --detach "$work" "$2"
	git -C "$work" checkout -q --detach --force "$2"
}

# pair_sources COMMIT: a work tree for each.
pair_sources() {
	git -C "$TREE" worktree prune
	# The base does not build for sparc64 without the first patch.
	pair_source stock "$(git -C "$TREE" rev-list --reverse base..lazy-mmu | sed -n 1p)"
	pair_source series "$1"
}

# pair_config ARGUMENT...: the configuration of both, as kunit.py makes it.
pair_config() {
	local out=$HOME_DIR/$P_DIR kernel

	mkdir -p "${KERNELS[@]/#/"$out/"}"
	kunit_py config --arch="$P_BUILD_ARCH" --cross_compile="$P_CROSS" \
		--build_dir="$out/series" "${P_MAKE[@]/#/--make_options=}" \
		--kunitconfig="$ROOT/harness/configs/common.config" \
		--kunitconfig="$ROOT/harness/configs/$P_DIR.config" "$@" \
		>"$P_LOG.$PAIR" 2>&1 ||
		die "no configuration for $P_NAME; log: build/log/$P_NAME.$PAIR"
	for kernel in "${KERNELS[@]}"; do
		[ "$kernel" = series ] || cp "$out/series/.config" "$out/$kernel/.config"
	done
}

# pair_build KERNEL
pair_build() {
	local target

	echo "building $1 for $P_NAME; log: build/log/$P_NAME.$PAIR"
	for target in olddefconfig all; do
		make -C "$HOME_DIR/linux-$1" O="$HOME_DIR/$P_DIR/$1" ARCH="$P_ARCH" \
			CROSS_COMPILE="$P_CROSS" "${P_MAKE[@]}" -j"$(nproc)" $target \
			>>"$P_LOG.$PAIR" 2>&1 </dev/null ||
			die "$1 does not build for $P_NAME; log: build/log/$P_NAME.$PAIR"
	done
}
