/* The kernel's version, whether it has AF_XDP, and its own use of UDP ports. */

#include "hostinfo_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif

/* Without the right to one the answer is EPERM: then there are such sockets. */
static enum ep_doctor_tri
xdp_sockets(void)
{
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	const int error = errno;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || error == EPERM || error == EACCES)
		return EP_DOCTOR_YES;
	return error == EAFNOSUPPORT ? EP_DOCTOR_NO : EP_DOCTOR_UNKNOWN;
}

/* Whether each port of the range is in a list such as "50000-60000,8080". */
static bool
ports_within(const char *list, const struct ep_range *range)
{
	uint64_t in[65536 / 64] = {0};
	const char *p = list;

	while (*p >= '0' && *p <= '9') {
		char *end;
		const unsigned long first = strtoul(p, &end, 10);
		const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		for (unsigned long port = first; port <= last && port <= UINT16_MAX; port++)
			in[port / 64] |= UINT64_C(1) << port % 64;
		p = *end == ',' ? end + 1 : end;
	}
	for (uint32_t i = 0; i < range->port_count; i++)
		if ((in[range->port[i] / 64] >> range->port[i] % 64 & 1) == 0)
			return false;
	return true;
}

/* Lines such as "  12: 00000000:C350 00000000:0000 07 ...": the local port is what is wanted. */
static void
udp_sockets(const struct ep_hostinfo_cfg *cfg, const char *name, struct ep_doctor_kernel *out)
{
	char path[PATH_MAX], line[512];
	FILE *in = tree_path(cfg->root, path, "/proc/net/%s", name) ? fopen(path, "re") : NULL;

	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		unsigned int port;

		if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%4X", &port) != 1 ||
			!ep_range_has(cfg->range, (uint16_t)port))
			continue;
		out->ports_in_use++;
		out->port_in_use = (uint16_t)port;
	}
	if (in != NULL)
		fclose(in);
}

static void
local_ports(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_kernel *out)
{
	/* The kernel's list of reserved ports may be long. */
	static const size_t list_bytes = 65536;
	char line[64], *list = malloc(list_bytes);
	unsigned int first, last;

	tree_line(cfg->root, line, sizeof(line), "/proc/sys/net/ipv4/ip_local_port_range");
	if (sscanf(line, "%u %u", &first, &last) == 2 && first <= last && last <= UINT16_MAX) {
		out->local_port_first = (uint16_t)first;
		out->local_port_last = (uint16_t)last;
	}
	if (list != NULL) {
		tree_line(
			cfg->root, list, list_bytes, "/proc/sys/net/ipv4/ip_local_reserved_ports");
		out->ports_reserved = ports_within(list, cfg->range);
		out->reserved_others = list[0] != '\0';
	}
	free(list);
}

void
hostinfo_kernel(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_kernel *out)
{
	*out = (struct ep_doctor_kernel){0};
	tree_line(cfg->root, out->release, sizeof(out->release), "/proc/sys/kernel/osrelease");
	if (sscanf(out->release, "%u.%u", &out->major, &out->minor) != 2)
		out->release[0] = '\0';
	if (cfg->live)
		out->xdp_sockets = xdp_sockets();
	local_ports(cfg, out);
	udp_sockets(cfg, "udp", out);
	udp_sockets(cfg, "udp6", out);
}
