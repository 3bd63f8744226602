#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# series, apply, commit and review: what others get of the series, whole or by
# topics.

load fake

setup_file() {
	fake_kernel 6.12.999
	fake_kernel 6.11.3
}

setup() {
	fresh
	OUT=$REPO/build/series USER=$BATS_TEST_TMPDIR/user
}

# user: a tree of a user's, at base.
user() {
	git clone -q "$TREE" "$USER" -b base 2>/dev/null
	git -C "$USER" checkout -q -b work
}

tree_of() {
	git -C "$1" rev-parse "$2^{tree}"
}

# topics: a saved series with four topics, of which 30-arm64 and 60-debug need
# 20-core, and 60-debug changes what 20-core adds.
topics() { once topics; }
make_topics() {
	grown
	cover 20-core "Needs: 10-fixes"
	cover 30-arm64 "Needs: 10-fixes 20-core"
	cover 60-debug "Needs: 20-core" "To: linux-mm@example.org," " Zoë <zoe@test.example>"
	# Before 60-debug, after 20-core.
	git -C "$TREE" checkout -q --detach lazy-mmu~3
	echo '/* arm64 */' >>"$TREE/arch/arm64/mm/mmu.c"
	commit "arm64: say so" "Topic: 30-arm64"
	git -C "$TREE" rebase -q HEAD lazy-mmu
	tool save
}

# --- series

@test "series needs no kernel, and git am of it gives the branch" {
	topics
	want=$(tree_of "$TREE" lazy-mmu)
	user
	mv "$TREE" "$BATS_TEST_TMPDIR/linux"
	LINUX_TARBALL=/nowhere works tool series
	is "$output" "build/series: 7 patches in 4 topics, on Linux 6.12.999"
	[ ! -e "$TREE" ]
	works git -C "$USER" am -q "$OUT"/*/*.patch
	is "$(tree_of "$USER" HEAD)" "$want"
	is "$(cd "$OUT" && echo *)" "10-fixes 20-core 30-arm64 60-debug base series"
	is "$(cat "$OUT/base")" "Base: Linux 6.12.999"
}

@test "patch -p1 in the order of quilt's series gives the branch" {
	topics
	user
	tool series
	while read -r name; do
		works patch -s -d "$USER" -p1 -i "$OUT/$name"
	done <"$OUT/series"
	git -C "$USER" add -A -f
	is "$(git -C "$USER" write-tree)" "$(tree_of "$TREE" lazy-mmu)"
}

@test "a mail of the series is what git makes of the commit" {
	topics
	tool series
	git -C "$TREE" format-patch -q --no-signature --no-renames --abbrev=12 -o "$BATS_TEST_TMPDIR/git" base..lazy-mmu
	is "$(wc -l <"$OUT/series")" 7
	for mail in "$BATS_TEST_TMPDIR"/git/*; do
		sed -n '/^diff/,$p' "$mail"
	done >"$BATS_TEST_TMPDIR/want"
	for mail in "$OUT"/*/*.patch; do
		sed -n '/^diff/,$p' "$mail"
	done >"$BATS_TEST_TMPDIR/now"
	works diff -u "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/now"
}

@test "a mail says its place in the topic, and what it changes" {
	topics
	tool series
	mail=$OUT/20-core/0001-mm-only-new-files-with-a-title-that-git-am-and-others-would-cut-off-somewhere.patch
	is "$(grep ^Subject: "$mail")" "Subject: [PATCH 6.12 1/2] mm: only new files, with a title that git am and others would"
	grep -q '^ mm/tests/lazy.c  *| *1 +$' "$mail"
	grep -q '^ create mode 100755 mm/tests/lazy.sh$' "$mail"
	grep -q '^ 3 files changed, 3 insertions(+)$' "$mail"
	grep -q '^Subject: \[PATCH 6.12 3/3\] mm: grow the last$' "$OUT/60-debug/0003-mm-grow-the-last.patch"
	is "$(grep -rl ^Topic: "$OUT")" ""
}

