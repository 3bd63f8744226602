#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# tree, save, verify and clean: what a round trip keeps, what is refused, and
# that a refusal changes nothing.
# shellcheck disable=SC2030,SC2031 # each test is a shell

load fake

setup_file() {
	for version in 6.12.999 6.12.1000 6.11.3; do
		fake_kernel $version
	done
}

setup() {
	fresh
}

# --- what a round trip keeps

@test "tree without a series" {
	works tool tree
	is "$(cat "$TREE/.gitignore")" "$(printf '%s\n' '.*' '*.o' '' '!.kunitconfig')"
	is "$(git -C "$TREE" rev-parse lazy-mmu)" "$(git -C "$TREE" rev-parse base)"
	is "$(git -C "$TREE" log -1 --format=%s)" "Linux 6.12.999"
}

@test "tree keeps unsaved commits, and says so" {
	tool tree
	echo x >>"$TREE/mm/memory.c"
	commit "mm: work" "Topic: 20-core"
	works tool tree
	is "$output" "note: build/linux is used as it is: commits are not saved"
	is "$(git -C "$TREE" log -1 --format=%s)" "mm: work"
}

@test "save writes series, mails and new files" {
	three
	is "$(tr '\n' ';' <"$PATCHES/series")" "# SPDX-License-Identifier: GPL-2.0;$(
		)10-fixes/01-mm-spell-a-number-with-an-in-it.patch;$(
		)20-core/01-mm-only-new-files-with-a-title-that-git-am-and-others-would-cut-off-somewhere.patch$(
		) mm/tests/.kunitconfig mm/tests/lazy.c mm/tests/lazy.sh;$(
		)20-core/02-kernel-all-kinds-at-once.patch kernel/spoon.c mm/more.c;"
	is "$(cat "$REPO/mm/more.c")" "$(seq 1 9)"
	is "$(stat -c %a "$REPO/mm/tests/lazy.sh")" 755
	is "$(stat -c %a "$REPO/mm/tests/lazy.c")" 644
	is "$(git -C "$REPO" grep --no-index -l '^Topic:' -- patches mm)" ""
}

@test "a second save changes nothing" {
	three
	before=$(snapshot)
	works tool save
	is "$output" ""
	is "$(snapshot)" "$before"
}

@test "tree from the repository gives the same content and messages" {
	three
	before=$(git -C "$TREE" log --format='%T %an <%ae> %ad')
	# The last commit has its trailer now.
	messages=$(git -C "$TREE" log --format=%B | grep -v ^Topic | grep .)
	rm -rf "$REPO/build"
	works tool tree
	is "$(git -C "$TREE" log --format='%T %an <%ae> %ad')" "$before"
	is "$(git -C "$TREE" log --format=%B | grep -v ^Topic | grep .)" "$messages"
	is "$(git -C "$TREE" status --porcelain)" ""
	saved=$(snapshot)
	works tool save
	is "$(snapshot)" "$saved"
}

@test "equal input gives equal commit ids" {
	grown
	rm -rf "$REPO/build"
	tool tree
	head=$(git -C "$TREE" rev-parse lazy-mmu)
	rm -rf "$REPO/build"
	tool tree
	is "$(git -C "$TREE" rev-parse lazy-mmu)" "$head"
}

@test "the user's settings change nothing" {
	grown
	before=$(snapshot | grep '/patches/')
	git config --file "$GIT_CONFIG_GLOBAL" diff.context 1
	git config --file "$GIT_CONFIG_GLOBAL" diff.noprefix true
	git config --file "$GIT_CONFIG_GLOBAL" diff.algorithm patience
	git config --file "$GIT_CONFIG_GLOBAL" format.signOff true
	git config --file "$GIT_CONFIG_GLOBAL" format.filenameMaxLength 12
	git config --file "$GIT_CONFIG_GLOBAL" core.abbrev 20
	git config --file "$GIT_CONFIG_GLOBAL" status.showUntrackedFiles no
	git -C "$TREE" config diff.interHunkContext 9
	git -C "$TREE" config format.subjectPrefix RFC
	git -C "$TREE" config color.ui always
	works tool save
	is "$(snapshot | grep '/patches/')" "$before"
	works tool verify
	touch "$TREE/mm/untracked.c"
	refuses "uncommitted changes in mm/untracked.c" tool save
}

