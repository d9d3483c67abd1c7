#include "veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 5000

static int
netns_new(void)
{
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int
veth_run(const char *command)
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Neighbours are set by hand: nothing has to be asked for, and no packet of the kernel's disturbs. */
void
veth_make(struct veth *veth)
{
	char line[128];

	veth->far_fd = netns_new();
	veth->near_fd = netns_new();
	assert_int_equal(setns(veth->far_fd, CLONE_NEWNET), 0);
	/* the near namespace is named by the process that a descriptor of it belongs to */
	snprintf(line, sizeof(line),
		"ip link add vb address 02:00:00:00:00:0b type veth peer name va address "
		"02:00:00:00:00:0a");
	assert_int_equal(veth_run(line), 0);
	snprintf(
		line, sizeof(line), "ip link set va netns /proc/%d/fd/%d", getpid(), veth->near_fd);
	assert_int_equal(veth_run(line), 0);
	assert_int_equal(veth_run("ip link set lo up; ip link set vb up && "
				  "ip addr add 198.18.0.2/24 dev vb && "
				  "ip addr add 2001:2::2/64 dev vb nodad && "
				  "ip neigh add 198.18.0.1 lladdr 02:00:00:00:00:0a dev vb && "
				  "ip neigh add 198.18.0.3 lladdr 02:00:00:00:00:0a dev vb && "
				  "ip neigh add 2001:2::1 lladdr 02:00:00:00:00:0a dev vb"),
		0);
	assert_int_equal(setns(veth->near_fd, CLONE_NEWNET), 0);
	assert_int_equal(veth_run("ip link set lo up; ip link set va up && "
				  "ip addr add 198.18.0.1/24 dev va && "
				  "ip addr add 198.18.0.3/24 dev va && "
				  "ip addr add 2001:2::1/64 dev va nodad && "
				  "ip neigh add 198.18.0.2 lladdr 02:00:00:00:00:0b dev va && "
				  "ip neigh add 2001:2::2 lladdr 02:00:00:00:00:0b dev va && "
				  "sysctl -qw net.ipv4.icmp_ratelimit=0"),
		0);
}

static socklen_t
address_set(struct sockaddr_storage *to, const char *address, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (strchr(address, ':') == NULL) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
	return sizeof(*in6);
}

int
veth_udp(const char *address, uint16_t port)
{
	struct sockaddr_storage addr;
	const socklen_t len = address_set(&addr, address, port);
	const int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	return fd;
}

int
veth_far_udp(const struct veth *veth, const char *address, uint16_t port)
{
	int fd;

	assert_int_equal(setns(veth->far_fd, CLONE_NEWNET), 0);
	fd = veth_udp(address, port);
	assert_int_equal(setns(veth->near_fd, CLONE_NEWNET), 0);
	return fd;
}

void
veth_send(int fd, const char *address, uint16_t port, const void *data, size_t len)
{
	struct sockaddr_storage addr;
	const socklen_t addr_len = address_set(&addr, address, port);

	assert_int_equal(
		sendto(fd, data, len, 0, (struct sockaddr *)&addr, addr_len), (ssize_t)len);
}

bool
veth_receives(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char data[4096];

	if (poll(&wait, 1, WAIT_MS) != 1)
		return false;
	return recv(fd, data, sizeof(data), 0) >= 0 || errno == ECONNREFUSED;
}

/* Type 8 or 128; the checksum is right for ICMP as it is, and the kernel's matter for ICMPv6. */
bool
veth_far_pings(const struct veth *veth, const char *address)
{
	const bool ipv4 = strchr(address, ':') == NULL;
	const uint8_t request[8] = {ipv4 ? 8 : 128, 0, 0xf7, 0xff};
	struct sockaddr_storage addr;
	const socklen_t len = address_set(&addr, address, 0);
	struct pollfd wait = {.events = POLLIN};
	bool answered = false;

	assert_int_equal(setns(veth->far_fd, CLONE_NEWNET), 0);
	wait.fd = socket(addr.ss_family, SOCK_RAW, ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	assert_int_equal(setns(veth->near_fd, CLONE_NEWNET), 0);
	assert_true(wait.fd >= 0);
	assert_int_equal(
		sendto(wait.fd, request, sizeof(request), 0, (struct sockaddr *)&addr, len),
		sizeof(request));
	while (!answered && poll(&wait, 1, WAIT_MS) == 1) {
		uint8_t got[256];
		const ssize_t n = recv(wait.fd, got, sizeof(got), 0);

		/* an IPv4 raw socket shows the IP header, without options here */
		answered = n >= 8 && got[ipv4 ? 20 : 0] == (ipv4 ? 0 : 129);
	}
	close(wait.fd);
	return answered;
}