@test "the cover letter of a topic" {
	topics
	tool series
	is "$(sed '/^Date:/d' "$OUT/60-debug/0000-cover-letter.txt")" "$(cat <<-'END'
		From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
		From: Ada Tester <ada@test.example>
		Subject: [PATCH 6.12 0/3] about 60-debug
		To: linux-mm@example.org,
		 Zoë <zoe@test.example>

		The text of 60-debug.

		Needs, before it:
		  20-core: about 20-core

		Ada Tester (3):
		  mm: grow
		  mm: grow again
		  mm: grow the last

		 mm/last.c   | +2 -0
		 mm/memory.c | +1 -1
		 mm/more.c   | +2 -1
		 3 files changed, 5 insertions(+), 2 deletions(-)

		base: Linux 6.12.999
		END
	)"
}

@test "a cover letter has the options" {
	topics
	cover 60-debug "Needs: 20-core" "Options: FIRST_OPTION (default n, depends on DEBUG_KERNEL and MMU), SECOND_OPTION"
	tool series
	grep -A 1 '^Options: FIRST_OPTION (default n, depends on DEBUG_KERNEL and MMU),$' \
		"$OUT/60-debug/0000-cover-letter.txt" | grep -x "  SECOND_OPTION"
	cover 60-debug "Needs: 20-core" "Options: none"
	tool series
	is "$(grep -c '^Options' "$OUT/60-debug/0000-cover-letter.txt")" 0
}

@test "one patch of one topic" {
	topics
	works tool series --topics 10-fixes
	grep -q "^build/series: 1 patch in 1 topic, on Linux 6.12.999$" <<<"$output"
}

@test "a subset of topics, in the series' order whatever is given" {
	topics
	user
	works tool series --topics "6?-* 20-core 10-*"
	is "$output" "build/series: 6 patches in 3 topics, on Linux 6.12.999"
	is "$(cut -d/ -f1 "$OUT/series" | uniq | tr '\n' ' ')" "10-fixes 20-core 60-debug "
	git -C "$USER" am -q "$OUT"/*/*.patch
	is "$(git -C "$USER" diff --name-only HEAD base -- arch)" ""
	is "$(git -C "$USER" show HEAD:mm/more.c)" "$(cat "$REPO/mm/more.c")"
	# Without 60-debug, as 20-core left it.
	TOPICS="10-fixes 20-core" works tool series
	is "$(cd "$OUT" && echo *)" "10-fixes 20-core base series"
	git -C "$USER" reset -q --hard base
	git -C "$USER" am -q "$OUT"/*/*.patch
	is "$(git -C "$USER" show HEAD:mm/more.c)" "$(seq 1 9)"
}

@test "a topic whose needs are not selected is refused" {
	topics
	user
	tool series
	refuses "^error: 30-arm64 needs 10-fixes, 20-core, which are not selected$" tool series --topics "30-*"
	refuses "^error: 60-debug needs 20-core, which is not selected$" tool series --topics "10-* 60-debug"
	refuses "^error: 60-debug needs 20-core, which is not selected$" \
		tool apply --topics "10-* 60-debug" "$USER"
	refuses "^error: 60-debug needs 20-core, which is not selected$" tool commit --topics "60-debug 10-*"
	is "$(git -C "$USER" branch --list lazy-mmu)" ""
}

@test "an unknown topic is refused" {
	topics
	message="^error: unknown topic 7?-x; there are: 10-fixes 20-core 30-arm64 60-debug$"
	refuses "$message" tool series --topics "10-fixes 7?-x"
	refuses "$message" tool apply --topics "7?-x" "$USER"
	refuses "$message" tool commit --topics "7?-x"
}

@test "a cover that is not right is refused" {
	topics
	cover 30-arm64 "Needs: 70-none"
	refuses "patches/6.12/30-arm64/cover needs 70-none, which does not exist" tool series
	cover 30-arm64 "Needs: 60-debug"
	refuses "patches/6.12/30-arm64/cover needs 60-debug, which does not come before it" tool series
	sed -i '/^Subject/d' "$PATCHES/30-arm64/cover"
	refuses "patches/6.12/30-arm64/cover has no Subject:" tool series
	echo "what is this" >"$PATCHES/30-arm64/cover"
	refuses 'patches/6.12/30-arm64/cover: "what is this" is not a "Key: value" line' tool series
	rm "$PATCHES/30-arm64/cover"
	refuses "30-arm64 has no cover: write patches/6.12/30-arm64/cover" tool series
}

