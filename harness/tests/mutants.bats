#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# mutants: which wrong versions are killed, and which are no use.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
}

# mutant AREA/NAME FILTER EDIT [LINE...]
mutant() {
	mkdir -p "$REPO/mutants/${1%/*}"
	{
		printf '%s\n' "Platform: arm64" "Filter: $2" "Wrong: one" "${@:4}" ""
		sed "$3" "$TREE/mm/memory.c" |
			diff -u --label a/mm/memory.c --label b/mm/memory.c "$TREE/mm/memory.c" - || :
	} >"$REPO/mutants/$1.patch"
}

mutants() {
	make_in_repo mutants "$@"
}

@test "one is killed and one survives" {
	mutant numbers/found lazy 's/^10$/wrong/'
	mutant numbers/missed lazy 's/^11$/unnoticed/'
	mutant letters/found lazy 's/^12$/wrong/'
	complains "^killed    arm64: numbers/found, contract, [0-9]* s$" mutants
	grep -q "^survived  arm64: numbers/missed, [0-9]* s$" <<<"$output"
	grep -q "^green     arm64: lazy, unmutated$" <<<"$output"
	is "$(grep ' killed, ' <<<"$output")" "2 killed, 1 survived"
	is "$(tr -s ' ' <<<"$output" | grep -E '^(numbers|letters)')" "$(printf '%s\n' "letters 1 0" "numbers 1 1")"
	is "$(calls 'kunit.py exec' ' lazy')" 4
	# The tree is as before, and so is its copy.
	is "$(git -C "$TREE" status --porcelain; git -C "$REPO/build/mutants/arm64/linux" status --porcelain)" ""
}

@test "a second run resumes, and knows both verdicts" {
	mutant numbers/found lazy 's/^10$/wrong/'
	mutant numbers/missed lazy 's/^11$/unnoticed/'
	complains "" mutants
	: >"$FAKE/calls"
	complains "^survived  arm64: numbers/missed, before$" mutants
	grep -q "^killed    arm64: numbers/found, contract, before$" <<<"$output"
	is "$(calls exec)$(calls make all)" 00
	# Not of another mutant, nor of another series.
	mutant numbers/found lazy 's/^11$/wrong/'
	works mutants MUTANT=numbers/found
	is "$(grep -c ', before' <<<"$output")" 0
	sed -i 's/^40$/forty/' "$TREE/mm/memory.c"
	git -C "$TREE" commit -qa --amend --no-edit
	works mutants MUTANT=numbers/found
	is "$(grep -c ', before' <<<"$output")" 0
}

@test "all are killed" {
	mutant numbers/found lazy 's/^10$/wrong/'
	works mutants
	is "${lines[-1]}" "1 killed, 0 survived"
	works mutants
	is "${lines[-1]}" "1 killed, 0 survived"
}

@test "MUTANT is one of an area, or all of a name" {
	mutant numbers/found lazy 's/^10$/wrong/'
	mutant letters/found lazy 's/^11$/wrong/'
	mutant letters/found-too lazy 's/^12$/wrong/'
	works mutants MUTANT=letters/found
	is "$(grep -o 'arm64: [^ ]*,' <<<"$output" | xargs)" "arm64: lazy, arm64: letters/found,"
	works mutants MUTANT=found
	is "$(grep -o 'arm64: [^ ]*/[^ ]*,' <<<"$output" | xargs)" "arm64: letters/found, arm64: numbers/found,"
	refuses "^error: unknown MUTANT=lost; there are: .*letters/found-too .*numbers/found" mutants MUTANT=lost
	refuses "^error: unknown MUTANT=letters" mutants MUTANT=letters
	refuses "^error: unknown MUTANT=\[; there are: " mutants MUTANT="["
	complains "^error: of these mutants none is for um$" mutants MUTANT=found PLATFORM=um
	refuses "^error: unknown MUTANT=words/found" mutants MUTANT=words/found
}

@test "PLATFORM selects, too" {
	mutant numbers/found lazy 's/^10$/wrong/'
	mutant numbers/other lazy 's/^10$/wrong/'
	sed -i 's/^Platform: .*/Platform: um/' "$REPO/mutants/numbers/other.patch"
	works mutants PLATFORM=arm64
	is "${lines[-1]}" "1 killed, 0 survived"
	is "$(calls 'kunit.py exec' --arch=um)" 0
	refuses "^error: unknown PLATFORM=lost" mutants PLATFORM=lost
	# That nothing was tried is not a success.
	complains "^error: of these mutants none is for sparc64$" mutants PLATFORM=sparc64
}

