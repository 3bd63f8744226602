#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Turns patches/ and the in-tree files into git commits, and back.
#
#   tree.sh tree       build/linux from the repository
#   tree.sh save       the repository from build/linux
#   tree.sh series     build/series, ready to mail
#   tree.sh apply DIR  the series onto a user's own tree
#   tree.sh verify     the repository is what save would write, no file astray
#   tree.sh clean      remove build/, unless work in it would be lost

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

BRANCH=lazy-mmu
# What the repository and the branch were when they last agreed.
MANIFEST=$TREE/.git/lazy-mmu-manifest
TARBALL=${LINUX_TARBALL:-/usr/src/linux-source-6.12.tar.xz}

tree_git() {
	git -C "$TREE" "$@"
}

# commit_tree REPO NAME EMAIL DATE ARGUMENT...: commits the index. One person
# and date for author and committer, so that equal input gives equal ids.
commit_tree() {
	local repo=$1 name=$2 email=$3 date=$4

	shift 4
	env GIT_AUTHOR_NAME="$name" GIT_AUTHOR_EMAIL="$email" \
		GIT_AUTHOR_DATE="$date" GIT_COMMITTER_NAME="$name" \
		GIT_COMMITTER_EMAIL="$email" GIT_COMMITTER_DATE="$date" \
		git -C "$repo" commit-tree "$@" "$(git -C "$repo" write-tree)"
}

# ---------------------------------------------------------------- the base

tarball_id() {
	stat -L -c '%s-%.9Y' "$TARBALL" 2>/dev/null || echo none
}

# version_of: kernel Makefile on stdin -> 6.12.117
version_of() {
	awk '$2 == "=" && $1 ~ /^(VERSION|PATCHLEVEL|SUBLEVEL)$/ { v[$1] = $3 }
	     END { print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] }'
}

# Commits the tarball's content to build/linux, which is made if it is missing,
# and sets BASE to the commit. Nothing else in an existing tree changes.
import_base() {
	local new=$BUILD/linux.new repo=$TREE index=$TMP/base-index version

	[ -z "${LINUX_TARBALL:-}" ] || [ -f "$TARBALL" ] ||
		die "LINUX_TARBALL=$TARBALL: no such file"
	[ -f "$TARBALL" ] || need linux-source-6.12
	need_space 8 "the kernel tree"
	echo "unpacking $TARBALL"
	rm -rf "$new"
	mkdir -p "$new"
	tar -xf "$TARBALL" --strip-components=1 -C "$new" ||
		die "$TARBALL does not unpack"
	version=$(version_of 2>/dev/null <"$new/Makefile") || version=unknown
	case $version in
	6.12.*) ;;
	*) die "$TARBALL holds Linux $version, not 6.12" ;;
	esac
	# Debian's .gitignore ends with a block that ignores every file, and lacks
	# kernel.org's exceptions, of which a tests directory needs this one.
	if grep -qs '^# Debian packaging: ignore everything' "$new/.gitignore"; then
		sed -i -z 's/#\n# Debian packaging: ignore everything.*/!.kunitconfig\n/' \
			"$new/.gitignore"
	fi

	echo "importing Linux $version into build/linux"
	if [ ! -e "$TREE" ]; then
		git init -q -b "$BRANCH" "$new"
		git -C "$new" config gc.auto 0
		repo=$new index=$new/.git/index
	fi
	# A threshold of one byte writes one pack instead of 86000 files.
	GIT_INDEX_FILE=$index git --git-dir="$repo/.git" --work-tree="$new" \
		-c core.bigFileThreshold=1 -c core.compression=1 add -A -f
	BASE=$(GIT_INDEX_FILE=$index commit_tree "$repo" Linux linux@localhost \
		2024-11-17T00:00:00Z -m "Linux $version")
	if [ -e "$TREE" ]; then
		rm -rf "$new"
		return
	fi
	git -C "$new" update-ref "refs/heads/$BRANCH" "$BASE"
	git -C "$new" tag base "$BASE"
	printf 'base %s\nhead %s\n' "$(tarball_id)" "$BASE" >"$new/.git/${MANIFEST##*/}"
	mv "$new" "$TREE"
}

