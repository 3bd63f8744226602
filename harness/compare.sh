#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the kernel's own tests on stock 6.12 and with the series, in the same
# configuration: its KUnit suites, and the programs of selftests/mm that build
# statically. Prints what does not end alike. harness/compare/ holds the list of
# the programs, and the one that runs them.
#
#   compare.sh PLATFORM

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=harness/pair.sh
. "$ROOT/harness/pair.sh"

pair compare

# The programs are those of the base: both kernels run the same.
programs() {
	local work=$HOME_DIR/linux-stock out=$HOME_DIR/$P_DIR name

	mkdir -p "$out/headers" "$out/mm"
	make -C "$work" O="$out/headers" ARCH="$P_ARCH" headers >"$P_LOG.selftests" 2>&1 </dev/null ||
		die "no headers for $P_NAME; log: build/log/$P_NAME.selftests"
	# Some need libraries that there are no static ones of. LDFLAGS is not for all.
	make -C "$work/tools/testing/selftests/mm" -k -j"$(nproc)" ARCH="$P_ARCH" \
		CROSS_COMPILE="$P_CROSS" OUTPUT="$out/mm" EXTRA_CFLAGS=-static \
		KHDR_INCLUDES="-isystem $out/headers/usr/include" \
		>>"$P_LOG.selftests" 2>&1 </dev/null || :
	cp "$PARTS/tests" "$out/tests"
	# Poisons a page. The fault on that is a BUG() of sparc64, on 6.12 as well.
	[ "$P_ARCH" != sparc ] || sed -i '/^uffd-unit-tests/d' "$out/tests"
	guest_program "$PARTS/init.c" "$out"
	{
		cat "$PARTS/initramfs"
		echo "file /tests $out/tests 0644 0 0"
		sed -n 's/^\([a-z][^ ]*\).*/\1/p' "$out/tests" | sort -u | while read -r name; do
			[ ! -x "$out/mm/$name" ] || echo "file /bin/$name $out/mm/$name 0755 0 0"
		done
	} >>"$out/initramfs"
	grep -q '/bin/' "$out/initramfs" ||
		die "nothing of selftests/mm builds for $P_NAME; log: build/log/$P_NAME.selftests"
}

# The configuration of both: what there is of compare.config on this architecture.
config() {
	local kernel

	pair_config --kconfig_add=CONFIG_KUNIT=y
	for kernel in stock series; do
		cat "$PARTS/compare.config" - >>"$HOME_DIR/$P_DIR/$kernel/.config" \
			<<<"CONFIG_INITRAMFS_SOURCE=\"$HOME_DIR/$P_DIR/initramfs\""
	done
}

# boot KERNEL: KUnit's suites run first, then the programs.
boot() {
	local arguments=() log=$RESULT/$1

	# Programs print much, and the end of a run is theirs.
	arguments=(printk.devkmsg=on kunit_shutdown=none "${P_KERNEL[@]}")
	[ "$P_ARCH" != sparc ] || arguments+=(compare_end=poweroff)
	arguments=("${arguments[@]/#/--kernel_args=}" "${P_SMP[@]}")
	# Xen does not load the page table of KUnit's mm, which nobody has pinned, so
	# either kernel hangs in the usercopy suite. No other suite begins with a u.
	[ "$P_NAME" != x86_64_xen ] || P_SUITES='[!u]*'
	kunit_py exec --arch="$P_RUN_ARCH" --build_dir="$HOME_DIR/$P_DIR/$1" \
		--raw_output=all --timeout=5400 "${arguments[@]}" ${P_SUITES:+"$P_SUITES"} >"$log.boot" 2>&1 || :
	kunit_py parse --json="$log.json" "$log.boot" >"$log.kunit" 2>&1 || :
}

# Two nodes to migrate pages between, where the programs that do are built; they
# want more than two CPUs.
two_nodes() {
	local node

	P_SMP=(--qemu_args="-smp 4")
	for node in 0 1; do
		P_SMP+=(--qemu_args="-object memory-backend-ram,id=m$node,size=512M
			-numa node,cpus=$((2 * node))-$((2 * node + 1)),memdev=m$node")
	done
}

[ "${1:-}" ] || die "say PLATFORM=NAME; there are: $(platform_names | grep -vx um | one_line)"
platform "$1"
[ "$P_ARCH" != um ] || die "PLATFORM=um runs no programs; there are: $(platform_names | grep -vx um | one_line)"
# shellcheck disable=SC2046,SC2086 # lists of packages
need $BUILD_PACKAGES $P_PACKAGES $(libc_package) rsync
[ "$P_ARCH" != x86_64 ] || need libnuma-dev libcap-dev
"$ROOT/harness/tree.sh" tree
need_space 6 "make compare"
[ "$P_NAME" != x86_64 ] || two_nodes
RESULT=$HOME_DIR/$P_NAME
mkdir -p "$RESULT"
pair_sources lazy-mmu
programs
config
for kernel in stock series; do
	pair_build $kernel
	echo "booting $kernel on $P_NAME; log: build/compare/$P_NAME/$kernel.boot"
	boot $kernel
done
TROUBLE=$TROUBLE PROVOKING=$PROVOKING "$PARTS/report.py" "$P_NAME" "$RESULT"
