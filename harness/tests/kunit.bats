#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# kunit and run: what is built and booted, and which boots count as failed.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	ROWS='lazy_mmu_mode_enable() -> arch_enter() enable=1 pause=0
lazy_mmu_mode_enable() -> ø enable=2 pause=0
lazy_mmu_mode_pause() -> arch_leave() enable=2 pause=1
lazy_mmu_mode_resume() -> arch_enter() enable=2 pause=0
lazy_mmu_mode_disable() -> arch_flush() enable=1 pause=0
lazy_mmu_mode_disable() -> arch_leave() enable=0 pause=0'
}

# kunit [PLATFORM [FILTER]]
kunit() {
	PLATFORM=${1:-arm64} FILTER=${2:-} make_in_repo kunit
}

# --- a machine that lacks something

@test "packages are named, where nobody is root" {
	stub dpkg-query "unknown ok not-installed"
	stub id 1000
	refuses "^error: packages are missing; as root: apt-get install .*gcc-aarch64-linux-gnu" make_in_repo run
	refuses "^error: packages are missing; as root: apt-get install .*qemu-system-ppc" \
		make_in_repo kunit PLATFORM=powerpc
}

@test "packages that cannot be installed" {
	stub dpkg-query "unknown ok not-installed"
	stub id 0
	printf '#!/bin/sh\necho "E: no network"\nexit 100\n' >"$STUBS/apt-get"
	chmod +x "$STUBS/apt-get"
	refuses "^error: apt-get could not install .*; log: build/log/apt.log" make_in_repo run
	grep -q "E: no network" "$REPO/build/log/apt.log"
}

@test "a disk without room for a kernel" {
	stub df 2G
	complains "^error: a kernel needs 3 GB of disk below .*, 2 GB are free" kunit
	is "$(calls 'make all')" 0
}

@test "a compiler that makes no program" {
	touch "$FAKE/no-compiler"
	complains "^error: shell.c does not build for arm64" kunit
}

@test "a platform has to be said" {
	refuses "^error: say PLATFORM=NAME; there are: arm64 .* um " make_in_repo kunit
	refuses "^error: unknown PLATFORM=mips; there are: arm64 .* um " kunit mips
	refuses "^error: unknown PLATFORM=common" kunit common
	refuses "^error: unknown PLATFORM=arm64 um" kunit "arm64 um"
	refuses "^error: unknown PLATFORM=vax" make_in_repo run PLATFORM=vax
}

# --- what is built

@test "the platform's kernel, with the tests of the series" {
	works kunit
	is "$(calls 'make all' ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- "O=$REPO/build/arm64")" 1
	is "$(calls 'kunit.py exec' --arch=arm64 --timeout=300 '--qemu_args=-accel tcg' '--qemu_args=-smp 2')" 1
	config=$REPO/build/arm64/.config
	grep -qx CONFIG_LAZY_TEST=y "$config"
	for kind in common/kernel arm64/kernel common/stress; do
		line=$(grep -m 1 ^CONFIG "$REPO/platforms/$kind.config")
		grep -qxF "$line" "$config" || { echo "$kind: $line"; false; }
	done
	grep -qxF 'CONFIG_INITRAMFS_SOURCE="initramfs"' "$config"
	grep -q '^file /stress ' "$REPO/build/arm64/initramfs"
}

@test "what a record says of a boot" {
	anywhere "    ok 1 contract"
	works kunit sparc64
	is "$(calls 'make all' ARCH=sparc CROSS_COMPILE=sparc64-linux-gnu-)" 1
	is "$(calls 'kunit.py exec' --arch=sparc64)" 1
	is "$(calls 'kunit.py exec' -smp)" 0
	works kunit arm64_kasan
	is "$(calls "O=$REPO/build/arm64_debug" CONFIG_TEST_VMALLOC=y)" 1
	is "$(calls 'kunit.py exec' --timeout=900 --kernel_args=debug_pagealloc=off \
		--kernel_args=kfence.sample_interval=0)" 1
	is "$(grep -cF -- ' ?[!f]*' "$FAKE/calls")" 1
	works kunit x86_64_xen
	is "$(calls 'kunit.py config' --arch=x86_64_xen)" 1
	is "$(calls 'kunit.py exec' --arch=x86_64_xen)" 1
	works kunit x86_64
	is "$(calls 'kunit.py config' --arch=x86_64_xen)" 2
	is "$(calls 'kunit.py exec' '--arch=x86_64 ')" 1
}