# ----------------------------------------------------- repository to commits

mail_field() {
	sed -n "s/^$1: //p" "$TMP/info"
}

# make_commits REPO START DIR: puts the series of DIR on commit START, in the
# object store alone: no work tree, index or branch is touched. Prints the last
# commit.
make_commits() (
	repo=$1 head=$2 dir=$3
	export GIT_INDEX_FILE=$TMP/index

	git -C "$repo" read-tree "$head"
	series_lines "$dir" >"$TMP/series"
	while read -r patch files; do
		[ -f "$dir/patches/$patch" ] ||
			die "patches/series names $patch, which is not there"
		git mailinfo --encoding=UTF-8 --no-scissors "$TMP/body" "$TMP/diff" \
			<"$dir/patches/$patch" >"$TMP/info" ||
			die "patches/$patch is no mail"
		if grep -q '^diff --git ' "$TMP/diff" &&
		   ! git -C "$repo" apply --cached --whitespace=nowarn \
			"$TMP/diff" 2>"$TMP/err"; then
			why=$(sed -n 's/^error: patch failed: //p' "$TMP/err" | one_line)
			[ "$why" ] || why=$(sed -n '1s/^error: //p' "$TMP/err")
			die "patches/$patch does not apply: $why"
		fi
		for file in $files; do
			case $file in -U*) continue ;; esac
			[ -f "$dir/$file" ] ||
				die "patches/series names $file, which is not there"
			[ -z "$(git -C "$repo" ls-files -- "$file")" ] ||
				die "patches/$patch adds $file, which the kernel has"
			mode=100644
			[ ! -x "$dir/$file" ] || mode=100755
			blob=$(git -C "$repo" hash-object -w --stdin <"$dir/$file")
			git -C "$repo" update-index --add \
				--cacheinfo "$mode,$blob,$file"
		done
		{ mail_field Subject; echo; cat "$TMP/body"; } | git stripspace >"$TMP/msg"
		head=$(commit_tree "$repo" "$(mail_field Author)" "$(mail_field Email)" \
			"$(mail_field Date)" -p "$head" -F "$TMP/msg")
	done <"$TMP/series"
	echo "$head"
)

# ----------------------------------------------------- commits to repository

# Our own files; a kernel file cannot stand there.
is_ours() {
	case $1 in
	.ci/* | .git/* | build/* | harness/* | patches/*) return 0 ;;
	*/*) return 1 ;;
	*) return 0 ;;
	esac
}

# mail REPO COMMIT ARGUMENT...: the commit as a mail. Its lines of context are
# three, or what -U on the patch's line in patches/series says: fewer let it
# apply where its neighbours differ.
mail() {
	local repo=$1 commit=$2 context

	shift 2
	context=$(mail_context "$(mail_name "$repo" "$commit")")
	GIT_CONFIG_GLOBAL=/dev/null git -C "$repo" format-patch -1 --stdout \
		--no-signature --abbrev=12 --no-renames --stat=72 ${context:+"$context"} \
		"$commit" "$@"
}

mail_context() {
	series_lines "$ROOT" | sed -n "s/^[0-9]*-$1\.patch \(-U[0-9]\).*/\1/p"
}

# A patch's name but for its number.
mail_name() {
	printf '%.52s' "$(git -C "$1" log -1 --format=%f "$2")"
}

