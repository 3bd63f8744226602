#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# bisect: which commits are built and booted where, and what is tried again.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	cp "$FAKE/boot" "$FAKE/boot.base"
}

# bisect [PLATFORM...]
bisect() {
	PLATFORM="$*" make_in_repo bisect
}

# counted: what the last run ended with.
counted() {
	grep -x '[0-9]* passed, [0-9]* failed' <<<"$output"
}

@test "each commit, unless its kernel is that of the one before" {
	works bisect arm64
	is "$(counted)" "2 passed, 0 failed"
	is "$(grep -c '^ok      arm64, .* mm: ' <<<"$output")" 2
	is "$(calls 'kunit.py exec' "build_dir=$REPO/build/bisect/arm64/out")" 1
	# Of the commit, not of the branch.
	is "$(calls 'make all' "O=$REPO/build/bisect/arm64/out")" 2
}

@test "a second run resumes" {
	works bisect arm64
	: >"$FAKE/calls"
	works bisect arm64
	is "$(grep -c '(before)$' <<<"$output")" 2
	is "$(counted)" "2 passed, 0 failed"
	is "$(calls make all)$(calls exec)" 00
	# What fails is not known the next time.
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: more"
	boots "    not ok 1 contract"
	complains "^FAILED  arm64, .* mm: more; logs: build/bisect/" bisect arm64
	complains "^FAILED  arm64, .* mm: more; logs: build/bisect/" bisect arm64
	is "$(grep -c '(before)$' <<<"$output")" 2
}

@test "what the results say passed before" {
	works bisect arm64
	mkdir -p "$REPO/results/6.12"
	mv "$REPO/build/bisect/passed" "$REPO/results/6.12/bisect.passed"
	works bisect arm64
	is "$(grep -c '(before)$' <<<"$output")" 2
	# One that fails is not in the record, nor is another platform.
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: more"
	works bisect arm64
	is "$(grep -c '(before)$' <<<"$output")" 2
	is "$(counted)" "3 passed, 0 failed"
	is "$(grep -cvxFf "$REPO/build/bisect/passed" "$REPO/results/6.12/bisect.passed")" 0
	complains "^FAILED  sparc64, " bisect sparc64
}

@test "some topics" {
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: of the topic before it"
	TOPICS=20-core works bisect arm64
	is "$(counted)" "2 passed, 0 failed"
	TOPICS="20-core 10-fixes" works bisect arm64
	is "$(counted)" "3 passed, 0 failed"
	for name in 99-none 20-core/; do
		TOPICS="20-core $name" refuses "^error: unknown topic $name; there are: 10-fixes 20-core$" bisect arm64
	done
}

@test "some platforms" {
	complains "^FAILED  sparc64, .* mm: " bisect arm64 sparc64
	is "$(counted)" "2 passed, 2 failed"
	is "$(sed -nE 's/^(ok|FAILED) *([a-z0-9_]*), .*/\2/p' <<<"$output" | sort -u | xargs)" "arm64 sparc64"
}

@test "every platform but those that want to be named" {
	anywhere "    ok 1 contract"
	works bisect
	is "$(sed -nE 's/^ok *([a-z0-9_]*), .*/\1/p' <<<"$output" | sort | uniq -c | awk '$1 == 2 { print $2 }')" \
		"$(cd "$REPO/platforms" && grep -LE '^When-named:.* (all|bisect)\b' -- */platform | grep -v ^common |
			cut -d / -f 1 | grep -vx arm64_kasan | sort)"
	is "$(grep -cE '_(debug|kasan|nodebug|rt),' <<<"$output")" 0
	works bisect arm64_debug
	is "$(counted)" "2 passed, 0 failed"
}

@test "a commit that does not build" {
	echo broken >>"$TREE/mm/memory.c"
	commit "mm: break it"
	# What puts it right does not hide it.
	sed -i '$d' "$TREE/mm/memory.c"
	commit "mm: put it right"
	complains "^FAILED  arm64, .* mm: break it; logs: build/bisect/mm-break-it.arm64\.\*" bisect arm64
	is "$(counted)" "3 passed, 1 failed"
	grep -q "error: broken" "$REPO/build/bisect/mm-break-it.arm64.build"
}

@test "a commit that does not boot" {
	works bisect arm64
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: break the boot"
	boots "    ok 1 contract" "BUG: it broke"
	complains "^FAILED  arm64, .* mm: break the boot" bisect arm64
	is "$(counted)" "2 passed, 1 failed"
}

@test "a commit that is not booted" {
	touch "$FAKE/no-boot"
	complains "^FAILED  arm64, .* mm: " bisect arm64
	is "$(counted)" "0 passed, 2 failed"
	is "$(wc -l <"$REPO/build/bisect/passed")" 0
}

@test "a commit before there are tests" {
	boots "1..0"
	works bisect arm64
	is "$(counted)" "2 passed, 0 failed"
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: break the boot"
	boots "1..0" "BUG: it broke"
	complains "^FAILED  arm64, .* mm: break the boot" bisect arm64
	boots
	complains "^FAILED  arm64, .* mm: break the boot" bisect arm64
}

@test "a fault of the base" {
	boots "    not ok 1 contract" "WARNING: mm/memory.c:7 at old+0x1/0x2"
	complains "^FAILED  arm64, " bisect arm64
	rm "$REPO"/build/bisect/base.*
	# In another line, and at another address.
	sed 's/:7 at old+0x1/:5 at old+0x3/' "$FAKE/boot" >"$FAKE/boot.base"
	works bisect arm64
	is "$(grep -c ' s, as the base fails$' <<<"$output")" 1
	is "$(counted)" "2 passed, 0 failed"
	is "$(calls 'kunit.py exec' "build_dir=$REPO/build/bisect/arm64/base")" 2
	# A test more, another warning, or none of either.
	echo differs >>"$TREE/mm/memory.c"
	commit "mm: break more"
	boots "    not ok 1 contract" "    not ok 2 other" "WARNING: mm/memory.c:7 at old+0x1/0x2"
	complains "^FAILED  arm64, .* mm: break more" bisect arm64
	boots "    not ok 1 contract" "WARNING: mm/memory.c:7 at new+0x1/0x2"
	complains "^FAILED  arm64, .* mm: break more" bisect arm64
	boots
	complains "^FAILED  arm64, .* mm: break more" bisect arm64
}

@test "an unknown platform" {
	refuses "^error: unknown PLATFORM=nowhere" bisect arm64 nowhere
	refuses "^error: unknown PLATFORM=nowhere" bisect nowhere
}
