#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds wrong versions of the series, the mutants, and boots each with the tests
# that must fail on it. A mutant is a patch on top of the series,
# mutants/AREA/NAME.patch, with a header:
#
#   Platform: where it is wrong
#   Filter:   the tests that must fail there, and pass without it
#   Wrong:    what is wrong
#   Objects:  for a header: the objects that are compiled with it. All others
#             keep the right one, which saves building the whole kernel.
#
# killed: a test failed, or the kernel complained or died. survived: a test is
# missing. broken: the mutant does not apply or build, or nothing was booted.
# A result is recorded by content, so a second run resumes where the first one
# stopped. With a base other than 6.12, those that do not apply are counted and left out.
#
#   [PLATFORM=NAME] [MUTANT=AREA/NAME or NAME] mutants.sh

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

MUTANTS=$ROOT/mutants
HOME_DIR=$BUILD/mutants
RESULTS=$HOME_DIR/results
SAVED=$TMP/saved

# Lines of "kernel platform AREA/NAME".
JOBS=$HOME_DIR/jobs

# field NAME: of the header of $patch.
field() {
	sed -n "/^\(diff\|---\) /q; s/^$1: *//p" "$patch"
}

# The wrong files, as they are in the series.
restore() {
	[ ! -d "$SAVED" ] || cp -a "$SAVED/." "$WORK"
	rm -rf "$SAVED"
}
trap 'restore; rm -rf "$TMP"' EXIT

# apply: with the time stamps of the right files. What is to be compiled is said
# by Objects and by the names of the .c files.
apply() {
	local file objects

	objects=$(field Objects)
	git -C "$WORK" apply --numstat "$patch" 2>/dev/null | cut -f3 >"$TMP/files"
	while read -r file; do
		case $file in
		*.c) objects+=" ${file%.c}.o" ;;
		*) [ "$objects" ] || return ;;
		esac
		(cd "$WORK" && mkdir -p "$SAVED" && cp -p --parents "$file" "$SAVED") || return
	done <"$TMP/files"
	[ "$objects" ] && git -C "$WORK" apply "$patch" 2>/dev/null || return
	while read -r file; do
		touch -r "$SAVED/$file" "$WORK/$file"
	done <"$TMP/files"
	tr -s ' ' '\n' <<<"$objects" | grep . >"$TMP/objects"
}

# compile LOG: anew what the build before made wrong, and what is wrong now.
compile() {
	local out=$HOME_DIR/${P[Kernel]}/out

	[ -d "$SAVED" ] || : >"$TMP/objects"
	mkdir -p "$out"
	touch "$out/wrong"
	(cd "$out" && cat wrong "$TMP/objects" | xargs -r rm -f)
	cp "$TMP/objects" "$out/wrong"
	build "$OUT/.config" "$WORK" "$out" "$1"
}

# boots LOG
boots() {
	run_tests "$HOME_DIR/${P[Kernel]}/out" "$1" "$(field Filter)" >"$1.out" 2>&1
}

# reason LOG: what the mutant was killed by.
reason() {
	local case

	case=$(sed -nE 's/^(\[[^]]*\] ?)?    not ok [0-9]+ ([^ ]*).*/\2/p' "$1.boot" | head -n 1)
	if [ "$case" ]; then
		echo "$case"
	elif ! grep -om 1 '^the kernel complains: .*' "$1.out" | cut -c-99; then
		echo "the kernel did not end its tests, see $(named "$1").boot"
	fi
}

# result KEY: the verdict and its reason, if they are known.
result() {
	sed -n "s/^$1 //p" "$RESULTS" | tail -n 1
}

# green: no mutant is killed by tests that fail anyway.
green() {
	local log=$HOME_DIR/unmutated.${P[Name]} key

	key=$(printf '%s\n' "$content" "${P[Name]}" "$(field Filter)" | sha256sum | cut -c-64)
	[ -z "$(result "$key")" ] || return 0
	compile "$log.build" ||
		die "the series does not build for ${P[Name]}; log: $(named "$log").build"
	boots "$log" ||
		die "${P[Name]}: $(field Filter) fails without a mutant; logs: $(named "$log").*"
	echo "$key green" >>"$RESULTS"
	echo "green     ${P[Name]}: $(field Filter), unmutated"
}

