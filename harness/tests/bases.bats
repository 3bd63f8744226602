#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Two bases: the second one comes from an archive that apt only pretends to ask, and
# files that both add stand once.
# shellcheck disable=SC2030,SC2031 # each test is a shell

load fake

setup_file() {
	local version dir

	fake_kernel 6.12.999
	for version in 7.3.4 7.3.5; do
		fake_kernel $version
		dir=$BATS_FILE_TMPDIR/package-$version
		mkdir -p "$dir/DEBIAN" "$dir/usr/src"
		cp "$KERNELS/linux-$version.tar.xz" "$dir/usr/src/linux-source-7.3.tar.xz"
		printf '%s\n' "Package: linux-source-7.3" "Version: $version-1" "Architecture: all" \
			"Maintainer: x <x@localhost>" "Description: x" >"$dir/DEBIAN/control"
		dpkg-deb --build "$dir" "$KERNELS/linux-source-7.3_$version-1_all.deb"
	done
}

setup() {
	fresh
	SIX=$PATCHES SEVEN=$REPO/patches/7.3
	PATCHES=$SEVEN
	mkdir -p "$SEVEN"
	printf '%s\n' "Base: 7.3.4" "Package: linux-source-7.3" "Suite: future" >"$SEVEN/base"
	touch "$SEVEN/series"
	cover 20-core
	PATCHES=$SIX
	# Neither has a mail in that topic.
	rm -r "$SIX/10-fixes"
	printf '#!/bin/sh\nneed() { :; }\nneed_space() { :; }\n' >"$REPO/harness/lib.sh"
	# With what it was called, so that a test can tell whose lists were asked.
	stub apt-cache ""
	cat >"$STUBS/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*" >>"$APT/calls"
for last; do :; done
[ "$last" = update ] || cp "$KERNELS/linux-source-7.3_${last#*=}_all.deb" .
END
	cat >"$STUBS/apt-cache" <<'END'
#!/bin/sh
echo "apt-cache $*" >>"$APT/calls"
sed 's,.*,linux-source-7.3 | &-1 | http://example.org,' "$APT/archive"
END
	chmod +x "$STUBS"/*
	export APT=$BATS_TEST_TMPDIR
	touch "$APT/calls"
	archive 7.3.4 7.3.5
	PATH=$STUBS:$PATH
}

# archive VERSION...
archive() {
	printf '%s\n' "$@" >"$APT/archive"
}

# The second base, with no tarball of the user's.
seven() {
	(
		unset LINUX_TARBALL
		[ ! "${FILE:-}" ] || export LINUX_TARBALL=$FILE
		BASE=7.3 tool "$@"
	)
}

# shared: a saved series of each base, which add the same two files, and one each. A
# later mail of the second one changes one of them.
shared() {
	tool tree
	seq 1 20 >"$TREE/mm/same.c"
	seq 1 20 >"$TREE/mm/other.c"
	echo six >"$TREE/mm/six.c"
	commit "mm: files" "Topic: 20-core"
	tool save
	TREE=$REPO/build/7.3/linux PATCHES=$SEVEN
	seven tree
	seq 1 20 >"$TREE/mm/same.c"
	seq 1 20 | sed 's/^3$/three/' >"$TREE/mm/other.c"
	echo seven >"$TREE/mm/seven.c"
	commit "mm: the same files" "Topic: 20-core"
	sed -i 's/^15$/fifteen/' "$TREE/mm/other.c"
	commit "mm: grow"
	seven save
} >"$BATS_TEST_TMPDIR/shared" 2>&1

# --- the source

@test "the archive is asked by lists below build/, which takes no root" {
	stub id 1000
	works seven tree
	grep -q "^apt-get .* update$" "$APT/calls"
	is "$(git -C "$REPO/build/7.3/linux" log -1 --format=%s)" "Linux 7.3.4"
	[ ! -e "$TREE" ]
	[ "$(grep -c . "$APT/calls")" -ge 3 ]
	is "$(grep -vc -e "Dir::State::Lists=$REPO/build/7.3/apt/lists .*" "$APT/calls")" 0
	is "$(grep -vc -e "Dir::Etc::SourceList=$REPO/build/7.3/apt/sources.list .*SourceParts=/dev/null" "$APT/calls")" 0
	grep -q "^deb .* future main$" "$REPO/build/7.3/apt/sources.list"
}

@test "what was fetched is not fetched again" {
	works seven tree
	rm "$STUBS"/apt-*
	works seven tree
	is "$output" ""
	rm -rf "$REPO/build/7.3/linux"
	works seven tree
	is "$(git -C "$REPO/build/7.3/linux" log -1 --format=%s)" "Linux 7.3.4"
}

@test "a base that the archive no longer has" {
	archive 7.3.5
	complains "^error: future no longer has linux-source-7.3 7.3.4: write Base: 7.3.5 into patches/7.3/base, or make tree LINUX_TARBALL=FILE with linux-7.3.4$" seven tree
	[ ! -e "$REPO/build/7.3/linux" ]
	FILE=$KERNELS/linux-7.3.4.tar.xz works seven tree
}

@test "no archive" {
	archive
	sed -i '/^$/d' "$APT/archive"
	complains "^error: apt-cache knows no linux-source-7.3 of future; is the network there" seven tree
}

@test "another version in patches/7.3/base is fetched" {
	works seven tree
	sed -i 's/7.3.4/7.3.5/' "$SEVEN/base"
	works seven tree
	is "$(git -C "$REPO/build/7.3/linux" log -1 --format=%s base)" "Linux 7.3.5"
}

@test "a tarball of the user's stays once it is saved" {
	FILE=$KERNELS/linux-7.3.5.tar.xz works seven tree
	FILE=$KERNELS/linux-7.3.5.tar.xz works seven save
	grep -qx "Base: 7.3.5" "$SEVEN/base"
	works seven tree
	is "$output" ""
	is "$(cat "$APT/calls")" ""
	FILE=$KERNELS/linux-6.12.999.tar.xz refuses "holds Linux 6.12.999, not 7.3" seven tree
}

@test "subsets on each version of the archive" {
	shared
	echo "core: 20-core:" >"$SEVEN/subsets"
	LINUX_TARBALL='' BASE=7.3 works "$REPO/harness/subsets.py"
	is "$(grep -v ^build <<<"$output")" "$(printf '%s\n' "ok 7.3.4-1 core" "ok 7.3.5-1 core" \
		"subsets: 2 passed, 0 failed")"
}

# --- files that both add

@test "a file of two bases stands once" {
	shared
	is "$(cat "$REPO/mm/same.c")" "$(seq 1 20)"
	is "$(sed -n '/^20-core/s/^[^ ]* //p' "$SEVEN/series" | head -n 1)" "mm/other.c mm/same.c mm/seven.c"
	is "$(grep -rl 'mm/same.c' "$SEVEN")" "$SEVEN/series"
	is "$(grep -l 'mm/other.c' "$SIX"/*/*.patch)" ""
	works tool verify
	works seven verify
}

