#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What README.md and its sisters say of the repository.

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
}

# links FILE: the files of this repository that it links.
links() {
	grep -oE '\]\([^)#:]+\)' "$1" | sed 's/^](//; s/)$//'
}

@test "README.md is short" {
	[ "$(wc -l <README.md)" -le 130 ]
}

@test "links lead somewhere" {
	astray=$(for page in README.md MAINTAINING.md results/*/*.md; do
		links "$page" | while read -r link; do
			[ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
		done
	done)
	echo "$astray"
	[ -z "$astray" ]
	[ "$(links README.md | wc -l)" -gt 20 ]
}

@test "README.md has the topics, and what each needs" {
	for cover in patches/6.12/*/cover; do
		topic=$(basename "$(dirname "$cover")")
		needs=$(sed -n '1,/^$/s/^Needs: *//p' "$cover" | tr -s ', ' ' ')
		echo "[$topic]($cover) ${needs:--}"
	done | sort >"$BATS_TEST_TMPDIR/covers"
	sed -nE 's/^\| (\[[^|]*\)) \| ([^|]*) \|.*/\1 \2/p' README.md |
		sed 's/–/-/; s/,//g' | sort >"$BATS_TEST_TMPDIR/table"
	diff "$BATS_TEST_TMPDIR/covers" "$BATS_TEST_TMPDIR/table"
}

@test "nothing is called by a patch's number, which changes" {
	run grep -nE '\bpatch(es)? [0-9]' README.md MAINTAINING.md results/*/*.md patches/*/*/cover
	echo "$output"
	[ "$status" = 1 ]
}

@test "README.md names every platform" {
	for name in platforms/*/platform; do
		name=$(basename "$(dirname "$name")")
		[ "$name" != common ] || continue
		grep -qF "\`$name\`" README.md || { echo "$name"; false; }
	done
}

@test "README.md has the number of mutants" {
	grep -q " $(find mutants -name '*.patch' | wc -l) mutants" README.md
}

@test "every command that the pages name is one" {
	grep -ohE '(`|^    |&& )make [a-z]+' README.md MAINTAINING.md results/*/*.md |
		sed 's/.*make //' | sort -u >"$BATS_TEST_TMPDIR/named"
	[ -s "$BATS_TEST_TMPDIR/named" ]
	while read -r name; do
		# -q fails with 1 for a target that would be made, and 2 for none.
		run make -q "$name"
		[ "$status" -lt 2 ] || { echo "make $name: $output"; false; }
	done <"$BATS_TEST_TMPDIR/named"
}
