# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by what makes kernels: one way each to get a second tree, to configure, to
# build, to boot and to read what a boot says. P is the platform.

# shellcheck source=harness/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# tree_at DIR COMMIT: a work tree of build/linux.
tree_at() {
	# To prune takes away what another one is about to add.
	{
		flock 9
		git -C "$TREE" worktree prune
		# One that a build/linux before this one has left is of no use.
		git rev-parse --resolve-git-dir "$1/.git" >/dev/null 2>&1 || {
			rm -rf "$1"
			git -C "$TREE" worktree add -q --detach "$1" base
		}
	} 9>"$BUILD/trees.lock"
	git -C "$1" checkout -q --detach --force "$2"
}

# keep FILE: what is on stdin, which is not written if it is there already.
keep() {
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

# program FILE SOURCE [OPTION...]: one that a guest runs, static if no option says how
# it is linked.
program() {
	local options=("${@:3}")

	mkdir -p "${1%/*}"
	"${P[Cross]}gcc" "${options[@]:--static}" -O2 -Wall -o "$TMP/program" "$2" ||
		die "${2##*/} does not build for ${P[Name]}"
	keep "$1" <"$TMP/program"
	chmod +x "$1"
}

# initramfs DIR [LINE...]: DIR/initramfs, a guest's files as CONFIG_INITRAMFS_SOURCE
# takes them: DIR/init, and those of the LINEs.
initramfs() {
	{
		cat "$ROOT/harness/initramfs"
		printf '%s\n' "file /init $1/init 0755 0 0" "${@:2}"
	} | keep "$1/initramfs"
}

# kunit_py COMMAND ARCH OUT WORD...: that of build/linux, within SECONDS if BOUND.
kunit_py() {
	env -C "$TREE" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 timeout -k 10 "${BOUND:-0}" \
		./tools/testing/kunit/kunit.py "$1" --arch="$2" --build_dir="$3" \
		--cross_compile="${P[Cross]}" "${@:4}" </dev/null
}

# configure OUT GUEST LOG FILE...: what all files say, the last one first, and the
# files of a guest. Their list is named without a directory: every object depends on
# the configuration, and ccache takes it as it is.
configure() {
	local words

	# shellcheck disable=SC2206 # a list
	words=(${P[Make]})
	mkdir -p "$1"
	keep "$1/initramfs" <"$2/initramfs"
	cat "${@:4}" - >"$1/fragments" <<<'CONFIG_INITRAMFS_SOURCE="initramfs"'
	kunit_py config "${P[Build]}" "$1" --kunitconfig="$1/fragments" \
		"${words[@]/#/--make_options=}" >"$3" 2>&1 ||
		die "no configuration for ${P[Name]}; log: $(named "$3")"
}

# build CONFIG WORK OUT LOG: the kernel of WORK, which drops options it does not have.
# ccache makes paths relative before the compiler can cut srctree off __FILE__.
build() {
	local target relative

	need_space 3 "a kernel"
	mkdir -p "$3"
	relative=$(realpath --relative-to="$3" "$2") || return
	if [ "$1" != "$3/.config" ]; then
		[ ! -f "${1%/*}/initramfs" ] || keep "$3/initramfs" <"${1%/*}/initramfs" || return
		# Each time: olddefconfig drops what WORK lacks, and the next one may have it.
		keep "$3/.config" <"$1" || return
	fi
	for target in olddefconfig all; do
		# shellcheck disable=SC2086 # a list
		make -C "$2" O="$3" ARCH="${P[Arch]}" CROSS_COMPILE="${P[Cross]}" ${P[Make]} \
			KCPPFLAGS="-fmacro-prefix-map=$relative/=" -j"$(nproc)" $target || return
	done >"$4" 2>&1 </dev/null
}

# must_build WHAT CONFIG WORK OUT LOG
must_build() {
	local start=$SECONDS

	echo "building $1 for ${P[Name]}; log: $(named "$5")"
	build "${@:2}" || {
		grep -E 'error:|ERROR|Error |undefined reference|No rule' "$5" |
			head -n 20 || tail -n 20 "$5"
		die "$1 does not build for ${P[Name]}; log: $(named "$5")"
	}
	echo "built in $((SECONDS - start)) s"
}

# content COMMIT: what a kernel for the platform can be made from, by its hash: the
# options that are on, and no documents, tests or other architectures.
content() {
	git -C "$TREE" ls-tree -r "$1" |
		awk -F '\t' -v own="^arch/(${P[Source]// /|})/" \
			'$2 !~ "^(Documentation|tools/testing)/|^MAINTAINERS$" &&
			 ($2 !~ "^arch/[^/]*/" || $2 ~ own)' |
		cat - <(grep -v '^#' "$OUT/.config") | sha256sum | cut -c-64
}

# machine: adds to the caller's words what the emulator gets besides. Without KVM, which
# 7.3's kunit.py prefers, it is the same machine everywhere.
machine() {
	[ "${P[Arch]}" = um ] || words+=(--qemu_args="-accel tcg")
	[ "${P[CPUs]}" = 1 ] || words+=(--qemu_args="-smp ${P[CPUs]}")
	[ ! "${P[Qemu]}" ] || words+=(--qemu_args="${P[Qemu]}")
}

# boot OUT LOG SECONDS WORD...: kunit.py exec, whose output is on stdout and in
# LOG.kunit; what the kernel says is in LOG.boot.
boot() {
	local status=0 words=("${@:4}")

	machine
	rm -f "$1/test.log" "$2.boot"
	# kunit.py bounds the kernel's time; the outer bound is for kunit.py.
	BOUND=$(($3 + 60)) kunit_py exec "${P[Run]}" "$1" --timeout="$3" "${words[@]}" 2>&1 |
		tee "$2.kunit" || status=$?
	cp "$1/test.log" "$2.boot" 2>/dev/null || status=1
	return $status
}

# emulator LOG: the line that started it.
emulator() {
	sed -n '/^\$ /p' "$1.kunit"
}

# said PREFIX: of the output of boot, what a guest's program says.
said() {
	sed -un "s/^.*$1: //p"
}

# complaint LOG: the first line of a boot log that fails a run, with what a warning
# says before it says where, but for what suites provoke.
complaint() {
	local suites

	suites=$(lines "$ROOT/platforms/common/provoking" | paste -sd '|')
	sed -E "/# Subtest: ($suites)\$/,/^(\[[^]]*\] *)?(not )?ok [0-9]+ ($suites)/d" "$1" |
		SPLATS=$(lines "$ROOT/platforms/common/splats" | paste -sd '|') awk '
		found { next }
		{ sub(/^\[[^]]*\] */, "") }
		/cut here/ { what = " "; next }
		$0 ~ ENVIRON["SPLATS"] { print substr(what, 2) $0; found = 1 }
		what { what = what $0 ": " }'
}