@test "some of the topics, on the base" {
	boots "    ok 1 contract"
	TOPICS=10-fixes works kunit
	is "$(calls 'make all' "O=$REPO/build/topics/arm64")" 1
	is "$(calls 'kunit.py exec' "--build_dir=$REPO/build/topics/arm64")" 1
	is "${lines[-1]}" "arm64: 1 passed, 0 failed, 0 skipped; log: build/log/arm64.topics.boot"
	grep -qx twenty "$REPO/build/topics/linux/mm/memory.c"
	[ ! -e "$REPO/build/topics/linux/mm/tests" ]
	is "$(grep -c LAZY_TEST "$REPO/build/topics/arm64/.config")" 0
	TOPICS="10-fixes 20-core" works kunit
	grep -qx CONFIG_LAZY_TEST=y "$REPO/build/topics/arm64/.config"
	TOPICS=11-none refuses "^error: .*11-none" kunit
	refuses "^error: TOPICS is for make kunit, not for run" make_in_repo run TOPICS=10-fixes
}

@test "a filter of the user's, instead of the record's" {
	anywhere "    ok 1 contract"
	works kunit arm64_kasan a.b
	is "$(calls 'kunit.py exec' ' a.b')" 1
	is "$(calls 'kunit.py exec' --filter)" 0
}

@test "a kernel that cannot be configured" {
	touch "$FAKE/no-config"
	complains "^error: no configuration for arm64; log: build/log/arm64.config" kunit
}

@test "a kernel that does not build" {
	echo broken >>"$TREE/mm/memory.c"
	complains "^mm/memory.c:41: error: broken" kunit
	grep -q "^error: the kernel does not build for arm64; log: build/log/arm64.build" <<<"$output"
	is "$(calls 'kunit.py exec')" 0
}

# --- what a boot shows

# Without what replaces the compiler: only with a cache can it go wrong.
@test "a cached object has the .incbin and the headers of today" {
	local i

	[ -x /usr/bin/ccache ] || skip "no ccache"
	unset CCACHE_COMPILER CCACHE_DISABLE
	export CCACHE_DIR=$BATS_TEST_TMPDIR/cache
	# A process, as lib.sh sets what the other tests are not to see.
	# shellcheck disable=SC2016 # for the inner shell
	compile() {
		CCACHE_PATH=/usr/bin bash -c '. "$0/harness/lib.sh" && gcc -nostdinc -MMD -c "$@"' \
			"$REPO" "$@"
	}
	cd "$BATS_TEST_TMPDIR"
	echo '.incbin "blob"' >file.S
	echo '#include "file.h"' >file.c
	for i in 1 2 2; do
		echo "blob $i" >blob
		echo "int word_$i;" >file.h
		compile -o file.S.o file.S
		compile -o file.c.o file.c
		grep -q "blob $i" file.S.o
		grep -q "word_$i" file.c.o
	done
	[ "$(ccache --print-stats | sed -n 's/^direct_cache_hit\t//p')" = 1 ]
}

@test "tests that pass" {
	boots "    ok 1 contract" "    ok 2 other" "    ok 3 else # SKIP not here"
	works kunit
	is "${lines[-1]}" "arm64: 2 passed, 0 failed, 1 skipped; log: build/log/arm64.boot"
}

@test "a test that fails" {
	boots "    ok 1 contract" "    not ok 2 other"
	complains "^arm64: 1 passed, 1 failed" kunit
}

