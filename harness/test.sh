#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests the harness on a kernel of a few files with a kunit.py that only
# pretends: what a round trip keeps, what is refused, that a refusal changes
# nothing, and which boots count as failed.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

need git xz-utils
passed=0 failed=0
export GIT_CONFIG_GLOBAL=$TMP/gitconfig
git config --file "$GIT_CONFIG_GLOBAL" user.name "Ada Tester"
git config --file "$GIT_CONFIG_GLOBAL" user.email ada@test.example

# fake_kernel VERSION: a tarball like linux-source's.
fake_kernel() {
	local dir=$TMP/linux-$1

	mkdir -p "$dir/mm" "$dir/kernel"
	printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' \
		"$(cut -d. -f1 <<<"$1")" "$(cut -d. -f2 <<<"$1")" "$(cut -d. -f3 <<<"$1")" \
		>"$dir/Makefile"
	# As much of a build as make bisect needs.
	cat >>"$dir/Makefile" <<'END'
all:
	! grep broken mm/memory.c
	mkdir -p $(O)/mm && cat mm/*.c >$(O)/vmlinux && touch $(O)/mm/suite.o
	cd $(O) && rm -f vmlinux.a && ar rcT vmlinux.a mm/suite.o
olddefconfig: ;
END
	printf '.*\n*.o\n\n#\n# Debian packaging: ignore everything at\n# the top\n#\n/*\n!/debian/\n' >"$dir/.gitignore"
	seq 1 40 >"$dir/mm/memory.c"
	seq 50 90 >"$dir/kernel/fork.c"
	mkdir -p "$dir/tools/testing/kunit"
	# Takes what a boot prints from a file.
	cat >"$dir/tools/testing/kunit/kunit.py" <<'END'
#!/bin/bash
for argument; do
	case $argument in --build_dir=*) out=${argument#*=} ;; esac
done
mkdir -p "$out/mm"
case $1 in
config) touch "$out/.config" ;;
build)
	[ ! -e "$FAKE/broken" ] || { echo "mm/memory.c:1: error: broken"; exit 1; }
	cd "$out" && touch .config mm/suite.o && rm -f vmlinux.a && ar rcT vmlinux.a mm/suite.o
	;;
exec)
	cp "$FAKE/boot" "$out/test.log"
	# A wrong kernel fails its test.
	! grep -qs wrong "$out/vmlinux" || sed -i 's/^    ok 1/    not ok 1/' "$out/test.log"
	[[ "$*" != *raw_output* ]] || cat "$out/test.log"
	passed=$(grep -c '^ *ok' "$out/test.log") failed=$(grep -c '^ *not ok' "$out/test.log")
	echo "Testing complete. Ran $((passed + failed)) tests: passed: $passed, failed: $failed"
	[ "$failed" = 0 ]
	;;
esac
END
	chmod +x "$dir/tools/testing/kunit/kunit.py"
	printf 'struct kunit_suite s = {\n\t.name = "lazy_mmu_mode",\n};\n' >"$dir/mm/suite.c"
	tar -cJf "$TMP/linux-$1.tar.xz" -C "$TMP" "linux-$1"
}

# Every state that a refusal must leave alone.
snapshot() {
	(cd "$repo" && find . -path ./build -prune -o -type f -print0 | sort -z |
		xargs -0 sha256sum)
	git -C "$tree" show-ref 2>/dev/null || :
	git -C "$tree" status --porcelain 2>/dev/null || :
}

pass() { passed=$((passed + 1)); }

fail() {
	failed=$((failed + 1))
	echo "FAIL: $*"
}

make_in_repo() {
	make -s -C "$repo" "$@" >"$TMP/out" 2>&1 </dev/null
}

# works WHAT COMMAND...
works() {
	local what=$1
	shift
	if "$@" >"$TMP/out" 2>&1; then pass; else fail "$what: $(cat "$TMP/out")"; fi
}

# refuses MESSAGE COMMAND...: fails with that one line, and changes nothing.
refuses() {
	local message=$1 before status=0
	shift
	before=$(snapshot)
	"$@" >"$TMP/out" 2>&1 || status=$?
	if [ $status = 0 ]; then
		fail "should have been refused: $message"
	elif [ "$(grep '^error: ' "$TMP/out" | grep -c "$message")" != 1 ] ||
	     [ "$(grep -c '^error: ' "$TMP/out")" != 1 ]; then
		fail "expected one line with '$message', not: $(cat "$TMP/out")"
	elif [ "$before" != "$(snapshot)" ]; then
		fail "refused, but something changed: $message"
	else
		pass
	fi
}

is() {
	if [ "$2" = "$3" ]; then pass; else fail "$1: '$2', not '$3'"; fi
}

commit_all() {
	git -C "$tree" add -A && git -C "$tree" commit -qm "$1"
}

# fresh: an own copy of the repository, without a series.
fresh() {
	repo=$TMP/$1 tree=$TMP/$1/build/linux
	mkdir -p "$repo/patches"
	cp -r "$ROOT/harness" "$ROOT/Makefile" "$repo"
	touch "$repo/patches/series"
	export LINUX_TARBALL=$TMP/linux-6.12.999.tar.xz
}

for version in 6.12.999 6.12.1000 6.11.3; do
	fake_kernel $version
done

# --- tree and save
fresh a
works "tree without a series" make_in_repo tree
is "Debian's ignore block is gone" "$(cat "$tree/.gitignore")" \
	"$(printf '%s\n' '.*' '*.o' '' '!.kunitconfig')"
sed -i 's/^20$/twenty/' "$tree/mm/memory.c"
commit_all "mm: spell a number, with an ø in it

And a body — with a dash.

# even a line like this one
Signed-off-by: Zoë Tester <zoe@test.example>"
mkdir -p "$tree/mm/tests"
echo new >"$tree/mm/tests/lazy.c"
echo CONFIG_NEW=y >"$tree/mm/tests/.kunitconfig"
printf '#!/bin/sh\n' >"$tree/mm/tests/lazy.sh"
chmod +x "$tree/mm/tests/lazy.sh"
commit_all "mm: only new files"
git -C "$tree" mv kernel/fork.c kernel/spoon.c
sed -i 's/^1$/one/' "$tree/mm/memory.c"
echo more >"$tree/mm/more.c"
git -C "$tree" add -A
git -C "$tree" commit -qm "kernel: all kinds at once" --author 'Żółw <z@test.example>'
works "tree keeps unsaved commits" make_in_repo tree
is "and says so" "$(grep -c 'commits are not saved' "$TMP/out")" 1
works "save" make_in_repo save
is "patches/series" "$(sed 1d "$repo/patches/series" | tr '\n' ';')" "$(
	)0001-mm-spell-a-number-with-an-in-it.patch;$(
	)0002-mm-only-new-files.patch mm/tests/.kunitconfig mm/tests/lazy.c mm/tests/lazy.sh;$(
	)0003-kernel-all-kinds-at-once.patch kernel/spoon.c mm/more.c;"
is "a script stays one" "$(stat -c %a "$repo/mm/tests/lazy.sh")" 755
sed -i 's/^0001.*patch/& -U1/' "$repo/patches/series"
works "tree with less context" make_in_repo tree
works "save with less context" make_in_repo save
is "takes a line on each side" "$(sed '1,/^@@/d' "$repo"/patches/0001-* | grep -c '^ ')" 2
is "and keeps it so" "$(grep -c ' -U1$' "$repo/patches/series")" 1
saved=$(snapshot)
works "save again" make_in_repo save
is "a second save changes nothing" "$(snapshot)" "$saved"
works "verify" make_in_repo verify
tree_id=$(git -C "$tree" rev-parse 'lazy-mmu^{tree}')
messages=$(git -C "$tree" log --format=%an%n%B)
rm -rf "$repo/build"
works "tree from the repository" make_in_repo tree
is "same content" "$(git -C "$tree" rev-parse 'lazy-mmu^{tree}')" "$tree_id"
is "same messages" "$(git -C "$tree" log --format=%an%n%B)" "$messages"
is "the work tree is clean" "$(git -C "$tree" status --porcelain)" ""
head=$(git -C "$tree" rev-parse lazy-mmu)
before=$(snapshot)
works "save after tree" make_in_repo save
is "tree and save change nothing" "$(snapshot)" "$before"
rm -rf "$repo/build"
works "tree a third time" make_in_repo tree
is "equal input, equal commit id" "$(git -C "$tree" rev-parse lazy-mmu)" "$head"

# --- series and apply
works "series" make_in_repo series
git clone -q "$tree" "$TMP/user" -b base 2>/dev/null
works "git am of the series" git -C "$TMP/user" am -q "$repo"/build/series/*.patch
is "git am gives the branch" "$(git -C "$TMP/user" rev-parse 'HEAD^{tree}')" "$tree_id"
refuses "already has the series" make_in_repo apply LINUX="$TMP/user"
git -C "$TMP/user" reset -q --hard base
echo x >>"$TMP/user/mm/memory.c"
refuses "is dirty" make_in_repo apply LINUX="$TMP/user"
git -C "$TMP/user" reset -q --hard base
mkdir "$TMP/user/mm/tests" && echo mine >"$TMP/user/mm/tests/lazy.c"
refuses "mm/tests/lazy.c" make_in_repo apply LINUX="$TMP/user"
is "no branch is left behind" "$(git -C "$TMP/user" branch --list lazy-mmu)" ""
rm "$TMP/user/mm/tests/lazy.c"
works "apply" make_in_repo apply LINUX="$TMP/user"
is "apply gives the branch" "$(git -C "$TMP/user" rev-parse 'lazy-mmu^{tree}')" "$tree_id"
refuses "already has a branch" make_in_repo apply LINUX="$TMP/user"
refuses "no git tree" make_in_repo apply LINUX="$TMP/nothing"
refuses "no git tree" make_in_repo apply LINUX="$TMP/user/mm"
refuses "say which tree" make_in_repo apply
git init -q "$TMP/old" && cp "$TMP/linux-6.11.3/Makefile" "$TMP/old"
git -C "$TMP/old" add -A && git -C "$TMP/old" commit -qm old
refuses "is Linux 6.11.3, not 6.12" make_in_repo apply LINUX="$TMP/old"
git -C "$TMP/user" checkout -q base && git -C "$TMP/user" branch -qD lazy-mmu
sed -i 's/^21$/other/' "$TMP/user/mm/memory.c"
git -C "$TMP/user" commit -qam other
refuses "patches/0001-.*does not apply: mm/memory.c:" make_in_repo apply LINUX="$TMP/user"

# --- who holds the newest work
echo edit >>"$repo/mm/more.c"
refuses "edited in the repository since make tree.*mm/more.c" make_in_repo save
works "tree takes an edit of the repository" make_in_repo tree
is "into the branch" "$(git -C "$tree" show lazy-mmu:mm/more.c | tail -n 1)" edit
works "and save agrees" make_in_repo save
echo work >>"$tree/mm/more.c"
refuses "uncommitted changes in mm/more.c" make_in_repo save
works "tree keeps uncommitted work" make_in_repo tree
is "unharmed" "$(tail -n 1 "$tree/mm/more.c")" work
refuses "not saved" make_in_repo clean
echo edit >>"$repo/mm/tests/lazy.c"
refuses "were both edited" make_in_repo tree
git -C "$tree" commit -qa --amend --no-edit
refuses "were both edited" make_in_repo tree
refuses "not overwritten: mm/tests/lazy.c" make_in_repo save
sed -i '$d' "$repo/mm/tests/lazy.c"
works "save once the edit is undone" make_in_repo save
git -C "$tree" checkout -q base
refuses "not on branch lazy-mmu" make_in_repo save
git -C "$tree" checkout -q lazy-mmu
rm "$repo/mm/more.c"
refuses "mm/more.c, which is not there" make_in_repo tree
works "put back" git -C "$tree" show lazy-mmu:mm/more.c
cp "$TMP/out" "$repo/mm/more.c"

# --- what cannot be tree or series
cp "$repo"/patches/0001-* "$TMP/0001"
sed -i '0,/^-20$/s//-2000/' "$repo"/patches/0001-*
refuses "patches/0001-.*does not apply: mm/memory.c:19" make_in_repo tree
cp "$TMP/0001" "$repo"/patches/0001-mm-spell-a-number-with-an-in-it.patch
works "tree once it applies again" make_in_repo tree
echo stray >"$repo/mm/stray.c"
refuses "no part of the series.*mm/stray.c" make_in_repo verify
rm "$repo/mm/stray.c"
works "verify without it" make_in_repo verify
echo late >>"$tree/mm/tests/lazy.c"
commit_all "mm: late change"
refuses "mm/tests/lazy.c enters with .*only new files.*late change" make_in_repo save
git -C "$tree" reset -q --hard HEAD^
mkdir "$tree/harness" && echo x >"$tree/harness/x"
commit_all "mm: in our place"
refuses "adds harness/x, a name the repository cannot hold" make_in_repo save
git -C "$tree" reset -q --hard HEAD^
git -C "$tree" rebase -q --exec false base >/dev/null 2>&1 || :
refuses "in the middle of a rebase" make_in_repo save
git -C "$tree" rebase --abort
works "a commit goes" git -C "$tree" reset -q --hard HEAD^
works "save without it" make_in_repo save
is "its files go too" "$(cd "$repo" && ls patches; ls -d "$repo"/kernel 2>/dev/null)" \
	"$(printf '%s\n' 0001-mm-spell-a-number-with-an-in-it.patch \
		0002-mm-only-new-files.patch series)"
git -C "$tree" branch mine
refuses "not saved: it has mine" make_in_repo clean
works "another base" env LINUX_TARBALL="$TMP/linux-6.12.1000.tar.xz" \
	make -s -C "$repo" tree
is "is taken" "$(git -C "$tree" log -1 --format=%s base)" "Linux 6.12.1000"
is "own branches stay" "$(git -C "$tree" branch --list mine)" "  mine"
git -C "$tree" branch -qD mine
LINUX_TARBALL=$TMP/linux-6.11.3.tar.xz refuses "not 6.12" make_in_repo tree
works "clean" make_in_repo clean
is "leaves no build/" "$(ls -d "$tree" 2>/dev/null)" ""
refuses "there is no build/linux" make_in_repo save
LINUX_TARBALL=$TMP/linux-6.11.3.tar.xz refuses "holds Linux 6.11.3, not 6.12" make_in_repo tree
LINUX_TARBALL=$TMP/none.tar.xz refuses "none.tar.xz: no such file" make_in_repo tree

# --- a machine that lacks something
# stub NAME OUTPUT: a command that says OUTPUT.
stub() {
	mkdir -p "$TMP/bin"
	printf '#!/bin/sh\necho "%s"\n' "$2" >"$TMP/bin/$1"
	chmod +x "$TMP/bin/$1"
}
stub df "3G"
PATH=$TMP/bin:$PATH refuses "kernel tree needs 8 GB of disk.*3 GB are free" make_in_repo tree
rm "$TMP/bin/df"

stub dpkg-query "unknown ok not-installed"
stub id 1000
PATH=$TMP/bin:$PATH refuses "as root: apt-get install .*gcc-aarch64-linux-gnu" make_in_repo run
rm "$TMP/bin/dpkg-query"
refuses "unknown PLATFORM=mips; there are: um .* sparc64" make_in_repo kunit PLATFORM=mips
refuses "say PLATFORM=" make_in_repo kunit
refuses "unknown PLATFORM=vax" make_in_repo run PLATFORM=vax
refuses "unknown PLATFORM=vax" make_in_repo bench PLATFORM=vax
refuses "PLATFORM=um has no emulator" make_in_repo bench PLATFORM=um
refuses "LINUX_PEER=/dev is no kernel tree" make_in_repo bench LINUX_PEER=/dev
refuses "say PLATFORM=" make_in_repo compare
refuses "unknown PLATFORM=vax" make_in_repo compare PLATFORM=vax
refuses "PLATFORM=um runs no programs" make_in_repo compare PLATFORM=um
refuses "unknown PLATFORM=vax" make_in_repo stress PLATFORM=vax
refuses "PLATFORM=um is not supported" make_in_repo stress PLATFORM=um
refuses "SECONDS=1m is no number" make_in_repo stress SECONDS=1m
refuses "SEED=0 is no number" make_in_repo stress SEED=0

# --- what a boot shows
export FAKE=$TMP/fake
mkdir "$FAKE"

# boots LINE...: the next boot prints a good log, and LINEs.
boots() {
	{
		echo "Booting Linux on physical CPU 0x0"
		echo "KTAP version 1"
		echo "    # Subtest: lazy_mmu_mode"
		printf '%s\n' "$@"
	} >"$FAKE/boot"
}

# shellcheck source=harness/kunit.sh
rows=$(sed -n "/^CONTRACT='/,/'\$/p" "$ROOT/harness/kunit.sh" | sed "s/^CONTRACT='//; s/'\$//")

# complains WHAT COMMAND...: fails, and says so.
complains() {
	local what=$1
	shift
	if "$@"; then
		fail "should have failed: $what"
	elif grep -q "$what" "$TMP/out"; then
		pass
	else
		fail "expected '$what', not: $(cat "$TMP/out")"
	fi
}

boots "$rows" "    ok 1 contract" "    ok 2 other"
works "kunit" make_in_repo kunit PLATFORM=arm64
works "run" make_in_repo run
is "prints the rows" "$(grep '^lazy_mmu' "$TMP/out")" "$rows"
boots "$rows" "    ok 1 contract" "WARNING: CPU: 0 PID: 1 at mm/memory.c"
complains "WARNING: CPU: 0" make_in_repo kunit PLATFORM=arm64
complains "WARNING: CPU: 0" make_in_repo run
complains "arm64: 1 passed, 1 failed" make_in_repo kunit PLATFORM=arm64
boots "$rows" "    # Subtest: kasan" "BUG: KASAN: meant" "ok 2 kasan" "    ok 1 contract"
works "what a suite provokes is no complaint" make_in_repo kunit PLATFORM=arm64
boots "$rows" "    # Subtest: kasan" "ok 2 kasan" "BUG: KASAN: not meant" "    ok 1 contract"
complains "BUG: KASAN: not meant" make_in_repo kunit PLATFORM=arm64
boots "${rows//pause=1/pause=2}" "    ok 1 contract"
complains "not the 6 rows" make_in_repo run
boots "$(sed 1d <<<"$rows")" "    ok 1 contract"
complains "not the 6 rows" make_in_repo run
boots "$rows" "    ok 1 contract" "    not ok 2 other"
complains "arm64: 1 passed, 1 failed" make_in_repo kunit PLATFORM=arm64
boots
complains "no test ran" make_in_repo kunit PLATFORM=arm64
boots "$rows" "    ok 1 contract"
complains "this was not x86_64_xen" make_in_repo kunit PLATFORM=x86_64_xen
sed -i '/Subtest/d' "$FAKE/boot"
complains "suite lazy_mmu_mode did not run" make_in_repo kunit PLATFORM=arm64
works "a filter needs no suite" make_in_repo kunit PLATFORM=arm64 FILTER=a.b
touch "$FAKE/broken"
complains "mm/memory.c:1: error: broken" make_in_repo kunit PLATFORM=arm64

# --- what a stressed kernel says
rm "$FAKE/broken"
mkdir -p "$tree/tools/testing/selftests/mm"
echo 'int main(void) { return 0; }' >"$tree/tools/testing/selftests/mm/lazy_mmu_stress.c"
commit_all "selftests: stress"
stress() {
	make_in_repo stress SECONDS=30 SEED=7
}
boots "[ 1.0] stress: 1 s: mmap 1" "[ 2.0] stress: passed: seed 7, 30 s"
works "stress" stress
is "shows what the guest says" "$(grep -c '^1 s: mmap 1$' "$TMP/out")" 1
boots "[ 1.0] stress: FAILED: mismatch: page 3" "[ 2.0] stress: passed: seed 7, 30 s"
complains "arm64: mismatch: page 3; again: make stress PLATFORM=arm64 SECONDS=30 SEED=7" stress
boots "[ 1.0] WARNING: CPU: 0" "[ 2.0] stress: passed: seed 7, 30 s"
complains "arm64: the kernel complains: WARNING: CPU: 0" stress
boots "unlike" "[ 1.0] --[ cut here ]--" "it broke" "WARNING: CPU: 0"
complains "arm64: the kernel complains: it broke: WARNING: CPU: 0; again" stress
boots "[ 1.0] stress: 1 s: mmap 1" "[ERROR] The kernel timed out after 210 seconds"
complains "arm64: hang: no end after 210 s; last: 1 s: mmap 1" stress
boots "[ 1.0] stress: 1 s: mmap 1"
complains "arm64: the kernel ended too early; last: 1 s: mmap 1" stress
boots "[ 1.0] stress: passed: seed 8, 30 s"
complains "arm64: the kernel ended too early" stress
sed -i 's/Booting/Starting/; s/seed 8/seed 7/' "$FAKE/boot"
complains "this was not arm64" stress
git -C "$tree" reset -q --hard HEAD~

# --- every commit
boots "    ok 1 contract"
works "bisect" make_in_repo bisect PLATFORM=arm64
is "tries each commit" "$(tail -n 1 "$TMP/out")" "2 passed, 0 failed"
works "bisect again" make_in_repo bisect PLATFORM=arm64
is "goes on where it stopped" "$(grep -c '(before)$' "$TMP/out")" 2
complains "^FAILED  sparc64, " make_in_repo bisect PLATFORM="arm64 sparc64"
is "tries both, and no other" "$(grep passed, "$TMP/out")" "2 passed, 2 failed"
complains "unknown PLATFORM=nowhere" make_in_repo bisect PLATFORM="arm64 nowhere"
complains "^FAILED  sparc64, " make_in_repo bisect
is "tries each platform but debug kernels" \
	"$(sed -nE 's/^(ok|FAILED) *([a-z0-9_]*), .*/\2/p' "$TMP/out" | sort)" \
	"$({ platform_names; platform_names; } | grep -vE '_(debug|kasan)$' | sort)"
echo broken >>"$tree/mm/memory.c"
git -C "$tree" commit -qam "mm: break it"
complains "FAILED  arm64, .* mm: break it" make_in_repo bisect PLATFORM=arm64
sed -i '$d' "$tree/mm/memory.c"
echo differs >>"$tree/mm/memory.c"
git -C "$tree" commit -qa --amend -m "mm: break the boot"
boots "    ok 1 contract" "BUG: it broke"
complains "FAILED  arm64, .* mm: break the boot" make_in_repo bisect PLATFORM=arm64
is "only that one" "$(tail -n 1 <(grep passed, "$TMP/out"))" "2 passed, 1 failed"

# --- wrong versions
rm "$repo"/harness/mutants/*
boots "    ok 1 contract"
# mutant NAME FILTER EDIT
mutant() {
	{
		printf 'Platform: arm64\nFilter: %s\nArea: numbers\nWrong: one\n\n' "$2"
		sed "$3" "$tree/mm/memory.c" |
			diff -u --label a/mm/memory.c --label b/mm/memory.c "$tree/mm/memory.c" - || :
	} >"$repo/harness/mutants/$1.patch"
}
mutant found lazy 's/^10$/wrong/'
mutant missed lazy 's/^11$/unnoticed/'
complains "^killed    arm64: found, contract, [0-9]* s" make_in_repo mutants
is "one is killed" "$(grep killed, "$TMP/out")" "1 killed, 1 survived"
is "the area" "$(tr -s ' ' <"$TMP/out" | grep ^numbers)" "numbers 1 1"
works "mutants again" make_in_repo mutants MUTANT=found
is "goes on where it stopped" "$(grep -c ', before$' "$TMP/out")" 1
mutant unbuilt lazy 's/^12$/broken/'
complains "^broken    arm64: unbuilt, does not build" make_in_repo mutants MUTANT=unbuilt
mutant misplaced lazy 's/^13$/wrong/'
sed -i 's/^ 12$/ 21/' "$repo/harness/mutants/misplaced.patch"
complains "^broken    arm64: misplaced, does not apply" make_in_repo mutants MUTANT=misplaced
boots "    not ok 1 contract"
mutant late other 's/^14$/wrong/'
complains "other fails without a mutant" make_in_repo mutants MUTANT=late
sed -i '/^Area/d' "$repo/harness/mutants/late.patch"
refuses "late.patch has no Area" make_in_repo mutants
refuses "unknown MUTANT=lost" make_in_repo mutants MUTANT=lost
refuses "unknown PLATFORM=lost" make_in_repo mutants PLATFORM=lost

# --- lanes
is "each platform is in one lane" \
	"$(for lane in "${LANES[@]}"; do platforms_of "$lane"; done | sort)" \
	"$(platform_names | sort)"

# --- what check counts
for script in test versions lint tree docs stress; do
	printf '#!/bin/sh\necho "%s"\n' "x: 3 passed, 0 failed" >"$repo/harness/$script.sh"
done
printf '#!/bin/sh\necho "%s"\n' "x: 2 passed, 0 failed, 1 skipped" >"$repo/harness/kunit.sh"
works "check" make_in_repo check
is "adds what steps count" "$(tail -n 1 "$TMP/out")" "50 passed, 0 failed"
printf '#!/bin/sh\necho error: no; exit 1\n' >"$repo/harness/versions.sh"
complains "FAILED  versions" make_in_repo check
is "goes on" "$(cat "$repo/build/log/summary")" "47 passed, 1 failed"

# --- what bench makes of what it measured
mkdir "$TMP/bench"
# measured KERNEL COUNT...: two repetitions of two steps.
measured() {
	printf 'sizeof(task_struct) 64\n8 map unmap\nend\n' >"$TMP/bench/$1.said"
	{ echo dsb; printf '%s\n' "${@:2}"; } >"$TMP/bench/$1.counts"
	echo 100 >"$TMP/bench/$1.text"
}
report() {
	"$ROOT/harness/bench/report.py" arm64 "$TMP/bench" 2 "$TMP/bench/json" \
		stock series "$@" >"$TMP/out" 2>&1
}
measured stock 9 5 8 4
measured series 4 6 5 5
report || fail "report: $(cat "$TMP/out")"
is "the least of each step" \
	"$(sed -n 's/^\(un\)\?map  *//p' "$TMP/out" | tr -s ' ')" \
	"8 8 4 0.500
8 4 5 1.250"
works "plot" "$ROOT/harness/bench/plot.py" "$TMP/bench/json" "$TMP/bench/svg"
measured peer 3 3 3 3
report peer || fail "report: $(cat "$TMP/out")"
is "a third kernel" "$(sed -n 's/^unmap  *//p' "$TMP/out" | tr -s ' ')" "8 4 5 1.250 3"
works "plot of three" "$ROOT/harness/bench/plot.py" "$TMP/bench/json" "$TMP/bench/svg"
mkdir "$TMP/bench/peer"
printf 'mrproper:\n' >"$TMP/bench/peer/Makefile"
touch "$TMP/bench/peer/"{vmlinux,vmlinux.lds.S,main.c,main.o}
(
	export HOME_DIR=$TMP/bench PEER=$TMP/bench/peer
	eval "$(sed -n '/^peer_source() {/,/^}/p' "$ROOT/harness/bench.sh")"
	peer_source
)
is "a copy of its sources" "$(cd "$TMP/bench/linux-peer" && echo *)" \
	"Makefile main.c vmlinux.lds.S"
measured series 4 6 5
complains "series: 3 counts, not 4" report
sed -i '$d' "$TMP/bench/series.said"
complains "series did not come to its end" report

# --- what compare makes of two logs
mkdir "$TMP/compare"
# said KERNEL LINE...
said() {
	printf '%s\n' "${@:2}" "compare: end" >"$TMP/compare/$1.boot"
}
compare_report() {
	TROUBLE=$TROUBLE PROVOKING=$PROVOKING "$ROOT/harness/compare/report.py" arm64 "$TMP/compare" >"$TMP/out" 2>&1
}
reaped="compare: mrelease_test| ok 1 Success reaping a child with"
said stock "$reaped 2MB of memory allocations"
said series "$reaped 4MB of memory allocations"
works "alike whatever a child held" compare_report
mm="compare: cow 1|"
said stock "$mm ok 1 fork at 0x1000" "$mm not ok 2 swap" "$mm exit: 1"
said series "$mm ok 1 fork at 0x2000" "$mm not ok 2 swap" "$mm exit: 1"
works "alike" compare_report
is "counts what is alike" "$(cat "$TMP/out")" \
	"arm64: 3 results are alike, 0 differ; 1 of 3 pass with the series"
said series "$mm not ok 1 fork at 0x2000" "$mm ok 2 swap" "$mm exit: 1"
complains "| mm: cow 1: fork at N | ok | not ok |" compare_report
said series "$mm ok 1 fork at 0x2000" "$mm not ok 2 swap" "$mm exit: 1" "BUG: bad page"
complains "| BUG: bad page | 0 times | 1 times |" compare_report
said series "$mm ok 1 fork at 0x2000"
complains "| mm: cow 1: swap | not ok | - |" compare_report
said series
complains "a kernel has no results" compare_report
said series "$mm ok 1 fork at 0x2000" "$mm not ok 2 swap" "$mm exit: 1"
sed -i '$d' "$TMP/compare/stock.boot"
complains "arm64: stock did not come to its end" compare_report

echo "harness: $passed passed, $failed failed"
[ $failed = 0 ]
