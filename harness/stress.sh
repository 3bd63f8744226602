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
AGAIN="make stress PLATFORM=${P[Name]} SECONDS=$TIME SEED=$SEED"
echo "running on ${P[Name]} for $TIME s, SEED=$SEED; log: $(named "$LOG.boot")"
watched "$OUT" stress "passed: seed $SEED, $TIME s" test_vmalloc.run_test_mask=0 \
	"stress_seconds=$TIME" "stress_seed=$SEED"
echo "${P[Name]}: $TIME s without a failure, SEED=$SEED; log: $(named "$LOG.boot")"
