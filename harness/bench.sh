#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What operations on page tables cost on stock 6.12 and with the series, counted
# by a plugin of QEMU: instructions, barriers, hypercalls, TLB flushes. Both
# kernels have the same configuration, without debug options, and are booted
# twice. harness/bench/ holds the plugin and what runs in the guest.
#
#   [PLATFORM="NAME..."] [COMMIT=...] [LINUX_PEER=DIR] bench.sh
#
# prints a table and writes build/bench/PLATFORM.json and .svg. COMMIT, of the tree in
# build/linux, is measured instead of the series' last. LINUX_PEER, a directory with
# any other kernel, is measured besides.

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

PARTS=$ROOT/harness/bench
# One instruction is one nanosecond, and nothing comes from outside.
QEMU_ARGS="-icount shift=0,sleep=off -rtc base=2026-01-01,clock=vm -seed 1"
ARGUMENTS=(nokaslr norandmaps printk.devkmsg=on)

# peer_source: a copy of it, because it is added to.
peer_source() {
	local work=$HOME_DIR/linux-peer

	rm -rf "$work"
	mkdir "$work"
	tar -C "$PEER" --exclude-vcs --exclude='*.[oa]' --exclude=vmlinux -c . |
		tar -C "$work" -x
	make -s -C "$work" mrproper >/dev/null || die "LINUX_PEER=$PEER cannot be cleaned"
}

# measuring KERNEL: adds it to the work tree.
measuring() {
	local work=$HOME_DIR/linux-$1

	cp -u "$PARTS/kernel.c" "$work/mm/lazy_mmu_bench.c"
	cp -u "$PARTS/mark.h" "$work/mm/lazy_mmu_bench.h"
	{
		echo 'obj-y += lazy_mmu_bench.o'
		! grep -q lazy_mmu_mode_enable "$work/include/linux/pgtable.h" ||
			echo 'CFLAGS_lazy_mmu_bench.o += -DBENCH_HELPERS'
		! grep -q in_lazy_mmu_mode "$work/include/linux/sched.h" ||
			echo 'CFLAGS_lazy_mmu_bench.o += -DBENCH_IN'
	} >>"$work/mm/Makefile"
}

# text KERNEL: its size, of the objects because linking rounds up; what measures does
# not count.
text() {
	(cd "$PAIR_OUT/$1" && "${P[Cross]}size" -A vmlinux.a) |
		awk '/:$/ { own = /lazy_mmu_bench/ }
		     $1 ~ /^\.text/ && !own { sum += $2 }
		     END { print sum }'
}

# Shows what is measured right now, where there is a terminal.
progress() {
	local line

	while read -r line; do
		[ ! -t 2 ] || printf '\r\033[K%.70s' "$1: $line" >&2
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# measure KERNEL RUN
measure() {
	local log=$RESULT/$1.$2

	rm -f "$log".*
	boot "$PAIR_OUT/$1" "$log" 2400 --raw_output=all "${ARGUMENTS[@]/#/--kernel_args=}" \
		--qemu_args="$QEMU_ARGS -plugin $HOME_DIR/count.so,out=$log.counts" |
		said bench | tee "$log.said" | progress "$1" || :
	[ "$2" != 1 ] || emulator "$log"
	if ! grep -qx end "$log.said"; then
		tail -n 5 "$log.kunit" >&2
		die "$1 did not come to its end on ${P[Name]}; log: $(named "$log").boot"
	fi
}

bench() {
	local kernel start=$SECONDS reps libc loader

	PAIR_OUT=$HOME_DIR/${P[Kernel]}
	RESULT=$HOME_DIR/${P[Name]}
	# To count needs one.
	P[CPUs]=1
	mkdir -p "$RESULT"
	gcc -shared -fPIC -O2 -Wall -o "$HOME_DIR/count.so" "$PARTS/count.c" ||
		die "the plugin does not build"
	program "$PAIR_OUT/init" "$PARTS/init.c"
	program "$PAIR_OUT/dynamic" "$PARTS/init.c" -Wl,--dynamic-linker=/lib/ld.so
	libc=$("${P[Cross]}gcc" -print-file-name=libc.so.6)
	loader=$(find "${libc%/*}" "${libc%/*}/../lib64" -maxdepth 1 -name 'ld*.so.[12]' 2>/dev/null |
		head -n 1) || :
	[ "$loader" ] || die "no C library for ${P[Name]} with a loader beside it"
	initramfs "$PAIR_OUT" "file /dynamic $PAIR_OUT/dynamic 0755 0 0" "dir /lib 0755 0 0" \
		"file /lib/libc.so.6 $libc 0755 0 0" "file /lib/ld.so $loader 0755 0 0"
	# shellcheck disable=SC2046 # a list
	configure "$PAIR_OUT/config" "$PAIR_OUT" "$LOG.config" $(fragments kernel bench)
	for kernel in "${KERNELS[@]}"; do
		build_pair "$kernel"
		text "$kernel" >"$RESULT/$kernel.text"
	done
	echo "booting ${KERNELS[*]} on ${P[Name]}, each twice; logs: $(named "$RESULT")"
	for kernel in "${KERNELS[@]}"; do
		measure "$kernel" 1
		measure "$kernel" 2
		cmp -s "$RESULT/$kernel.1.counts" "$RESULT/$kernel.2.counts" ||
			note "$kernel: two runs on ${P[Name]} give different counts"
		mv "$RESULT/$kernel.1.counts" "$RESULT/$kernel.counts"
		mv "$RESULT/$kernel.1.said" "$RESULT/$kernel.said"
	done
	reps=$(awk '$2 == "BENCH_REPS" { print $3 }' "$PARTS/mark.h")
	"$PARTS/report.py" "${P[Name]}" "$RESULT" "$reps" "$RESULT.json" "${KERNELS[@]}"
	"$PARTS/plot.py" "$RESULT.json" "$RESULT.svg"
	echo "${P[Name]}: $((SECONDS - start)) s; $(named "$RESULT").json and .svg"
}

names=$(chosen bench)
PEER=${LINUX_PEER:-}
KERNELS=(stock series ${PEER:+peer})
[ ! "$PEER" ] || [ -f "$PEER/include/linux/pgtable.h" ] ||
	die "LINUX_PEER=$PEER is not a kernel tree"
for name in $names; do
	platform "$name"
	# shellcheck disable=SC2086 # lists of packages
	need $BUILD_PACKAGES ${P[Packages]} ${P[Libc]}
done
"$ROOT/harness/tree.py" tree
git -C "$TREE" rev-parse -q --verify "${COMMIT:=lazy-mmu}^{commit}" >/dev/null ||
	die "$(named "$TREE") has no commit $COMMIT"
need_space 6 "make bench"
pair bench "$COMMIT"
[ ! "$PEER" ] || peer_source
for name in "${KERNELS[@]}"; do
	measuring "$name"
done
for name in $names; do
	platform "$name"
	bench
done
