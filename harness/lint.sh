#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Style and static checks of the series and of the harness. What a tool already
# says of the base does not count: only messages the series brings are shown.
#
#   lint.sh [PLATFORM]   one platform's kernel instead of all

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

# report is the end of pipes, and counts.
shopt -s lastpipe
passed=0 failed=0
OLD=$BUILD/lint/base
# The kernel's scripts want the python that Debian's python3-* belong to.
PATH=/usr/bin:$PATH
CODESPELL=/usr/lib/python3/dist-packages/codespell_lib/data/dictionary.txt

# report NAME: the messages on stdin are failures; harness/lint.allow holds
# regexes of those that are known and meant.
report() {
	grep -v '^#' "$ROOT/harness/lint.allow" >"$TMP/allow"
	if grep -vEf "$TMP/allow" >"$TMP/messages"; then
		sed "s,$TREE/,,g" "$TMP/messages"
		echo "FAILED $1"
		failed=$((failed + 1))
	else
		echo "ok $1"
		passed=$((passed + 1))
	fi
}

# changed FILTER PATHS...: files of the series; FILTER as of git diff.
changed() {
	git -C "$TREE" diff --name-only --no-renames --diff-filter="$1" base \
		-- "${@:2}"
}

# Source lines move; a message is the same without its line and its tree. Sparse
# places an imbalance in any header that it inlined: there the function counts.
message_keys() {
	grep -E '^[^<].*(warning|error): ' |
		sed -E "s,^($TREE|$OLD)/,,; s/:[0-9]+(:[0-9]+)?: /: /; s/at [^ ]*:[0-9]+/at/g
			s/^[^ ]*: (warning: context imbalance in )/\1/" |
		sort
}

# Prints the messages of file $2 that file $1, from the base, does not have.
new_messages() {
	comm -13 <(message_keys <"$1") <(message_keys <"$2")
}

base_tree() {
	local commit

	commit=$(git -C "$TREE" rev-parse base)
	[ "$(cat "$OLD/.commit" 2>/dev/null)" = "$commit" ] && return
	rm -rf "$OLD"
	mkdir -p "$OLD"
	git -C "$TREE" archive base | tar -xf - -C "$OLD"
	echo "$commit" >"$OLD/.commit"
}

# Checks the patches as they would be mailed.
lint_patches() {
	local commit

	for commit in $(git -C "$TREE" rev-list --reverse base..lazy-mmu); do
		git -C "$TREE" format-patch -1 --stdout --no-signature "$commit" |
			(
				cd "$TREE" || exit
				scripts/checkpatch.pl --strict --show-types --showfile --terse \
					--codespell --codespellfile="$CODESPELL" --no-summary - ||
					[ $? = 1 ] || echo "ERROR: checkpatch itself fails"
			) |
			sed "s|^|$(git -C "$TREE" log -1 --format='%h %f' "$commit"): |"
	done | { grep -E '(WARNING|ERROR|CHECK):' || :; } | report "checkpatch --strict"
}

lint_kernel_doc() {
	local file

	changed AM '*.h' '*.c' ':!tools' | while read -r file; do
		(cd "$OLD" && scripts/kernel-doc -none "$file") >"$TMP/old" 2>&1 || :
		(cd "$TREE" && scripts/kernel-doc -none "$file") >"$TMP/new" 2>&1 || :
		new_messages "$TMP/old" "$TMP/new"
	done | report kernel-doc
}

