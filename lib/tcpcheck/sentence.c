/* What a row means, in a sentence. */

#include "tcpcheck_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIME_TEXT_BYTES 32

struct line {
	char *buf;
	size_t len, used;
};

static void __attribute__((format(printf, 2, 3))) put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (l->used >= l->len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->used, l->len - l->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->used += (size_t)n;
}

/* Names of the ICMP codes that firewalls use: type 3 of RFC 792 and 1812, type 1 of RFC 4443. */
static const char *
icmp_name(const struct ep_wire_ip *peer, uint8_t type, uint8_t code)
{
	static const char *const v4[] = {[0] = "network unreachable",
		[1] = "host unreachable",
		[2] = "protocol unreachable",
		[3] = "port unreachable",
		[9] = "network prohibited",
		[10] = "host prohibited",
		[13] = "administratively prohibited"};
	static const char *const v6[] = {[0] = "no route",
		[1] = "administratively prohibited",
		[3] = "address unreachable",
		[4] = "port unreachable",
		[5] = "policy failed",
		[6] = "route rejected"};
	const bool is_v6 = peer->family == EP_WIRE_IPV6;
	const size_t count = is_v6 ? EP_ARRAY_LEN(v6) : EP_ARRAY_LEN(v4);
	const char *name = NULL;

	if (type == (is_v6 ? 1 : 3) && code < count)
		name = is_v6 ? v6[code] : v4[code];
	return name != NULL ? name : "unreachable";
}

static void
put_unreachable(struct line *l, const struct ep_tcpcheck *c, const struct ep_tcpcheck_row *row)
{
	if (row->has_icmp)
		put(l, "an ICMP message says %s (type %u, code %u)",
			icmp_name(&c->peer, row->icmp_type, row->icmp_code), row->icmp_type,
			row->icmp_code);
	else if (row->error == EINVAL)
		put(l, "this host has a blackhole route for it");
	else
		put(l, "this host has no way to it: %s", strerror(row->error));
}

static void
put_tls(struct line *l, const struct ep_tcpcheck *c, const struct ep_tcpcheck_row *row)
{
	if (!row->tls.known)
		return;
	put(l, ", %s", row->tls.version);
	if (row->tls.alpn[0] != '\0')
		put(l, " for %s", row->tls.alpn);
	put(l, ", certificate of %s, issued by %s, %s %d day%s", row->tls.subject, row->tls.issuer,
		row->tls.days_left < 0 ? "expired for" : "valid for",
		row->tls.days_left < 0 ? -row->tls.days_left : row->tls.days_left,
		row->tls.days_left == 1 || row->tls.days_left == -1 ? "" : "s");
	if (!row->tls.verified)
		put(l, "; not trusted here: %s", row->tls.verify_text);
	(void)c;
}

static void
put_open(struct line *l, const struct ep_tcpcheck *c, const struct ep_tcpcheck_row *row)
{
	const uint64_t ns = row->answer_ns > 0 ? row->answer_ns
		: row->tls_ns > 0              ? row->tls_ns
					       : row->connect_ns;
	char time[TIME_TEXT_BYTES];

	ep_duration_format(time, sizeof(time), ns);
	switch (row->check) {
	case EP_TCPCHECK_CONNECT:
		put(l, "accepts connections after %s", time);
		break;
	case EP_TCPCHECK_ICE_TCP:
		if (strcmp(row->reply, "silent") == 0)
			put(l,
				"accepts connections, and says nothing to an unknown ufrag, as an "
				"ICE-TCP listener may");
		else if (row->answer_ns == 0)
			put(l,
				"accepts connections, and closes on an unknown ufrag, as an "
				"ICE-TCP listener may");
		else
			put(l, "answers framed STUN after %s: %s", time, row->reply);
		break;
	case EP_TCPCHECK_TLS:
		put(l, "handshake in %s", time);
		put_tls(l, c, row);
		break;
	default:
		put(l, "answers after %s: %s", time, row->reply);
		if (row->check == EP_TCPCHECK_TURN_TLS)
			put_tls(l, c, row);
		break;
	}
	if (row->tries > 1)
		put(l, "; %u of %u %s were lost", row->tries - 1, row->tries,
			row->transport == EP_TCPCHECK_UDP ? "requests" : "SYNs");
}

