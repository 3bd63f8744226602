# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2030,SC2031,SC2154
#
# For tests: a kernel of a few files with a kunit.py that only pretends, a
# repository of its own for each test, and what a test can say of a command.

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
# Elsewhere python3 may be a script that looks for one, for longer than a test takes.
PATH=/usr/bin:$PATH

# fake_kernel VERSION: a tarball like linux-source's, in KERNELS. Call it in
# setup_file, so that each is made once.
fake_kernel() {
	local package=linux-source-${1%.*} name
	local dir=$BATS_FILE_TMPDIR/$1/$package

	export KERNELS=$BATS_FILE_TMPDIR
	mkdir -p "$dir/mm" "$dir/kernel" "$dir/arch/arm64/mm"
	printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' \
		"$(cut -d. -f1 <<<"$1")" "$(cut -d. -f2 <<<"$1")" "$(cut -d. -f3 <<<"$1")" \
		>"$dir/Makefile"
	# As much of a build as there is to see of one.
	cat >>"$dir/Makefile" <<'END'
all:
	@echo "make $@ $(MAKEOVERRIDES)" >>"$$FAKE/calls"
	@! grep -qs '^CONFIG_INITRAMFS_SOURCE="initramfs"' $(O)/.config || [ -f $(O)/initramfs ]
	@! grep -n broken mm/memory.c | sed 's,^,mm/memory.c:,; s/:broken/: error: broken/' | grep .
	mkdir -p $(O)/mm && cat mm/*.c >$(O)/vmlinux && touch $(O)/mm/suite.o
	cd $(O) && rm -f vmlinux.a && ar rcT vmlinux.a mm/suite.o
allnoconfig:
	cp $(KCONFIG_ALLCONFIG) $(O)/.config
olddefconfig:
	@[ -d mm/tests ] || sed -i /CONFIG_LAZY_TEST/d $(O)/.config
headers mrproper: ;
END
	printf '.*\n*.o\n\n#\n# Debian packaging: ignore everything at\n# the top\n#\n/*\n!/debian/\n' >"$dir/.gitignore"
	echo '*.[ch] diff=cpp' >"$dir/.gitattributes"
	seq 1 40 >"$dir/mm/memory.c"
	seq 50 90 >"$dir/kernel/fork.c"
	printf 'config MMU\n\tbool\n' >"$dir/mm/Kconfig"
	for name in first second; do
		printf 'int %s(void)\n{\n' $name
		seq -f "	${name}_%g();" 1 20
		printf '}\n\n'
	done | tee "$dir/arch/arm64/mm/mmu.c" >"$dir/mm/vmalloc.c"
	mkdir -p "$dir/tools/testing/kunit"
	# Takes what a boot prints from a file: one for each kernel, or for all.
	cat >"$dir/tools/testing/kunit/kunit.py" <<'END'
#!/bin/bash
for argument; do
	case $argument in
	--build_dir=*) out=${argument#*=} ;;
	--kunitconfig=*) config=${argument#*=} ;;
	--qemu_args=*,out=*) counts=${argument#*,out=} ;;
	esac
done
echo "kunit.py $*" >>"$FAKE/calls"
case $1 in
config)
	[ ! -e "$FAKE/no-config" ] || exit 1
	cp "$config" "$out/.config"
	;;
exec)
	[ ! -e "$FAKE/no-boot" ] || exit 1
	echo '$ qemu-system-fake -nodefaults'
	boot=$FAKE/boot.${out##*/}
	[ -e "$boot" ] || boot=$FAKE/boot
	cp "$boot" "$out/test.log"
	[[ "$*" != *test_vmalloc.* || "$*" = *run_test_mask=0* ]] || cat "$FAKE/summaries" >>"$out/test.log"
	if [[ "$*" = *=again=* ]]; then
		if [ -e "$FAKE/again" ]; then cat "$FAKE/again"; else echo "[ 2.0] again: 4 suites"; fi >>"$out/test.log"
	fi
	# A wrong kernel fails its test.
	! grep -qs wrong "$out/vmlinux" || sed -i 's/^    ok 1/    not ok 1/' "$out/test.log"
	if [ "$counts" ]; then
		said=$FAKE/counts.${out##*/}
		[ -e "$said" ] || said=$FAKE/counts
		cp "$said" "$counts"
		# Another one each time.
		[ ! -e "$FAKE/unsteady" ] || sed -i "\$s/$/$(grep -c . "$FAKE/calls")/" "$counts"
	fi
	[[ "$*" != *raw_output* ]] || cat "$out/test.log"
	passed=$(grep '^ *ok' "$out/test.log" | grep -vc '# SKIP') failed=$(grep -c '^ *not ok' "$out/test.log")
	skipped=$(grep -c '^ *ok.*# SKIP' "$out/test.log")
	echo "Testing complete. Ran $((passed + failed + skipped)) tests: passed: $passed, failed: $failed, skipped: $skipped"
	[ "$failed" = 0 ]
	;;
esac
END
	chmod +x "$dir/tools/testing/kunit/kunit.py"
	printf 'struct kunit_suite s = {\n\t.name = "lazy_mmu_mode",\n};\n' >"$dir/mm/suite.c"
	tar -cJf "$KERNELS/linux-$1.tar.xz" -C "$dir/.." "$package"
}

