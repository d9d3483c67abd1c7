/* What to do about a row that is not open. */

#include "ep_tcpcheck.h"

#include <stdio.h>

/* The rule that lets a port in, for the three places where it may be missing. */
static void
advice_rule(const struct ep_tcpcheck_row *row, const char *lead, char *buf, size_t len)
{
	const char *proto = ep_tcpcheck_transport_name(row->transport);

	snprintf(buf, len,
		"%sufw allow %u/%s; or nft insert rule inet filter input %s dport %u accept; or "
		"in the cloud's security group inbound %s %u from 0.0.0.0/0 and ::/0: aws ec2 "
		"authorize-security-group-ingress --group-id ID --ip-permissions "
		"'IpProtocol=%s,FromPort=%u,ToPort=%u,IpRanges=[{CidrIp=0.0.0.0/0}],"
		"Ipv6Ranges=[{CidrIpv6=::/0}]'",
		lead, row->port, proto, proto, row->port,
		row->transport == EP_TCPCHECK_UDP ? "UDP" : "TCP", row->port, proto, row->port,
		row->port);
}

static void
advice_refused(const struct ep_tcpcheck_row *row, char *buf, size_t len)
{
	char lead[160];

	snprintf(lead, sizeof(lead),
		"see on the server whether something listens (ss -l%cnp sport = :%u); if it does, "
		"a "
		"firewall rejects it: ",
		row->transport == EP_TCPCHECK_UDP ? 'u' : 't', row->port);
	advice_rule(row, lead, buf, len);
}

static void
advice_tls(const struct ep_tcpcheck_row *row, char *buf, size_t len)
{
	snprintf(buf, len,
		"look at what answers: openssl s_client -connect HOST:%u -servername NAME; a name "
		"that the server does not know needs --sni, and a proxy that intercepts TLS needs "
		"an "
		"exception for this host",
		row->port);
}

static void
advice_wrong(const struct ep_tcpcheck_row *row, char *buf, size_t len)
{
	snprintf(buf, len,
		"another service has %s port %u: see which with ss -l%cnp sport = :%u on the "
		"server, or "
		"name the check that fits, as in --%s %u=CHECK",
		row->transport == EP_TCPCHECK_UDP ? "UDP" : "TCP", row->port,
		row->transport == EP_TCPCHECK_UDP ? 'u' : 't', row->port,
		row->transport == EP_TCPCHECK_UDP ? "udp-stun" : "tcp", row->port);
}

const char *
ep_tcpcheck_advice(const struct ep_tcpcheck_row *row, char *buf, size_t len)
{
	snprintf(buf, len, "%s", "");
	switch (row->status) {
	case EP_TCPCHECK_FILTERED:
	case EP_TCPCHECK_STALLED:
		advice_rule(row, "let it in, on the server and on every firewall before it: ", buf,
			len);
		break;
	case EP_TCPCHECK_UNREACHABLE:
		if (row->has_icmp)
			advice_refused(row, buf, len);
		else
			snprintf(buf, len, "mend the route of this host: ip route get ADDRESS");
		break;
	case EP_TCPCHECK_REFUSED:
		advice_refused(row, buf, len);
		break;
	case EP_TCPCHECK_RESET:
	case EP_TCPCHECK_BROKEN:
		snprintf(buf, len,
			"look at what ends the connection: the service behind a proxy (is it "
			"running, does the proxy reach it?), an inspecting firewall, or a limit of "
			"connections (nft list ruleset | grep -E 'ct count|limit')");
		break;
	case EP_TCPCHECK_TLS_FAILED:
		advice_tls(row, buf, len);
		break;
	case EP_TCPCHECK_WRONG_PROTOCOL:
		advice_wrong(row, buf, len);
		break;
	case EP_TCPCHECK_BUSY:
		snprintf(buf, len,
			"give this host more local ports (sysctl -w "
			"net.ipv4.ip_local_port_range='1024 "
			"65535') or ask for fewer connections; says nothing of the path");
		break;
	case EP_TCPCHECK_ERROR:
		snprintf(buf, len,
			"mend this host (ulimit -n, memory) and try again; says nothing of the "
			"path");
		break;
	case EP_TCPCHECK_OPEN:
	case EP_TCPCHECK_PENDING:
	case EP_TCPCHECK_STATUSES:
		break;
	}
	return buf;
}
