#!/usr/bin/env bash
# The man page names the options that --help names, of each command, and explains each; what meson installs is that page.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

page=$top/docs/man/everyport.1

# help_options COMMAND: "--name VALUE" lines of --help, sorted.
help_options()
{
	"$EP_BIN" "$1" --help | sed -nE 's/^  (--[a-z-]+)( [A-Z][A-Z\/]*)? +[^ ].*/\1\2/p' | sort
}

# page_options SECTION MACRO: of a section of the page ("Ss everyport run", "Sh OPTIONS"), what MACRO (Op, It) names.
page_options()
{
	awk -v section=".$1" -v macro=".$2" '
		$1 == ".Ss" || $1 == ".Sh" { inside = $0 == section; next }
		inside && $1 == macro && $2 == "Fl" && $3 ~ /^-/ && $4 != "," { print "-" $3 ($4 == "Ar" ? " " $5 : "") }' "$page" | sort
}

mapfile -t commands < <("$EP_BIN" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
is "$(sed -n 's/^\.Ss everyport //p' "$page" | sort)" "$(printf '%s\n' "${commands[@]}" | sort)" "the page has the commands of --help"
for command in "${commands[@]}"; do
	is "$(page_options "Ss everyport $command" Op)" "$(help_options "$command")" "... and the options of $command, with their values"
	like "$(sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page")" $'\n'"\.Cm $command"$'\n' "... in the synopsis: $command"
done
is "$(page_options "Sh OPTIONS" It)" "$(for command in "${commands[@]}"; do help_options "$command"; done | sort -u)" "each option is explained, once, and no other"
is "$(sed -n '/^\.Sh EXIT/,/^\.Sh EXAMPLES/p' "$page" | sed -n 's/^\.It //p' | tr '\n' ' ')" "0 1 2 3 4 5 6 " "every exit code has its meaning"
is "$(groff -mdoc -ww -z "$page" 2>&1)" "" "groff has no complaint"
like "$(groff -mdoc -Tascii -P-cbou "$page")" 'EVERYPORT\(1\).*SYNOPSIS.*everyport run --peer HOST --dev SPEC --key-file F' "... and shows it"

code=0
meson install -C "$top/build" --no-rebuild --destdir "$tmp/root" >"$tmp/install.log" 2>&1 || code=$?
is "$code $(cd "$tmp/root" && find . -name 'everyport*' | sed 's,.*/\(man1\|bin\)/,\1/,' | sort | tr '\n' ' ')" "0 bin/everyport man1/everyport.1 " \
	"meson installs the program and the page"

finish