# fresh: REPO, an own copy of the repository without a series, whose kernel tree
# is TREE. The topics 10-fixes and 20-core have covers.
fresh() {
	REPO=$BATS_TEST_TMPDIR/repo TREE=$BATS_TEST_TMPDIR/repo/build/linux
	PATCHES=$REPO/patches/6.12
	export GIT_CONFIG_GLOBAL=$BATS_TEST_TMPDIR/gitconfig
	unset BASE TOPICS LINUX FROM MAKEFLAGS
	git config --file "$GIT_CONFIG_GLOBAL" user.name "Ada Tester"
	git config --file "$GIT_CONFIG_GLOBAL" user.email ada@test.example
	mkdir -p "$PATCHES"
	cp -r "$ROOT/harness" "$ROOT/Makefile" "$REPO"
	printf 'Base: 6.12.999\nPackage: linux-source-6.12\n' >"$PATCHES/base"
	touch "$PATCHES/series"
	cover 10-fixes
	cover 20-core
	export LINUX_TARBALL=$KERNELS/linux-6.12.999.tar.xz
}

# cover TOPIC [LINE...]
cover() {
	mkdir -p "$PATCHES/$1"
	printf '%s\n' "Subject: about $1" "${@:2}" "" "The text of $1." >"$PATCHES/$1/cover"
}

make_in_repo() {
	make -s -C "$REPO" "$@" </dev/null
}

# Every state that a refusal must leave alone.
snapshot() {
	(cd "$REPO" && find . -path ./build/linux -prune -o -path ./build/log -prune -o -type f -print0 |
		sort -z | xargs -0 sha256sum)
	git -C "$TREE" show-ref 2>/dev/null || :
	git -C "$TREE" status --porcelain 2>/dev/null || :
}

# works COMMAND...
works() {
	run "$@"
	[ "$status" = 0 ] || {
		echo "should have worked: $*"
		echo "$output"
		return 1
	}
}

# refuses MESSAGE COMMAND...: fails with that one line, and changes nothing.
refuses() {
	local message=$1 before

	shift
	before=$(snapshot)
	run "$@"
	if [ "$status" = 0 ]; then
		echo "should have been refused: $message"
	elif [ "$(grep '^error: ' <<<"$output" | grep -c -e "$message")" != 1 ] ||
	     [ "$(grep -c '^error: ' <<<"$output")" != 1 ] || [[ $output == *Traceback* ]]; then
		echo "expected one line with '$message', not: $output"
	elif [ "$before" != "$(snapshot)" ]; then
		echo "refused, but something changed: $message"
	else
		return 0
	fi
	return 1
}

# complains MESSAGE COMMAND...: fails, and says so.
complains() {
	local message=$1

	shift
	run "$@"
	if [ "$status" = 0 ]; then
		echo "should have failed: $message"
	elif ! grep -q -e "$message" <<<"$output"; then
		echo "expected '$message', not: $output"
	else
		return 0
	fi
	return 1
}

# is WHAT WANTED
is() {
	[ "$1" = "$2" ] || {
		echo "'$1', not '$2'"
		return 1
	}
}

# commit MESSAGE...: all that is in the tree; further words are paragraphs.
commit() {
	local words=()

	for word; do
		words+=(-m "$word")
	done
	git -C "$TREE" add -A && git -C "$TREE" commit -q "${words[@]}"
}

# stub NAME OUTPUT: a command that says OUTPUT; for PATH=$STUBS:$PATH.
stub() {
	STUBS=$BATS_TEST_TMPDIR/bin
	mkdir -p "$STUBS"
	printf '#!/bin/sh\necho "%s"\n' "$2" >"$STUBS/$1"
	chmod +x "$STUBS/$1"
}

tool() {
	"$REPO/harness/tree.py" "$@" </dev/null
}

# Of the branch, all that a round trip keeps.
facts() {
	git -C "$TREE" log --format='%T %an <%ae> %ad%n%B' "${1:-base..lazy-mmu}"
}

# once NAME: REPO as make_NAME leaves a fresh one. A file's tests share it.
once() {
	local made=$BATS_FILE_TMPDIR/once.$1

	[ -e "$made/done" ] || (
		BATS_TEST_TMPDIR=$made
		rm -rf "$made"
		mkdir "$made"
		fresh
		"make_$1" >"$made/log" 2>&1
		touch "$made/done"
	)
	rm -rf "$REPO"
	cp -a "$made/repo" "$REPO"
}

