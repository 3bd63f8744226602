#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# platforms/: what a record says, each command does; and one that is wrong is refused.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
}

# only NAME...: no other platform.
only() {
	for dir in "$REPO"/platforms/*; do
		[[ " common $* " = *" ${dir##*/} "* ]] || rm -r "$dir"
	done
	# It takes part in every command.
	sed -i '/^When-named:/d' "$REPO/platforms/$1/platform"
}

# in_lib COMMAND WORD...: in a shell of its own, where bats does not trace each command.
in_lib() {
	# shellcheck disable=SC2016 # for that shell
	bash -c '. "$0/harness/lib.sh"; "$@"' "$REPO" "$@"
}

# of COMMAND [all]: the platforms that take part.
of() {
	in_lib platforms_for "$@" | sort | xargs
}

# value PLATFORM KEY
value() {
	in_lib eval "platform $1; echo \"\${P[$2]}\""
}

all() {
	(cd "$REPO/platforms" && printf '%s\n' * | grep -vx common) | sort | xargs
}

# --- help

@test "help lists each target and each platform" {
	works make_in_repo help
	targets=$(make -C "$REPO" -pq help 2>/dev/null | sed -n 's/^\.PHONY: //p' | tr ' ' '\n' | sort)
	[ "$(wc -l <<<"$targets")" -gt 15 ]
	is "$(sed -n 's/^make \([a-z]*\) .*/\1/p' <<<"$output" | sort)" "$targets"
	is "$(grep -c '^make [a-z]*  *[a-zA-Z]' <<<"$output")" "$(wc -l <<<"$targets")"
	is "$(sed -n 's/^PLATFORM is one of: *//p' <<<"$output" | xargs)" "$(all)"
	platform other "Like: arm64"
	works make_in_repo help
	is "$(sed -n 's/^PLATFORM is one of: *//p' <<<"$output" | xargs)" "$(all)"
	grep -q ' other ' <<<"$output"
	# What help names, make has; help is what it does by itself.
	works make_in_repo
	is "${lines[0]}" "make help      this text"
	for target in $targets; do
		run make -C "$REPO" -n "$target"
		[ "$status" = 0 ] || { echo "make $target: $output"; false; }
	done
}

# --- the records of the repository

@test "each record holds together" {
	for name in $(all); do
		works in_lib platform "$name"
	done
}

@test "each platform takes part in what its record has nothing against" {
	for name in stress compare bench mutants; do
		without=$(cd "$REPO/platforms" && grep -l "^Not-$name:" -- */platform | grep -v common | xargs -r dirname | xargs)
		# And what is like those.
		for platform in $without; do
			without+=" $(cd "$REPO/platforms" && grep -lx "Like: $platform" -- */platform | xargs -r dirname | xargs)"
		done
		taking=" $(of $name all) "
		for platform in $(all); do
			if [[ " $without " = *" $platform "* ]]; then
				[[ $taking != *" $platform "* ]]
			else
				[[ $taking = *" $platform "* ]] || { echo "$platform has no $name"; false; }
			fi
		done
	done
	is "$(of kunit all)" "$(all)"
}

# --- a new one

@test "a new platform takes part in every command" {
	only arm64
	platform other "Like: arm64" "Kernel: other" "Config: arm64" "Arguments: other=1" "Shows: Another machine"
	boots "Another machine" "    ok 1 contract"
	echo "all: *: other" >"$PATCHES/subsets"
	works make_in_repo kunit PLATFORM=other
	is "$(calls 'make all' "O=$REPO/build/other" CROSS_COMPILE=aarch64-linux-gnu-)" 1
	is "$(calls 'kunit.py exec' "build_dir=$REPO/build/other" --kernel_args=other=1)" 1
	works make_in_repo bisect
	is "$(grep -o '^ok *[a-z0-9]*,' <<<"$output" | sort | uniq -c | xargs)" "2 ok arm64, 2 ok other,"
	works "$REPO/harness/subsets.sh"
	is "$(grep -o '^ok *[a-z]* for [a-z0-9]*,' <<<"$output")" "ok      all for other,"
	mkdir -p "$REPO/mutants/x"
	printf '%s\n' "Platform: other" "Filter: lazy" "Wrong: x" "" "--- a/mm/memory.c" "+++ b/mm/memory.c" \
		"@@ -1,2 +1,2 @@" "-1" "+wrong" " 2" >"$REPO/mutants/x/x.patch"
	works make_in_repo mutants
	grep -q '^killed    other: x/x, contract' <<<"$output"
	boots "Another machine" "[ 1.0] stress: passed: seed 7, 30 s"
	works make_in_repo stress PLATFORM=other SECONDS=30 SEED=7
	is "${lines[-1]}" "other: 30 s without a failure, SEED=7; log: build/log/other.stress.boot"
	for name in bench compare check-stress; do
		is "$(of $name)" "arm64 other"
	done
	# And where it is not the one that was meant.
	boots "    ok 1 contract"
	complains "^this was not other: no 'Another machine' in the log" make_in_repo kunit PLATFORM=other
}