@test "less context of a mail, and it stays so" {
	three
	sed -i 's/^10-fixes.*patch/& -U1/' "$PATCHES/series"
	works tool tree
	works tool save
	is "$(sed '1,/^@@/d' "$PATCHES"/10-fixes/01-* | grep -c '^ ')" 2
	is "$(grep -c ' -U1$' "$PATCHES/series")" 1
	works tool save
	is "$(grep -c ' -U1$' "$PATCHES/series")" 1
	works tool verify
}

@test "the comment at the start of series stays" {
	three
	sed -i '1a # Another line.' "$PATCHES/series"
	works tool tree
	works tool save
	is "$(sed -n 2p "$PATCHES/series")" "# Another line."
	works tool verify
}

@test "a message that is no mail is refused" {
	three
	git -C "$TREE" commit -q --allow-empty -m "mm: [tag] title" -m "above
---
below" -m "Topic: 20-core"
	refuses "does not survive as a mail: .*mm: \[tag\] title" tool save
}

# --- topics

@test "tree gives each commit its topic" {
	three
	rm -rf "$REPO/build"
	tool tree
	is "$(git -C "$TREE" log --reverse --format='%(trailers:key=Topic,valueonly,separator=%x2c)' base..)" \
		"$(printf '%s\n' 10-fixes 20-core 20-core)"
	is "$(git -C "$TREE" log -1 --format=%B lazy-mmu~2 | tail -n 3)" \
		"$(printf '%s\n' 'Signed-off-by: Zoë Tester <zoe@test.example>' 'Topic: 10-fixes')"
	is "$(git -C "$TREE" log -1 --format=%B lazy-mmu | sed -n 2,3p)" "
Topic: 20-core"
}

@test "a trailer need not be the last line" {
	three
	cover 60-debug
	echo x >>"$TREE/mm/more.c"
	commit "mm: signed later" "Why." "Topic: 60-debug
Signed-off-by: Ada <ada@test.example>"
	works tool save
	is "$(tail -n 1 "$PATCHES/series")" "60-debug/01-mm-signed-later.patch"
	is "$(sed -n '/^Why/,/^---/p' "$PATCHES"/60-debug/01-*)" "$(printf '%s\n' Why. '' \
		'Signed-off-by: Ada <ada@test.example>' ---)"
}

@test "a squash of two commits of a topic" {
	three
	git -C "$TREE" commit -q --amend -m "kernel: both" -m "Topic: 20-core" -m "And more." -m "Topic: 20-core"
	works tool save
	is "$(grep -c Topic: "$PATCHES"/20-core/02-*)" 0
}

@test "a squash of two topics is refused" {
	three
	git -C "$TREE" commit -q --amend -m "kernel: both" -m "Topic: 20-core" -m "Topic: 60-debug"
	refuses '("kernel: both") names more than one topic: 20-core 60-debug' tool save
}

@test "a topic without a number is refused" {
	three
	git -C "$TREE" commit -q --amend -m "kernel: all" -m "Topic: core"
	refuses '("kernel: all"): "Topic: core" is not a topic' tool save
}

@test "commits before the first trailer are refused" {
	tool tree
	echo x >>"$TREE/mm/memory.c"
	commit "mm: work"
	refuses '("mm: work") and the commits before it have no topic' tool save
}

@test "a topic without a cover is refused" {
	three
	echo x >>"$TREE/mm/memory.c"
	commit "mm: work" "Topic: 40-users"
	refuses "40-users has no cover: write patches/6.12/40-users/cover" tool save
	cover 40-users
	works tool save
}

@test "topics out of order are refused" {
	three
	echo x >>"$TREE/mm/memory.c"
	commit "mm: work" "Topic: 10-fixes"
	refuses "10-fixes is interrupted\|10-fixes comes after 20-core" tool save
	git -C "$TREE" commit -q --amend -m "mm: work" -m "Topic: 15-kunit"
	cover 15-kunit
	refuses "15-kunit comes after 20-core" tool save
}

