#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What report.py, plot.py and results.py make of data.

setup() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	REPO=$BATS_TEST_TMPDIR/repo
	PAGE=$REPO/results/6.12/README.md
	MEASURED=$BATS_TEST_TMPDIR/measured
	mkdir -p "$REPO/harness" "$MEASURED"
	cp -R "$ROOT/harness/bench" "$ROOT/harness/results.py" "$REPO/harness"
	mkdir -p "$REPO/results/6.12/bench"
	cd "$REPO/results/6.12" || return
	cat >kunit.json <<-END
		{"title": "KUnit cases", "text": [], "total": true, "command": "make check", "rows": [
		{"platform": "um", "passed": 1000, "skipped": null},
		{"platform": "arm64", "passed": 721, "skipped": 2, "remark": "a | b"}]}
	END
	echo '{"title": "Costs", "text": ["Counted."], "rows": []}' >bench.json
	cat >bench/powerpc.json <<-END
		{"platform": "powerpc", "selection": true, "sizes": {"text": {"stock": 10, "series": 12}},
		"rows": [{"operation": "map", "pages": 4096, "counts":
		{"stock": {"instructions": 1000}, "series": {"instructions": 1011}}}]}
	END
	"$REPO/harness/results.py"
	cp "$PAGE" "$BATS_TEST_TMPDIR/page"
}

results() {
	run "$REPO/harness/results.py" "$@"
}

# measured KERNEL COUNT...: two repetitions of two steps.
measured() {
	printf 'sizeof(task_struct) 64\n8 map unmap\nend\n' >"$MEASURED/$1.said"
	{ echo dsb; printf '%s\n' "${@:2}"; } >"$MEASURED/$1.counts"
	echo 100 >"$MEASURED/$1.text"
}

# sized KERNEL BARRIERS...: one repetition of two steps at each of four sizes, the
# second of them alike whatever the kernel.
sized() {
	local pages kernel=$1

	shift
	printf 'instructions\tdsb\n' >"$MEASURED/$kernel.counts"
	for pages in 1 64 1000 1024; do
		echo "$pages map look" >>"$MEASURED/$kernel.said"
		printf '%s\t%s\n' "${pages}00" "$1" "${pages}0" "$pages" >>"$MEASURED/$kernel.counts"
		shift
	done
	echo end >>"$MEASURED/$kernel.said"
	echo 100 >"$MEASURED/$kernel.text"
	printf '%s\n' "[    0.000000] Linux version 6.12.117 (b@b) (aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #b" \
		>"$MEASURED/$kernel.1.boot"
}

# report REPS KERNEL...: what bench.sh does with what it measured.
report() {
	run "$ROOT/harness/bench/report.py" arm64 "$MEASURED" "$1" "$MEASURED/json" "${@:2}"
}

@test "page and plots are what the data says" {
	run "$ROOT/harness/results.py" --check
	echo "$output"
	[ "$status" = 0 ]
}

@test "tables, totals and sizes" {
	grep -qxF '| um | 1,000 | – |  |' "$PAGE"
	grep -qxF '| arm64 | 721 | 2 | a \| b |' "$PAGE"
	grep -qxF '| all | 1,721 | 2 |  |' "$PAGE"
	grep -q "^These rows are a selection" "$PAGE"
	grep -qxF '| map | 4,096 | 1,000 → 1,011 |' "$PAGE"
	grep -qxF 'Over 1% more instructions than stock: map 4,096.' "$PAGE"
	grep -qxF '| powerpc | text | 10 | 12 | 2 |' "$PAGE"
}

@test "an edited page is refused, and written anew" {
	sed -i '0,/1,721/s//1,722/' "$PAGE"
	results --check
	[ "$status" = 1 ]
	[ "$output" = "error: not what the data says, run make results: results/6.12/README.md" ]
	results
	[ "$status" = 0 ]
	cmp "$PAGE" "$BATS_TEST_TMPDIR/page"
}

@test "a page that is older than its data is refused" {
	sed -i 's/"passed": 721/"passed": 722/' "$REPO/results/6.12/kunit.json"
	results --check
	[ "$status" = 1 ]
	results
	grep -qF '| all | 1,722 |' "$PAGE"
	results --check
	[ "$status" = 0 ]
}