# export_commits REPO START END DIR: the reverse of make_commits.
export_commits() (
	repo=$1 start=$2 end=$3 dir=$4 number=0
	declare -A added_by

	mkdir -p "$dir/patches"
	git -C "$repo" merge-base --is-ancestor "$start" "$end" ||
		die "the branch does not start at base"
	[ -z "$(git -C "$repo" rev-list --merges "$start..$end")" ] ||
		die "the branch holds a merge; a series is a line of commits"
	echo "# SPDX-License-Identifier: GPL-2.0" >"$dir/patches/series"
	for commit in $(git -C "$repo" rev-list --reverse "$start..$end"); do
		title=$(git -C "$repo" log -1 --format='%h ("%s")' "$commit")
		git -C "$repo" diff-tree -r --no-commit-id --no-renames \
			--name-status "$commit" >"$TMP/changes"
		files=() exclude=()
		while IFS=$'\t' read -r status file; do
			if [ "${added_by[$file]:-}" ]; then
				die "$file enters with ${added_by[$file]} and changes" \
					"again in $title: a new file comes once, whole"
			fi
			[ "$status" = A ] || continue
			if is_ours "$file" || [ "$file" != "${file//[[:space:]\"]/}" ]; then
				die "$title adds $file, a name the repository cannot hold"
			fi
			mode=$(git -C "$repo" ls-tree "$commit" -- "$file")
			mkdir -p "$dir/$(dirname "$file")"
			git -C "$repo" cat-file blob "$commit:$file" >"$dir/$file"
			case $mode in
			100755*) chmod 755 "$dir/$file" ;;
			100644*) ;;
			*) die "$title adds $file, which is no plain file" ;;
			esac
			added_by[$file]=$title
			files+=("$file")
			exclude+=(":(exclude,literal)$file")
		done <"$TMP/changes"
		number=$((number + 1))
		name=$(mail_name "$repo" "$commit")
		context=$(mail_context "$name")
		name=$(printf '%04d' $number)-$name.patch
		# --sparse and --always keep a commit that only adds files.
		mail "$repo" "$commit" --always --sparse --zero-commit -N \
			-- . "${exclude[@]}" >"$dir/patches/$name"
		echo "$name $context ${files[*]}" | tr -s ' ' | sed 's/ $//' >>"$dir/patches/series"
	done
)

# What must survive a round trip of START..END.
commit_facts() {
	git -C "$1" log --reverse --no-mailmap \
		--format='%T %an <%ae> %ad%n%B' "$2..$3"
}

# ------------------------------------------------ who holds the newest work

# One line a file: names on stdin, below the current directory.
file_states() {
	local file mode

	sort -u | while read -r file; do
		[ -f "$file" ] || continue
		mode=644
		[ ! -x "$file" ] || mode=755
		echo "file $(sha256sum <"$file" | cut -c-64) $mode $file"
	done
}

# The files of the series as the repository has them now.
repo_files() (
	cd "$ROOT" || exit
	[ ! -d patches ] || find patches -type f
	[ ! -f patches/series ] || series_files .
)

write_manifest() {
	{
		printf 'base %s\nhead %s\n' "$1" "$2"
		repo_files | (cd "$ROOT" && file_states)
	} >"$MANIFEST.new"
	mv "$MANIFEST.new" "$MANIFEST"
}

# What the manifest has under key $1: base, head or file.
recorded() {
	[ ! -f "$MANIFEST" ] || sed -n "s/^$1 //p" "$MANIFEST"
}

# Files of the series that changed in the repository since the manifest.
edited_files() {
	recorded file | sed 's/^/file /' | sort >"$TMP/recorded"
	repo_files | (cd "$ROOT" && file_states) | sort |
		comm -3 - "$TMP/recorded" | awk '{ print $NF }' | sort -u
}

# Why build/linux may hold work that the repository lacks; nothing if it cannot.
unsaved_work() {
	local dirty

	if [ -d "$TREE/.git/rebase-merge" ] || [ -d "$TREE/.git/rebase-apply" ]; then
		echo "it is in the middle of a rebase"
	elif [ "$(tree_git symbolic-ref -q HEAD)" != "refs/heads/$BRANCH" ]; then
		echo "it is not on branch $BRANCH"
	elif dirty=$(tree_git status --porcelain | cut -c4-) && [ "$dirty" ]; then
		echo "it has uncommitted changes in $(echo "$dirty" | head -n 5 | one_line)"
	elif [ ! -f "$MANIFEST" ]; then
		echo "commits were never saved"
	elif [ "$(tree_git rev-parse "$BRANCH")" != "$(recorded head)" ]; then
		echo "commits are not saved"
	fi
}