# judge LOG: prints the verdict and its reason.
judge() {
	if ! apply; then
		echo "broken does not apply"
	elif ! compile "$1.build"; then
		echo "broken does not build, see $(named "$1").build"
	elif boots "$1"; then
		echo "survived"
	elif grep -q '^no kernel was booted' "$1.out"; then
		echo "broken nothing was booted, see $(named "$1").out"
	else
		echo "killed $(reason "$1")"
	fi
}

# worker KERNEL: its mutants, in a work tree of its own, which ccache finds where
# build/linux is for other builds.
worker() {
	local name mutant content key start verdict when

	WORK=$HOME_DIR/$1/linux
	tree_at "$WORK" lazy-mmu
	# Not stdin, which is the terminal's.
	while read -r _ name mutant <&3; do
		if [ "${P[Name]:-}" != "$name" ]; then
			platform "$name"
			content=$(content lazy-mmu)
		fi
		patch=$MUTANTS/$mutant.patch
		key=$({ echo "$content"; cat "$patch"; } | sha256sum | cut -c-64)
		start=$SECONDS
		verdict=$(result "$key")
		if [ "$verdict" ]; then
			when=before
		else
			green
			verdict=$(judge "$HOME_DIR/${mutant//\//-}")
			restore
			when="$((SECONDS - start)) s"
			[ "${verdict%% *}" = broken ] || echo "$key $verdict" >>"$RESULTS"
		fi
		printf '%-9s %s: %s, %s%s\n' "${verdict%% *}" "$name" "$mutant" \
			"$(grep -q ' ' <<<"$verdict" && echo "${verdict#* }, ")" "$when"
	done 3< <(grep "^$1 " "$JOBS")
}

if [ "${1:-}" = worker ]; then
	worker "$2"
	exit
fi
# What MUTANT selects.
(cd "$MUTANTS" && printf '%s\n' */*.patch | sed 's/\.patch$//') >"$TMP/mutants"
grep -E "^(.*/)?${MUTANT:-.*}$" "$TMP/mutants" >"$TMP/selected" 2>/dev/null ||
	die "unknown MUTANT=$MUTANT; there are: $(one_line <"$TMP/mutants")"
names=$(chosen mutants)
for patch in "$MUTANTS"/*/*.patch; do
	for name in Platform Filter Wrong; do
		[ "$(field $name)" ] || die "$(named "$patch") has no $name:"
	done
	platform "$(field Platform)"
done

mkdir -p "$HOME_DIR"
touch "$RESULTS"
exec 9>>"$RESULTS"
flock -n 9 || die "another make mutants is running"
[ "$BASE" = 6.12 ] || "$ROOT/harness/tree.py" tree
: >"$TMP/unfit"
while read -r mutant; do
	patch=$MUTANTS/$mutant.patch
	if [ "$BASE" != 6.12 ] && ! git -C "$TREE" apply --check "$patch" 2>/dev/null; then
		echo "$mutant" >>"$TMP/unfit"
		continue
	fi
	platform "$(field Platform)"
	! grep -qx "${P[Name]}" <<<"$names" || echo "${P[Kernel]} ${P[Name]} $mutant"
done <"$TMP/selected" | sort -k 2,2 -s >"$JOBS"
[ ! -s "$TMP/unfit" ] || note "not of $BASE: $(wc -l <"$TMP/unfit") of $(wc -l <"$TMP/selected") mutants"
[ -s "$JOBS" ] || die "of these mutants none is for ${PLATFORM:-BASE=$BASE}"
cut -d ' ' -f 2 "$JOBS" | uniq | while read -r name; do
	platform "$name"
	configure_tests
done
# Two kernels at a time, the one with most mutants first: one boots while the other
# one compiles.
cut -d ' ' -f 1 "$JOBS" | sort | uniq -c | sort -rn | awk '{ print $2 }' |
	xargs -r -n 1 -P 2 "$0" worker 9>&- | tee "$TMP/said" || :

echo
awk '$1 ~ /^(killed|survived|broken)$/ { n[$1]++; sub("/.*", "", $3); a[$3]++; m[$1, $3]++ }
     END { printf "%-24s %8s %8s\n", "area", "killed", "survived"
	   for (i in a) printf "%-24s %8d %8d\n", i, m["killed", i], m["survived", i] | "sort"
	   close("sort")
	   if (n["broken"]) printf "%d broken\n", n["broken"]
	   printf "%d killed, %d survived\n", n["killed"], n["survived"]
	   exit n["broken"] + n["survived"] > 0 || !n["killed"] }' "$TMP/said"
[ "$(grep -vc '^green ' "$TMP/said")" = "$(wc -l <"$JOBS")" ] || die "not every mutant was judged"
