#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# stress: what a stressed kernel says, and what is refused.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	STARTED="[ 1.0] stress: 1 s: mmap 1"
	PASSED="[ 2.0] stress: passed: seed 7, 30 s"
}

stress() {
	SECONDS=30 SEED=7 make_in_repo stress
}

@test "a run that passes" {
	boots "$STARTED" "$PASSED"
	works stress
	is "$(grep -c '^1 s: mmap 1$' <<<"$output")" 1
	is "${lines[-1]}" "arm64: 30 s without a failure, SEED=7; log: build/log/arm64.stress.boot"
	is "$(calls 'kunit.py exec' --arch=arm64 --timeout=210 --kernel_args=test_vmalloc.run_test_mask=0 --kernel_args=stress_seconds=30 \
		--kernel_args=stress_seed=7 --kernel_args=panic_on_warn=1)" 1
}

@test "what the guest finds" {
	boots "[ 1.0] stress: FAILED: mismatch: page 3" "$PASSED"
	complains "^error: arm64: mismatch: page 3; again: make stress PLATFORM=arm64 SECONDS=30 SEED=7; log: build/log/" stress
}

@test "a kernel that complains" {
	boots "[ 1.0] WARNING: CPU: 0" "$PASSED"
	complains "^error: arm64: the kernel complains: WARNING: CPU: 0" stress
	boots "unlike" "[ 1.0] --[ cut here ]--" "it broke" "WARNING: CPU: 0"
	complains "^error: arm64: the kernel complains: it broke: WARNING: CPU: 0; again" stress
}

@test "a kernel that hangs" {
	boots "$STARTED" "[ERROR] The kernel timed out after 210 seconds"
	complains "^error: arm64: hang: no end after 210 s; last: 1 s: mmap 1;" stress
}

@test "a kernel that ends too early" {
	boots "$STARTED"
	complains "^error: arm64: the kernel ended too early; last: 1 s: mmap 1;" stress
	boots "[ 1.0] stress: passed: seed 8, 30 s"
	complains "^error: arm64: the kernel ended too early" stress
}

@test "another machine" {
	boots "$PASSED"
	sed -i 's/Booting/Starting/' "$FAKE/boot"
	complains "^error: arm64: this was not arm64" stress
}

@test "without SEED each run has another" {
	for _ in 1 2; do
		boots
		complains "again: make stress PLATFORM=arm64 SECONDS=60 SEED=[1-9]" make_in_repo stress
		seeds+="$(grep -o 'SEED=[0-9]*;' <<<"$output" | tail -n 1) "
	done
	read -r first second <<<"$seeds"
	[ "$first" != "$second" ]
}

@test "what is not a number" {
	for bad in 1m 0 -1 1234567890 1.5 007; do
		refuses "^error: SECONDS=$bad is not a number from 1 to 999999999" make_in_repo stress SECONDS="$bad"
	done
	refuses "^error: SEED=0 is not a number" make_in_repo stress SEED=0
	refuses "^error: SEED=x is not a number" make_in_repo stress SEED=x
}

@test "a platform that there is not, or that cannot" {
	refuses "^error: unknown PLATFORM=vax" make_in_repo stress PLATFORM=vax
	refuses "^error: PLATFORM=um has no stress: .*; there are: arm64 " make_in_repo stress PLATFORM=um
}

@test "a series without the program" {
	git -C "$TREE" rm -q tools/testing/selftests/mm/lazy_mmu_stress.c
	git -C "$TREE" commit -q --amend --no-edit
	complains "^error: the series has no tools/testing/selftests/mm/lazy_mmu_stress.c" stress
	is "$(calls 'kunit.py exec')" 0
}
