#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# compare: what is run on two kernels, and what is made of their logs.

load fake

setup_file() {
	fake_kernel 6.12.999
	# Of selftests/mm, those that are listed and build.
	dir=$BATS_FILE_TMPDIR/6.12.999/linux-source-6.12/tools/testing/selftests/mm
	mkdir -p "$dir"
	# shellcheck disable=SC2016 # for make
	printf 'all:\n\t@echo "selftests $(MAKEOVERRIDES)" >>"$$FAKE/calls"\n\t%s\n' \
		'@for name in $(shell cat $(FAKE)/programs); do echo >$(OUTPUT)/$$name; chmod +x $(OUTPUT)/$$name; done' \
		>"$dir/Makefile"
	tar -cJf "$KERNELS/linux-6.12.999.tar.xz" -C "$BATS_FILE_TMPDIR/6.12.999" linux-source-6.12
}

setup() {
	with_two
	DIR=$BATS_TEST_TMPDIR/compare
	mkdir "$DIR"
	echo "cow uffd-unit-tests unlisted" >"$FAKE/programs"
	COW="compare: cow|"
}

compare() {
	PLATFORM=${PLATFORM-arm64} make_in_repo compare "$@"
}

# said KERNEL LINE...: what a kernel's log has.
said() {
	printf '%s\n' "${@:2}" "compare: end" | tee "$DIR/$1.boot" >"$FAKE/boot.$1"
}

report() {
	"$REPO/harness/compare/report.py" arm64 "$DIR"
}

# --- what is made of two logs

@test "results that are alike" {
	said stock "$COW ok 1 fork at 0x1000" "$COW not ok 2 swap" "$COW exit: 1"
	said series "$COW ok 1 fork at 0x2000" "$COW not ok 2 swap" "$COW exit: 1"
	works report
	is "$output" "arm64: 3 results are alike, 0 differ; 1 of 3 pass with the series"
}

@test "what varies from run to run" {
	reaped="compare: mrelease_test| ok 1 Success reaping a child with"
	said stock "$reaped 2MB of memory allocations" "$COW ok 1 took 12 ms" "$COW ok 2 Extra pages 4"
	said series "$reaped 4MB of memory allocations" "$COW ok 1 took 9 ms" "$COW ok 2 Extra pages 5 x"
	works report
	is "$output" "arm64: 3 results are alike, 0 differ; 3 of 3 pass with the series"
	said series "$reaped 4MB of memory" "$COW ok 1 took 9 ms" "$COW ok 2 Extra pages 5"
	complains "with 4MB of memory | - | ok |" report
}

@test "a test that passed, and one that fails now" {
	said stock "$COW ok 1 fork" "$COW not ok 2 swap" "$COW exit: 1"
	said series "$COW not ok 1 fork" "$COW ok 2 swap" "$COW exit: 1"
	complains "^| mm: cow: fork | ok | not ok |$" report
	grep -qx "| mm: cow: swap | not ok | ok |" <<<"$output"
	# That one passes now is shown, and is no failure.
	said series "$COW ok 1 fork" "$COW ok 2 swap" "$COW exit: 0"
	works report
	grep -qx "| mm: cow: swap | not ok | ok |" <<<"$output"
	grep -qx "| mm: cow | exit: 1 | exit: 0 |" <<<"$output"
}

@test "a test that is skipped, or not there" {
	said stock "$COW ok 1 fork" "$COW not ok 2 swap" "$COW ok 3 thp # SKIP no THP"
	said series "$COW ok 1 fork # SKIP" "$COW not ok 2 swap" "$COW ok 3 thp # SKIP no THP"
	complains "^| mm: cow: fork | ok | skip |$" report
	said series "$COW ok 1 fork" "$COW ok 3 thp # SKIP no THP"
	complains "^| mm: cow: swap | not ok | - |$" report
}

@test "KUnit's results" {
	said stock "x"
	said series "x"
	json='{"sub_groups": [{"name": "lazy", "test_cases": [{"name": "nest", "status": "%s"}]}]}\n'
	# shellcheck disable=SC2059 # a format
	printf "$json" PASS | tee "$DIR/stock.json" >"$DIR/series.json"
	works report
	is "$output" "arm64: 1 results are alike, 0 differ; 1 of 1 pass with the series"
	# shellcheck disable=SC2059 # a format
	printf "$json" FAIL >"$DIR/series.json"
	complains "^| lazy.nest | PASS | FAIL |$" report
}

@test "a complaint of the series' kernel" {
	said stock "$COW ok 1 fork"
	said series "$COW ok 1 fork" "BUG: bad page"
	complains "^| BUG: bad page | 0 times | 1 times |$" report
	# One that stock has as well is shown where their number differs.
	said stock "$COW ok 1 fork" "BUG: bad page"
	works report
	is "$(wc -l <<<"$output")" 1
	said series "$COW ok 1 fork" "BUG: bad page" "BUG: bad page"
	works report
	grep -qx "| BUG: bad page | 1 times | 2 times |" <<<"$output"
}

