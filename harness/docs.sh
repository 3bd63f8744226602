#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Renders the directories of the kernel's documentation that the series changes,
# and fails on any message about what the series changes.

# shellcheck source=harness/lib.sh
. "$(dirname "$0")/lib.sh"

OUT=$BUILD/docs
LOG=$LOGS/docs

# shellcheck disable=SC2086 # lists of packages
need git $BUILD_PACKAGES $DOCS_PACKAGES
"$ROOT/harness/tree.py" tree
need_space 1 "make docs"
# MAINTAINERS has references that are wrong in 6.12 already, and any path may end in
# Makefile.
git -C "$TREE" diff --name-only base lazy-mmu -- :!MAINTAINERS :!Makefile >"$TMP/changed"
dirs=$(sed -n 's,^Documentation/\(.*\)/[^/]*\.rst$,\1,p' "$TMP/changed" | sort -u | one_line)
echo "rendering Documentation/{${dirs// /,}}; log: $(named "$LOG")"
# Files that did not change would say nothing in a second run.
rm -rf "$OUT"
mkdir -p "$OUT"
make -C "$TREE" O="$OUT" SPHINXDIRS="$dirs" htmldocs >"$LOG" 2>&1 </dev/null ||
	die "the documentation does not build; log: $(named "$LOG")"
# What lies outside of these directories is unknown to Sphinx. References to it
# are for the kernel's own script.
script=$(cd "$TREE" && ls {scripts,tools/docs}/documentation-file-ref-check 2>/dev/null) ||
	[ "$script" ] || die "there is no documentation-file-ref-check"
{
	grep -E 'WARNING|ERROR|warning:|error:' "$LOG" |
		grep -vE 'undefined label|unknown document' || :
	(cd "$TREE" && "$script" --warn 2>&1) || :
} | grep -F -f "$TMP/changed" >"$TMP/messages" || :
if [ -s "$TMP/messages" ]; then
	cat "$TMP/messages"
	die "there are complaints about what the series changes; log: $(named "$LOG")"
fi
sed -n 's,^Documentation/\(.*\)\.rst$,Documentation/output/\1.html,p' "$TMP/changed" |
	while read -r page; do
		[ -s "$OUT/$page" ] || die "$page was not rendered; log: $(named "$LOG")"
		echo "look at $(named "$OUT/$page")"
	done