# ----------------------------------------------------------------- commands

cmd_tree() {
	local work edited id head known

	need git xz-utils
	[ -e "$TREE" ] || import_base
	work=$(unsaved_work)
	edited=$(edited_files | one_line)
	if [ "$work" ]; then
		[ ! -f "$MANIFEST" ] || [ -z "$edited" ] ||
			die "build/linux ($work) and the repository ($edited) were" \
				"both edited since they last agreed; undo one of them"
		note "build/linux is used as it is: $work"
		return
	fi
	id=$(tarball_id)
	known=$(recorded base)
	BASE=$(tree_git rev-parse 'base^{commit}')
	if [ "$id" = none ] || [ -z "$known" ]; then
		id=$known
	elif [ "$id" != "$known" ]; then
		import_base
		edited=base
	fi
	[ "$edited" ] || return 0
	head=$(make_commits "$TREE" "$BASE" "$ROOT")
	tree_git tag -f base "$BASE" >/dev/null
	tree_git reset -q --keep "$head"
	write_manifest "$id" "$head"
	echo "build/linux: $(tree_git rev-list --count "base..$BRANCH") commits on" \
		"$(tree_git log -1 --format=%s base)"
}

cmd_save() {
	local out=$TMP/export work again lost mode file

	[ -e "$TREE" ] || die "there is no build/linux; make tree makes it"
	work=$(unsaved_work)
	case $work in
	"it "*) die "build/linux cannot be saved: $work" ;;
	esac
	export_commits "$TREE" base "$BRANCH" "$out"
	again=$(make_commits "$TREE" base "$out")
	commit_facts "$TREE" base "$BRANCH" >"$TMP/facts"
	commit_facts "$TREE" base "$again" >"$TMP/facts.again"
	cmp -s "$TMP/facts" "$TMP/facts.again" ||
		die "a commit message does not survive as a mail, near:" \
			"$(diff "$TMP/facts" "$TMP/facts.again" | sed -n 2p)"

	(cd "$out" && find . -type f -printf '%P\n' | file_states) >"$TMP/want"
	{ repo_files; awk '{ print $NF }' "$TMP/want"; } |
		(cd "$ROOT" && file_states) >"$TMP/now"
	recorded file | sed 's/^/file /' >"$TMP/then"
	# Edited is what is neither as it was nor as it shall be.
	lost=$(awk '{ state[FILENAME, $NF] = $0; names[$NF] }
		END {
			for (n in names)
				if (state[now, n] != state[want, n] &&
				    state[now, n] != state[was, n])
					print n
		}' now="$TMP/now" want="$TMP/want" was="$TMP/then" \
		"$TMP/now" "$TMP/want" "$TMP/then" | sort | one_line)
	[ -z "$lost" ] ||
		die "edited in the repository since make tree, not overwritten: $lost"

	comm -23 <(awk '{ print $NF }' "$TMP/now" | sort) \
		<(awk '{ print $NF }' "$TMP/want" | sort) | while read -r file; do
		echo "remove $file"
		rm "$ROOT/$file"
		rmdir -p --ignore-fail-on-non-empty "$(dirname "$ROOT/$file")" 2>/dev/null || :
	done
	comm -13 <(sort "$TMP/now") <(sort "$TMP/want") |
		while read -r _ _ mode file; do
			echo "write $file"
			install -D -m "$mode" "$out/$file" "$ROOT/$file"
		done
	write_manifest "$(recorded base)" "$(tree_git rev-parse "$BRANCH")"
}

cmd_verify() {
	local out=$TMP/export head wrong

	head=$(make_commits "$TREE" base "$ROOT")
	export_commits "$TREE" base "$head" "$out"
	(cd "$out" && find . -type f -printf '%P\n' | file_states) | sort >"$TMP/want"
	(
		cd "$ROOT" || exit
		find . \( -path ./.git -o -path ./build -o -path ./.ci -o -path ./harness \) \
			-prune -o -type f -path './*/*' -printf '%P\n'
	) | (cd "$ROOT" && file_states) | sort >"$TMP/now"
	wrong=$(comm -13 "$TMP/want" "$TMP/now" | awk '{ print $NF }' | sort -u)
	[ -z "$wrong" ] ||
		die "no part of the series, or not as save writes it: $(echo "$wrong" | one_line)"
	cmp "$TMP/want" "$TMP/now"
	echo "tree and save give back each of $(wc -l <"$TMP/want") files"
}

