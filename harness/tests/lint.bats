#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# lint: which messages count. Its tools only pretend, but for git and python: each
# complains of a word.
# shellcheck disable=SC2317 # functions that lint.sh calls

load fake

setup_file() {
	fake_kernel 6.12.999
	dir=$BATS_FILE_TMPDIR/6.12.999/linux-source-6.12
	mkdir -p "$dir/scripts" "$dir/include"
	# shellcheck disable=SC2016 # for make
	printf '%s\n' 'all: $(O)/mm/.memory.o.cmd' '$(O)/mm/.memory.o.cmd:' \
		'	mkdir -p $(O)/mm && touch $@ $(O)/mm/memory.o' '.PHONY: FORCE' 'mm/%.o: FORCE' \
		'	@! grep -q pedantic mm/$*.c' \
		'	@echo "  $(CROSS_COMPILE)gcc -D__KERNEL__ -o $@ $(CURDIR)/mm/$*.c"' \
		'	@$(CROSS_COMPILE)gcc -D__KERNEL__ -o /dev/null $(CURDIR)/mm/$*.c' \
		'	@! grep -q documented mm/$*.c || { echo "  $(CURDIR)/scripts/kernel-doc -none   $(CURDIR)/mm/$*.c"; $(CURDIR)/scripts/kernel-doc -none $(CURDIR)/mm/$*.c; }' >>"$dir/Makefile"
	cat >"$dir/scripts/checkpatch.pl" <<-'END'
		#!/bin/sh
		echo "checkpatch $*" >>"$FAKE/calls"
		cat "$FAKE/checkpatch" && exit 1
		exit "$(cat "$FAKE/checkpatch-fails" || echo 0)"
	END
	cat >"$dir/scripts/kernel-doc" <<-'END'
		#!/bin/sh
		for last; do :; done
		grep -n undescribed "$last" | sed "s,\([0-9]*\).*,$last:\1: warning: not described,"
	END
	chmod +x "$dir"/scripts/*
	# With spaces, which <<- leaves.
	cat >"$dir/tools/testing/kunit/kunit_tool_test.py" <<-'END'
		import pathlib, unittest
		class Tests(unittest.TestCase):
		    def test_known(self):
		        self.fail()
		    def test_good(self):
		        pathlib.Path('.kunitconfig').touch()
		        self.assertEqual(1, 1)
		unittest.main()
	END
	# What the base has of each does not count.
	printf '%s\n' unused undescribed >>"$dir/mm/memory.c"
	printf '%s\n' lazy_mmu_mode_enable lazy_mmu_mode_disable >"$dir/mm/mprotect.c"
	tar -cJf "$KERNELS/linux-6.12.999.tar.xz" -C "$BATS_FILE_TMPDIR/6.12.999" linux-source-6.12
}

setup() {
	with_two
	rm -r "$REPO"/platforms/[!c]*
	platform fake "Shows: x" "Cross: fake-" "Source: arm64"
	cat >"$STUBS/fake-gcc" <<-'END'
		#!/bin/sh
		while [ $# -gt 1 ]; do
			[ "$1" != -o ] || echo program >"$2"
			shift
		done
		grep -n unused "$1" | sed "s,\([0-9]*\).*,$1:\1:2: warning: unused,"
	END
	rm -f "$STUBS/gcc"
	chmod +x "$STUBS/fake-gcc"
	mkdir -p "$REPO/mutants/x"
	printf '%s\n' "Platform: fake" "Filter: lazy" "Wrong: x" "" "--- a/mm/memory.c" "+++ b/mm/memory.c" \
		"@@ -1,2 +1,2 @@" "-1" "+wrong" " 2" >"$REPO/mutants/x/x.patch"
	# lint looks in /usr/bin first.
	dpkg-query() { printf 'installed %s\n' "$@"; }
	shellcheck() {
		echo "shellcheck $*" >>"$FAKE/calls"
		cat "$FAKE/shellcheck" 2>/dev/null
	}
	# Of sections that are not closed, in the directory that is the last argument, and
	# of faults as it should.
	spatch() {
		for last; do :; done
		if [ "$last" = . ]; then
			cat "$FAKE/loud" 2>/dev/null
			[ -e "$FAKE/silent" ] || grep -n '.// ' mm.c |
				sed 's,^\([0-9]*\):.*// ,./mm.c:\1:2-3: ERROR: ,; s/$/ a section/'
			return 0
		fi
		grep -rls lazy_mmu_mode_enable "$last" | xargs -r grep -L lazy_mmu_mode_disable |
			sed 's/$/:1:2-3: the section is not closed/'
		[ ! -e "$FAKE/spatch-fails" ]
	}
	export -f dpkg-query shellcheck spatch
}

