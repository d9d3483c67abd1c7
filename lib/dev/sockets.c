/*
 * The sockets that DPDK's AF_XDP and AF_PACKET drivers open. The drivers do not hand them out, but the kernel's
 * drop counters are theirs alone: they are told by what appeared among our descriptors while a port was opened.
 */

#include "dev_priv.h"

#include <dirent.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
socket_is(int fd, int domain)
{
	int found;
	socklen_t len = sizeof(found);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &found, &len) == 0 && found == domain;
}

static uint64_t
socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

void
dev_sockets_scan(int domain, struct dev_sockets *sockets)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	sockets->count = 0;
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL && sockets->count < DEV_SOCKETS_MAX) {
		const int fd = (int)strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.' || !socket_is(fd, domain))
			continue;
		sockets->fd[sockets->count] = fd;
		sockets->cookie[sockets->count++] = socket_cookie(fd);
	}
	closedir(dir);
}

static bool
sockets_has(const struct dev_sockets *sockets, uint64_t cookie)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		if (sockets->cookie[i] == cookie)
			return true;
	return false;
}

void
dev_sockets_subtract(struct dev_sockets *sockets, const struct dev_sockets *before)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < sockets->count; i++) {
		if (sockets_has(before, sockets->cookie[i]))
			continue;
		sockets->fd[kept] = sockets->fd[i];
		sockets->cookie[kept++] = sockets->cookie[i];
	}
	sockets->count = kept;
}

/* The AF_XDP driver of DPDK 22.11 leaves its sockets open, and with them the queues of the interface occupied. */
void
dev_sockets_close(const struct dev_sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		if (socket_cookie(sockets->fd[i]) == sockets->cookie[i])
			close(sockets->fd[i]);
}

/*
 * rx_fill_ring_empty_descs is left out: it counts attempts of a driver to refill, and what the sockets lose to it is in
 * rx_dropped.
 */
uint64_t
dev_sockets_xdp_missed(const struct dev_sockets *sockets)
{
	uint64_t missed_pkts = 0;

	for (uint32_t i = 0; i < sockets->count; i++) {
		struct xdp_statistics st = {0};
		socklen_t len = sizeof(st);

		if (getsockopt(sockets->fd[i], SOL_XDP, XDP_STATISTICS, &st, &len) == 0)
			missed_pkts += st.rx_dropped + st.rx_ring_full;
	}
	return missed_pkts;
}

/* Since the last call: reading resets the kernel's counter. */
uint64_t
dev_sockets_packet_drops(const struct dev_sockets *sockets)
{
	uint64_t drop_pkts = 0;

	for (uint32_t i = 0; i < sockets->count; i++) {
		struct tpacket_stats st = {0};
		socklen_t len = sizeof(st);

		if (getsockopt(sockets->fd[i], SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
			drop_pkts += st.tp_drops;
	}
	return drop_pkts;
}

bool
dev_sockets_zero_copy(const struct dev_sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->count; i++) {
		struct xdp_options options = {0};
		socklen_t len = sizeof(options);

		if (getsockopt(sockets->fd[i], SOL_XDP, XDP_OPTIONS, &options, &len) < 0 ||
			(options.flags & XDP_OPTIONS_ZEROCOPY) == 0)
			return false;
	}
	return sockets->count > 0;
}

bool
dev_sockets_busy_poll(const struct dev_sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->count; i++) {
		int on = 0;
		socklen_t len = sizeof(on);

		if (getsockopt(sockets->fd[i], SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, &len) < 0 ||
			on == 0)
			return false;
	}
	return sockets->count > 0;
}
