# SPDX-License-Identifier: GPL-2.0
#
# Every command of this repository. The work is in harness/, where variables arrive
# by the environment.

MAKEFLAGS += --no-print-directory

help: ## this text
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 } \
		/^## / { print substr($$0, 4) }' Makefile
	@echo "PLATFORM is one of: $$(cd platforms && ls -d -- */platform | sed 's,/platform,,; /^common$$/d' | tr '\n' ' ')"

run: export PLATFORM := $(or $(PLATFORM),arm64)
run: ## builds and boots, then prints which hook each call reaches [PLATFORM=arm64]
	@harness/kunit.sh run
kunit: ## KUnit tests on a platform: PLATFORM=... [FILTER=suite.test] [TOPICS=...: the base with only these]
	@harness/kunit.sh kunit
shell: ## a shell in that kernel: PLATFORM=... [GDB=1: waits for a debugger]
	@harness/kunit.sh shell
check: ## everything, on 12 platforms; ends in "N passed, N failed"
	@harness/check.sh
tree: ## build/linux: tag base, and the series as branch lazy-mmu
save: ## branch lazy-mmu back to patches/ and the in-tree files
verify: ## whether the repository is what save would write
series: ## build/series: complete mails with covers [TOPICS="10-fixes 20-core"]
apply: ## the series onto a git tree of yours, as branch lazy-mmu: LINUX=DIR [TOPICS=...]
review: ## range-diff with the series of an older commit: FROM=REV
clean: ## removes build/, unless it holds work that is not saved
tree save verify series apply review clean:
	@harness/tree.py $@
subsets: ## topics by themselves, on every 6.12.y of the archive; some are built
	@harness/subsets.py
	@harness/subsets.sh
lint: ## checkpatch, sparse, W=1, kernel-doc, kunit.py's tests, shellcheck [PLATFORM=...]
	@harness/lint.sh
docs: ## the documentation, rendered by Sphinx
	@harness/docs.sh
bisect: ## builds and boots every commit, hours; resumes where it stopped [PLATFORM=...] [TOPICS=...]
	@harness/bisect.sh
mutants: ## wrong versions of the series: each has to fail a test [PLATFORM=...] [MUTANT=name]
	@harness/mutants.sh
bench: ## what operations cost, stock beside the series [PLATFORM=...] [COMMIT=...] [LINUX_PEER=DIR]
	@harness/bench.sh
compare: ## the kernel's own tests, on stock and with the series: PLATFORM=...
	@harness/compare.sh
stress: ## every section user at once, under all debug checks [PLATFORM=arm64] [SECONDS=60] [SEED=...]
	@harness/stress.sh
userland: ## a Debian with apt, a compiler and stress-ng, under the detector: PLATFORM=... [SECONDS=1800]
	@harness/userland.sh
test: ## tests of the harness
	@bash -c '. harness/lib.sh; need bats; bats harness/tests'
results: ## results/*/README.md and the plots, from the JSON beside it
	@harness/results.py

## BASE=6.12 is the base, a directory of patches/; there is 7.3 as well. LINUX_TARBALL=FILE
## takes another tarball of that release than that of Debian's package.

.PHONY: help run kunit shell check tree save verify series apply review clean subsets lint docs \
	bisect mutants bench compare stress userland test results
