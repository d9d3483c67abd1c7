#!/usr/bin/env bash
# What the README tells people to type works as written. (CI runs scripts/test.sh and scripts/demo.sh themselves.)
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

readme=$top/README.md
# The README's words begin with build/app/everyport; the test may run another build.
bin_dir=$tmp/clone/build/app
mkdir -p "$bin_dir"
ln -s "$EP_BIN" "$bin_dir/everyport"
cd "$tmp/clone"

# commands REGEX: lines of the README's sh blocks that match, without their indent.
commands()
{
	awk '/^ *```sh$/ {inside = 1; next} /^ *```$/ {inside = 0} inside {sub(/^ +/, ""); print}' "$readme" | grep -E "$1"
}

number_is "$(commands '^scripts/(demo|test).sh$' | wc -l)" -eq 2 "the README has its two commands"
for script in $(commands '^scripts/'); do
	succeeds "$script is there and can be run" test -x "$top/$script"
done

want=0
while read -r command; do
	[[ $command != *--impair* ]] || want=1
	code=0
	bash -c "$command" >"$tmp/out" 2>&1 </dev/null || code=$?
	is "$code" "$want" "$command: exit code $want"
done < <(commands '^build/app/everyport loop')

command=$(commands 'keygen')
succeeds "$command" bash -c "$command"
is "$(stat -c %a everyport.key)" 600 "... makes a key file that only its owner can read"

# serve and run need two hosts (tests/lab has them): here every option that the README names must exist.
for command in serve run; do
	for option in $(commands "everyport $command" | grep -oE -- '--[a-z-]+'); do
		like "$("$EP_BIN" $command --help)" "$option " "everyport $command knows $option"
	done
done

# Likewise the options of every guide.
for guide in "$top"/docs/guides/*.md; do
	readme=$guide
	unknown=
	while read -r line; do
		command=$(grep -oE 'everyport (loop|serve|run|tcp|doctor)' <<<"$line" | head -n 1 | cut -d ' ' -f 2)
		for option in $(grep -oE -- ' --[a-z-]+' <<<"${line##*everyport }" || true); do
			grep -qE -- "^  $option " <<<"$("$EP_BIN" "$command" --help)" || unknown+=" $command$option"
		done
	done < <(commands 'everyport (loop|serve|run|tcp|doctor)')
	is "$unknown" "" "$(basename "$guide") names only options that there are"
done

finish
