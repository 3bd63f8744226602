#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel in build/linux for a platform, boots it and runs its KUnit
# tests, all through the tree's own kunit.py.
#
#   PLATFORM=NAME kunit.sh build       no more than the kernel
#   PLATFORM=NAME kunit.sh kunit       its tests, or those that match FILTER; with TOPICS,
#                                      of a kernel that is the base and these topics only
#   PLATFORM=NAME kunit.sh run         and the table of calls and hooks
#   PLATFORM=NAME kunit.sh shell       no test but a shell; GDB=1 waits for a debugger

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

# The test that prints a row for each call, and the rows it is to print.
CONTRACT_TEST=lazy_mmu_mode_events.seed_summary
CONTRACT='lazy_mmu_mode_enable() -> arch_enter() enable=1 pause=0
lazy_mmu_mode_enable() -> ø enable=2 pause=0
lazy_mmu_mode_pause() -> arch_leave() enable=2 pause=1
lazy_mmu_mode_resume() -> arch_enter() enable=2 pause=0
lazy_mmu_mode_disable() -> arch_flush() enable=1 pause=0
lazy_mmu_mode_disable() -> arch_leave() enable=0 pause=0'

# The rows of the table, as the kernel printed them.
rows() {
	sed -n 's/.*\(lazy_mmu_mode_[a-z]*() -> .* enable=[0-9]* pause=[0-9]*\).*/\1/p' \
		"$LOG.boot"
}

# build_topics: of a commit of their own, beside the kernel with all of them.
build_topics() {
	local dir=$BUILD/topics commit

	"$ROOT/harness/tree.py" tree
	commit=$("$ROOT/harness/tree.py" commit) || exit
	LOG+=.topics
	configure_tests
	tree_at "$dir/linux" "$commit"
	must_build "the kernel with $TOPICS" "$OUT/.config" "$dir/linux" "$dir/${P[Kernel]}" "$LOG.build"
	OUT=$dir/${P[Kernel]}
}

cmd_kunit() {
	takes_part kunit
	if [ "${TOPICS:-}" ]; then build_topics; else build_tests; fi
	run_tests "$OUT" "$LOG" "${FILTER:-}"
}

cmd_run() {
	takes_part kunit
	build_tests
	# Not over the logs of make kunit.
	LOG+=.run
	if ! run_tests "$OUT" "$LOG" "$CONTRACT_TEST" >"$LOG.out"; then
		cat "$LOG.out"
		die "${P[Name]}: the test of the contract did not pass"
	fi
	emulator "$LOG"
	echo
	rows | tee "$TMP/rows"
	echo
	[ "$(cat "$TMP/rows")" = "$CONTRACT" ] ||
		die "${P[Name]}: these are not the 6 rows of the contract; log: $(named "$LOG.boot")"
	echo "${P[Name]}: the 6 rows are those of the contract; log: $(named "$LOG.boot")"
}

# The shell of harness/shell.c, or busybox where Debian has a static one. apt-get
# gets it for another architecture with lists of its own, so it needs no root.
get_busybox() {
	local dir=$BUILD/busybox/${P[Debian]} apt

	apt=(-qq -o APT::Architecture="${P[Debian]}" -o APT::Architectures="${P[Debian]}"
		-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=)
	if [ ! -f "$dir/bin/busybox" ]; then
		mkdir -p "$dir/lists/partial" "$dir/cache"
		(cd "$dir" && apt-get "${apt[@]}" update &&
			apt-get "${apt[@]}" download busybox-static && dpkg-deb -x ./*.deb .) \
			>"$LOGS/busybox" 2>&1 </dev/null || {
			note "busybox-static cannot be had, log: $(named "$LOGS/busybox"); the shell is harness/shell.c"
			return
		}
	fi
	mkdir -p "$OUT/guest"
	keep "$OUT/guest/busybox" <"$dir/bin/busybox"
	chmod +x "$OUT/guest/busybox"
}

cmd_shell() {
	local words=()

	if [ "${GDB:-}" ]; then
		takes_part gdb
		OUT=$BUILD/gdb/${P[Kernel]}
		words=(--kernel_args=nokaslr --qemu_args="-s -S")
	fi
	machine
	[ ! "${P[Debian]}" ] || get_busybox
	# shellcheck disable=SC2046 # a file or none
	build_tests $([ ! "${GDB:-}" ] || echo "$ROOT/platforms/common/gdb.config")
	[ ! "${GDB:-}" ] || echo "waits for: gdb-multiarch $(named "$OUT")/vmlinux -ex 'target remote :1234'"
	echo "exit ends it, and so does Ctrl-C"
	rm -rf "$TMP"
	exec "$ROOT/harness/shell.py" "$TREE" exec --arch="${P[Run]}" --build_dir="$OUT" \
		--kernel_args="guest_end=${P[End]}" "${words[@]}"
}

[ "${PLATFORM:-}" ] || die "say PLATFORM=NAME; there are: $(platforms_for kunit all | one_line)"
platform "$PLATFORM"
[ ! "${TOPICS:-}" ] || [ "${1:-}" = kunit ] || die "TOPICS is for make kunit, not for ${1:-nothing}"
case ${1:-} in
build) build_tests ;;
kunit | run | shell) "cmd_$1" ;;
*) die "usage: PLATFORM=NAME kunit.sh kunit|run|shell" ;;
esac