lint() {
	"$REPO/harness/lint.sh" </dev/null
}

# red STEP MESSAGE: that one fails, and no other.
red() {
	complains "^FAILED $1$" lint
	is "$(grep -c ^FAILED <<<"$output")" 1
	grep -q -e "$2" <<<"$output" || { echo "expected '$2', not: $output"; false; }
	is "${lines[-1]}" "lint: 9 passed, 1 failed"
}

@test "nothing to say" {
	works lint
	is "${lines[-1]}" "lint: 10 passed, 0 failed"
	is "$(grep -c '^ok ' <<<"$output")" 10
	is "$(calls checkpatch --strict '--git base..lazy-mmu')" 1
	# Every script is looked at.
	for name in "$REPO"/harness/*.sh "$REPO"/harness/tests/*.ba*; do
		is "$(calls shellcheck "${name#"$REPO"/}")" 1
	done
	is "$(git -C "$TREE" status --porcelain --ignored -- tools)" ""
	is "$(calls 'make all' O=)" 1
}

@test "what ccache has kept of a compiler in another clone" {
	sed -i 's,^grep -n unused.*,echo "/other/build/${1##*/build/}:1:2: warning: unused",' "$STUBS/fake-gcc"
	works lint
	echo odd >>"$TREE/mm/memory.c"
	commit "mm: warn"
	# shellcheck disable=SC2016 # for the stub
	sed -i 's,unused",&"$(grep -o odd "$1")",' "$STUBS/fake-gcc"
	red "W=1 and sparse, fake" "^mm/memory.c: warning: unusedodd"
}

@test "some platforms" {
	PLATFORM=fake works lint
	is "${lines[-1]}" "lint: 9 passed, 0 failed"
	platform other "Like: fake" "Kernel: other" "Config: fake"
	PLATFORM="fake other" works lint
	is "${lines[-1]}" "lint: 10 passed, 0 failed"
	grep -qx "ok W=1 and sparse, other" <<<"$output"
	# Those that share one.
	platform other "Like: fake"
	PLATFORM="fake other" works lint
	is "${lines[-1]}" "lint: 9 passed, 0 failed"
	PLATFORM=vax refuses "^error: unknown PLATFORM=vax" lint
}

@test "checkpatch, but for what is allowed" {
	echo "0001: 7: WARNING:LONG_LINE: line of 101 characters" >"$FAKE/checkpatch"
	red "checkpatch --strict" "^0001: 7: WARNING:LONG_LINE"
	echo "0001: 7: WARNING:FILE_PATH_CHANGES: added" >"$FAKE/checkpatch"
	works lint
	# Neither a comment of the list nor a line that is empty allows anything.
	printf '%s\n' "0001: 7: CHECK:X: SPDX" >"$FAKE/checkpatch"
	printf '\n# CHECK:X\n' >>"$REPO/harness/lint.allow"
	red "checkpatch --strict" "CHECK:X"
	echo "CHECK:[XY]:" >>"$REPO/harness/lint.allow"
	works lint
}

@test "checkpatch that fails by itself" {
	echo 2 >"$FAKE/checkpatch-fails"
	red "checkpatch --strict" "^ERROR: checkpatch itself fails"
}