lint_scripts() {
	(
		cd "$ROOT" || exit
		shellcheck -x -P harness -f gcc harness/*.sh harness/configs/*.args .ci/run || :
		cd "$TREE" || exit
		changed A '*.sh' | xargs -r shellcheck -f gcc || :
	) | report shellcheck
	for patch in "$ROOT"/harness/mutants/*.patch; do
		git -C "$TREE" apply --check "$patch" 2>&1 || :
	done | report "mutants apply"
	{ changed AM '*.py' | sed "s,^,$TREE/,"; find "$ROOT/harness" -name '*.py'; } |
		while read -r file; do
			python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' \
				"$file" 2>&1 | tail -n 1
		done | report "python syntax"
}

# coccinelle DIR: what the series' rule says of the kernel source below DIR.
coccinelle() {
	spatch --no-includes --include-headers --no-show-diff --very-quiet -D report \
		--cocci-file "$TREE/scripts/coccinelle/locks/lazy_mmu_mode.cocci" \
		--dir "$1" 2>&1 | sed '/^[0-9]* files match$/d; /^$/d' ||
		echo "spatch itself fails on $1"
}

# The rule, and a caller with a fault to see that it is not just silent. The rule
# takes paths below arch/ for an architecture's, so they are relative.
lint_coccinelle() {
	local dir

	for dir in mm fs kernel include arch/{arm64,powerpc,sparc,um,x86}; do
		(cd "$TREE" && coccinelle "$dir")
	done | report coccinelle
	mkdir -p "$TMP/fault/mm"
	sed '/lazy_mmu_mode_disable/d' "$TREE/mm/mprotect.c" >"$TMP/fault/mm/mprotect.c"
	{
		(cd "$TMP/fault" && coccinelle mm) | grep 'is not closed' >/dev/null ||
			echo "the rule does not find a missing lazy_mmu_mode_disable()"
	} | report "coccinelle finds a fault"
}

# Compiles what the series touches with W=1 and runs sparse on it, then the
# same commands on the base's sources with the same generated headers.
lint_kernel() {
	local objects log=$P_LOG.lint

	if ! "$ROOT/harness/kunit.sh" build "$P_NAME"; then
		echo "the kernel does not build" | report "W=1 and sparse, $P_DIR"
		return
	fi
	objects=$(changed AM '*.c' | sed 's/\.c$/.o/' | while read -r object; do
		[ ! -f "$P_OUT/${object%/*}/.${object##*/}.cmd" ] || echo "$object"
	done)
	[ "$objects" ] || return 0
	echo "$objects" >>"$TMP/compiled"
	# The plain objects come back afterwards, so that nothing is built twice.
	(cd "$P_OUT" && echo "$objects" | sed 'p; s,\([^/]*\)$,.\1.cmd,' |
		tar -cf "$TMP/objects.tar" -T -)
	# shellcheck disable=SC2086 # a list
	if ! make -C "$TREE" O="$P_OUT" ARCH="$P_ARCH" CROSS_COMPILE="$P_CROSS" \
		-j"$(nproc)" -O V=1 W=1 C=2 $objects >"$log" 2>&1 </dev/null; then
		echo "$P_DIR does not build with W=1 C=2; log: $log" | report "W=1 and sparse, $P_DIR"
		return
	fi
	tar -xf "$TMP/objects.tar" -C "$P_OUT"
	grep -E "^  ($P_CROSS)?(gcc|sparse) .* $TREE/[^ ]*\.c( |\$)" "$log" |
		grep -E -e '-D__KERNEL__' |
		sed -E "s, ; .*,,; s, -Wp\,-MMD\,[^ ]*,,; s, -o [^ ]*\.[os] , -o /dev/null ,
			s,$TREE/,$OLD/,g" >"$TMP/commands"
	# One print a command, so that parallel ones do not mix.
	# shellcheck disable=SC2016 # for the inner shell
	(cd "$P_OUT" && xargs -d '\n' -P "$(nproc)" -n 1 \
		sh -c 'out=$(sh -c "$0" 2>&1); printf "%s\n" "$out"') \
		<"$TMP/commands" >"$log.base" || :
	new_messages "$log.base" "$log" | report "W=1 and sparse, $P_DIR"
}

# shellcheck disable=SC2086 # a list of packages
need git $BUILD_PACKAGES $LINT_PACKAGES
"$ROOT/harness/tree.sh" tree
base_tree
lint_patches
lint_kernel_doc
lint_scripts
lint_coccinelle
: >"$TMP/compiled"
declare -A seen
for name in ${1:-$(platform_names)}; do
	platform "$name"
	[ ! "${seen[$P_DIR]:-}" ] || continue
	seen[$P_DIR]=1
	lint_kernel
done
if [ ! "${1:-}" ]; then
	changed AM '*.c' ':!tools' ':!scripts' | sed 's/\.c$/.o/' | sort |
		comm -23 - <(sort -u "$TMP/compiled") |
		sed 's/\.o$/.c is compiled for no platform/' | report "every file is compiled"
fi
echo "lint: $passed passed, $failed failed"
[ $failed = 0 ]