@test "what differs is a hunk of the mail that adds it" {
	shared
	is "$(cat "$REPO/mm/other.c")" "$(seq 1 20)"
	is "$(grep -h '^[+-][^+-]' "$SEVEN"/20-core/01-*)" "$(printf '%s\n' -3 +three -15 +fifteen)"
	is "$(grep -h '^[+-][^+-]' "$SEVEN"/20-core/02-*)" "$(printf '%s\n' -15 +fifteen)"
	before=$(git -C "$TREE" log --format=%T base..lazy-mmu)
	rm -rf "$REPO/build/7.3/linux"
	works seven tree
	is "$(git -C "$TREE" log --format=%T base..lazy-mmu)" "$before"
	is "$(git -C "$TREE" show lazy-mmu~1:mm/other.c | sed -n '3p;15p')" "$(printf '%s\n' three 15)"
	saved=$(snapshot)
	works seven save
	is "$(snapshot)" "$saved"
}

@test "mails are complete on both bases" {
	shared
	works tool series
	works seven series
	is "$(grep -c '^+three$' "$REPO"/build/7.3/series/20-core/0001-*)" 1
	is "$(grep -c '^+three$' "$REPO"/build/series/20-core/0001-*)" 0
	is "$(grep -ch '^-15$' "$REPO"/build/7.3/series/20-core/*.patch | tr '\n' ' ')" "0 1 "
	git clone -q "$TREE" "$BATS_TEST_TMPDIR/mine"
	git -C "$BATS_TEST_TMPDIR/mine" reset -q --hard origin/lazy-mmu~2
	git -C "$BATS_TEST_TMPDIR/mine" branch -q -m mine
	LINUX=$BATS_TEST_TMPDIR/mine works seven apply
	is "$(git -C "$BATS_TEST_TMPDIR/mine" rev-parse 'HEAD^{tree}')" "$(git -C "$TREE" rev-parse 'lazy-mmu^{tree}')"
	LINUX=$BATS_TEST_TMPDIR/mine refuses "is Linux 7.3.4, not 6.12" tool apply
}