# three: a saved series of three commits in two topics.
three() { once three; }
make_three() {
	tool tree
	sed -i 's/^20$/twenty/' "$TREE/mm/memory.c"
	commit "mm: spell a number, with an ø in it" "And a body — with a dash.

# even a line like this one

Signed-off-by: Zoë Tester <zoe@test.example>
Topic: 10-fixes"
	mkdir -p "$TREE/mm/tests"
	echo new >"$TREE/mm/tests/lazy.c"
	echo CONFIG_NEW=y >"$TREE/mm/tests/.kunitconfig"
	printf '#!/bin/sh\n' >"$TREE/mm/tests/lazy.sh"
	chmod +x "$TREE/mm/tests/lazy.sh"
	commit "mm: only new files, with a title that git am and others would cut off somewhere" \
		"Topic: 20-core"
	git -C "$TREE" mv kernel/fork.c kernel/spoon.c
	sed -i 's/^1$/one/' "$TREE/mm/memory.c"
	seq 1 9 >"$TREE/mm/more.c"
	git -C "$TREE" add -A
	# Without a trailer: of the topic before it.
	git -C "$TREE" commit -qm "kernel: all kinds at once" --author 'Żółw <z@test.example>'
	tool save
}

# grown: three, and 60-debug, which changes files that 20-core adds.
grown() { once grown; }
make_grown() {
	three
	cover 60-debug
	sed -i 's/^5$/five/' "$TREE/mm/more.c"
	chmod +x "$TREE/mm/more.c"
	sed -i 's/^30$/thirty/' "$TREE/mm/memory.c"
	commit "mm: grow" "Topic: 60-debug"
	echo ten >>"$TREE/mm/more.c"
	echo first >"$TREE/mm/last.c"
	commit "mm: grow again"
	echo second >>"$TREE/mm/last.c"
	commit "mm: grow the last"
	tool save
}

# ------------------------------------------------------------- kernels that run

# machine: REPO has platforms/, on a machine with every package and compiler, which
# only pretend. FAKE/boot is what the next kernel prints, see boots; FAKE/calls has
# what kunit.py and the kernel's make were asked for; with FAKE/no-compiler no
# program of a guest is compiled.
machine() {
	local cross

	export FAKE=$BATS_TEST_TMPDIR/fake
	unset PLATFORM FILTER TOPICS COMMIT LINUX_PEER SEED MUTANT GDB
	mkdir "$FAKE"
	touch "$FAKE/calls"
	cp -r "$ROOT/platforms" "$REPO"
	stub dpkg-query ""
	cat >"$STUBS/dpkg-query" <<'END'
#!/bin/sh
printf 'installed %s\n' "$@"
END
	stub df 99G
	cat >"$STUBS/gcc" <<'END'
#!/bin/sh
[ ! -e "$FAKE/no-compiler" ] || exit 1
case $1 in
-print-file-name=*)
	[ -e "$FAKE/no-loader" ] || touch "$FAKE/ld.so.2"
	echo "$FAKE/${1#*=}"
	;;
esac
while [ $# -gt 1 ]; do
	[ "$1" != -o ] || echo program >"$2"
	shift
done
END
	chmod +x "$STUBS/gcc"
	while read -r cross; do
		ln -sf gcc "$STUBS/${cross}gcc"
	done < <(sed -n 's/^Cross: *\(.\)/\1/p' "$REPO"/platforms/*/platform)
	# By itself, ccache takes no script for a compiler.
	export CCACHE_COMPILER=$STUBS/gcc CCACHE_DISABLE=1
	PATH=$STUBS:$PATH
	boots "    ok 1 contract"
}

# two: a saved series of two commits, of which the second one changes no kernel.
two() { once two; }
make_two() {
	tool tree
	sed -i 's/^20$/twenty/' "$TREE/mm/memory.c"
	commit "mm: spell a number" "Topic: 10-fixes"
	mkdir -p "$TREE/mm/tests" "$TREE/tools/testing/selftests/mm"
	echo CONFIG_LAZY_TEST=y >"$TREE/mm/tests/.kunitconfig"
	echo 'int main(void) { return 0; }' >"$TREE/tools/testing/selftests/mm/lazy_mmu_stress.c"
	commit "mm: only new files" "Topic: 20-core"
	tool save
}

# with_two: a repository that has them, and a machine.
with_two() {
	fresh
	two
	machine
}

# boots LINE...: the next kernel prints a good log, and LINEs.
boots() {
	{
		echo "Booting Linux on physical CPU 0x0"
		echo "KTAP version 1"
		echo "    # Subtest: lazy_mmu_mode"
		printf '%s\n' "$@"
	} >"$FAKE/boot"
}

# anywhere LINE...: as boots, but any platform takes it for its own.
anywhere() {
	boots "$@"
	sed -n 's/^Shows: *//p' "$REPO"/platforms/*/platform >>"$FAKE/boot"
	seq -f "Summary: test %g passed: 20 failed: 0 xfailed: 0" \
		"$(sed -n 's/^Vmalloc-tests: *//p' "$REPO/platforms/arm64_debug/platform")" >"$FAKE/summaries"
}

# calls WORD...: how many calls have all of them.
calls() {
	local word out

	out=$(cat "$FAKE/calls")
	for word; do
		out=$(grep -F -e "$word" <<<"$out") || break
	done
	grep -c . <<<"$out" || :
}

# platform NAME LINE...: another record.
platform() {
	mkdir -p "$REPO/platforms/$1"
	printf '%s\n' "${@:2}" >"$REPO/platforms/$1/platform"
}