@test "a refusal leaves the series of before" {
	topics
	tool series
	sed -i 's/^five$/fife/' "$REPO/mm/more.c"
	refuses "60-debug/01-mm-grow.patch is not in the files as they stand" tool series
	is "$(cd "$REPO/build" && echo series*)" series
}

# --- apply

@test "apply gives the branch, without trailers" {
	topics
	user
	works tool apply "$USER"
	is "$output" "$USER: on the new branch lazy-mmu, 7 commits"
	is "$(tree_of "$USER" HEAD)" "$(tree_of "$TREE" lazy-mmu)"
	is "$(git -C "$USER" symbolic-ref HEAD)" refs/heads/lazy-mmu
	is "$(git -C "$USER" log --format=%B | grep -c ^Topic)" 0
	is "$(git -C "$USER" status --porcelain)" ""
	works git -C "$USER" fsck --strict
	git -C "$USER" checkout -q work
	refuses "already has a branch lazy-mmu" tool apply "$USER"
}

@test "apply of a subset" {
	topics
	user
	LINUX=$USER TOPICS="20-core 10-fixes" works tool apply
	is "$(git -C "$USER" log --format=%s work..)" "$(git -C "$TREE" log --format=%s lazy-mmu~4 ^base)"
	is "$(git -C "$USER" show HEAD:mm/more.c)" "$(seq 1 9)"
}

@test "apply to a shallow clone" {
	topics
	user
	echo x >"$USER/x"
	git -C "$USER" add x && git -C "$USER" commit -qm x
	git clone -q --depth 1 "file://$USER" "$BATS_TEST_TMPDIR/shallow"
	works tool apply "$BATS_TEST_TMPDIR/shallow"
	is "$(git -C "$BATS_TEST_TMPDIR/shallow" rev-list --count HEAD)" 8
	works git -C "$BATS_TEST_TMPDIR/shallow" fsck
}

