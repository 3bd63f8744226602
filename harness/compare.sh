#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the kernel's own tests on stock 6.12 and with the series, in the same
# configuration: its KUnit suites, and the programs of selftests/mm that build
# statically. Prints what does not end alike. harness/compare/ holds the list of
# the programs, and the one that runs them.
#
#   PLATFORM=NAME compare.sh

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

PARTS=$ROOT/harness/compare

# The programs are those of the base: both kernels run the same.
programs() {
	local work=$HOME_DIR/linux-stock out=$PAIR_OUT log=$LOG.selftests name files

	mkdir -p "$out/headers" "$out/mm"
	make -C "$work" O="$out/headers" ARCH="${P[Arch]}" headers >"$log" 2>&1 </dev/null ||
		die "no headers for ${P[Name]}; log: $(named "$log")"
	# Some need libraries that there are no static ones of. LDFLAGS is not for all.
	make -C "$work/tools/testing/selftests/mm" -k -j"$(nproc)" ARCH="${P[Arch]}" \
		CROSS_COMPILE="${P[Cross]}" OUTPUT="$out/mm" EXTRA_CFLAGS=-static \
		KHDR_INCLUDES="-isystem $out/headers/usr/include" \
		>>"$log" 2>&1 </dev/null || :
	cp "$PARTS/tests" "$out/tests"
	for name in ${P[Compare-without]}; do
		sed -i "/^$name\>/d" "$out/tests"
	done
	mapfile -t files < <(sed -n 's/^\([a-z][^ ]*\).*/\1/p' "$out/tests" | sort -u |
		while read -r name; do
			[ ! -x "$out/mm/$name" ] || echo "file /bin/$name $out/mm/$name 0755 0 0"
		done)
	[ ${#files[@]} -gt 0 ] ||
		die "nothing of selftests/mm builds for ${P[Name]}; log: $(named "$log")"
	program "$out/init" "$PARTS/init.c"
	initramfs "$out" "file /tests $out/tests 0644 0 0" "${files[@]}"
}

# compare KERNEL: KUnit's suites run first, then the programs.
compare() {
	local words filter=${P[Compare-filter]:-${P[Filter]}}

	# Programs print much, and the end of a run is theirs.
	# shellcheck disable=SC2206 # lists
	words=(printk.devkmsg=on kunit_shutdown=none "guest_end=${P[End]}" ${P[Arguments]}
		${P[Compare-arguments]})
	words=("${words[@]/#/--kernel_args=}" ${filter:+"$filter"})
	if [ "${P[Compare-qemu]}" ]; then
		P[CPUs]=1
		words+=(--qemu_args="${P[Compare-qemu]}")
	fi
	rm -f "$RESULT/$1.json"
	boot "$PAIR_OUT/$1" "$RESULT/$1" 5400 --json="$RESULT/$1.json" "${words[@]}" >/dev/null || :
	emulator "$RESULT/$1"
}

[ "${PLATFORM:-}" ] || die "say PLATFORM=NAME; there are: $(platforms_for compare all | one_line)"
platform "$PLATFORM"
takes_part compare
# shellcheck disable=SC2086 # lists of packages
need $BUILD_PACKAGES ${P[Packages]} ${P[Libc]} ${P[Compare-packages]} rsync
"$ROOT/harness/tree.py" tree
need_space 6 "make compare"
pair compare lazy-mmu
RESULT=$HOME_DIR/${P[Name]}
PAIR_OUT=$HOME_DIR/${P[Kernel]}
mkdir -p "$RESULT"
programs
configure_compare
for kernel in stock series; do
	build_pair $kernel
	echo "booting $kernel on ${P[Name]}; log: $(named "$RESULT/$kernel.boot")"
	compare $kernel
done
"$PARTS/report.py" "${P[Name]}" "$RESULT"
