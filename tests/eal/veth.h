#pragma once

/*
 * Two network namespaces of this process alone, joined by a veth pair. The process lives in the near one, where the device under
 * test is; sockets can be made in the far one. Both vanish with the process.
 *
 *   near: va 198.18.0.1/24, 198.18.0.3/24, 2001:2::1/64  ---  vb 198.18.0.2/24, 2001:2::2/64 :far
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define VETH_NEAR "va"
#define VETH_FAR "vb"
#define VETH_NEAR_IPV4 "198.18.0.1"
#define VETH_NEAR2_IPV4 "198.18.0.3"
#define VETH_FAR_IPV4 "198.18.0.2"
#define VETH_NEAR_IPV6 "2001:2::1"
#define VETH_FAR_IPV6 "2001:2::2"

struct veth {
	int near_fd; /* Namespaces. */
	int far_fd;
};

/* Needs root. Fails the test on any error. */
void veth_make(struct veth *veth);

/* Run a command line; returns its exit status. */
int veth_run(const char *command);

/* A non-blocking UDP socket bound to an address (IPv4 or IPv6 by its text) and port, 0 for any. */
int veth_udp(const char *address, uint16_t port);
int veth_far_udp(const struct veth *veth, const char *address, uint16_t port);

/* Send @p len bytes of @p text to an address. */
void veth_send(int fd, const char *address, uint16_t port, const void *data, size_t len);

/* Whether a datagram (or, for a connected socket, an ICMP error) arrives within 5 s. It is taken. */
bool veth_receives(int fd);

/* Whether the near end answers an echo request of the far end's (ICMP or ICMPv6). */
bool veth_far_pings(const struct veth *veth, const char *address);
