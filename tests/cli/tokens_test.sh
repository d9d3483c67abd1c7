#!/usr/bin/env bash
# scripts/lib/check_tokens.py finds what it is there to find, and nothing in comments and strings.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

cd "$tmp"
mkdir -p lib/acct lib/engine lib/xport app

# finds FILE TEXT WANT CLAIM: WANT is a regular expression, or "" for no finding.
finds()
{
	local output code=0

	printf '%b\n' "$2" >"$1"
	output=$(python3 "$top/scripts/lib/check_tokens.py" "$1" 2>&1) || code=$?
	if [[ -z $3 ]]; then
		is "$code$output" 0 "$4"
	else
		like "$code $output" "^1 .*$3" "$4"
	fi
}

finds lib/acct/a.c 'int a(int b);' '' "plain code is clean"
finds lib/acct/a.c '#include <rte_mbuf.h>' "lib/acct/a.c:1:.*DPDK" "DPDK's headers in layer 0"
finds lib/xport/a.c '#include <rte_mbuf.h>' "DPDK" "DPDK's headers in layer 1"
finds lib/engine/a.c '#include <rte_mbuf.h>' '' "DPDK's headers in layer 2 are allowed"
finds app/a.c '#include <rte_mbuf.h>' '' "DPDK's headers in the app are allowed"
finds lib/acct/a.c '#include <sys/socket.h>' "layer 0" "sockets in layer 0"
finds lib/xport/a.c '#include <sys/socket.h>' '' "sockets in layer 1 are allowed"
finds lib/acct/a.c '\nclock_gettime(0, &t);' "lib/acct/a.c:2:.*layer 0" "a clock in layer 0"
finds lib/acct/a.c 'x = pace->time(3);' '' "a member with the name of a call is none"
finds lib/acct/a.c 'printf(x);' "prints" "printing in a library"
finds lib/acct/a.c 'report_printf(x);' '' "a name that ends in printf is another function"
finds app/a.c 'printf(x);' '' "printing in the app is allowed"
finds lib/xport/a.c 'fputs(a, stderr);' "standard streams" "stderr in a library"
finds app/a.c 'strcpy(a, b);' "banned" "strcpy"
finds app/a.c 'a = atoi (b);' "banned" "atoi with a space"
finds app/a.c '/* strcpy(a, b) */ x = "sprintf(";' '' "words in comments and strings"
finds app/a.c '/* a\n b */\nstrcpy(a);' "app/a.c:3" "lines are counted over comments"
finds lib/engine/a_hot.c 'p = malloc(3);' "hot path" "malloc in a hot path"
finds lib/engine/a_hot.c 'rte_pktmbuf_free(m);' '' "freeing an mbuf in a hot path is allowed"
finds lib/engine/a_hot.c 'rte_spinlock_lock(&l);' "lock" "a lock in a hot path"
finds lib/engine/a_hot.c 'struct block *b; clock++;' '' "block and clock are no locks"
finds lib/engine/a_hot.c 'a = b / c;' "division" "division by a variable in a hot path"
finds lib/engine/a_hot.c 'a %= (b + 1);' "division" "modulo by an expression in a hot path"
finds lib/engine/a_hot.c 'a = b / 8 % RING_SIZE; // c / d' '' "division by constants is allowed"
finds lib/engine/a.c 'hz = rte_get_tsc_hz();' "rounds" "DPDK's rounded frequency"
finds lib/engine/a.c 'a = b / c;' '' "division elsewhere is allowed"
finds lib/engine/a_hot.c 'double a;' "floating point" "floating point in a hot path"
finds app/a.c "/* TO""DO: later */" "NEEDSWORK" "a bare note"
finds app/a.c 'a = "/ho''me/someone/x";' "one machine" "a path of one machine"
finds app/a.c 'int a; ' "white space" "white space at the end of a line"

finish