@test "an edit of one base reaches the other one" {
	shared
	sed -i 's/^9$/nine/' "$REPO/build/linux/mm/same.c" "$REPO/build/linux/mm/other.c"
	git -C "$REPO/build/linux" commit -qa --amend --no-edit
	works tool save
	refuses "edited in the repository since make tree, not overwritten: mm/other.c mm/same.c" seven save
	works seven tree
	is "$(sed -n '3p;9p;15p' "$TREE/mm/other.c" | tr '\n' ' ')" "three nine fifteen "
	is "$(sed -n '9p' "$TREE/mm/same.c")" nine
	works seven save
	is "$(grep -h '^[+-][^+-]' "$SEVEN"/20-core/01-*)" "$(printf '%s\n' -3 +three -15 +fifteen)"
	works seven verify
}

@test "an edit of the second base is a difference" {
	shared
	sed -i 's/^20$/twenty/' "$TREE/mm/same.c"
	git -C "$TREE" commit -qa --fixup=HEAD~1
	GIT_SEQUENCE_EDITOR=: git -C "$TREE" rebase -q -i --autosquash base
	works seven save
	is "$(tail -n 1 "$REPO/mm/same.c")" 20
	grep -q '^+twenty$' "$SEVEN"/20-core/01-*
	works seven verify
	works tool verify
	works tool tree
	is "$(tail -n 1 "$REPO/build/linux/mm/same.c")" 20
}

@test "a difference that does not fit any more is refused" {
	shared
	sed -i 's/^3$/drei/' "$REPO/mm/other.c"
	refuses "^error: patches/7.3/20-core/01-.* does not fit the file that another base has too: mm/other.c:" seven tree
}

@test "a file that the first base drops stays for the second one" {
	shared
	git -C "$REPO/build/linux" reset -q --hard base
	works tool save
	[ ! -e "$REPO/mm/six.c" ]
	[ -e "$REPO/mm/same.c" ]
	rm -r "$SIX/20-core"
	works tool verify
}

@test "verify finds a difference that save would write otherwise" {
	shared
	sed -i 's/^+three$/+drei/' "$SEVEN"/20-core/01-*
	refuses "is not in the files as they stand\|not as save writes it" seven verify
}

@test "clean asks for the work of every base" {
	shared
	echo x >>"$TREE/mm/memory.c"
	refuses "build/7.3/linux is not saved" tool clean
	git -C "$TREE" checkout -q mm/memory.c
	works tool clean
	[ ! -e "$REPO/build" ]
}
