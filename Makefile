# SPDX-License-Identifier: GPL-2.0
#
# Every command of this repository; the work is in harness/.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

help:
	@echo 'make run [PLATFORM=arm64]   build and boot, then print what each call reaches'
	@echo 'make check                  everything there is to check, on every platform;'
	@echo '                            ends in "N passed, N failed": KUnit cases and steps'
	@echo 'make kunit PLATFORM=...     one platform'"'"'s KUnit tests [FILTER=suite.test]'
	@echo 'make tree                   build/linux: tag base, and the series as branch lazy-mmu'
	@echo 'make save                   branch lazy-mmu back to patches/ and the in-tree files'
	@echo 'make series                 build/series: complete patches and a cover letter, to mail'
	@echo 'make apply LINUX=DIR        the series onto a 6.12 git tree of yours, as branch lazy-mmu'
	@echo 'make lint                   checkpatch, sparse, W=1, kernel-doc, shellcheck [PLATFORM=...]'
	@echo 'make docs                   the documentation, rendered by Sphinx'
	@echo 'make bisect [PLATFORM=...]  build and boot every commit (hours; goes on where it stopped)'
	@echo 'make mutants                wrong versions of the series: does a test fail on each?'
	@echo '                            [PLATFORM=...] [MUTANT=name], of harness/mutants'
	@echo 'make bench [PLATFORM=...]   what operations cost on stock 6.12 and with the series'
	@echo '                            [COMMIT=...] [LINUX_PEER=DIR], another kernel besides'
	@echo 'make compare PLATFORM=...   the kernel'"'"'s own tests, on stock 6.12 and with the series'
	@echo 'make stress [PLATFORM=...]  all that opens sections, at once, in a kernel that looks on'
	@echo '                            [SECONDS=60] [SEED=...]; the seed of a failure replays it'
	@echo 'make clean                  remove build/, unless it holds work that is not saved'
	@echo
	@echo 'PLATFORM is one of: $(shell sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' harness/platforms)'
	@echo 'LINUX_TARBALL=FILE takes another linux-6.12.y tarball than that of'
	@echo "Debian's package linux-source-6.12."

run: PLATFORM ?= arm64
run:
	@harness/kunit.sh run '$(PLATFORM)'
kunit:
	@harness/kunit.sh kunit '$(PLATFORM)' '$(FILTER)'
check:
	@harness/check.sh
tree save series verify clean:
	@harness/tree.sh $@
apply:
	@harness/tree.sh apply '$(LINUX)'
lint:
	@harness/lint.sh '$(PLATFORM)'
docs:
	@harness/docs.sh
bisect:
	@harness/bisect.sh '$(PLATFORM)'
mutants:
	@harness/mutants.sh '$(PLATFORM)' '$(MUTANT)'
bench:
	@harness/bench.sh '$(PLATFORM)' '$(COMMIT)' '$(LINUX_PEER)'
compare:
	@harness/compare.sh '$(PLATFORM)'
stress:
	@harness/stress.sh '$(PLATFORM)' '$(SECONDS)' '$(SEED)'

.PHONY: help run kunit check tree save series verify clean apply lint docs bisect mutants bench compare stress