@test "a plot without data is refused, and removed" {
	mkdir -p "$REPO/results/6.12/plots"
	touch "$REPO/results/6.12/plots/um.svg"
	results --check
	[[ $status = 1 && $output = *results/6.12/plots/um.svg ]]
	results
	[ ! -e "$REPO/results/6.12/plots/um.svg" ]
}

@test "bad data is one line" {
	results 6.11
	[[ $status = 1 && $output = "error: there is no results/6.11" ]]
	echo '{' >"$REPO/results/6.12/kunit.json"
	results
	[[ $status = 1 && $output = "error: results/6.12/kunit.json: "* && ${#lines[@]} = 1 ]]
	echo '{"title": "x", "text": []}' >"$REPO/results/6.12/kunit.json"
	results
	[[ $status = 1 && $output = 'error: results/6.12/kunit.json has no "rows"' ]]
	rm "$REPO/results/6.12/kunit.json"
	cp "$REPO/results/6.12/bench/powerpc.json" "$REPO/results/6.12/bench/um.json"
	results
	[[ $status = 1 && $output = "error: results/6.12/bench/um.json is of powerpc" ]]
	cmp "$PAGE" "$BATS_TEST_TMPDIR/page"
}

@test "what make bench writes is taken as it is" {
	sized stock 2 64 1000 1024
	sized series 2 2 4 4
	report 1 stock series
	echo "$output"
	[ "$status" = 0 ]
	cp "$MEASURED/json" "$REPO/results/6.12/bench/arm64.json"
	results
	echo "$output"
	[ "$status" = 0 ]
	results --check
	[ "$status" = 0 ]
	arm64=$(sed -n '/^### arm64/,/^### powerpc/p' "$PAGE")
	grep -q '^Measured 20[0-9-]*, on 6.12.117, aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0\.$' <<<"$arm64"
	grep -qxF '| map | 64 | 6,400 | 64 → 2 |' <<<"$arm64"
	grep -qF 'not in the table (by pages): map 1; look 1, 64, 1,000, 1,024.' <<<"$arm64"
	grep -qF 'not drawn: instructions: map, look; dsb: look.' <<<"$arm64"
	[[ $arm64 != *selection* ]]
	grep -qF '(plots/arm64.svg)' <<<"$arm64"
	[ "$(grep -o 'class="title">[^<]*' "$REPO/results/6.12/plots/arm64.svg")" = 'class="title">map: dsb' ]
}

@test "sizes that are close share no place below the axis" {
	sized stock 2 64 1000 1024
	sized series 2 2 4 4
	report 1 stock series
	"$ROOT/harness/bench/plot.py" "$MEASURED/json" "$MEASURED/svg"
	[ "$(grep -o 'class="x">[0-9]*' "$MEASURED/svg" | grep -o '[0-9]*$' | xargs)" = "1024 64 1" ]
}

@test "no plot where nothing differs" {
	sized stock 2 64 1000 1024
	sized series 2 65 1001 1024
	report 1 stock series
	touch "$MEASURED/svg"
	run "$ROOT/harness/bench/plot.py" "$MEASURED/json" "$MEASURED/svg"
	[ "$status" = 0 ]
	[ "$output" = "Within 10% of stock at every size, and not drawn: instructions: map, look; dsb: map, look." ]
	[ ! -e "$MEASURED/svg" ]
}

@test "report takes the least of each step" {
	measured stock 9 5 8 4
	measured series 4 6 5 5
	report 2 stock series
	[ "$status" = 0 ]
	[ "$(sed -n 's/^\(un\)\?map  *//p' <<<"$output" | tr -s ' ')" = "8 8 4 0.500
8 4 5 1.250" ]
	measured peer 3 3 3 3
	report 2 stock series peer
	[ "$(sed -n 's/^unmap  *//p' <<<"$output" | tr -s ' ')" = "8 4 5 1.250 3" ]
	# With a peer the page has a third number.
	cp "$MEASURED/json" "$REPO/results/6.12/bench/arm64.json"
	results
	[ "$status" = 0 ]
	grep -qxF '| map | 8 | 8 → 4 (peer 3) |' "$PAGE"
}

@test "report refuses what is not complete" {
	measured stock 9 5 8 4
	measured series 4 6 5
	report 2 stock series
	[[ $status = 1 && $output = "error: series: 3 counts, not 4" ]]
	sed -i '$d' "$MEASURED/series.said"
	report 2 stock series
	[[ $status = 1 && $output = "error: series did not come to its end" ]]
	[ ! -e "$MEASURED/json" ]
}
