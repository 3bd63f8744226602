#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Style and static checks of the series and of the harness. What a tool already
# says of the base does not count: only messages the series brings are shown.
#
#   [PLATFORM="NAME..."] lint.sh   some platforms' kernels instead of all

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

# report is the end of pipes, and counts.
shopt -s lastpipe
passed=0 failed=0
OLD=$BUILD/lint/base
# The kernel's scripts want the python that Debian's python3-* belong to.
PATH=/usr/bin:$PATH
use_ccache
CODESPELL=/usr/lib/python3/dist-packages/codespell_lib/data/dictionary.txt

# report NAME: the messages on stdin are failures; harness/lint.allow holds
# regexes of those that are known and meant.
report() {
	lines "$ROOT/harness/lint.allow" >"$TMP/allow"
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

# Source lines move; a message is the same without its line and its tree, which is that
# of another clone where ccache has kept what the compiler said there. Sparse places an
# imbalance in any header that it inlined: there the function counts.
message_keys() {
	grep -E '^[^<].*(warning|error): ' |
		sed -E "s,^(/[^ ]*/build/|\.\./)([0-9.]+/)?(linux|lint/base)/,,; s/:[0-9]+(:[0-9]+)?: /: /; s/at [^ ]*:[0-9]+/at/g
			s/^[^ ]*: (warning: context imbalance in )/\1/" |
		sort
}

# Prints the messages of file $2 that file $1, from the base, does not have.
new_messages() {
	comm -13 <(message_keys <"$1") <(message_keys <"$2")
}

# Checks the patches as they would be mailed.
lint_patches() {
	(
		cd "$TREE" || exit
		scripts/checkpatch.pl --strict --show-types --showfile --terse --codespell \
			--codespellfile="$CODESPELL" --no-summary --git base..lazy-mmu 2>&1 ||
			[ $? = 1 ] || echo "ERROR: checkpatch itself fails"
	) | { grep -E '(WARNING|ERROR|CHECK):' || :; } | report "checkpatch --strict"
}

# kunit_tests TREE: what fails of kunit.py's own tests, in a copy because they leave
# a .kunitconfig where they run.
kunit_tests() {
	local copy

	copy=$(mktemp -d -p "$TMP")
	mkdir -p "$copy/tools/testing"
	cp -r "$1/tools/testing/kunit" "$copy/tools/testing"
	env -C "$copy" python3 tools/testing/kunit/kunit_tool_test.py >"$copy/log" 2>&1 || :
	grep -E '^(FAIL|ERROR): ' "$copy/log" || :
	grep -qE '^Ran [1-9][0-9]* tests' "$copy/log" || echo "ERROR: no test ran in $1"
}

# They have failures of their own in 6.12.
lint_kunit_py() {
	comm -13 <(kunit_tests "$OLD" | sort) <(kunit_tests "$TREE" | sort) |
		report kunit_tool_test.py
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
		shellcheck -x -P harness -f gcc harness/*.sh harness/userland/init harness/tests/*.ba* .ci/run 2>&1 || :
		cd "$TREE" || exit
		changed A '*.sh' | xargs -r shellcheck -f gcc 2>&1 || :
	) | report shellcheck
	# They are of 6.12; with another base make mutants takes those that fit.
	[ "$BASE" != 6.12 ] || for patch in "$ROOT"/mutants/*/*.patch; do
		git -C "$TREE" apply --check "$patch" 2>&1 || :
	done | report "mutants apply"
	{ changed AM '*.py' | sed "s,^,$TREE/,"; find "$ROOT/harness" -name '*.py'; } |
		while read -r file; do
			python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' \
				"$file" 2>&1 | tail -n 1 || :
		done | report "python syntax"
}

# coccinelle DIR: what the series' rule says of the kernel source below DIR.
coccinelle() {
	spatch --no-includes --include-headers --no-show-diff --very-quiet -D report \
		--cocci-file "$TREE/scripts/coccinelle/locks/lazy_mmu_mode.cocci" \
		--dir "$1" 2>&1 | sed '/^[0-9]* files match$/d; /^$/d' ||
		echo "spatch itself fails on $1"
}

arch_dirs() {
	local name

	for name in $(all_platforms); do
		platform "$name"
		tr ' ' '\n' <<<"${P[Source]}" | sed 's,^,arch/,'
	done | sort -u
}

# The rule, and faults that it has to find. It takes paths below arch/ for an
# architecture's, so they are relative.
lint_coccinelle() {
	local dir faults=$TMP/faults

	for dir in mm fs kernel include $(arch_dirs); do
		(cd "$TREE" && coccinelle "$dir")
	done | report coccinelle
	mkdir -p "$faults/arch"
	cp "$ROOT/harness/tests/coccinelle.c" "$faults/mm.c"
	# A suite may do all of it, and an architecture may call its hooks.
	cp "$faults/mm.c" "$faults/mm_kunit.c"
	sed -n '/hook(void)/,/^}/p' "$faults/mm.c" >"$faults/arch/hook.c"
	{
		diff <(sed -n 's,..*// ,,; T; =; p' "$faults/mm.c" | paste -d: - - |
			sed 's,^,./mm.c:,' | sort) \
			<(cd "$faults" && coccinelle . |
				sed -E 's/:[0-9-]+: [A-Z]+: ([^ ]+ [^ ]+).*/:\1/' | sort) || :
	} | sed -n '/^[<>]/p' | report "coccinelle finds faults"
}

# Compiles what the series touches with W=1, which includes kernel-doc, and runs
# sparse on it, then the commands that complain on the base's sources with the same
# generated headers.
lint_kernel() {
	local objects log=$LOG.lint name="W=1 and sparse, ${P[Kernel]}" check=2

	if [ "${P[Not-sparse]}" ]; then
		name="W=1, ${P[Kernel]}: ${P[Not-sparse]}"
		check=0
	fi
	if ! PLATFORM=${P[Name]} "$ROOT/harness/kunit.sh" build; then
		echo "the kernel does not build" | report "$name"
		return
	fi
	objects=$(changed AM '*.c' | sed 's/\.c$/.o/' | while read -r object; do
		[ ! -f "$OUT/${object%/*}/.${object##*/}.cmd" ] || echo "$object"
	done)
	[ "$objects" ] || return 0
	echo "$objects" >>"$TMP/compiled"
	# The plain objects come back afterwards, so that nothing is built twice.
	(cd "$OUT" && echo "$objects" | sed 'p; s,\([^/]*\)$,.\1.cmd,' |
		tar -cf "$TMP/objects.tar" -T -)
	# shellcheck disable=SC2086 # a list
	if ! make -C "$TREE" O="$OUT" ARCH="${P[Arch]}" CROSS_COMPILE="${P[Cross]}" \
		-j"$(nproc)" -O V=1 W=1 C=$check $objects >"$log" 2>&1 </dev/null; then
		echo "${P[Kernel]} does not build with W=1 C=$check; log: $(named "$log")" | report "$name"
		return
	fi
	tar -xf "$TMP/objects.tar" -C "$OUT"
	# A command that says nothing of the series cannot say what the base does not.
	commands="^  ((${P[Cross]})?(gcc|sparse) (.* )?-D__KERNEL__|$TREE/scripts/kernel-doc) (.* )?$TREE/[^ ]*\\.c( |\$)" \
		awk '$0 ~ ENVIRON["commands"] { command = $0; next }
		     command && /(warning|error): / { print command; command = "" }' "$log" |
		sed -E "s, ; .*,,; s, -Wp\,-MMD\,[^ ]*,,; s, -o [^ ]*\.[os] , -o /dev/null ,
			s,$TREE/,$OLD/,g" >"$TMP/commands"
	# One print a command, so that parallel ones do not mix.
	# shellcheck disable=SC2016 # for the inner shell
	(cd "$OUT" && xargs -d '\n' -P "$(nproc)" -n 1 \
		sh -c 'out=$(sh -c "$0" 2>&1); printf "%s\n" "$out"') \
		<"$TMP/commands" >"$log.base" || :
	new_messages "$log.base" "$log" | report "$name"
}

# shellcheck disable=SC2086 # a list of packages
need git $BUILD_PACKAGES $LINT_PACKAGES
names=$(chosen lint)
"$ROOT/harness/tree.py" tree
mkdir -p "${OLD%/*}"
tree_at "$OLD" base
lint_patches
lint_kunit_py
lint_kernel_doc
lint_scripts
lint_coccinelle
: >"$TMP/compiled"
declare -A seen
for name in $names; do
	platform "$name"
	[ ! "${seen[${P[Kernel]}]:-}" ] || continue
	seen[${P[Kernel]}]=1
	lint_kernel
done
if [ ! "${PLATFORM:-}" ]; then
	changed AM '*.c' ':!tools' ':!scripts' | sed 's/\.c$/.o/' | sort |
		comm -23 - <(sort -u "$TMP/compiled") |
		sed 's/\.o$/.c is compiled for no platform/' | report "every file is compiled"
fi
echo "lint: $passed passed, $failed failed"
[ $failed = 0 ]
