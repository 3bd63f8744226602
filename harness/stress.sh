#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots the kernel that runs the tests, with panic_on_warn=1 and what else watches,
# into tools/testing/selftests/mm/lazy_mmu_stress.c: all that opens lazy MMU
# sections, at once, for SECONDS of the guest.
#
#   [PLATFORM=NAME] [SECONDS=60] [SEED=...] stress.sh
#
# Fails if memory does not hold what it is to hold, if the kernel complains,
# hangs or loses a process.

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

# For booting, and for a guest that is behind; it has to notice first that it hangs.
PATIENCE=180
ARGUMENTS=(panic_on_warn=1 oops=panic softlockup_panic=1 hung_task_panic=1 debug_pagealloc=on
	page_table_check=on printk.devkmsg=on slab_nomerge watchdog_thresh=30
	sysctl.kernel.panic_on_rcu_stall=1 sysctl.kernel.hung_task_timeout_secs=60
	test_vmalloc.run_test_mask=0 kunit_shutdown=none)

# verdict: says in one line what went wrong, if anything did.
verdict() {
	local line last

	last=$(tail -n 1 "$TMP/said")
	if line=$(grep -m 1 '^FAILED: ' "$TMP/said"); then
		echo "${line#FAILED: }"
	elif line=$(complaint "$LOG.boot") && [ "$line" ]; then
		echo "the kernel complains: $line"
	elif grep -q 'The kernel timed out' "$LOG.kunit"; then
		echo "hang: no end after $((TIME + PATIENCE)) s; last: $last"
	elif ! grep -qxF "passed: seed $SEED, $TIME s" "$TMP/said"; then
		echo "the kernel ended too early; last: $last"
	elif ! grep -qE "${P[Shows]}" "$LOG.boot"; then
		echo "this was not ${P[Name]}: no '${P[Shows]}' in the log"
	fi
}

positive() {
	[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die "$1=$2 is not a number from 1 to 999999999"
}

platform "${PLATFORM:-arm64}"
# SECONDS is what bash counts in.
TIME=$(printenv SECONDS) || TIME=60
SEED=${SEED:-$(shuf -n 1 -i 1-999999999)}
positive SECONDS "${TIME:=60}"
positive SEED "$SEED"
takes_part stress
build_tests "$@"
[ -f "$OUT/guest/stress" ] || die "the series has no $STRESS"
LOG=$LOG.stress
again="make stress PLATFORM=${P[Name]} SECONDS=$TIME SEED=$SEED"
echo "running on ${P[Name]} for $TIME s, SEED=$SEED; log: $(named "$LOG.boot")"
# shellcheck disable=SC2206 # a list
ARGUMENTS=(${P[Arguments]} "${ARGUMENTS[@]}" "guest_end=${P[End]}" "stress_seconds=$TIME"
	"stress_seed=$SEED")
# No suite is called so.
boot "$OUT" "$LOG" $((TIME + PATIENCE)) --raw_output=all "${ARGUMENTS[@]/#/--kernel_args=}" \
	no_test | said stress | tee "$TMP/said" || :
emulator "$LOG"
wrong=$(verdict)
[ ! "$wrong" ] || die "${P[Name]}: $wrong; again: $again; log: $(named "$LOG.boot")"
echo "${P[Name]}: $TIME s without a failure, SEED=$SEED; log: $(named "$LOG.boot")"
