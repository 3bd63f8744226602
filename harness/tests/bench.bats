#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# bench: what is built and measured. What is made of the counts is in results.bats.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	PEER=$BATS_TEST_TMPDIR/peer
	# With what measures, which does not count.
	stub size "suite.o  :
.text 60 0
.text.unlikely 4 0
.data 900 0
lazy_mmu_bench.o  :
.text 5000 0"
	ln -s size "$STUBS/aarch64-linux-gnu-size"
	boots "bench: sizeof(task_struct) 64" "[    1.0] bench: 8 map unmap" "bench: end"
	# Each step as often as the guest takes it.
	reps=$(awk '$2 == "BENCH_REPS" { print $3 }' "$ROOT/harness/bench/mark.h")
	counted 9 5 >"$FAKE/counts.stock"
	counted 3 4 >"$FAKE/counts.series"
	counted 7 7 >"$FAKE/counts.peer"
}

# counted MAP UNMAP: what the plugin writes, the first repetition with an interrupt.
counted() {
	echo dsb
	printf '%s\n' "${1}0" "${2}0"
	for _ in $(seq 2 "$reps"); do
		printf '%s\n' "$1" "$2"
	done
}

bench() {
	PLATFORM=${PLATFORM-arm64} make_in_repo bench "$@"
}

# row STEP: its cells.
row() {
	sed -n "s/^$1  *//p" <<<"$output" | tr -s ' '
}

@test "a C library without a loader" {
	touch "$FAKE/no-loader"
	complains "^error: no C library for arm64 with a loader beside it" bench
}

@test "stock beside the series" {
	works bench
	is "$(row map)" "8 9 3 0.333"
	is "$(row unmap)" "8 5 4 0.800"
	is "$(grep '^text' <<<"$output")" "text of all objects: stock 64, series 64"
	is "$(calls 'kunit.py exec' --timeout=2400)" 4
	is "$(calls 'kunit.py exec' 'shift=0' --kernel_args=nokaslr)" 4
	is "$(grep -c 'give different counts' <<<"$output")" 0
	grep -q '"platform": "arm64"' "$REPO/build/bench/arm64.json"
	# One configuration, without debug options.
	is "$(calls 'kunit.py config')" 1
	config=$REPO/build/bench/arm64/config/.config
	grep -q ^CONFIG "$config"
	grep -qxF "$(grep -m 1 ^CONFIG "$ROOT/platforms/common/bench.config")" "$config"
	is "$(grep -c LAZY_TEST "$config")" 0
	# The sources are stock's, and the series' own.
	is "$(sed -n 20p "$REPO/build/bench/linux-stock/mm/memory.c")" 20
	is "$(sed -n 20p "$REPO/build/bench/linux-series/mm/memory.c")" twenty
}

@test "stock has the fix that it needs to build" {
	sed -i 's/^35$/fixed/' "$TREE/mm/memory.c"
	commit "fs: keep FMODE_NONOTIFY off sparc's __O_TMPFILE" "Topic: 20-core"
	works bench
	is "$(sed -n 35p "$REPO/build/bench/linux-stock/mm/memory.c")" fixed
	is "$(sed -n 20p "$REPO/build/bench/linux-stock/mm/memory.c")" 20
}

@test "another commit than the last" {
	works bench COMMIT=base
	is "$(sed -n 20p "$REPO/build/bench/linux-series/mm/memory.c")" 20
	complains "^error: build/linux has no commit nothing" bench COMMIT=nothing
}

@test "two runs that differ" {
	touch "$FAKE/unsteady"
	works bench
	is "$(grep -c '^note: .*: two runs on arm64 give different counts' <<<"$output")" 2
}

@test "a kernel that does not come to its end" {
	boots "bench: 8 map unmap"
	complains "^error: stock did not come to its end on arm64; log: build/bench/arm64/stock.1.boot" bench
	[ ! -e "$REPO/build/bench/arm64.json" ]
}

@test "a kernel that does not build" {
	echo broken >>"$TREE/mm/memory.c"
	commit "mm: break it"
	complains "^error: series does not build for arm64; log: build/log/arm64.series" bench
	is "$(calls 'kunit.py exec')" 0
}

@test "a peer, measured in a copy of its sources" {
	git clone -q "$TREE" "$PEER" -b base 2>/dev/null
	mkdir -p "$PEER/include/linux"
	echo 'lazy_mmu_mode_enable' >"$PEER/include/linux/pgtable.h"
	touch "$PEER/vmlinux" "$PEER/vmlinux.lds.S" "$PEER/mm/stale.o" "$PEER/mm/stale.a"
	before=$(find "$PEER" -type f -exec sha256sum {} +)
	works bench LINUX_PEER="$PEER"
	is "$(row map)" "8 9 3 0.333 7"
	is "$(find "$PEER" -type f -exec sha256sum {} +)" "$before"
	copy=$REPO/build/bench/linux-peer
	is "$(cd "$copy" && echo .g[i]t vmlin[u]x* mm/stale.* mm/suite.[c])" ".g[i]t vmlinux.lds.S mm/stale.* mm/suite.c"
	is "$(grep -c BENCH_HELPERS "$copy/mm/Makefile")" 1
	is "$(grep -c BENCH_HELPERS "$REPO/build/bench/linux-stock/mm/Makefile")" 0
}

@test "what is refused" {
	refuses "^error: unknown PLATFORM=vax" bench PLATFORM=vax
	refuses "^error: PLATFORM=um has no bench: it has no emulator that counts; there are: arm64 " bench PLATFORM=um
	refuses "^error: LINUX_PEER=/dev is not a kernel tree" bench LINUX_PEER=/dev
}

@test "what cannot be compiled" {
	touch "$FAKE/no-compiler"
	complains "^error: the plugin does not build" bench
}