@test "a topic of 16 mails, and not of 17" {
	tool tree
	for i in $(seq 16); do
		echo "$i" >>"$TREE/mm/memory.c"
		commit "mm: line $i" "Topic: 20-core"
	done
	works tool save
	is "$(tail -n 1 "$PATCHES/series")" "20-core/16-mm-line-16.patch"
	echo 17 >>"$TREE/mm/memory.c"
	commit "mm: line 17"
	refuses "20-core has 17 mails; a topic has at most 16" tool save
}

@test "a mail moves to another topic" {
	three
	cover 60-debug
	git -C "$TREE" commit -q --amend -m "kernel: all kinds at once" -m "Topic: 60-debug"
	works tool save
	is "$(cd "$PATCHES" && echo 20-core/02* 60-debug/*)" \
		"20-core/02* 60-debug/01-kernel-all-kinds-at-once.patch 60-debug/cover"
	works tool verify
}

# --- new files that grow

@test "a new file stands whole, and grows by hunks" {
	grown
	is "$(cat "$REPO/mm/more.c")" "$(printf '%s\n' 1 2 3 4 five 6 7 8 9 ten)"
	is "$(stat -c %a "$REPO/mm/more.c")" 755
	is "$(tail -n 3 "$PATCHES/series" | tr '\n' ';')" "60-debug/01-mm-grow.patch;$(
		)60-debug/02-mm-grow-again.patch mm/last.c;60-debug/03-mm-grow-the-last.patch;"
	is "$(grep -h '^[+-][^+-]' "$PATCHES"/60-debug/*)" "$(printf '%s\n' -30 +thirty -5 +five +ten +second)"
	works tool verify
}

@test "tree derives the states between" {
	grown
	before=$(facts)
	rm -rf "$REPO/build"
	works tool tree
	is "$(git -C "$TREE" show lazy-mmu~3:mm/more.c)" "$(seq 1 9)"
	is "$(git -C "$TREE" ls-tree lazy-mmu~3 mm/more.c | cut -d' ' -f1)" 100644
	is "$(git -C "$TREE" show lazy-mmu~1:mm/last.c)" first
	is "$(git -C "$TREE" log --format=%T base..)" "$(grep -oE '^[0-9a-f]{40}' <<<"$before")"
	saved=$(snapshot)
	works tool save
	is "$(snapshot)" "$saved"
}

@test "an edit of a file that grows goes to the commit that adds it" {
	grown
	sed -i 's/^1$/ONE/' "$REPO/mm/more.c"
	works tool tree
	is "$(git -C "$TREE" show lazy-mmu~3:mm/more.c | head -n 1)" ONE
	works tool save
	works tool verify
}

@test "an edit of what a later mail changes is refused" {
	grown
	sed -i 's/^five$/fife/' "$REPO/mm/more.c"
	refuses "60-debug/01-mm-grow.patch is not in the files as they stand: mm/more.c:2" tool tree
}

@test "a new file that goes again is refused" {
	three
	git -C "$TREE" rm -q mm/tests/lazy.c
	commit "mm: go"
	refuses 'mm/tests/lazy.c enters with .*only new files.* and goes with .*mm: go' tool save
	git -C "$TREE" reset -q --hard HEAD^
	git -C "$TREE" mv mm/more.c mm/most.c
	commit "mm: move"
	refuses 'mm/more.c enters with .*all kinds.* and goes with .*mm: move' tool save
}

@test "a new file that becomes a link is refused" {
	three
	ln -sf memory.c "$TREE/mm/more.c"
	commit "mm: link"
	refuses 'mm: link.* adds mm/more.c, which is not a plain file' tool save
}

@test "a hunk for a file in the mail that adds it is refused" {
	three
	cat >>"$PATCHES"/20-core/02-* <<-'END'
		diff --git a/mm/more.c b/mm/more.c
		--- a/mm/more.c
		+++ b/mm/more.c
		@@ -9 +9,2 @@
		 9
		+10
	END
	refuses "20-core/02-.* adds mm/more.c and has a hunk for it" tool tree
}

