/* Connections to the ssh server, from /proc/net/tcp: cutting one off is what an engineer at a distance must never do. */

#include "hostinfo_priv.h"

#include <stdio.h>
#include <string.h>

#define SSH_PORT 22
#define TCP_ESTABLISHED 1
#define MAPPED_BYTES 12

/* An address: words of 32 bits, as the host has them in memory. */
static bool
address_take(const char *text, struct ep_wire_ip *ip)
{
	static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};
	const size_t words = strlen(text) / 8;

	if (words != 1 && words != 4)
		return false;
	*ip = (struct ep_wire_ip){.family = words == 1 ? EP_WIRE_IPV4 : EP_WIRE_IPV6};
	for (size_t i = 0; i < words; i++) {
		unsigned int word;

		if (sscanf(text + 8 * i, "%8X", &word) != 1)
			return false;
		memcpy(&ip->bytes_be[4 * i], &word, sizeof(word));
	}
	/* A socket of both families shows IPv4 inside IPv6. */
	if (words == 4 && memcmp(ip->bytes_be, mapped, sizeof(mapped)) == 0) {
		ip->family = EP_WIRE_IPV4;
		memmove(ip->bytes_be, ip->bytes_be + MAPPED_BYTES, 4);
		memset(ip->bytes_be + 4, 0, sizeof(ip->bytes_be) - 4);
	}
	return true;
}

/* Lines "  0: 0202A8C0:0016 0102A8C0:D431 01 ...": local end, far end, state. */
static bool
peer_in(const char *root, const char *name, struct ep_wire_ip *peer)
{
	char path[PATH_MAX], line[512], far[40];
	unsigned int port, state;
	FILE *in = tree_path(root, path, "/proc/net/%s", name) ? fopen(path, "re") : NULL;
	bool found = false;

	while (!found && in != NULL && fgets(line, sizeof(line), in) != NULL)
		found = sscanf(line, " %*u: %*[0-9A-F]:%4X %39[0-9A-F]:%*4X %2X", &port, far,
				&state) == 3 &&
			port == SSH_PORT && state == TCP_ESTABLISHED && address_take(far, peer);
	if (in != NULL)
		fclose(in);
	return found;
}

bool
ep_hostinfo_ssh_peer(const char *root, struct ep_wire_ip *peer)
{
	return peer_in(root, "tcp", peer) || peer_in(root, "tcp6", peer);
}