static void
put_filtered(struct line *l, const struct ep_tcpcheck *c, const struct ep_tcpcheck_row *row)
{
	char time[TIME_TEXT_BYTES];

	ep_duration_format(time, sizeof(time), c->timeout_ns);
	if (row->transport == EP_TCPCHECK_UDP)
		put(l,
			"no answer to %u request%s within %s: dropped on the way, or nothing there "
			"speaks STUN",
			row->tries, row->tries == 1 ? "" : "s", time);
	else if (row->check == EP_TCPCHECK_CONNECT || row->connect_ns == 0)
		put(l, "no answer to %u SYN%s within %s: dropped on the way, or the host is down",
			row->tries, row->tries == 1 ? "" : "s", time);
	else if (row->reply[0] != '\0' && strcmp(row->reply, "silent") != 0)
		put(l,
			"answers, and %s: what lies in between lets little data through, or the "
			"service hangs",
			row->reply);
	else
		put(l,
			"accepts connections, but nothing came back within %s: what lies in "
			"between lets no data through, or the service hangs",
			time);
}

static void
put_tls_failed(struct line *l, const struct ep_tcpcheck *c, const struct ep_tcpcheck_row *row)
{
	if (row->error == EKEYREJECTED)
		put(l,
			"the certificate of %s is issued by %s, not by '%s': TLS is intercepted, "
			"or "
			"the certificate was changed",
			row->tls.subject, row->tls.issuer, c->expect_issuer);
	else
		put(l, "TLS is spoken, but the handshake failed: %s", row->reply);
}

static void
put_wrong(struct line *l, const struct ep_tcpcheck_row *row)
{
	if (row->check == EP_TCPCHECK_TURN || row->check == EP_TCPCHECK_TURN_TLS)
		put(l, "answers, but is no TURN server: %s", row->reply);
	else
		put(l, "answers, but not in %s: \"%s\"",
			row->check == EP_TCPCHECK_HTTP              ? "HTTP"
				: row->check == EP_TCPCHECK_TLS     ? "TLS"
				: row->check == EP_TCPCHECK_ICE_TCP ? "framed STUN"
								    : "STUN",
			row->reply);
}

void
tc_row_sentence(const struct ep_tcpcheck *c, struct ep_tcpcheck_row *row)
{
	struct line l = {row->sentence, sizeof(row->sentence), 0};
	char time[TIME_TEXT_BYTES];

	ep_duration_format(time, sizeof(time), row->connect_ns);
	row->sentence[0] = '\0';
	switch (row->status) {
	case EP_TCPCHECK_OPEN:
		put_open(&l, c, row);
		break;
	case EP_TCPCHECK_REFUSED:
		put(&l, "reset after %s: nothing listens there, or a firewall rejects it", time);
		break;
	case EP_TCPCHECK_FILTERED:
		put_filtered(&l, c, row);
		break;
	case EP_TCPCHECK_RESET:
		put(&l,
			"accepted after %s, then %s before it said anything: a proxy without a "
			"server behind it, or a firewall that looks inside",
			time, row->reply[0] != '\0' ? row->reply : "reset");
		break;
	case EP_TCPCHECK_UNREACHABLE:
		put_unreachable(&l, c, row);
		break;
	case EP_TCPCHECK_TLS_FAILED:
		put_tls_failed(&l, c, row);
		break;
	case EP_TCPCHECK_WRONG_PROTOCOL:
		put_wrong(&l, row);
		break;
	case EP_TCPCHECK_BUSY:
		put(&l, "this host has no free local port: %s", strerror(row->error));
		break;
	case EP_TCPCHECK_ERROR:
		put(&l, "this host's own socket failed: %s", strerror(row->error));
		break;
	default:
		put(&l, "%s", ep_tcpcheck_status_name(row->status));
		break;
	}
}

void
tc_row_finish(const struct ep_tcpcheck *c, struct ep_tcpcheck_row *row)
{
	tc_row_sentence(c, row);
	ep_tcpcheck_advice(row, row->advice, sizeof(row->advice));
}