# Of a boot into programs: whatever goes wrong ends it.
WATCH=(panic_on_warn=1 oops=panic softlockup_panic=1 hung_task_panic=1 debug_pagealloc=on
	page_table_check=on printk.devkmsg=on slab_nomerge watchdog_thresh=30
	sysctl.kernel.panic_on_rcu_stall=1 sysctl.kernel.hung_task_timeout_secs=60
	kunit_shutdown=none)

# verdict PASSED: what went wrong, in one line, with a program that had TIME and
# PATIENCE, whose words are in TMP/said and end in PASSED, and its kernel.
verdict() {
	local line last

	last=$(tail -n 1 "$TMP/said")
	if line=$(grep -m 1 '^FAILED: ' "$TMP/said"); then
		echo "${line#FAILED: }"
	elif line=$(complaint "$LOG.boot") && [ "$line" ]; then
		echo "the kernel complains: $line"
	elif grep -q 'The kernel timed out' "$LOG.kunit"; then
		echo "hang: no end after $((TIME + PATIENCE)) s; last: $last"
	elif ! grep -qxF "$1" "$TMP/said"; then
		echo "the kernel ended too early; last: $last"
	elif ! grep -qE "${P[Shows]}" "$LOG.boot"; then
		echo "this was not ${P[Name]}: no '${P[Shows]}' in the log"
	fi
}