# --- final diffs

@test "save shows changed functions whole, by area" {
	three
	cover 60-debug
	sed -i 's/second_10/tenth/' "$TREE/mm/vmalloc.c" "$TREE/arch/arm64/mm/mmu.c"
	echo '# end' >>"$TREE/Makefile"
	commit "mm: change functions" "Topic: 60-debug"
	works tool save
	is "$(cd "$PATCHES/final" && echo *)" "arm64.diff kernel.diff mm.diff top.diff"
	is "$(grep -c 'second_[0-9]*();' "$PATCHES/final/arm64.diff")" 20
	is "$(grep -c 'first_' "$PATCHES/final/arm64.diff")" 0
	is "$(grep '^diff' "$PATCHES/final/mm.diff")" "$(printf '%s\n' \
		'diff --git a/mm/memory.c b/mm/memory.c' 'diff --git a/mm/vmalloc.c b/mm/vmalloc.c')"
	is "$(grep '^diff' "$PATCHES/final/kernel.diff")" "diff --git a/kernel/fork.c b/kernel/fork.c"
	is "$(sed -n 's/^index [0-9a-f]*\.\.\([0-9a-f]*\).*/\1/p' "$PATCHES/final/top.diff" | wc -c)" 13
	works tool verify
}

@test "a final diff that nothing is left of goes" {
	three
	git -C "$TREE" reset -q --hard HEAD^
	works tool save
	[[ $output == *"remove patches/6.12/final/kernel.diff"* ]]
	is "$(cd "$PATCHES/final" && echo *)" "mm.diff"
}

@test "verify finds a final diff that is wrong" {
	three
	echo x >>"$PATCHES/final/mm.diff"
	refuses "not as save writes it: patches/6.12/final/mm.diff" tool verify
	refuses "not overwritten: patches/6.12/final/mm.diff" tool save
	rm "$PATCHES/final/mm.diff"
	refuses "not as save writes it: patches/6.12/final/mm.diff" tool verify
}

# --- who holds the newest work

@test "an edit in the repository goes to the branch" {
	three
	echo edit >>"$REPO/mm/more.c"
	refuses "edited in the repository since make tree.*mm/more.c" tool save
	works tool tree
	is "$(git -C "$TREE" show lazy-mmu:mm/more.c | tail -n 1)" edit
	is "$(tail -n 1 "$TREE/mm/more.c")" edit
	works tool save
}

@test "uncommitted work stays" {
	three
	echo work >>"$TREE/mm/more.c"
	refuses "uncommitted changes in mm/more.c" tool save
	works tool tree
	is "$(tail -n 1 "$TREE/mm/more.c")" work
	refuses "not saved: it has uncommitted changes" tool clean
}

@test "edits on both sides are refused" {
	three
	echo work >>"$TREE/mm/more.c"
	echo edit >>"$REPO/mm/tests/lazy.c"
	refuses "were both edited" tool tree
	git -C "$TREE" commit -qa --amend --no-edit
	refuses "were both edited" tool tree
	refuses "not overwritten: mm/tests/lazy.c" tool save
	sed -i '$d' "$REPO/mm/tests/lazy.c"
	works tool save
	is "$(tail -n 1 "$REPO/mm/more.c")" work
}

@test "the same edit on both sides is saved" {
	three
	echo same | tee -a "$REPO/mm/more.c" >>"$TREE/mm/more.c"
	git -C "$TREE" commit -qa --amend --no-edit
	works tool save
	works tool verify
}

@test "a commit that was never saved is not lost with the manifest" {
	three
	rm "$TREE/.git/lazy-mmu-manifest"
	works tool tree
	is "$output" "note: build/linux is used as it is: commits were never saved"
	refuses "not saved: commits were never saved" tool clean
}

@test "another branch is not saved" {
	three
	git -C "$TREE" checkout -q --detach base
	refuses "cannot be saved: it is not on branch lazy-mmu" tool save
}

@test "the middle of a rebase is not saved" {
	three
	git -C "$TREE" rebase -q --exec false base >/dev/null 2>&1 || :
	refuses "in the middle of a rebase" tool save
}

