/*
 * An AF_XDP socket of our own that asks the kernel whether a queue is to be had, and how. DPDK's driver does not tell: whatever
 * bind() answers, its queue setup fails with EINVAL.
 *
 * The kernel frees a queue some time after the socket on it was closed: in a work item that takes the lock of all interfaces, so on a
 * busy host up to some hundred milliseconds later, and until then answers EBUSY. Asking for zero copy finds that out without a trace:
 * EBUSY comes first, and a driver without zero copy refuses before anything is changed.
 */

#include "dev_priv.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define XSK_CHUNKS 16
#define XSK_RING_DESCS 64
#define XSK_POLL_NS (2 * EP_NS_PER_MS)

static int
xsk_ring(int fd, int which)
{
	const int descs = XSK_RING_DESCS;

	return setsockopt(fd, SOL_XDP, which, &descs, sizeof(descs)) < 0 ? -errno : 0;
}

static int
xsk_bind(int fd, const struct xdp_umem_reg *umem, const struct sockaddr_xdp *to)
{
	int ret = 0;

	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, umem, sizeof(*umem)) < 0)
		return -errno;
	ret = xsk_ring(fd, XDP_UMEM_FILL_RING);
	if (ret == 0)
		ret = xsk_ring(fd, XDP_UMEM_COMPLETION_RING);
	if (ret == 0)
		ret = xsk_ring(fd, XDP_RX_RING);
	if (ret == 0 && bind(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		ret = -errno;
	return ret;
}

int
dev_xsk_try(int ifindex, uint16_t queue, uint16_t bind_flags)
{
	const size_t chunk_bytes = (size_t)getpagesize();
	const size_t bytes = XSK_CHUNKS * chunk_bytes;
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *room;
	int ret;

	if (fd < 0)
		return -errno;
	room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED) {
		ret = -errno;
	} else {
		const struct xdp_umem_reg umem = {
			.addr = (uintptr_t)room, .len = bytes, .chunk_size = (uint32_t)chunk_bytes};
		const struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
			.sxdp_flags = bind_flags,
			.sxdp_ifindex = (uint32_t)ifindex,
			.sxdp_queue_id = queue};

		ret = xsk_bind(fd, &umem, &to);
	}
	close(fd);
	if (room != MAP_FAILED)
		munmap(room, bytes);
	return ret;
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * EP_NS_PER_S + (uint64_t)now.tv_nsec;
}

int
dev_xsk_wait(int ifindex, uint16_t queue, uint64_t wait_ns)
{
	const struct timespec pause = {.tv_nsec = XSK_POLL_NS};
	const uint64_t end_ns = monotonic_ns() + wait_ns;
	int ret;

	while ((ret = dev_xsk_try(ifindex, queue, XDP_ZEROCOPY)) == -EBUSY &&
		monotonic_ns() < end_ns)
		nanosleep(&pause, NULL);
	return ret;
}

int
dev_xsk_busy_poll_try(uint16_t budget_pkts)
{
	const int on = 1, budget = budget_pkts;
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}
