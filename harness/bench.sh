#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What operations on page tables cost on stock 6.12 and with the series, counted
# by a plugin of QEMU: instructions, barriers, hypercalls, TLB flushes. Both
# kernels have the same configuration, without debug options, and are booted
# twice. harness/bench/ holds the plugin and what runs in the guest.
#
#   bench.sh [PLATFORM [COMMIT [PEER]]]   a table, build/bench/PLATFORM.json and .svg
#
# COMMIT, of the tree in build/linux, is measured instead of the series' last.
# PEER, a directory with any other kernel, is measured besides.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=harness/pair.sh
. "$ROOT/harness/pair.sh"

pair bench
ALL="x86_64_xen arm64 powerpc powerpc_radix sparc64"
# One instruction is one nanosecond, and nothing comes from outside.
QEMU_ARGS="-icount shift=0,sleep=off -rtc base=2026-01-01,clock=vm -seed 1"
KERNEL_ARGS=(nokaslr norandmaps printk.devkmsg=on)
# So that a kernel is the same whenever it is built.
export KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_USER=bench \
	KBUILD_BUILD_HOST=bench KBUILD_BUILD_VERSION=1

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

# The plugin, and the program that the kernels hold.
parts() {
	gcc -shared -fPIC -O2 -Wall -o "$HOME_DIR/count.so" "$PARTS/count.c" ||
		die "the plugin does not build"
	guest_program "$PARTS/init.c" "$HOME_DIR/$P_DIR"
}

# build KERNEL
build() {
	pair_build "$1"
	# Of the objects, because linking rounds up; what measures does not count.
	(cd "$HOME_DIR/$P_DIR/$1" && "${P_CROSS}size" -A vmlinux.a) |
		awk '/:$/ { own = /lazy_mmu_bench/ }
		     $1 ~ /^\.text/ && !own { sum += $2 }
		     END { print sum }' >"$RESULT/$1.text"
}

# Shows what is measured right now, where there is a terminal.
progress() {
	local line

	while read -r line; do
		[ ! -t 2 ] || printf '\r\033[K%.70s' "$1: $line" >&2
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# boot KERNEL RUN
boot() {
	local out=$HOME_DIR/$P_DIR/$1 log=$RESULT/$1.$2

	rm -f "$log".*
	kunit_py exec --arch="$P_RUN_ARCH" --build_dir="$out" --raw_output=all \
		--timeout=2400 "${KERNEL_ARGS[@]/#/--kernel_args=}" \
		--qemu_args="$QEMU_ARGS -plugin $HOME_DIR/count.so,out=$log.counts" 2>&1 |
		tee "$log.boot" | sed -un 's/^.*bench: //p' | tee "$log.said" |
		progress "$1" || :
	if ! grep -qx end "$log.said"; then
		tail -n 5 "$log.boot" >&2
		die "$1 did not come to its end on $P_NAME; log: ${log#"$ROOT/"}.boot"
	fi
}

bench() {
	local kernel start=$SECONDS reps

	RESULT=$HOME_DIR/$P_NAME
	mkdir -p "$RESULT"
	parts
	kconfig_add "$HOME_DIR/$P_DIR"
	pair_config "${OPTIONS[@]}"
	for kernel in "${KERNELS[@]}"; do
		build "$kernel"
	done
	echo "booting ${KERNELS[*]} on $P_NAME, each twice; logs: build/bench/$P_NAME"
	for kernel in "${KERNELS[@]}"; do
		boot "$kernel" 1
		boot "$kernel" 2
		cmp -s "$RESULT/$kernel.1.counts" "$RESULT/$kernel.2.counts" ||
			note "$kernel: two runs on $P_NAME give different counts"
		mv "$RESULT/$kernel.1.counts" "$RESULT/$kernel.counts"
		mv "$RESULT/$kernel.1.said" "$RESULT/$kernel.said"
	done
	reps=$(awk '$2 == "BENCH_REPS" { print $3 }' "$PARTS/mark.h")
	"$PARTS/report.py" "$P_NAME" "$RESULT" "$reps" "$HOME_DIR/$P_NAME.json" \
		"${KERNELS[@]}"
	"$PARTS/plot.py" "$HOME_DIR/$P_NAME.json" "$HOME_DIR/$P_NAME.svg"
	echo "$P_NAME: $((SECONDS - start)) s; build/bench/$P_NAME.json and .svg"
}

names=${1:-$ALL}
PEER=${3:-}
KERNELS=(stock series ${PEER:+peer})
[ ! "$PEER" ] || [ -f "$PEER/include/linux/pgtable.h" ] ||
	die "LINUX_PEER=$PEER is no kernel tree"
for name in $names; do
	platform "$name"
	[ "$P_ARCH" != um ] || die "PLATFORM=$name has no emulator that counts; there are: $ALL"
	# shellcheck disable=SC2046,SC2086 # lists of packages
	need $BUILD_PACKAGES $P_PACKAGES $(libc_package)
done
"$ROOT/harness/tree.sh" tree
git -C "$TREE" rev-parse -q --verify "${2:-lazy-mmu}^{commit}" >/dev/null ||
	die "build/linux has no commit $2"
need_space 6 "make bench"
pair_sources "${2:-lazy-mmu}"
[ ! "$PEER" ] || peer_source
for name in "${KERNELS[@]}"; do
	measuring "$name"
done
for name in $names; do
	platform "$name"
	bench
done