@test "covers, base and subsets are no part of the branch" {
	three
	echo "More." >>"$PATCHES/20-core/cover"
	echo "Tried: 6.12.998" >>"$PATCHES/base"
	echo "core: 20-core:" >"$PATCHES/subsets"
	before=$(snapshot)
	works tool tree
	works tool save
	is "$(snapshot)" "$before"
	works tool verify
}

# --- what cannot be tree or series

@test "a missing file or mail is named" {
	three
	mv "$REPO/mm/more.c" "$BATS_TEST_TMPDIR"
	refuses "names mm/more.c, which is not there" tool tree
	mv "$BATS_TEST_TMPDIR/more.c" "$REPO/mm"
	rm "$PATCHES"/10-fixes/01-*
	refuses "patches/6.12/series names 10-fixes/01-.*patch, which is not there" tool tree
}

@test "a mail that does not apply is named" {
	three
	sed -i '0,/^-20$/s//-2000/' "$PATCHES"/10-fixes/01-*
	refuses "patches/6.12/10-fixes/01-.*does not apply: mm/memory.c:17" tool tree
	sed -i '0,/^-2000$/s//-20/' "$PATCHES"/10-fixes/01-*
	works tool tree
}

@test "what is not a mail is named" {
	three
	sed -i '/^From/d' "$PATCHES"/10-fixes/01-*
	refuses "patches/6.12/10-fixes/01-.* is not a mail" tool tree
}

@test "a line of series that is not a mail is named" {
	three
	echo 0001-flat.patch >>"$PATCHES/series"
	refuses "patches/6.12/series: 0001-flat.patch is not NN-topic/MM-name.patch" tool tree
	sed -i '$d' "$PATCHES/series"
	sed -i '$p' "$PATCHES/series"
	refuses "patches/6.12/series names 20-core/02-.* twice" tool tree
}

@test "a new file that the kernel has is refused" {
	three
	sed -i 's,mm/more.c,mm/vmalloc.c,' "$PATCHES/series"
	seq 3 >"$REPO/mm/vmalloc.c"
	refuses "20-core/02-.* adds mm/vmalloc.c, which the kernel has" tool tree
}

@test "a name that the repository cannot hold is refused" {
	three
	for name in harness/x patches/x build/x platforms/x mutants/x results/x top 'mm/a b'; do
		mkdir -p "$(dirname "$TREE/$name")"
		echo x >"$TREE/$name"
		git -C "$TREE" add -f "$name"
		git -C "$TREE" commit -qm "mm: in our place"
		refuses "adds '$name', a name the repository cannot hold" tool save
		git -C "$TREE" reset -q --hard HEAD^
	done
}

@test "a merge is refused" {
	three
	git -C "$TREE" checkout -q -b side base
	git -C "$TREE" commit -q --allow-empty -m side
	git -C "$TREE" checkout -q lazy-mmu
	git -C "$TREE" merge -q --no-edit side
	refuses "the branch holds a merge" tool save
}

@test "a branch that does not start at base is refused" {
	three
	git -C "$TREE" reset -q --hard "$(git -C "$TREE" commit-tree -m other "lazy-mmu^{tree}")"
	refuses "does not start at base" tool save
}

@test "verify finds files astray" {
	three
	works tool verify
	is "$output" "tree and save give back each of 12 files"
	for name in mm/stray.c patches/stray patches/6.12/20-core/stray patches/6.12/30-arm64/cover; do
		mkdir -p "$PATCHES/30-arm64"
		echo stray >"$REPO/$name"
		refuses "not part of the series.* $name" tool verify
		rm "$REPO/$name"
	done
	mkdir "$REPO/platforms" "$REPO/mutants" "$REPO/results"
	touch "$REPO/platforms/x" "$REPO/mutants/x" "$REPO/results/x"
	works tool verify
}

@test "verify finds mails that save would write otherwise" {
	three
	sed -i 's/^Subject: /&x/' "$PATCHES"/20-core/02-*
	refuses "not as save writes it: .*20-core/02-kernel" tool verify
}

