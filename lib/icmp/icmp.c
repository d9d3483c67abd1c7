#include "ep_icmp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for errors between two looks: a firewall may answer every probe. The kernel counts about 1 KiB for a packet. */
#define RECEIVE_BYTES (4 << 20)
#define SNAP_BYTES 0xFFFFFFFF

struct ep_icmp {
	int fd;
};

/* Classic BPF over the packet from its IP header on. Jumps count instructions to skip. */
#define LOAD8(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define LOAD16(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IF_ANY_BIT(mask, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, yes, no)
#define RETURN(bytes) BPF_STMT(BPF_RET | BPF_K, bytes)

/* Types 3, 4, 11 and 12 of ICMP, in packets that are no later fragments. */
static const struct sock_filter ipv4_filter[] = {
	LOAD8(9),
	IF_EQUAL(1, 0, 9),
	LOAD16(6),
	IF_ANY_BIT(0x1FFF, 7, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
	IF_EQUAL(3, 3, 0),
	IF_EQUAL(4, 2, 0),
	IF_EQUAL(11, 1, 0),
	IF_EQUAL(12, 0, 1),
	RETURN(SNAP_BYTES),
	RETURN(0),
};

/* Types below 128 of ICMPv6, and what has an extension header in front of it, which is rare and looked at by the reader. */
static const struct sock_filter ipv6_filter[] = {
	LOAD8(6),
	IF_EQUAL(0, 7, 0),
	IF_EQUAL(43, 6, 0),
	IF_EQUAL(44, 5, 0),
	IF_EQUAL(51, 4, 0),
	IF_EQUAL(60, 3, 0),
	IF_EQUAL(58, 0, 3),
	LOAD8(40),
	IF_ANY_BIT(0x80, 1, 0),
	RETURN(SNAP_BYTES),
	RETURN(0),
};

static int
filter_attach(int fd, enum ep_wire_family family)
{
	const bool ipv6 = family == EP_WIRE_IPV6;
	const struct sock_fprog prog = {
		.len = ipv6 ? EP_ARRAY_LEN(ipv6_filter) : EP_ARRAY_LEN(ipv4_filter),
		.filter = (struct sock_filter *)(ipv6 ? ipv6_filter : ipv4_filter),
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* Without the right to exceed the system's limit, what it allows. */
static void
room_set(int fd)
{
	const int bytes = RECEIVE_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Bound last: nothing arrives that the filter has not seen. */
static int
socket_bind(int fd, int ifindex, enum ep_wire_family family)
{
	const struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(family == EP_WIRE_IPV6 ? ETH_P_IPV6 : ETH_P_IP),
		.sll_ifindex = ifindex,
	};

	return bind(fd, (const struct sockaddr *)&to, sizeof(to));
}

int
ep_icmp_open(int ifindex, enum ep_wire_family family, struct ep_icmp **out, struct ep_err *err)
{
	struct ep_icmp *icmp = malloc(sizeof(*icmp));
	int ret;

	if (icmp == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for reading ICMP errors");
	icmp->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (icmp->fd < 0 || filter_attach(icmp->fd, family) < 0)
		goto fail;
	room_set(icmp->fd);
	if (socket_bind(icmp->fd, ifindex, family) < 0)
		goto fail;
	*out = icmp;
	return 0;

fail:
	ret = -errno;
	ep_err_set(err, ret, "a packet socket for ICMP errors: %s", strerror(-ret));
	ep_icmp_close(icmp);
	return ret;
}

void
ep_icmp_close(struct ep_icmp *icmp)
{
	if (icmp == NULL)
		return;
	if (icmp->fd >= 0)
		close(icmp->fd);
	free(icmp);
}

size_t
ep_icmp_take(struct ep_icmp *icmp, uint8_t *packet, size_t size)
{
	for (;;) {
		const ssize_t len = recv(icmp->fd, packet, size, MSG_DONTWAIT);

		if (len > 0)
			return (size_t)len;
		/* Of the errors, ENETDOWN is one of the interface, which may come back: nothing now. */
		if (len < 0 && errno != EINTR)
			return 0;
	}
}

uint64_t
ep_icmp_missed(struct ep_icmp *icmp)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);

	/* The kernel's counters begin again with each reading. */
	if (getsockopt(icmp->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return 0;
	return stats.tp_drops;
}
