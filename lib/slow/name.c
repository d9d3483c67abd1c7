/* Names of ICMP errors: nftables' where it has one, else the words of the RFC. */

#include "ep_slow.h"

struct name {
	uint8_t type;
	uint8_t code;
	const char *text;
};

/* RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1, RFC 1108; IANA's registry of ICMP parameters. */
static const struct name ipv4_names[] = {
	{3, 0, "net-unreachable"},
	{3, 1, "host-unreachable"},
	{3, 2, "prot-unreachable"},
	{3, 3, "port-unreachable"},
	{3, 4, "frag-needed"},
	{3, 5, "source-route-failed"},
	{3, 6, "net-unknown"},
	{3, 7, "host-unknown"},
	{3, 8, "source-host-isolated"},
	{3, 9, "net-prohibited"},
	{3, 10, "host-prohibited"},
	{3, 11, "net-unreachable-for-tos"},
	{3, 12, "host-unreachable-for-tos"},
	{3, 13, "admin-prohibited"},
	{3, 14, "host-precedence-violation"},
	{3, 15, "precedence-cutoff"},
	{4, 0, "source-quench"},
	{11, 0, "ttl-exceeded"},
	{11, 1, "reassembly-time-exceeded"},
	{12, 0, "parameter-problem"},
	{12, 1, "required-option-missing"},
	{12, 2, "bad-length"},
};

/* RFC 4443 section 3, RFC 8883, RFC 7112. */
static const struct name ipv6_names[] = {
	{1, 0, "no-route"},
	{1, 1, "admin-prohibited"},
	{1, 2, "beyond-scope"},
	{1, 3, "addr-unreachable"},
	{1, 4, "port-unreachable"},
	{1, 5, "policy-fail"},
	{1, 6, "reject-route"},
	{1, 7, "source-routing-header-error"},
	{1, 8, "headers-too-long"},
	{2, 0, "packet-too-big"},
	{3, 0, "hop-limit-exceeded"},
	{3, 1, "reassembly-time-exceeded"},
	{4, 0, "parameter-problem"},
	{4, 1, "next-header-unrecognized"},
	{4, 2, "option-unrecognized"},
	{4, 3, "first-fragment-incomplete"},
};

static const char *
name_find(const struct name *name, size_t count, uint8_t type, uint8_t code)
{
	for (size_t i = 0; i < count; i++)
		if (name[i].type == type && name[i].code == code)
			return name[i].text;
	return "unassigned";
}

const char *
ep_slow_icmp_name(enum ep_wire_family family, uint8_t type, uint8_t code)
{
	if (family == EP_WIRE_IPV6)
		return name_find(ipv6_names, EP_ARRAY_LEN(ipv6_names), type, code);
	return name_find(ipv4_names, EP_ARRAY_LEN(ipv4_names), type, code);
}
