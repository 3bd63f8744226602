#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the selections of topics that patches/BASE/subsets names, each for its
# platforms, in the smallest configuration that holds what they change. What
# passed is recorded by content.

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

HOME_DIR=$BUILD/subsets
PASSED=$HOME_DIR/passed

declare -A configured

# smallest: the configuration, in OUT, as the whole series has it. Once a kernel.
smallest() {
	local files

	[ ! "${configured[$OUT]:-}" ] || return 0
	configured[$OUT]=1
	# shellcheck disable=SC2086 # lists of packages
	need $BUILD_PACKAGES ${P[Packages]}
	mkdir -p "$OUT"
	mapfile -t files < <(fragments small)
	cat "${files[@]}" >"$OUT/fragments"
	# shellcheck disable=SC2086 # a list
	make -C "$TREE" O="$OUT" ARCH="${P[Arch]}" CROSS_COMPILE="${P[Cross]}" ${P[Make]} \
		KCONFIG_ALLCONFIG="$OUT/fragments" allnoconfig >"$LOG.config" 2>&1 </dev/null ||
		die "no configuration for ${P[Name]}; log: $(named "$LOG.config")"
}

# A wrong record stops this before anything is built.
platforms_for lint >/dev/null
mkdir -p "$HOME_DIR"
touch "$PASSED"
"$ROOT/harness/tree.py" tree
"$ROOT/harness/subsets.py" commits >"$TMP/subsets" || die "subsets.py has no commits"
passed=0 failed=0
while read -r subset commit names <&3; do
	for name in $names; do
		platform "$name"
		start=$SECONDS
		OUT=$HOME_DIR/${P[Kernel]} LOG=$LOGS/subset-$subset.$name
		smallest
		content=$(content "$commit")
		if grep -qx "$content $name" "$PASSED"; then
			echo "ok      $subset for $name (before)"
			passed=$((passed + 1))
		elif tree_at "$HOME_DIR/linux" "$commit" &&
		     build "$OUT/.config" "$HOME_DIR/linux" "$OUT.build" "$LOG.build"; then
			echo "$content $name" >>"$PASSED"
			echo "ok      $subset for $name, $((SECONDS - start)) s"
			passed=$((passed + 1))
		else
			echo "FAILED  $subset for $name; log: $(named "$LOG.build")"
			failed=$((failed + 1))
		fi
	done
done 3<"$TMP/subsets"
echo "subsets built: $passed passed, $failed failed"
[ $failed = 0 ]