@test "the lists of what counts as a complaint are those of all commands" {
	said stock "$COW ok 1 fork"
	said series "$COW ok 1 fork" "It caught fire"
	works report
	echo 'caught f[i]re' >>"$REPO/platforms/common/splats"
	complains "^| It caught fire | 0 times | 1 times |$" report
	said series "$COW ok 1 fork" "    # Subtest: stunt" "It caught fire" "ok 1 stunt"
	complains "^| It caught fire | 0 times | 1 times |$" report
	echo stunt >>"$REPO/platforms/common/provoking"
	works report
	said series "$COW ok 1 fork" "    # Subtest: stunt" "ok 1 stunt" "It caught fire"
	complains "^| It caught fire | 0 times | 1 times |$" report
}

@test "an earlier run's results are not counted" {
	said stock "$COW ok 1 fork"
	said series "$COW ok 1 fork"
	works compare
	echo '{"sub_groups": [{"name": "old", "test_cases": [{"name": "case", "status": "PASS"}]}]}' |
		tee "$REPO/build/compare/arm64/stock.json" >"$REPO/build/compare/arm64/series.json"
	works compare
	is "${lines[-1]}" "arm64: 1 results are alike, 0 differ; 1 of 1 pass with the series"
}

@test "a user without a git identity" {
	export GIT_CONFIG_GLOBAL=$BATS_TEST_TMPDIR/nobody
	git config --file "$GIT_CONFIG_GLOBAL" user.useConfigOnly true
	said stock "$COW ok 1 fork"
	said series "$COW ok 1 fork"
	works compare
}

@test "a kernel without results, or without an end" {
	rm -f "$DIR/series.boot"
	said stock "$COW ok 1 fork"
	complains "^error: arm64: series did not boot$" report
	is "${#lines[@]}" 1
	said stock "$COW ok 1 fork"
	said series
	complains "^error: arm64: a kernel has no results" report
	said series "$COW ok 1 fork"
	sed -i '$d' "$DIR/stock.boot"
	complains "^error: arm64: stock did not come to its end" report
}

# --- what is run

@test "both kernels run the same programs, in one configuration" {
	said stock "$COW ok 1 fork" "$COW exit: 0"
	said series "$COW ok 1 fork" "$COW exit: 0"
	works compare
	is "${lines[-1]}" "arm64: 2 results are alike, 0 differ; 2 of 2 pass with the series"
	initramfs=$REPO/build/compare/arm64/initramfs
	is "$(grep -c '^file /bin/cow ' "$initramfs")" 1
	is "$(grep -c '^file /bin/uffd-unit-tests ' "$initramfs")" 1
	is "$(grep -c unlisted "$initramfs")" 0
	is "$(calls 'kunit.py config')" 1
	is "$(calls 'make all' compare/arm64/stock)$(calls 'make all' compare/arm64/series)" 11
	is "$(calls selftests EXTRA_CFLAGS=-static CROSS_COMPILE=aarch64-linux-gnu-)" 1
	is "$(calls 'kunit.py exec' --kernel_args=kunit_shutdown=none --kernel_args=guest_end=reboot)" 2
	is "$(sed -n 20p "$REPO/build/compare/linux-stock/mm/memory.c")" 20
	is "$(sed -n 20p "$REPO/build/compare/linux-series/mm/memory.c")" twenty
	said series "$COW not ok 1 fork" "$COW exit: 1"
	complains "^| mm: cow: fork | ok | not ok |$" compare
}

@test "what a record says of it" {
	for kernel in stock series; do
		said $kernel "$COW ok 1 fork"
	done
	works compare PLATFORM=sparc64
	is "$(grep -c uffd-unit-tests "$REPO/build/compare/sparc64/initramfs")" 0
	is "$(grep -c uffd-unit-tests "$REPO/build/compare/sparc64/tests")" 0
	is "$(calls 'kunit.py exec' --kernel_args=guest_end=poweroff)" 2
	works compare PLATFORM=x86_64
	is "$(calls 'kunit.py exec' '--qemu_args=-smp 4' 'memdev=m1')" 2
	works compare PLATFORM=x86_64_xen
	is "$(grep -cF -- ' [!u]*' "$FAKE/calls")" 2
}

@test "a platform where nothing builds" {
	: >"$FAKE/programs"
	complains "^error: nothing of selftests/mm builds for arm64; log: build/log/arm64.selftests" compare
}

@test "what is refused" {
	refuses "^error: say PLATFORM=NAME; there are: arm64 " make_in_repo compare
	refuses "^error: unknown PLATFORM=vax" compare PLATFORM=vax
	refuses "^error: PLATFORM=um has no compare: it runs no programs of selftests/mm; there are: arm64 " \
		compare PLATFORM=um
}