@test "no test" {
	boots
	complains "^no test ran" kunit
	grep -q "^arm64: 0 passed, 1 failed" <<<"$output"
}

@test "no kernel" {
	works kunit
	touch "$FAKE/no-boot"
	complains "^no kernel was booted" kunit
	grep -q "^arm64: 0 passed, 1 failed" <<<"$output"
}

@test "a kernel that complains fails, though its tests pass" {
	boots "    ok 1 contract" "WARNING: CPU: 0 PID: 1 at mm/memory.c"
	complains "^the kernel complains: WARNING: CPU: 0 PID: 1 at mm/memory.c" kunit
	grep -q "^arm64: 1 passed, 1 failed" <<<"$output"
	complains "WARNING: CPU: 0" make_in_repo run
	# With what comes before its place, and the lines around it.
	boots "before" "[ 1.0] ------------[ cut here ]------------" "[ 1.0] it broke" \
		"[ 1.0] WARNING: CPU: 0 PID: 1" "[ 1.0] Call trace: x" "    ok 1 contract"
	complains "^the kernel complains: it broke: WARNING: CPU: 0 PID: 1$" kunit
	grep -q "Call trace: x" <<<"$output"
}

# A line for each regex of the list, as kernels print them.
splats() {
	cat <<-'END'
		WARNING: suspicious RCU usage
		BUG: sleeping function called from invalid context at mm/memory.c:1
		Kernel panic - not syncing: x
		Internal error: Oops: 0000000096000007 [#1] PREEMPT SMP
		Internal error: synchronous external abort: 0000000096000410 [#1]
		Unable to handle kernel paging request at virtual address ffff
		general protection fault, probably for non-canonical address 0xdead
		Ignoring spurious kernel translation fault at virtual address ffff
		rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
		INFO: task init:1 blocked for more than 60 seconds.
		(XEN) Domain 0 crashed: rebooting machine in 5 seconds.
		(XEN) Panic on CPU 0:
		Oops: Kernel access of bad area, sig: 11 [#1]
	END
}

# judge WANTED LINE...: what a run makes of a log with them.
judge() {
	printf '%s\n' "${@:2}" >"$TMP/log"
	is "$(complaint "$TMP/log")" "$1"
}

# In parentheses: an EXIT trap of the scripts is not to be one of bats.
each_splat() (
	# shellcheck source=harness/kernel.sh
	. "$REPO/harness/kernel.sh"
	while read -r splat; do
		judge "$splat" before "[    1.234567] $splat" after
		judge "$splat" "$splat"
	done < <(splats)
	# None is in the list without a sample.
	lines "$REPO/platforms/common/splats" >"$TMP/regexes"
	while read -r regex; do
		splats | grep -E -e "$regex" >/dev/null || { echo "no sample of $regex"; false; }
	done <"$TMP/regexes"
	[ "$(wc -l <"$TMP/regexes")" -gt 5 ]
	judge "" "# SPDX" "It caught fire"
	echo 'caught f[i]re' >>"$REPO/platforms/common/splats"
	judge "It caught fire" "# SPDX" "It caught fire"
)

@test "each splat fails a run" {
	each_splat
}

each_suite() (
	# shellcheck source=harness/kernel.sh
	. "$REPO/harness/kernel.sh"
	lines "$REPO/platforms/common/provoking" >"$TMP/suites"
	grep -x kasan "$TMP/suites"
	while read -r suite; do
		for time in "" "[    1.0] "; do
			judge "" "$time    # Subtest: $suite" "${time}BUG: meant" \
				"$time    ok 1 case" "${time}ok 2 $suite"
			judge "BUG: not meant" "$time    # Subtest: $suite" "${time}BUG: meant" \
				"${time}not ok 2 $suite" "${time}BUG: not meant"
		done
	done <"$TMP/suites"
	judge "BUG: meant" "    # Subtest: other" "BUG: meant" "ok 2 other"
	echo other >>"$REPO/platforms/common/provoking"
	judge "" "    # Subtest: other" "BUG: meant" "ok 2 other"
)

@test "what a suite provokes is no complaint" {
	each_suite
}

@test "kunit knows what suites provoke" {
	boots "    # Subtest: kasan" "BUG: KASAN: meant" "ok 2 kasan" "    ok 1 contract"
	works kunit
	boots "    # Subtest: kasan" "ok 2 kasan" "BUG: KASAN: not meant" "    ok 1 contract"
	complains "^the kernel complains: BUG: KASAN: not meant" kunit
}

@test "another machine than the one meant" {
	boots "    ok 1 contract"
	complains "^this was not x86_64_xen: no 'Hypervisor detected: Xen PV' in the log" kunit x86_64_xen
}

@test "what test_vmalloc passes" {
	anywhere "    ok 1 contract"
	works kunit arm64_debug
	is "$(wc -l <"$FAKE/summaries")" 14
	sed -i '$s/failed: 0/failed: 1/' "$FAKE/summaries"
	complains "^test_vmalloc did not pass 14 tests:" kunit arm64_debug
	grep -q "^Summary: test 14 .*failed: 1" <<<"$output"
}

# In a series in the making there may be none.
again_without_suites() (
	# shellcheck source=harness/kernel.sh
	. "$REPO/harness/kernel.sh"
	echo "again: 0 suites" >"$TMP/log.boot"
	ran_again "$TMP/log"
	echo "    # Subtest: lazy_mmu_mode" >>"$TMP/log.boot"
	! ran_again "$TMP/log"
)

@test "suites that do not pass when they run again" {
	again_without_suites
	works kunit
	is "$(calls 'kunit.py exec' --kernel_args=kunit_shutdown=none --kernel_args=again=lazy_mmu)" 1
	printf '%s\n' "again: lazy_mmu_mode:     not ok 7 leaks" "again: 4 suites" >"$FAKE/again"
	complains "^run again, suite lazy_mmu_mode: *not ok 7 leaks" kunit
	grep -q "^arm64: 1 passed, 1 failed" <<<"$output"
	for said in "again: 0 suites" ""; do
		echo "$said" >"$FAKE/again"
		complains "^the suites of the series did not run again" kunit
	done
	works kunit arm64 a.b
}

# --- the contract

@test "run prints the rows, on arm64 unless it is told" {
	boots "$(while read -r row; do echo "[    1.0] # seed_summary: $row"; done <<<"$ROWS")" \
		"    ok 1 contract"
	works make_in_repo run
	is "$(grep '^lazy_mmu' <<<"$output")" "$ROWS"
	is "$(grep -cx '\$ qemu-system-fake -nodefaults' <<<"$output")" 1
	is "$(calls 'kunit.py exec' --arch=arm64 ' lazy_mmu_mode_events.seed_summary')" 1
	# What make kunit has logged is left alone.
	[ -s "$REPO/build/log/arm64.run.boot" ]
	[ ! -e "$REPO/build/log/arm64.boot" ]
	anywhere "$ROWS" "    ok 1 contract"
	works make_in_repo run PLATFORM=um
	is "$(calls 'kunit.py exec' --arch=um)" 1
}

@test "run refuses any other rows" {
	last=$(tail -n 1 <<<"$ROWS")
	for rows in "${ROWS//pause=1/pause=2}" "$(sed 1d <<<"$ROWS")" "$(printf '%s\n' "$ROWS" "$last")" \
		"$(sort <<<"$ROWS")" ""; do
		boots "$rows" "    ok 1 contract"
		complains "^error: arm64: these are not the 6 rows of the contract" make_in_repo run
	done
}

@test "run needs its test to pass" {
	boots "$ROWS" "    not ok 1 contract"
	complains "^error: arm64: the test of the contract did not pass" make_in_repo run
	boots "$ROWS"
	complains "^no test ran" make_in_repo run
}