@test "a mutant that does not build" {
	mutant numbers/unbuilt lazy 's/^12$/broken/'
	complains "^broken    arm64: numbers/unbuilt, does not build, see build/mutants/numbers-unbuilt.build" mutants
	is "$(grep broken$ <<<"$output")" "1 broken"
	# It is tried again.
	complains "^broken    arm64: numbers/unbuilt, does not build, .*[0-9] s$" mutants
}

@test "a mutant that does not apply" {
	mutant numbers/misplaced lazy 's/^13$/wrong/'
	sed -i 's/^ 12$/ 21/' "$REPO/mutants/numbers/misplaced.patch"
	complains "^broken    arm64: numbers/misplaced, does not apply" mutants
}

@test "a mutant of a header says what is compiled with it" {
	echo "/* right */" >"$TREE/mm/lazy.h"
	commit "mm: a header"
	mutant numbers/header lazy 's/^10$/wrong/'
	sed -i 's,mm/memory.c,mm/lazy.h,; /^@@/,$d' "$REPO/mutants/numbers/header.patch"
	printf '%s\n' "@@ -1 +1 @@" "-/* right */" "+/* wrong */" >>"$REPO/mutants/numbers/header.patch"
	complains "^broken    arm64: numbers/header, does not apply" mutants
	sed -i '1i Objects: mm/memory.o mm/suite.o' "$REPO/mutants/numbers/header.patch"
	complains "^survived  arm64: numbers/header" mutants
	is "$(xargs <"$REPO/build/mutants/arm64/out/wrong")" "mm/memory.o mm/suite.o"
}

@test "a mutant that kills the kernel, or is not booted" {
	mutant numbers/other lazy 's/^10$/wrong/'
	boots "BUG: it broke" "    ok 1 contract"
	complains "^error: arm64: lazy fails without a mutant; logs: build/mutants/unmutated.arm64" mutants
	boots "    ok 1 contract"
	works mutants
	# Green by now, so this is only for what follows.
	mutant numbers/dies lazy 's/^11$/unnoticed/'
	boots "[    1.0] BUG: it broke at 1" "    ok 1 contract"
	works mutants MUTANT=dies
	grep -q "^killed    arm64: numbers/dies, the kernel complains: BUG: it broke at 1, " <<<"$output"
	mutant numbers/ends lazy 's/^12$/unnoticed/'
	boots
	works mutants MUTANT=ends
	grep -q "^killed    arm64: numbers/ends, the kernel did not end its tests, see build/mutants/numbers-ends.boot" <<<"$output"
	mutant numbers/gone lazy 's/^13$/unnoticed/'
	touch "$FAKE/no-boot"
	complains "^broken    arm64: numbers/gone, nothing was booted, see build/mutants/numbers-gone.out" mutants MUTANT=gone
}

@test "tests that fail anyway kill nothing" {
	mutant numbers/late other 's/^14$/wrong/'
	boots "    not ok 1 contract"
	complains "^error: arm64: other fails without a mutant; logs: build/mutants/unmutated.arm64" mutants
	is "$(grep -c ^killed <<<"$output")" 0
}

@test "a series that does not build kills nothing" {
	mutant numbers/found lazy 's/^10$/wrong/'
	echo broken >>"$TREE/mm/memory.c"
	commit "mm: break it"
	complains "^error: the series does not build for arm64; log: build/mutants/unmutated.arm64.build" mutants
}

@test "a header that is not complete" {
	mutant numbers/found lazy 's/^10$/wrong/'
	for key in Platform Filter Wrong; do
		mutant numbers/late lazy 's/^11$/wrong/'
		sed -i "/^$key/d" "$REPO/mutants/numbers/late.patch"
		refuses "^error: mutants/numbers/late.patch has no $key:" mutants MUTANT=found
	done
	mutant numbers/late lazy 's/^11$/wrong/'
	sed -i 's/^Platform: .*/Platform: vax/' "$REPO/mutants/numbers/late.patch"
	refuses "^error: .*unknown PLATFORM=vax" mutants MUTANT=found
}

@test "two at a time" {
	mutant numbers/found lazy 's/^10$/wrong/'
	works mutants
	before=$(cat "$REPO/build/mutants/results")
	exec 8>>"$REPO/build/mutants/results"
	flock 8
	refuses "^error: another make mutants is running" mutants
	exec 8>&-
	is "$(cat "$REPO/build/mutants/results")" "$before"
}

@test "those of the repository are complete, and say where they are" {
	cp -r "$ROOT/mutants" "$REPO"
	# shellcheck source=harness/lib.sh
	names=$(. "$REPO/harness/lib.sh"; platforms_for mutants)
	for patch in "$REPO"/mutants/*/*.patch; do
		name=$(sed -n 's/^Platform: *//p' "$patch")
		grep -x "$name" <<<"$names" || { echo "$patch"; false; }
	done
	refuses "^error: unknown MUTANT=lost" mutants MUTANT=lost
}