@test "the tests of kunit.py" {
	test=$TREE/tools/testing/kunit/kunit_tool_test.py
	cp "$test" "$BATS_TEST_TMPDIR/test"
	sed -i 's/assertEqual(1, 1)/assertEqual(1, 2)/' "$test"
	red kunit_tool_test.py "^FAIL: test_good"
	sed -i 's/assertEqual(1, 2)/nothing()/' "$test"
	red kunit_tool_test.py "^ERROR: test_good"
	# Of one that does not start, there is nothing to compare.
	echo 'what is this' >"$test"
	red kunit_tool_test.py "^ERROR: no test ran in "
	sed '/def /,/fail\|assert/d; s/^class.*/&\n    pass/' "$BATS_TEST_TMPDIR/test" >"$test"
	red kunit_tool_test.py "^ERROR: no test ran in "
	# kunit.py itself is what they test.
	cp "$BATS_TEST_TMPDIR/test" "$test"
	sed -i 's/self.fail()/pass/' "$test"
	works lint
}

@test "kernel-doc" {
	echo undescribed >"$TREE/include/lazy.h"
	commit "mm: a header"
	red kernel-doc "^include/lazy.h: warning: not described"
	git -C "$TREE" reset -q --hard HEAD^
	# One of a kind is known in mm/memory.c.
	sed -i '1i here' "$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	sed -i 's/^-1/-2/; s/^ 2/ 3/; s/@@.*/@@ -3,2 +3,2 @@/' "$REPO/mutants/x/x.patch"
	works lint
	echo undescribed >>"$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	red kernel-doc "^mm/memory.c: warning: not described"
}

@test "shellcheck" {
	echo "harness/x.sh:1:2: note: quote this [SC2086]" >"$FAKE/shellcheck"
	red shellcheck "^harness/x.sh:1:2: note: quote this"
}

@test "a mutant that does not apply" {
	sed -i 's/^ 2$/ 21/' "$REPO/mutants/x/x.patch"
	red "mutants apply" "^error: .*mm/memory.c"
}

@test "python that is none" {
	echo 'def f(' >"$REPO/harness/bench/x.py"
	red "python syntax" "SyntaxError: "
	rm "$REPO/harness/bench/x.py"
	echo 'def f(' >"$TREE/scripts/new.py"
	commit "scripts: x"
	red "python syntax" "SyntaxError: "
}

@test "coccinelle" {
	mkdir -p "$TREE/arch/arm64/mm"
	echo lazy_mmu_mode_enable >"$TREE/arch/arm64/mm/hook.h"
	commit "arm64: x"
	red coccinelle "^arch/arm64/mm/hook.h:1:2-3: the section is not closed"
	git -C "$TREE" reset -q --hard HEAD^
	touch "$FAKE/spatch-fails"
	complains "^FAILED coccinelle$" lint
	grep -q "^spatch itself fails on mm$" <<<"$output"
}

@test "a rule that is silent, or says too much" {
	touch "$FAKE/silent"
	red "coccinelle finds faults" "^< ./mm.c:[0-9]*:not closed"
	rm "$FAKE/silent"
	echo "./arch/hook.c:3:1-2: ERROR: direct call of a hook" >"$FAKE/loud"
	red "coccinelle finds faults" "^> ./arch/hook.c:3:direct call"
}

@test "a compiler's warning" {
	sed -i '5i unused' "$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	red "W=1 and sparse, fake" "^mm/memory.c: warning: unused"
	# The plain objects are back.
	[ -f "$REPO/build/fake/mm/memory.o" ]
}

@test "kernel-doc that W=1 checks, which the base fails as well" {
	echo documented >>"$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	works lint
	grep -q "mm/memory.c:.*not described" "$REPO/build/log/fake.lint"
}

@test "a kernel that does not build" {
	echo pedantic >>"$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	red "W=1 and sparse, fake" "^fake does not build with W=1 C=2; log: build/log/fake.lint"
	sed -i '$s/.*/broken/' "$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	complains "^FAILED W=1 and sparse, fake$" lint
	grep -q "^the kernel does not build$" <<<"$output"
}

@test "a file that is compiled nowhere" {
	echo x >"$TREE/mm/lonely.c"
	commit "mm: x"
	red "every file is compiled" "^mm/lonely.c is compiled for no platform"
}