@test "a reason against a command" {
	only arm64
	mkdir -p "$REPO/mutants/x"
	printf '%s\n' "Platform: arm64" "Filter: lazy" "Wrong: x" "" >"$REPO/mutants/x/x.patch"
	for name in kunit stress compare bench bisect mutants lint; do
		platform other "Like: arm64" "Not-$name: it is too slow"
		is "$(of $name)" arm64
		is "$(of $name all)" arm64
		refuses "^error: PLATFORM=other has no $name: it is too slow; there are: arm64$" \
			make_in_repo $name PLATFORM=other
	done
	platform other "Like: arm64" "Not-stress: it is too slow"
	is "$(of check-stress)" arm64
	platform other "Like: arm64" "Not-gdb: it is too slow"
	refuses "^error: PLATFORM=other has no gdb: it is too slow; there are: arm64$" \
		make_in_repo shell PLATFORM=other GDB=1
	# Among several.
	platform other "Like: arm64" "Not-bisect: it is too slow"
	refuses "^error: PLATFORM=other has no bisect: it is too slow" make_in_repo bisect PLATFORM="arm64 other"
}

@test "a command that a platform has to be named for" {
	only arm64
	platform other "Like: arm64" "When-named: bisect check-kunit check-stress bench"
	is "$(of bisect)" arm64
	is "$(of bisect all)" "arm64 other"
	is "$(of check-kunit)" arm64
	is "$(of check-stress)" arm64
	is "$(of kunit)" "arm64 other"
	is "$(of bench)" arm64
	is "$(of mutants)" "arm64 other"
	platform other "Like: arm64" "When-named: all"
	is "$(of mutants)" arm64
	is "$(of mutants all)" "arm64 other"
	platform other "Like: arm64" "When-named: bisect"
	works make_in_repo bisect
	is "$(grep -c '^ok *other,' <<<"$output")" 0
	works make_in_repo bisect PLATFORM=other
	is "$(grep -c '^ok *other,' <<<"$output")" 2
}

@test "what a record takes from another" {
	only arm64 arm64_debug
	platform other "Like: arm64_debug" "Seconds: 7" "Shows: Other"
	is "$(value other Seconds)" 7
	is "$(value other Kernel)" arm64_debug
	is "$(value other Vmalloc-tests)" 14
	is "$(value other Cross)" aarch64-linux-gnu-
	is "$(value other Shows)" Other
	is "$(value other Run)" arm64
	# A key that is there twice is one, with both.
	platform other "Like: arm64" "Arguments: a=1" "Arguments: b=2"
	is "$(value other Arguments)" "a=1 b=2"
	# shellcheck disable=SC2016 # for that shell
	is "$(in_lib eval 'platform other; platform arm64; echo "${P[Arguments]}"')" ""
}

# --- one that is wrong

# wrong MESSAGE LINE...: a record that no command takes.
wrong() {
	for name in aa zz; do
		rm -rf "$REPO"/platforms/{aa,zz}
		platform $name "${@:2}"
		refuses "^error: platforms/$name/platform.*$1" make_in_repo kunit PLATFORM=$name
		refuses "^error: platforms/$name/platform.*$1" make_in_repo bisect
	done
}

@test "an unknown key" {
	wrong "there is no key Consoles, see platforms/common/platform" "Like: arm64" "Consoles: 2"
	wrong "there is no key cpus" "Shows: x" "cpus: 2"
}

@test "a key that is missing" {
	wrong "has no Shows:" "Cross: x-"
	wrong "has no Shows:" "Shows:"
}

@test "a line that is none" {
	wrong '"CPUs 2" is not a "Key: value" line' "Like: arm64" "CPUs 2"
}

@test "a value that is none" {
	wrong "CPUs: two is not a number" "Like: arm64" "CPUs: two"
	wrong "Seconds:  is not a number" "Like: arm64" "Seconds:"
	wrong "Config: there is no platforms/arm46" "Like: arm64" "Config: arm64 arm46"
}

@test "like one that there is not, or like itself" {
	platform other "Like: nothing"
	refuses "^error: there is no platforms/nothing/platform, which other is Like:" make_in_repo kunit PLATFORM=other
	platform other "Like: other"
	refuses "^error: platforms/other/platform is Like: itself" make_in_repo kunit PLATFORM=other
	platform other "Like: second"
	platform second "Like: other"
	refuses "^error: platforms/other/platform is Like: itself" make_in_repo kunit PLATFORM=other
}

@test "an empty record, or none" {
	platform other
	complains "^error: " make_in_repo kunit PLATFORM=other
	rm "$REPO/platforms/other/platform"
	refuses "^error: unknown PLATFORM=other; there are: " make_in_repo kunit PLATFORM=other
}

@test "a wrong record stops each command, before it does anything" {
	platform aa "Like: arm64" "Consoles: 2"
	mkdir -p "$REPO/mutants/x"
	printf '%s\n' "Platform: arm64" "Filter: lazy" "Wrong: x" "" >"$REPO/mutants/x/x.patch"
	echo "all: *: arm64" >"$PATCHES/subsets"
	message="^error: platforms/aa/platform: there is no key Consoles, see platforms/common/platform$"
	for name in bisect mutants bench lint check; do
		refuses "$message" make_in_repo $name
		is "$(wc -l <"$FAKE/calls")" 0
	done
	refuses "$message" "$REPO/harness/subsets.sh"
}