cmd_series() {
	local out=$BUILD/series number=0 total commit

	rm -rf "$out"
	# The cover letter is no patch: git am must not meet it as *.patch.
	GIT_COMMITTER_NAME=$(tree_git log -1 --format=%an "$BRANCH") \
	GIT_COMMITTER_EMAIL=$(tree_git log -1 --format=%ae "$BRANCH") \
	git -C "$TREE" -c "branch.$BRANCH.description=$(
		grep -v '^#' "$ROOT/harness/cover-letter.txt")" \
		format-patch -q -n --no-signature --no-renames --cover-letter \
		--cover-from-description=subject -o "$out" "base..$BRANCH"
	mv "$out/0000-cover-letter.patch" "$out/0000-cover-letter.txt"
	rm "$out"/*.patch
	total=$(tree_git rev-list --count "base..$BRANCH")
	for commit in $(tree_git rev-list --reverse "base..$BRANCH"); do
		number=$((number + 1))
		mail "$TREE" "$commit" -N --subject-prefix="PATCH $number/$total" \
			>"$out/$(printf '%04d' $number)-$(mail_name "$TREE" "$commit").patch"
	done
	echo "build/series: $total patches and 0000-cover-letter.txt"
}

cmd_apply() {
	local dir=${1:-} version head first

	[ "$dir" ] || die "say which tree: make apply LINUX=DIR"
	need git
	[ "$(git -C "$dir" rev-parse --show-toplevel 2>/dev/null)" = \
	  "$(realpath -m "$dir")" ] || die "LINUX=$dir is no git tree"
	version=$(git -C "$dir" show HEAD:Makefile 2>/dev/null | version_of)
	case $version in
	6.12.*) ;;
	..) die "LINUX=$dir holds no Linux" ;;
	*) die "LINUX=$dir is Linux $version, not 6.12" ;;
	esac
	! git -C "$dir" show-ref -q --verify "refs/heads/$BRANCH" ||
		die "LINUX=$dir already has a branch $BRANCH"
	for first in $(series_files "$ROOT"); do
		! git -C "$dir" cat-file -e "HEAD:$first" 2>/dev/null ||
			die "LINUX=$dir already has the series: $first is there"
	done
	[ -z "$(git -C "$dir" status --porcelain --untracked-files=no)" ] ||
		die "LINUX=$dir is dirty; commit or stash its changes first"
	head=$(make_commits "$dir" HEAD "$ROOT")
	git -C "$dir" branch -q --no-track "$BRANCH" "$head"
	if ! git -C "$dir" switch -q "$BRANCH" 2>"$TMP/err"; then
		git -C "$dir" branch -q -D "$BRANCH"
		die "LINUX=$dir: $(one_line <"$TMP/err")"
	fi
	echo "$dir: on the new branch $BRANCH," \
		"$(git -C "$dir" rev-list --count "HEAD@{1}..HEAD") commits"
}

cmd_clean() {
	local work=""

	if [ -e "$TREE" ]; then
		work=$(unsaved_work)
		[ "$work" ] || work=$(tree_git for-each-ref --format='it has %(refname:short)' \
			refs/heads refs/stash | grep -vx "it has $BRANCH" | head -n 1 || :)
	fi
	[ -z "$work" ] ||
		die "build/linux is not saved: $work; make save, or remove build/ by hand"
	rm -rf "$BUILD"
}

case ${1:-} in
tree | save | verify | clean) "cmd_$1" ;;
series) cmd_tree && cmd_series ;;
apply) cmd_apply "${2:-}" ;;
*) die "usage: tree.sh tree|save|series|apply DIR|verify|clean" ;;
esac