@test "apply refuses a tree that has the series" {
	three
	user
	tool series
	git -C "$USER" am -q "$OUT"/*/*.patch
	refuses "already has the series: kernel/spoon.c is there" tool apply "$USER"
}

@test "apply refuses a dirty tree" {
	three
	user
	echo x >>"$USER/mm/memory.c"
	refuses "is dirty; commit or stash its changes first" tool apply "$USER"
}

@test "apply leaves a file in its way, and no branch" {
	three
	user
	mkdir "$USER/mm/tests"
	echo mine >"$USER/mm/tests/lazy.c"
	refuses "mm/tests/lazy.c" tool apply "$USER"
	is "$(git -C "$USER" branch --list lazy-mmu)" ""
	is "$(cat "$USER/mm/tests/lazy.c")" mine
	rm "$USER/mm/tests/lazy.c"
	works tool apply "$USER"
}

@test "apply refuses what is not Linux 6.12" {
	three
	user
	refuses "say which tree: make apply LINUX=DIR" tool apply
	refuses "LINUX=$USER/nothing is not a git tree" tool apply "$USER/nothing"
	refuses "LINUX=$USER/mm is not a git tree" tool apply "$USER/mm"
	git init -q "$BATS_TEST_TMPDIR/old"
	refuses "holds no Linux" tool apply "$BATS_TEST_TMPDIR/old"
	cp "$KERNELS/6.11.3/linux-source-6.11/Makefile" "$BATS_TEST_TMPDIR/old"
	git -C "$BATS_TEST_TMPDIR/old" add -A
	git -C "$BATS_TEST_TMPDIR/old" commit -qm old
	refuses "is Linux 6.11.3, not 6.12" tool apply "$BATS_TEST_TMPDIR/old"
}

@test "apply changes nothing in a tree where a later mail does not apply" {
	topics
	user
	sed -i 's/^31$/other/' "$USER/mm/memory.c"
	git -C "$USER" commit -qam other
	before=$(git -C "$USER" for-each-ref; git -C "$USER" count-objects -v; cat "$USER/.git/HEAD")
	refuses "patches/6.12/60-debug/01-.*does not apply: mm/memory.c:27" tool apply "$USER"
	is "$(git -C "$USER" for-each-ref; git -C "$USER" count-objects -v; cat "$USER/.git/HEAD")" "$before"
	works tool apply --topics "10-* 20-* 30-*" "$USER"
}

# --- commit

@test "commit gives topics on the base to the kernel tree" {
	topics
	before=$(snapshot)
	works tool commit --topics "10-fixes 20-core"
	[[ $output =~ ^[0-9a-f]{40}$ ]]
	is "$(snapshot)" "$before"
	is "$(git -C "$TREE" rev-list --count "base..$output")" 3
	is "$(git -C "$TREE" log --format=%B "base..$output" | grep -c ^Topic)" 0
	git -C "$TREE" worktree add -q --detach "$BATS_TEST_TMPDIR/tree" "$output"
	is "$(cat "$BATS_TEST_TMPDIR/tree/mm/more.c")" "$(seq 1 9)"
	all=$(tool commit)
	is "$(tree_of "$TREE" "$all")" "$(tree_of "$TREE" lazy-mmu)"
}

# --- review

# in_git: the repository is one of git's, with what it holds as a commit.
in_git() {
	[ -d "$REPO/.git" ] || git init -q "$REPO"
	echo /build/ >"$REPO/.gitignore"
	git -C "$REPO" add -A -f -- . ':!build' && git -C "$REPO" commit -qm "${1:-saved}"
}

@test "review finds no difference, in trailers either" {
	topics
	in_git
	works tool review HEAD
	is "$(wc -l <<<"$output")" 7
	is "$(grep -c ' = ' <<<"$output")" 7
}

@test "review shows what changed since" {
	topics
	in_git
	sed -i 's/^thirty$/XXX/' "$TREE/mm/memory.c"
	git -C "$TREE" commit -q -a \
		--fixup="$(git -C "$TREE" log --format=%h --grep='^mm: grow$')"
	GIT_SEQUENCE_EDITOR=: git -C "$TREE" rebase -q -i --autosquash base
	tool save
	FROM=HEAD works tool review
	is "$(grep -c ' = ' <<<"$output")" 6
	grep -q '[0-9a-f] ! .*mm: grow$' <<<"$output"
	grep -q '[-]+thirty' <<<"$output"
	grep -q '[+]+XXX' <<<"$output"
	is "$(grep -c Topic <<<"$output")" 0
}

@test "review of a commit without topics" {
	three
	# As the repository was before there were topics.
	cp -r "$REPO" "$BATS_TEST_TMPDIR/new"
	sed -i 's,^[0-9]*-[a-z]*/01-mm-sp,0001-mm-sp,; s,^20-core/01-,0002-,; s,^20-core/02-,0003-,' "$PATCHES/series"
	mv "$PATCHES/series" "$REPO/patches/series"
	mv "$PATCHES"/10-fixes/01-* "$REPO/patches/0001-mm-spell-a-number-with-an-in-it.patch"
	mv "$PATCHES"/20-core/01-* "$REPO/patches/0002-mm-only-new-files-with-a-title-that-git-am-and-others-would-cut-off-somewhere.patch"
	mv "$PATCHES"/20-core/02-* "$REPO/patches/0003-kernel-all-kinds-at-once.patch"
	rm -r "$PATCHES"
	in_git flat
	cp -r "$BATS_TEST_TMPDIR/new/patches/6.12" "$REPO/patches"
	works tool review HEAD
	is "$(grep -c ' = ' <<<"$output")" 3
	is "$(wc -l <<<"$output")" 3
}

@test "review refuses what it cannot compare" {
	three
	refuses "say since when: make review FROM=REV" tool review
	in_git
	refuses "FROM=nothing is not a commit of this repository" tool review nothing
	refuses "FROM=--output=x is not a commit of this repository" tool review -- --output=x
	git -C "$REPO" checkout -q --orphan empty
	git -C "$REPO" rm -rqf --cached patches
	git -C "$REPO" commit -qm empty
	refuses "FROM=HEAD: there is no patches/series" tool review HEAD
	git -C "$REPO" checkout -q -f master 2>/dev/null || git -C "$REPO" checkout -q -f main
	sed -i '0,/^-20$/s//-2000/' "$PATCHES"/10-fixes/01-*
	git -C "$REPO" commit -qam wrong
	git -C "$REPO" checkout -q HEAD^ -- patches
	refuses "FROM=HEAD: patches/6.12/10-fixes/01-.*does not apply" tool review HEAD
}
