#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel in build/linux for a platform, boots it and runs its KUnit
# tests, all through the tree's own kunit.py.
#
#   kunit.sh config PLATFORM          no more than its configuration
#   kunit.sh build PLATFORM           no more than the kernel
#   kunit.sh kunit PLATFORM [FILTER]  and its tests, or those that match FILTER
#   kunit.sh run PLATFORM             and the table of calls and hooks
#   kunit.sh commit PLATFORM DIR LOG [FILTER]
#                                     only the tests, of the kernel built in DIR

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

# The test that prints a row for each call, and the rows it is to print.
CONTRACT_TEST=lazy_mmu_mode.seed_summary
CONTRACT='lazy_mmu_mode_enable() -> arch_enter() enable=1 pause=0
lazy_mmu_mode_enable() -> ø enable=2 pause=0
lazy_mmu_mode_pause() -> arch_leave() enable=2 pause=1
lazy_mmu_mode_resume() -> arch_enter() enable=2 pause=0
lazy_mmu_mode_disable() -> arch_flush() enable=1 pause=0
lazy_mmu_mode_disable() -> arch_leave() enable=0 pause=0'

kunit_py() {
	local command=$1 arch=$2

	shift 2
	(
		cd "$TREE" || exit
		PYTHONDONTWRITEBYTECODE=1 ./tools/testing/kunit/kunit.py "$command" \
			--arch="$arch" --cross_compile="$P_CROSS" --build_dir="$P_OUT" "$@"
	)
}

# configured COMMAND ARGUMENT...: kunit.py config or build, with what the
# tests and the platform's fragments want.
configured() {
	local command=$1

	shift
	kunit_py "$command" "$P_BUILD_ARCH" "$@" "${P_MAKE[@]/#/--make_options=}" \
		--kunitconfig=mm/tests \
		--kunitconfig=kernel/trace/rv/monitors/lazymmu \
		--kunitconfig="$ROOT/harness/configs/common.config" \
		--kunitconfig="$ROOT/harness/configs/$P_DIR.config" \
		"${P_KUNIT[@]/#/--kconfig_add=}" >"$P_LOG.$command" 2>&1 </dev/null
}

# What a build needs: packages, the tree, a place.
prepare() {
	# shellcheck disable=SC2086 # lists of packages
	need $BUILD_PACKAGES $P_PACKAGES
	"$ROOT/harness/tree.sh" tree
	need_space 3 "a kernel"
}

cmd_config() {
	prepare
	configured config ||
		die "no configuration for $P_NAME; log: build/log/$P_NAME.config"
}

build_kernel() {
	local start=$SECONDS

	prepare
	echo "building the kernel for $P_NAME; log: build/log/$P_NAME.build"
	configured build --jobs="$(nproc)" || {
		grep -E 'error:|ERROR|Error |undefined reference|No rule' "$P_LOG.build" |
			head -n 20 || tail -n 20 "$P_LOG.build"
		die "the kernel for $P_NAME does not build; log: build/log/$P_NAME.build"
	}
	echo "built in $((SECONDS - start)) s"
}

# boot [FILTER]: runs kunit.py exec; its output is on stdout and in a log,
# the kernel's in another.
boot() {
	local arguments=("${P_SMP[@]}" "${P_KERNEL[@]/#/--kernel_args=}")

	rm -f "$P_OUT/test.log" "$P_LOG.boot"
	# kunit.py bounds the kernel's time; the outer bound is for kunit.py.
	export -f kunit_py
	export TREE P_CROSS P_OUT
	timeout -k 10 $((P_SECONDS + 60)) bash -c 'kunit_py "$@"' - \
		exec "$P_RUN_ARCH" --timeout="$P_SECONDS" "${arguments[@]}" ${1:+"$1"} \
		</dev/null 2>&1 | tee "$P_LOG.kunit"
}

# Names of the suites that are linked into the kernel.
built_suites() {
	(cd "$P_OUT" && ar t vmlinux.a) | sed -n 's/\.o$/.c/p' >"$TMP/linked"
	(
		cd "$TREE" || exit
		xargs grep -hs -A 20 'struct kunit_suite .*{' <"$TMP/linked" || :
	) |
		sed -n '/struct kunit_suite .*{/,/}/s/.*\.name = "\([^"]*\)".*/\1/p'
}