@test "a commit goes, and its files" {
	three
	git -C "$TREE" reset -q --hard HEAD^
	works tool save
	[[ $output == *"remove kernel/spoon.c"* ]]
	[ ! -e "$REPO/kernel" ]
	is "$(find "$PATCHES" -name '*.patch' | wc -l)" 2
	works tool verify
}

# --- the base

@test "another base is taken, and own branches stay" {
	three
	git -C "$TREE" branch mine
	LINUX_TARBALL=$KERNELS/linux-6.12.1000.tar.xz works tool tree
	is "$(git -C "$TREE" log -1 --format=%s base)" "Linux 6.12.1000"
	is "$(git -C "$TREE" rev-list --count base..lazy-mmu)" 3
	is "$(git -C "$TREE" branch --list mine)" "  mine"
	export LINUX_TARBALL=$KERNELS/linux-6.12.1000.tar.xz
	works tool save
	is "$(cat "$PATCHES/base")" "$(printf 'Base: 6.12.1000\nPackage: linux-source-6.12')"
	works tool verify
}

@test "verify finds a base that is not the tree's" {
	three
	sed -i 's/999/998/' "$PATCHES/base"
	refuses "not as save writes it: patches/6.12/base" tool verify
}

@test "another release is refused" {
	LINUX_TARBALL=$KERNELS/linux-6.11.3.tar.xz refuses "holds Linux 6.11.3, not 6.12" tool tree
	[ ! -e "$TREE" ]
	three
	LINUX_TARBALL=$KERNELS/linux-6.11.3.tar.xz refuses "holds Linux 6.11.3, not 6.12" tool tree
}

@test "a tarball that is not there or does not unpack" {
	LINUX_TARBALL=$KERNELS/none.tar.xz refuses "none.tar.xz: no such file" tool tree
	echo x >"$BATS_TEST_TMPDIR/bad.tar.xz"
	LINUX_TARBALL=$BATS_TEST_TMPDIR/bad.tar.xz refuses "bad.tar.xz does not unpack" tool tree
}

@test "a disk that is too small" {
	stub df 3G
	PATH=$STUBS:$PATH refuses "kernel tree needs 8 GB of disk.*3 GB are free" tool tree
}

@test "another BASE" {
	BASE=7.3 refuses "there is no patches/7.3; BASE is one of: 6.12" tool tree
	BASE=../6.12 refuses "there is no patches/../6.12; BASE is one of: 6.12" tool tree
	cp -r "$PATCHES" "$REPO/patches/6.11"
	sed -i 's/6.12.999/6.11.3/' "$REPO/patches/6.11/base"
	export LINUX_TARBALL=$KERNELS/linux-6.11.3.tar.xz
	BASE=6.11 works tool tree
	is "$(git -C "$REPO/build/6.11/linux" log -1 --format=%s)" "Linux 6.11.3"
	echo x >>"$REPO/build/6.11/linux/mm/memory.c"
	refuses "build/6.11/linux is not saved" tool clean
}

# --- clean

@test "clean leaves no build/" {
	three
	works tool clean
	[ ! -e "$REPO/build" ]
	refuses "there is no build/linux; make tree makes it" tool save
	refuses "there is no build/linux; make tree makes it" tool verify
	works tool clean
}

@test "clean keeps branches and stashes of the user" {
	three
	git -C "$TREE" branch mine
	refuses "not saved: it has mine" tool clean
	git -C "$TREE" branch -qD mine
	echo x >>"$TREE/mm/memory.c"
	git -C "$TREE" stash -q
	refuses "not saved: it has refs/stash\|not saved: it has stash" tool clean
	git -C "$TREE" stash drop -q
	works tool clean
}

@test "an unknown command" {
	complains "invalid choice: 'trees'" tool trees
}

@test "a file that cannot be written" {
	three
	echo x >>"$TREE/mm/more.c"
	git -C "$TREE" commit -qa --amend --no-edit
	cover 60-debug
	echo x >>"$TREE/mm/memory.c"
	commit "mm: a title of $(printf '%0250d' 1) digits" "Topic: 60-debug"
	refuses "File name too long" tool save
}