# watched OUT PREFIX PASSED ARGUMENT...: boots into a program, passes on what it says,
# and dies of what verdict finds; AGAIN is the command that repeats it. The ARGUMENTs
# are the kernel's.
watched() {
	local words wrong

	# shellcheck disable=SC2206 # a list
	words=(${P[Arguments]} "${WATCH[@]}" "guest_end=${P[End]}" "${@:4}")
	# No suite is called so.
	boot "$1" "$LOG" $((TIME + PATIENCE)) --raw_output=all "${words[@]/#/--kernel_args=}" \
		no_test | said "$2" | tee "$TMP/said" || :
	emulator "$LOG"
	wrong=$(verdict "$3")
	[ ! "$wrong" ] ||
		die "${P[Name]}: $wrong; ${AGAIN:+again: $AGAIN; }log: $(named "$LOG.boot")"
}

positive() {
	[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die "$1=$2 is not a number from 1 to 999999999"
}

# check_log LOG: what tests cannot know of their own run.
check_log() {
	local wrong

	if [ ! -f "$1.boot" ]; then
		echo "no kernel was booted"
		return 1
	fi
	wrong=$(complaint "$1.boot")
	if [ "$wrong" ]; then
		echo "the kernel complains: $wrong"
		grep -F -m 1 -B 2 -A 12 -e "${wrong##*: }" "$1.boot" || :
	fi
	if ! grep -qE "${P[Shows]}" "$1.boot"; then
		wrong="this was not ${P[Name]}: no '${P[Shows]}' in the log"
		echo "$wrong"
	fi
	if [ "$(grep -c 'Summary: .* failed: 0 ' "$1.boot")" != "${P[Vmalloc-tests]}" ]; then
		wrong="test_vmalloc did not pass ${P[Vmalloc-tests]} tests:"
		echo "$wrong"
		grep 'Summary: ' "$1.boot" || :
	fi
	[ ! "$wrong" ]
}

# counts LOG: "passed failed skipped", from the line kunit.py ends with.
counts() {
	sed -n 's/.*Testing complete\. Ran [0-9]* tests: *//p' "$1.kunit" |
		tail -n 1 | tr -d ' ' | tr ',' '\n' |
		awk -F: '$1 == "passed" { p += $2 } $1 == "skipped" { s += $2 }
			 $1 ~ /^(failed|crashed|errors)$/ { f += $2 }
			 END { print p + 0, f + 0, s + 0 }'
}

# all_ran OUT LOG: whether each suite that is linked into the kernel ran, but the one
# that the platform leaves out. A glob leaves out more as soon as a name fits.
all_ran() {
	local suite status=0

	for suite in $(
		ar t "$1/vmlinux.a" | sed -n "s,\.o\$,.c,; s,^[^/],$TREE/&,p" |
			xargs grep -hs -A 20 'struct kunit_suite .*{' |
			sed -n '/struct kunit_suite .*{/,/}/s/.*\.name = "\([^"]*\)".*/\1/p'
	); do
		if [ "$suite" != "${P[Without]}" ] && ! grep -q "# Subtest: $suite\$" "$2.boot"; then
			echo "suite $suite did not run"
			status=1
		fi
	done
	return $status
}

# ran_again LOG: whether the suites of the series passed once more, after the boot:
# they leave nothing behind, and the kernel's own text and tables are read-only then.
ran_again() {
	local said

	said=$(sed -n 's/^.*again: //p' "$1.boot")
	if [[ $said =~ ^[1-9][0-9]*" suites"$ ]] ||
		# A series in the making.
		{ [ "$said" = "0 suites" ] && ! grep -q '# Subtest: lazy_mmu' "$1.boot"; }; then
		return
	elif [[ $said != *:* ]]; then
		echo "the suites of the series did not run again"
	else
		sed -n 's/.*:/run again, suite &/p' <<<"$said"
	fi
	return 1
}

# run_tests OUT LOG [FILTER]: boots and judges; a summary is the last line.
run_tests() {
	local status=0 passed failed skipped words

	# shellcheck disable=SC2206 # a list
	words=(${P[Arguments]})
	[ "${3:-}" ] || words+=(kunit_shutdown=none again=lazy_mmu "guest_end=${P[End]}")
	words=("${words[@]/#/--kernel_args=}")
	if [ "${3:-}" ]; then
		words+=("$3")
	elif [ "${P[Filter]}" ]; then
		words+=("${P[Filter]}")
	fi
	boot "$1" "$2" "${P[Seconds]}" "${words[@]}" || status=1
	read -r passed failed skipped <<<"$(counts "$2")"
	if [ "$((passed + failed))" = 0 ]; then
		echo "no test ran"
		status=1
	fi
	check_log "$2" || status=1
	[ "${3:-}" ] || { all_ran "$1" "$2" && ran_again "$2"; } || status=1
	[ $status = 0 ] || [ "$failed" != 0 ] || failed=1
	echo "${P[Name]}: $passed passed, $failed failed, $skipped skipped; log: $(named "$2.boot")"
	[ "$failed" = 0 ]
}

# ------------------------------------------- the kernel that tests, stress, shell boot

# What tests each topic brings; a series in the making may lack some.
KUNITCONFIGS="mm/tests"
STRESS=tools/testing/selftests/mm/lazy_mmu_stress.c

# configure_tests: in OUT, for the kernel of build/linux.
configure_tests() {
	local dir guest=$OUT/guest kinds=(kernel kunit) configs=() files=()

	# shellcheck disable=SC2086 # lists of packages
	need $BUILD_PACKAGES ${P[Packages]} ${P[Libc]}
	"$ROOT/harness/tree.py" tree
	for dir in $KUNITCONFIGS; do
		if [ -d "$TREE/$dir" ]; then
			configs+=("$TREE/$dir/.kunitconfig")
		else
			note "the series has no $dir"
		fi
	done
	program "$guest/init" "$ROOT/harness/shell.c"
	if [ ! "${P[Not-stress]}" ] && [ -f "$TREE/$STRESS" ]; then
		kinds+=(stress)
		program "$guest/stress" "$TREE/$STRESS"
		files+=("file /stress $guest/stress 0755 0 0")
	fi
	[ ! -f "$guest/busybox" ] || files+=("file /bin/busybox $guest/busybox 0755 0 0")
	initramfs "$guest" "${files[@]}"
	# shellcheck disable=SC2046 # a list
	configure "$OUT" "$guest" "$LOG.config" "${configs[@]}" $(fragments "${kinds[@]}") "$@"
}

build_tests() {
	configure_tests "$@"
	must_build "the kernel" "$OUT/.config" "$TREE" "$OUT" "$LOG.build"
}

# ------------------------------------------------------- stock 6.12 beside the series

# stock_commit: the base with the fix that it needs to build for sparc64.
stock_commit() {
	export GIT_INDEX_FILE=$TMP/index
	git -C "$TREE" read-tree base
	git -C "$TREE" log -1 -p --format= --grep='^fs: keep FMODE_NONOTIFY off sparc' base..lazy-mmu |
		git -C "$TREE" apply --cached --allow-empty
	git -C "$TREE" -c user.name=stock -c user.email=stock@localhost commit-tree -p base -m stock "$(git -C "$TREE" write-tree)"
}

# pair NAME COMMIT: a work tree of each, in HOME_DIR.
pair() {
	local stock

	HOME_DIR=$BUILD/$1
	mkdir -p "$HOME_DIR"
	stock=$(stock_commit)
	tree_at "$HOME_DIR/linux-stock" "$stock"
	tree_at "$HOME_DIR/linux-series" "$2"
}

# configure_compare: PAIR_OUT/config, a kernel for the programs of others, with what
# there is of their options on this architecture.
configure_compare() {
	# shellcheck disable=SC2046 # a list
	configure "$PAIR_OUT/config" "$PAIR_OUT" "$LOG.config" $(fragments kernel)
	fragments compare | xargs cat >>"$PAIR_OUT/config/.config"
}

# build_pair KERNEL: for the platform, in PAIR_OUT, as PAIR_OUT/config has it.
build_pair() {
	must_build "$1" "$PAIR_OUT/config/.config" "$HOME_DIR/linux-$1" "$PAIR_OUT/$1" "$LOG.$1"
}