# The rows of the table, as the kernel printed them.
rows() {
	sed -n 's/.*\(lazy_mmu_mode_[a-z]*() -> .* enable=[0-9]* pause=[0-9]*\).*/\1/p' \
		"$P_LOG.boot"
}

# The log without what suites provoke, which is reports.
unprovoked() {
	sed -E "/# Subtest: ($PROVOKING)\$/,/^(not )?ok [0-9]+ ($PROVOKING)/d" \
		"$P_LOG.boot"
}

# check_log FILTER: what the tests cannot know of their own run.
check_log() {
	local suite wrong=0

	if ! cp "$P_OUT/test.log" "$P_LOG.boot" 2>/dev/null; then
		echo "no kernel was booted"
		return 1
	fi
	unprovoked >"$TMP/log"
	if grep -qE "$TROUBLE" "$TMP/log"; then
		echo "the kernel complains: $(grep -m 1 -oE "($TROUBLE).*" "$TMP/log")"
		grep -E -m 3 -B 2 -A 12 "$TROUBLE" "$TMP/log"
		wrong=1
	fi
	if ! grep -qE "$P_SHOWS" "$P_LOG.boot"; then
		echo "this was not $P_NAME: no '$P_SHOWS' in the log"
		wrong=1
	fi
	if [ "$(grep -c 'Summary: .* failed: 0 ' "$P_LOG.boot")" != $P_VMALLOC_TESTS ]; then
		echo "test_vmalloc did not pass $P_VMALLOC_TESTS tests:"
		grep 'Summary: ' "$P_LOG.boot" || :
		wrong=1
	fi
	[ -z "$1" ] || return $wrong
	for suite in $(built_suites); do
		[ "$suite" = "$P_WITHOUT" ] || grep -q "# Subtest: $suite\$" "$P_LOG.boot" || {
			echo "suite $suite did not run"
			wrong=1
		}
	done
	return $wrong
}

# counts: "passed failed skipped", from the line kunit.py ends with.
counts() {
	sed -n 's/.*Testing complete\. Ran [0-9]* tests: *//p' "$P_LOG.kunit" |
		tail -n 1 | tr -d ' ' | tr ',' '\n' |
		awk -F: '$1 == "passed" { p += $2 } $1 == "skipped" { s += $2 }
			 $1 ~ /^(failed|crashed|errors)$/ { f += $2 }
			 END { print p + 0, f + 0, s + 0 }'
}

# run_tests FILTER: boots and judges; a summary is the last line.
run_tests() {
	local status=0 passed failed skipped

	boot "${1:-$P_SUITES}" || status=1
	read -r passed failed skipped <<<"$(counts)"
	if [ "$((passed + failed))" = 0 ]; then
		echo "no test ran"
		status=1
	fi
	check_log "$1" || status=1
	[ $status = 0 ] || [ "$failed" != 0 ] || failed=1
	echo "$P_NAME: $passed passed, $failed failed, $skipped skipped; log: ${P_LOG#"$ROOT"/}.boot"
	[ "$failed" = 0 ]
}

# A commit before the tests has none: then booting without trouble is all.
test_commit() {
	P_OUT=$1 P_LOG=$2
	if [ "$(built_suites)" ]; then
		run_tests "$3"
	else
		boot >/dev/null || :
		check_log "" && grep -q 'KTAP version 1' "$P_LOG.boot" &&
			echo "$P_NAME: boots, has no tests"
	fi
}

cmd_run() {
	build_kernel
	if ! run_tests "$CONTRACT_TEST" >"$P_LOG.run"; then
		cat "$P_LOG.run"
		die "$P_NAME: the test of the contract did not pass"
	fi
	echo
	rows | tee "$TMP/rows"
	echo
	[ "$(cat "$TMP/rows")" = "$CONTRACT" ] ||
		die "$P_NAME: these are not the 6 rows of the contract; log: build/log/$P_NAME.boot"
	echo "$P_NAME: the 6 rows are those of the contract; log: build/log/$P_NAME.boot"
}

[ "${2:-}" ] || die "say PLATFORM=NAME; there are: $(platform_names | one_line)"
platform "$2"
case $1 in
config) cmd_config ;;
build) build_kernel ;;
kunit)
	build_kernel
	run_tests "${3:-}"
	;;
run) cmd_run ;;
commit) test_commit "$3" "$4" "${5:-}" ;;
*) die "usage: kunit.sh build|kunit|run PLATFORM [FILTER]" ;;
esac
