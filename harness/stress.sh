#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots the kernel in build/linux, with debug options and panic_on_warn=1, into
# tools/testing/selftests/mm/lazy_mmu_stress.c: all that opens lazy MMU sections,
# at once, for some time.
#
#   stress.sh [PLATFORM [SECONDS [SEED]]]   in the guest's seconds
#
# Fails if memory does not hold what it is to hold, if the kernel complains,
# hangs or loses a process.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

PARTS=$ROOT/harness/stress
# For booting, and for a guest that is behind; it has to notice first that it hangs.
PATIENCE=180
KERNEL_ARGS=(panic_on_warn=1 printk.devkmsg=on slab_nomerge watchdog_thresh=30
	sysctl.kernel.panic_on_rcu_stall=1 sysctl.kernel.hung_task_timeout_secs=60)

kunit_py() {
	(
		cd "$TREE" || exit
		PYTHONDONTWRITEBYTECODE=1 ./tools/testing/kunit/kunit.py "$@" \
			--cross_compile="$P_CROSS" --build_dir="$OUT" </dev/null
	)
}

build() {
	local start=$SECONDS

	guest_program "$TREE/tools/testing/selftests/mm/lazy_mmu_stress.c" "$OUT/guest"
	kconfig_add "$OUT/guest"
	echo "building the kernel for $P_NAME; log: $LOG.build"
	kunit_py build --arch="$P_BUILD_ARCH" --jobs="$(nproc)" \
		--kunitconfig="$ROOT/harness/configs/common.config" \
		--kunitconfig="$ROOT/harness/configs/$P_DIR.config" "${OPTIONS[@]}" \
		>"$ROOT/$LOG.build" 2>&1 ||
		die "the kernel for $P_NAME does not build; log: $LOG.build"
	echo "built in $((SECONDS - start)) s"
}

boot() {
	kunit_py exec --arch="$P_RUN_ARCH" --raw_output=all "${P_SMP[@]}" \
		--timeout=$((TIME + PATIENCE)) "${KERNEL_ARGS[@]/#/--kernel_args=}" \
		--kernel_args="stress_seconds=$TIME" --kernel_args="stress_seed=$SEED" 2>&1 |
		tee "$ROOT/$LOG.boot" | sed -un 's/^.*stress: //p' | tee "$TMP/said" || :
}

# complaint LOG: the first one, with what a warning says before it says where.
complaint() {
	TROUBLE=$TROUBLE awk '
		{ sub(/^\[[^]]*\] */, "") }
		/cut here/ { what = " "; next }
		$0 ~ ENVIRON["TROUBLE"] { print substr(what, 2) $0; exit }
		what { what = what $0 ": " }' "$1"
}

# verdict: says in one line what went wrong, if anything did.
verdict() {
	local line boot=$ROOT/$LOG.boot

	if line=$(grep -m 1 '^FAILED: ' "$TMP/said"); then
		echo "${line#FAILED: }"
	elif grep -qE "$TROUBLE" "$boot"; then
		echo "the kernel complains: $(complaint "$boot")"
	elif grep -q 'The kernel timed out' "$boot"; then
		echo "hang: no end after $((TIME + PATIENCE)) s; last: $(tail -n 1 "$TMP/said")"
	elif ! grep -qxF "passed: seed $SEED, $TIME s" "$TMP/said"; then
		echo "the kernel ended too early; last: $(tail -n 1 "$TMP/said")"
	elif ! grep -qE "$P_SHOWS" "$boot"; then
		echo "this was not $P_NAME: no '$P_SHOWS' in the log"
	fi
}

positive() {
	[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die "$1=$2 is no number from 1 to 999999999"
}

platform "${1:-arm64}"
TIME=${2:-60} SEED=${3:-$(shuf -n 1 -i 1-999999999)}
positive SECONDS "$TIME"
positive SEED "$SEED"
[ "$P_ARCH" != um ] || die "PLATFORM=um is not supported: it has no preemption and one CPU"
OUT=$BUILD/stress/$P_DIR
LOG=build/log/$P_NAME.stress
# shellcheck disable=SC2046,SC2086 # lists of packages
need $BUILD_PACKAGES $P_PACKAGES $(libc_package)
"$ROOT/harness/tree.sh" tree
need_space 4 "make stress"
build
echo "running on $P_NAME for $TIME s, SEED=$SEED; log: $LOG.boot"
boot
wrong=$(verdict)
[ ! "$wrong" ] || die "$P_NAME: $wrong; again: make stress PLATFORM=$P_NAME SECONDS=$TIME SEED=$SEED; log: $LOG.boot"
echo "$P_NAME: $TIME s without a failure, SEED=$SEED; log: $LOG.boot"
