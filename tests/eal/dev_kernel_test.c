/*
 * Devices that are a kernel interface, on a veth pair: what the filter takes and what it leaves, that nothing stays behind, and
 * that drops are counted. "near" is the end that has the device, "far" sends (veth.h).
 */

#include "veth.h"

#include <ep_dev.h>

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BURST 32
#define IN_RANGE 50001
#define OUTSIDE 40001
#define DEADLINE_MS 5000
#define EXIT_SKIP 77

struct fixture {
	struct veth veth;
	struct ep_range range; /* 50000-50009 */
	int far4, far6;        /* Senders from OUTSIDE. */
};

#ifdef __SANITIZE_ADDRESS__
/* DPDK's AF_XDP driver never closes the BPF object that it loads; deep stacks, to name it alone. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:librte_net_af_xdp\n";
}
#endif

static const char *const kinds[] = {VETH_NEAR, "af_packet:" VETH_NEAR};

static struct ep_dev_cfg
near_cfg(const char *text)
{
	struct ep_dev_cfg cfg = {.ring_descs = 256, .mtu_frame_bytes = 1518};

	assert_int_equal(ep_dev_spec_parse(text, &cfg.spec, NULL), 0);
	return cfg;
}

static struct ep_dev *
near_open(const char *text)
{
	const struct ep_dev_cfg cfg = near_cfg(text);
	struct ep_err err = {0};
	struct ep_dev *dev = NULL;

	if (ep_dev_open(&cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	return dev;
}

static void
near_arm(const struct fixture *f, struct ep_dev *dev, const char *local)
{
	struct ep_dev_filter filter = {.range = &f->range};

	filter.any_local = local == NULL;
	if (local != NULL)
		assert_int_equal(ep_wire_ip_parse(local, &filter.local, NULL), 0);
	assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / EP_NS_PER_MS;
}

static uint16_t
burst_take(const struct ep_dev *dev, struct rte_mbuf **burst)
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	return rte_eth_rx_burst(info.port_id, 0, burst, BURST);
}

/* What has arrived at the device by now: thrown away and counted. */
static unsigned int
dev_drain(const struct ep_dev *dev)
{
	struct rte_mbuf *burst[BURST];
	unsigned int all = 0;
	uint16_t n;

	while ((n = burst_take(dev, burst)) > 0) {
		rte_pktmbuf_free_bulk(burst, n);
		all += n;
	}
	return all;
}

/* Whether a packet arrives at the device. */
static bool
dev_receives(const struct ep_dev *dev)
{
	const uint64_t end_ms = now_ms() + DEADLINE_MS;

	while (now_ms() < end_ms)
		if (dev_drain(dev) > 0)
			return true;
	return false;
}

/* Whoever gets a packet from the far end has it by the time an echo that was sent later is answered. */
static void
settle(const struct fixture *f)
{
	assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV4));
}

/* The kernel gets what the far end sends to a port; the device does not. */
static void
expect_kernel(const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port)
{
	const int near = veth_udp(address, port);

	veth_send(strchr(address, ':') == NULL ? f->far4 : f->far6, address, port, "kernel", 6);
	assert_true(veth_receives(near));
	assert_int_equal(dev_drain(dev), 0);
	close(near);
}

/* The device gets it; the kernel does not. */
static void
expect_device(const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port)
{
	const int near = veth_udp(address, port);
	char data[16];

	veth_send(strchr(address, ':') == NULL ? f->far4 : f->far6, address, port, "device", 6);
	assert_true(dev_receives(dev));
	settle(f);
	assert_int_equal(recv(near, data, sizeof(data), 0), -1);
	assert_int_equal(dev_drain(dev), 0);
	close(near);
}

static uint32_t
xdp_prog_id(void)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(VETH_NEAR), 0, &id), 0);
	return id;
}

static bool
qdisc_is_there(void)
{
	return veth_run("tc qdisc show dev " VETH_NEAR " | grep -q clsact") == 0;
}

static void
expect_clean(void)
{
	assert_int_equal(xdp_prog_id(), 0);
	assert_false(qdisc_is_there());
}

/* --- What the filter takes -------------------------------------------------------------------- */

static void
filter_takes_the_range_only_while_armed(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		expect_kernel(f, dev, VETH_NEAR_IPV4, IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV4);
		expect_device(f, dev, VETH_NEAR_IPV4, 50000);
		expect_device(f, dev, VETH_NEAR_IPV4, 50009);
		expect_kernel(f, dev, VETH_NEAR_IPV4, 49999);
		expect_kernel(f, dev, VETH_NEAR_IPV4, 50010);
		assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV4));
		assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV6));
		ep_dev_disarm(dev);
		expect_kernel(f, dev, VETH_NEAR_IPV4, IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV4);
		expect_device(f, dev, VETH_NEAR_IPV4, IN_RANGE);
		ep_dev_close(dev);
		expect_clean();
	}
}

static void
filter_takes_its_address_only_or_any(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		near_arm(f, dev, VETH_NEAR_IPV4);
		expect_kernel(f, dev, VETH_NEAR2_IPV4, IN_RANGE);
		expect_kernel(f, dev, VETH_NEAR_IPV6, IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV6);
		expect_kernel(f, dev, VETH_NEAR_IPV4, IN_RANGE);
		expect_device(f, dev, VETH_NEAR_IPV6, IN_RANGE);
		expect_kernel(f, dev, VETH_NEAR_IPV6, OUTSIDE);
		near_arm(f, dev, NULL);
		expect_device(f, dev, VETH_NEAR2_IPV4, IN_RANGE);
		expect_device(f, dev, VETH_NEAR_IPV6, IN_RANGE);
		ep_dev_close(dev);
	}
}

static void
filter_of_an_initiator_judges_peer_and_source_port(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_filter filter = {.initiator = true, .range = &f->range};
	const int sender = veth_far_udp(&f->veth, VETH_FAR_IPV4, IN_RANGE);
	const int near = veth_udp(VETH_NEAR_IPV4, OUTSIDE);
	char data[16];

	assert_int_equal(ep_wire_ip_parse(VETH_NEAR_IPV4, &filter.local, NULL), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		assert_int_equal(ep_wire_ip_parse(VETH_FAR_IPV4, &filter.peer, NULL), 0);
		assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
		veth_send(sender, VETH_NEAR_IPV4, OUTSIDE, "device", 6);
		assert_true(dev_receives(dev));
		settle(f);
		assert_int_equal(recv(near, data, sizeof(data), 0), -1);
		expect_kernel(
			f, dev, VETH_NEAR_IPV4, IN_RANGE); /* range as destination, not as source */

		assert_int_equal(ep_wire_ip_parse("198.18.0.99", &filter.peer, NULL), 0);
		assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
		veth_send(sender, VETH_NEAR_IPV4, OUTSIDE, "kernel", 6);
		assert_true(veth_receives(near));
		assert_int_equal(dev_drain(dev), 0);
		ep_dev_close(dev);
	}
	close(near);
	close(sender);
}

static void
filter_takes_ipv4_options_and_leaves_fragments(void **state)
{
	const struct fixture *f = *state;
	static const uint8_t nops[40] = {[0 ... 39] = 1};
	static const uint8_t big[3000];

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		const int near = veth_udp(VETH_NEAR_IPV4, IN_RANGE);

		near_arm(f, dev, VETH_NEAR_IPV4);
		veth_send(f->far4, VETH_NEAR_IPV4, IN_RANGE, big, sizeof(big));
		assert_true(veth_receives(near));
		if (i == 0)
			assert_int_equal(dev_drain(dev), 0);
		else
			dev_drain(dev); /* the driver's sockets ask for whole datagrams */
		close(near);

		assert_int_equal(
			setsockopt(f->far4, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)), 0);
		expect_device(f, dev, VETH_NEAR_IPV4, IN_RANGE);
		expect_kernel(f, dev, VETH_NEAR_IPV4, OUTSIDE);
		assert_int_equal(setsockopt(f->far4, IPPROTO_IP, IP_OPTIONS, NULL, 0), 0);
		ep_dev_close(dev);
	}
}

static void
kernel_answers_no_probe_with_icmp(void **state)
{
	const struct fixture *f = *state;
	const int far = veth_far_udp(&f->veth, VETH_FAR_IPV4, 0);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(IN_RANGE),
		.sin_addr.s_addr = inet_addr(VETH_NEAR_IPV4)};

	assert_int_equal(connect(far, (const struct sockaddr *)&to, sizeof(to)), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		char data[16];

		assert_int_equal(send(far, "a", 1, 0), 1);
		assert_true(veth_receives(far)); /* unarmed: port unreachable */
		near_arm(f, dev, VETH_NEAR_IPV4);
		assert_int_equal(send(far, "b", 1, 0), 1);
		assert_true(dev_receives(dev));
		settle(f);
		assert_int_equal(recv(far, data, sizeof(data), 0), -1);
		assert_int_equal(errno, EAGAIN);
		ep_dev_close(dev);
	}
	close(far);
}

/* --- Sending ----------------------------------------------------------------------------------- */

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[18];
} __attribute__((packed, aligned(2)));

/* From near to far. */
static struct rte_mbuf *
frame_make(const struct ep_dev *dev, uint16_t dport)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ep_dev_pool(dev, 0));
	struct frame frame = {
		.eth = {.dst_addr = {{2, 0, 0, 0, 0, 0xb}},
			.src_addr = {{2, 0, 0, 0, 0, 0xa}},
			.ether_type = htons(RTE_ETHER_TYPE_IPV4)},
		.ip = {.version_ihl = 0x45,
			.total_length = htons(sizeof(frame) - sizeof(frame.eth)),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = inet_addr(VETH_NEAR_IPV4),
			.dst_addr = inet_addr(VETH_FAR_IPV4)},
		.udp = {.src_port = htons(IN_RANGE),
			.dst_port = htons(dport),
			.dgram_len = htons(sizeof(frame.udp) + sizeof(frame.payload))},
	};

	assert_non_null(m);
	frame.ip.hdr_checksum = rte_ipv4_cksum(&frame.ip);
	frame.udp.dgram_cksum = rte_ipv4_udptcp_cksum(&frame.ip, &frame.udp);
	m->data_len = sizeof(frame);
	m->pkt_len = sizeof(frame);
	memcpy(rte_pktmbuf_mtod(m, void *), &frame, sizeof(frame));
	return m;
}

/* Nothing that this host sends, by the device or by the kernel, comes back as received. */
static void
device_sends_and_does_not_hear_itself(void **state)
{
	const struct fixture *f = *state;
	const int far = veth_far_udp(&f->veth, VETH_FAR_IPV4, IN_RANGE);
	const int near = veth_udp(VETH_NEAR_IPV4, OUTSIDE);

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		struct ep_dev_stats stats;
		struct ep_dev_info info;
		struct rte_mbuf *m;

		ep_dev_info(dev, &info);
		near_arm(f, dev, NULL);
		m = frame_make(dev, IN_RANGE);
		assert_int_equal(rte_eth_tx_burst(info.port_id, 0, &m, 1), 1);
		assert_true(veth_receives(far));
		veth_send(near, VETH_FAR_IPV4, IN_RANGE, "kernel", 6);
		assert_true(veth_receives(far));
		settle(f);
		assert_int_equal(dev_drain(dev), 0);
		ep_dev_stats(dev, &stats);
		assert_int_equal(stats.opackets, 1);
		assert_int_equal(stats.ipackets + stats.imissed, 0);
		ep_dev_close(dev);
	}
	close(near);
	close(far);
}

/* --- Counters ---------------------------------------------------------------------------------- */

/* Every packet is received or counted as missed, also when the ring is small and nobody reads. */
static void
drops_are_counted_to_the_packet(void **state)
{
	const struct fixture *f = *state;
	const unsigned int sent = 200; /* below the 256 packets that veth queues */

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev_cfg cfg = near_cfg(kinds[i]);
		struct ep_dev_stats stats = {0};
		unsigned int received;
		struct ep_dev *dev;

		cfg.ring_descs = 64;
		assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
		near_arm(f, dev, VETH_NEAR_IPV4);
		for (unsigned int n = 0; n < sent; n++)
			veth_send(f->far4, VETH_NEAR_IPV4, IN_RANGE, "drop", 4);
		settle(f);
		ep_dev_stats(dev, &stats); /* AF_PACKET: the kernel forgets what was read */
		received = dev_drain(dev);
		ep_dev_stats(dev, &stats);
		assert_int_equal(stats.ipackets, received);
		assert_int_equal(received + stats.imissed, sent);
		assert_in_range(received, 32, 128);
		ep_dev_close(dev);
	}
}

/* What a burst left over is the caller's, who may try again: no error of the device. */
static void
what_the_device_did_not_take_is_no_error(void **state)
{
	struct rte_mbuf *burst[BURST];
	struct ep_dev_cfg cfg = near_cfg(VETH_NEAR);
	unsigned int taken = 0, tried = 0;
	struct ep_dev_stats stats;
	struct ep_dev_info info;
	struct ep_dev *dev;

	(void)state;
	cfg.ring_descs = 64;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	ep_dev_info(dev, &info);
	/* A device that is down sends nothing, so its ring fills up. */
	assert_int_equal(veth_run("echo 1 > /proc/sys/net/ipv6/conf/" VETH_NEAR
				  "/keep_addr_on_down && ip link set " VETH_NEAR " down"),
		0);
	for (; tried < 4 * BURST; tried += BURST) {
		uint16_t n;

		for (unsigned int i = 0; i < BURST; i++)
			burst[i] = frame_make(dev, IN_RANGE);
		n = rte_eth_tx_burst(info.port_id, 0, burst, BURST);
		rte_pktmbuf_free_bulk(&burst[n], BURST - n);
		taken += n;
	}
	ep_dev_stats(dev, &stats);
	assert_int_equal(veth_run("ip link set " VETH_NEAR " up"), 0);
	ep_dev_close(dev);
	assert_true(taken < tried);
	assert_int_equal(stats.opackets, taken);
	assert_int_equal(stats.oerrors, 0);
}

static void
info_says_what_the_device_is(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0xa};
	static const struct {
		const char *driver, *mode;
	} want[] = {{"net_af_xdp", "native XDP"}, {"net_af_packet", "copy of every packet"}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		struct ep_dev_info info;

		ep_dev_info(dev, &info);
		assert_string_equal(info.name, kinds[i]);
		assert_string_equal(info.driver, want[i].driver);
		assert_memory_equal(info.mode, want[i].mode, strlen(want[i].mode));
		assert_memory_equal(info.mac, mac, sizeof(mac));
		assert_true(info.kernel);
		assert_int_equal(info.ifindex, if_nametoindex(VETH_NEAR));
		assert_int_equal(info.queue_pairs, 1);
		ep_dev_close(dev);
	}
}

/* --- Refusals ---------------------------------------------------------------------------------- */

static void
expect_refused(const char *text, int code, const char *says)
{
	const struct ep_dev_cfg cfg = near_cfg(text);
	struct ep_err err = {0};
	struct ep_dev *dev;

	assert_int_equal(ep_dev_open(&cfg, &dev, &err), code);
	if (strstr(err.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, says);
}

static void
second_everyport_on_an_interface_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		for (size_t j = 0; j < EP_ARRAY_LEN(kinds); j++)
			expect_refused(kinds[j], -EBUSY, "another everyport");
		ep_dev_close(dev);
	}
}

static int
foreign_program_load(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody", "GPL", pass, EP_ARRAY_LEN(pass), NULL);
}

static void
foreign_xdp_program_is_respected(void **state)
{
	const int ifindex = (int)if_nametoindex(VETH_NEAR);
	const int prog_fd = foreign_program_load();
	char id[32];

	(void)state;
	assert_true(prog_fd >= 0);
	assert_int_equal(bpf_xdp_attach(ifindex, prog_fd, 0, NULL), 0);
	snprintf(id, sizeof(id), "%u (somebody)", xdp_prog_id());
	expect_refused(VETH_NEAR, -EBUSY, id);
	ep_dev_close(near_open("af_packet:" VETH_NEAR));
	assert_int_not_equal(xdp_prog_id(), 0);
	assert_int_equal(bpf_xdp_detach(ifindex, 0, NULL), 0);
	close(prog_fd);
	ep_dev_close(near_open(VETH_NEAR));
}

/* A bound AF_XDP socket of somebody else's; with it goes the memory that the kernel holds on to. */
static int
foreign_socket(void)
{
	static uint8_t room[16 * 4096] __attribute__((aligned(4096)));
	const struct xdp_umem_reg umem = {
		.addr = (uintptr_t)room, .len = sizeof(room), .chunk_size = 4096};
	const struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY,
		.sxdp_ifindex = if_nametoindex(VETH_NEAR)};
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	const uint64_t end_ms = now_ms() + DEADLINE_MS;
	const int descs = 64;

	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &descs, sizeof(descs)), 0);
	assert_int_equal(
		setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &descs, sizeof(descs)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_RX_RING, &descs, sizeof(descs)), 0);
	while (bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		assert_int_equal(errno, EBUSY);
		assert_true(now_ms() < end_ms);
	}
	return fd;
}

static void
a_queue_that_somebody_holds_is_named(void **state)
{
	const int fd = foreign_socket();

	(void)state;
	expect_refused(VETH_NEAR, -EBUSY, "queue 0 is occupied by an AF_XDP socket");
	expect_clean();
	close(fd);
	ep_dev_close(near_open(VETH_NEAR));
}

/* The kernel frees a queue some time after its socket was closed: as of an everyport that just ended. */
static void
a_queue_that_becomes_free_is_waited_for(void **state)
{
	const int fd = foreign_socket();
	const pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) { /* has the last descriptor of the socket, for a while */
		usleep(300000);
		_exit(0);
	}
	close(fd);
	ep_dev_close(near_open(VETH_NEAR));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
a_device_is_opened_again_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		ep_dev_close(near_open(VETH_NEAR));
	expect_clean();
}

static void
foreign_qdisc_is_kept(void **state)
{
	(void)state;
	assert_int_equal(veth_run("tc qdisc add dev " VETH_NEAR " clsact"), 0);
	ep_dev_close(near_open("af_packet:" VETH_NEAR));
	assert_true(qdisc_is_there());
	assert_int_not_equal(
		veth_run("tc filter show dev " VETH_NEAR " ingress | grep -q ep_filter"), 0);
	assert_int_equal(veth_run("tc qdisc del dev " VETH_NEAR " clsact"), 0);
}

static void
unfit_interfaces_and_configurations_are_refused(void **state)
{
	struct ep_dev_cfg cfg = near_cfg(VETH_NEAR);
	struct ep_err err = {0};
	struct ep_dev *dev;

	(void)state;
	cfg.mtu_frame_bytes = 1519;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "1519"));
	assert_int_equal(veth_run("ip link set " VETH_NEAR " mtu 9000"), 0);
	cfg.mtu_frame_bytes = 9018;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "af_packet:" VETH_NEAR));
	assert_int_equal(veth_run("ip link set " VETH_NEAR " mtu 1500"), 0);

	cfg = near_cfg(VETH_NEAR);
	cfg.queue_pairs = 2;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "ethtool -L"));
	cfg = near_cfg(VETH_NEAR);
	cfg.offload_checksum = true;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "checksum"));
	cfg = near_cfg("af_packet:" VETH_NEAR);
	cfg.queue_pairs = 17;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -EINVAL);

	assert_int_equal(veth_run("ip link add down0 type veth peer name down1"), 0);
	expect_refused("down0", -EINVAL, "down");
	assert_int_equal(veth_run("ip link del down0"), 0);
	expect_clean();
}

static void
mtu_set(const struct fixture *f, unsigned int mtu_bytes)
{
	char line[64];

	snprintf(line, sizeof(line), "ip link set " VETH_NEAR " mtu %u", mtu_bytes);
	assert_int_equal(veth_run(line), 0);
	snprintf(line, sizeof(line), "ip link set " VETH_FAR " mtu %u", mtu_bytes);
	assert_int_equal(setns(f->veth.far_fd, CLONE_NEWNET), 0);
	assert_int_equal(veth_run(line), 0);
	assert_int_equal(setns(f->veth.near_fd, CLONE_NEWNET), 0);
}

static void
expect_whole_frame(const struct fixture *f, const char *text, uint32_t mtu_bytes)
{
	static const uint8_t data[9000];
	struct ep_dev_cfg cfg = near_cfg(text);
	struct rte_mbuf *burst[BURST];
	struct ep_dev *dev;
	uint64_t end_ms;
	uint16_t n = 0;

	mtu_set(f, mtu_bytes);
	cfg.mtu_frame_bytes = mtu_bytes + 18;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	near_arm(f, dev, VETH_NEAR_IPV4);
	veth_send(f->far4, VETH_NEAR_IPV4, IN_RANGE, data, mtu_bytes - 28);
	end_ms = now_ms() + DEADLINE_MS;
	while (n == 0 && now_ms() < end_ms)
		n = burst_take(dev, burst);
	assert_int_equal(n, 1);
	assert_int_equal(burst[0]->pkt_len, mtu_bytes + 14);
	assert_int_equal(burst[0]->nb_segs, 1);
	rte_pktmbuf_free(burst[0]);
	ep_dev_close(dev);
	mtu_set(f, 1500);
}

static void
large_frames_arrive_whole(void **state)
{
	const struct fixture *f = *state;

	expect_whole_frame(f, "af_packet:" VETH_NEAR, 9000);
	expect_whole_frame(f, "af_packet:" VETH_NEAR, 3000);
	expect_whole_frame(f, VETH_NEAR, 3000);
	expect_whole_frame(f, VETH_NEAR, 1500);
}

static void
ordinary_user_is_told_what_a_kernel_interface_needs(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		const struct ep_dev_cfg cfg = near_cfg(VETH_NEAR);
		struct ep_err err = {0};
		struct ep_dev *dev;

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (ep_dev_open(&cfg, &dev, &err) != -EPERM)
			_exit(2);
		_exit(strstr(err.text, "CAP_NET_RAW") == NULL ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- Crash ------------------------------------------------------------------------------------- */

/* This program again, in the same namespace: opens, arms, says so, and waits to be killed. */
static int
hold(const char *text)
{
	const struct ep_dev_eal_cfg eal = {.memory_mib = 128};
	struct ep_dev_filter filter = {.any_local = true};
	struct ep_dev_cfg cfg = {.ring_descs = 64, .mtu_frame_bytes = 1518};
	static struct ep_range range;
	struct ep_dev *dev;

	filter.range = &range;
	cfg.range = &range;
	if (getenv("EP_HOLD_QUEUES") != NULL)
		cfg.range_queues = (uint16_t)strtoul(getenv("EP_HOLD_QUEUES"), NULL, 10);
	if (ep_range_parse("50000-50009", "--ports", &range, NULL) < 0 ||
		ep_dev_spec_parse(text, &cfg.spec, NULL) < 0 || ep_dev_eal_init(&eal, NULL) < 0 ||
		ep_dev_open(&cfg, &dev, NULL) < 0 || ep_dev_arm(dev, &filter, NULL) < 0)
		return 1;
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t
hold_start(const char *text)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ready[1], STDOUT_FILENO);
		close(ready[0]);
		close(ready[1]);
		execl("/proc/self/exe", "hold", "--hold", text, (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void
what_a_killed_everyport_left_is_removed_at_the_next_start(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		for (size_t j = 0; j < EP_ARRAY_LEN(kinds); j++) {
			const pid_t pid = hold_start(kinds[i]);
			struct ep_dev *dev;

			expect_refused(kinds[j], -EBUSY, "another everyport");
			kill(pid, SIGKILL);
			assert_int_equal(waitpid(pid, NULL, 0), pid);
			assert_true(i == 0 ? xdp_prog_id() != 0 : qdisc_is_there());

			dev = near_open(kinds[j]);
			expect_kernel(f, dev, VETH_NEAR_IPV4, IN_RANGE);
			ep_dev_close(dev);
			expect_clean();
		}
	}
}

/* --- Several queues ---------------------------------------------------------------------------- */

/* A pair of its own with four queues, of which @p near and @p far are in use; the far end is in this namespace, too. */
static void
queues_make(unsigned int near, unsigned int far)
{
	char line[160];

	assert_int_equal(
		veth_run("ip link add qa address 02:00:00:00:01:0a numrxqueues 4 numtxqueues 4 "
			 "type veth peer name qb address 02:00:00:00:01:0b numrxqueues 4 "
			 "numtxqueues 4 && ip link set qa up && ip link set qb up"),
		0);
	snprintf(line, sizeof(line), "ethtool -L qa rx %u tx %u && ethtool -L qb rx %u tx %u", near,
		near, far, far);
	assert_int_equal(veth_run(line), 0);
}

static void
queues_remove(void)
{
	assert_int_equal(veth_run("ip link del qa"), 0);
}

static bool
queues_are(unsigned int count)
{
	char line[160];

	snprintf(line, sizeof(line),
		"[ \"$(ethtool -l qa | sed -n '/Current/,$ s/^[RT]X:[[:space:]]*//p' | xargs)\" = "
		"'%u %u' ]",
		count, count);
	return veth_run(line) == 0;
}

static struct ep_dev *
queues_open(struct ep_dev_cfg *cfg)
{
	struct ep_err err = {0};
	struct ep_dev *dev = NULL;

	assert_int_equal(ep_dev_spec_parse("qa", &cfg->spec, NULL), 0);
	cfg->ring_descs = 256;
	cfg->mtu_frame_bytes = 1518;
	if (ep_dev_open(cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	return dev;
}

/* A frame as frame_make()'s, the other way, from a source port of its own. */
static void
far_frame_send(int fd, const struct ep_dev *dev, uint16_t sport)
{
	struct rte_mbuf *m = frame_make(dev, IN_RANGE);
	uint8_t *byte = rte_pktmbuf_mtod(m, uint8_t *);

	byte[34] = (uint8_t)(sport >> 8);
	byte[35] = (uint8_t)sport;
	byte[40] = byte[41] = 0; /* no checksum */
	memcpy(byte, "\x02\0\0\0\x01\x0a\x02\0\0\0\x01\x0b", 12);
	assert_int_equal(send(fd, byte, sizeof(struct frame), 0), sizeof(struct frame));
	rte_pktmbuf_free(m);
}

static int
far_socket(void)
{
	const struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("qb")};
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* What each queue has got when @p wanted packets have arrived. */
static void
queues_receive(const struct ep_dev *dev, unsigned int wanted, unsigned int got[4])
{
	const uint64_t end_ms = now_ms() + DEADLINE_MS;
	struct ep_dev_info info;
	unsigned int all = 0;

	memset(got, 0, 4 * sizeof(*got));
	ep_dev_info(dev, &info);
	while (all < wanted && now_ms() < end_ms) {
		for (uint16_t q = 0; q < info.queue_pairs; q++) {
			const struct ep_dev_queue at = ep_dev_queue(dev, q);
			struct rte_mbuf *burst[BURST];
			const uint16_t n = rte_eth_rx_burst(at.port_id, at.queue_id, burst, BURST);

			rte_pktmbuf_free_bulk(burst, n);
			got[q] += n;
			all += n;
		}
	}
	assert_int_equal(all, wanted);
}

/* All that is sent on 64 flows arrives, on more than one queue; each queue sends, too. */
static void
expect_queues(const struct fixture *f, struct ep_dev *dev, unsigned int count)
{
	const struct ep_dev_filter filter = {.range = &f->range, .any_local = true};
	struct ep_dev_stats stats;
	unsigned int got[4], used = 0;
	const int far = far_socket();
	uint8_t frame[2048];

	assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
	for (uint16_t i = 0; i < 64; i++)
		far_frame_send(far, dev, (uint16_t)(20000 + i));
	queues_receive(dev, 64, got);
	for (unsigned int q = 0; q < 4; q++)
		used += got[q] > 0;
	assert_in_range(used, count > 1 ? 2 : 1, count);
	while (recv(far, frame, sizeof(frame), 0) >= 0)
		; /* its own, and what the kernel says */
	for (uint16_t q = 0; q < count; q++) {
		const struct ep_dev_queue at = ep_dev_queue(dev, q);
		struct rte_mbuf *m = frame_make(dev, (uint16_t)(IN_RANGE + q));
		struct pollfd wait = {.fd = far, .events = POLLIN};
		bool seen = false;

		assert_int_equal(rte_eth_tx_burst(at.port_id, at.queue_id, &m, 1), 1);
		while (!seen && poll(&wait, 1, DEADLINE_MS) == 1)
			seen = recv(far, frame, sizeof(frame), 0) == sizeof(struct frame) &&
				frame[36] == (IN_RANGE + q) >> 8 &&
				frame[37] == (uint8_t)(IN_RANGE + q);
		assert_true(seen);
	}
	ep_dev_stats(dev, &stats);
	assert_int_equal(stats.ipackets, 64);
	assert_int_equal(stats.opackets, count);
	assert_int_equal(stats.imissed, 0);
	close(far);
}

static void
each_queue_of_an_interface_has_a_socket(void **state)
{
	const struct fixture *f = *state;

	for (unsigned int count = 1; count <= 4; count *= 2) {
		struct ep_dev_cfg cfg = {0};
		struct ep_dev_info info;
		struct ep_dev *dev;

		queues_make(count, count);
		dev = queues_open(&cfg);
		ep_dev_info(dev, &info);
		assert_int_equal(info.queue_pairs, count);
		assert_string_equal(info.mode, "native XDP, copy");
		assert_string_equal(info.mode_why, "zero copy: the driver veth has none");
		expect_queues(f, dev, count);
		ep_dev_close(dev);
		assert_true(queues_are(count));
		assert_int_not_equal(veth_run("ip -d link show dev qa | grep -q prog/xdp"), 0);
		queues_remove();
	}
}

/* veth's driver wants as many queues to receive as the other end has to send; generic XDP does not. */
static void
generic_mode_is_taken_where_the_driver_refuses_native(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_cfg cfg = {0};
	struct ep_dev_info info;
	struct ep_dev *dev;

	queues_make(2, 4);
	dev = queues_open(&cfg);
	ep_dev_info(dev, &info);
	assert_string_equal(info.mode, "generic XDP");
	if (strstr(info.mode_why, "native XDP: veth: XDP expects number of rx queues") == NULL)
		fail_msg("'%s' has not the driver's words", info.mode_why);
	expect_queues(f, dev, 2);
	ep_dev_close(dev);
	assert_int_not_equal(veth_run("ip -d link show dev qa | grep -q prog/xdp"), 0);
	queues_remove();
}

/* The map of that name of the program that is attached to qa. */
static int
program_map(const char *name)
{
	uint32_t id[8] = {0}, prog_id = 0, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 8, .map_ids = (uintptr_t)id};
	int prog_fd;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex("qa"), 0, &prog_id), 0);
	prog_fd = bpf_prog_get_fd_by_id(prog_id);
	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &info, &len), 0);
	close(prog_fd);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		const int fd = bpf_map_get_fd_by_id(id[i]);
		struct bpf_map_info map = {0};

		len = sizeof(map);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &map, &len), 0);
		if (strcmp(map.name, name) == 0)
			return fd;
		close(fd);
	}
	fail_msg("no map %s", name);
	return -1;
}

/* What arrives on a queue that has no socket is the kernel's, and counted as missed. */
static void
packets_on_a_queue_without_a_socket_are_counted(void **state)
{
	const struct fixture *f = *state;
	const struct ep_dev_filter filter = {.range = &f->range, .any_local = true};
	const uint32_t second = 1;
	struct ep_dev_cfg cfg = {0};
	struct ep_dev_stats stats;
	unsigned int got[4];
	struct ep_dev *dev;
	int far, map;

	queues_make(2, 2);
	dev = queues_open(&cfg);
	assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
	map = program_map("xsks_map");
	assert_int_equal(bpf_map_delete_elem(map, &second), 0);
	close(map);
	far = far_socket();
	for (uint16_t i = 0; i < 64; i++)
		far_frame_send(far, dev, (uint16_t)(20000 + i));
	/* all have been looked at as soon as those of the first queue and the missed ones are 64 */
	for (const uint64_t end_ms = now_ms() + DEADLINE_MS; now_ms() < end_ms;) {
		ep_dev_stats(dev, &stats);
		if (stats.imissed > 0 && stats.imissed < 64)
			queues_receive(dev, 64 - (unsigned int)stats.imissed, got);
		ep_dev_stats(dev, &stats);
		if (stats.ipackets + stats.imissed == 64)
			break;
	}
	assert_int_equal(stats.ipackets + stats.imissed, 64);
	assert_in_range(stats.imissed, 1, 63);
	close(far);
	ep_dev_close(dev);
	queues_remove();
}

/* --- Settings of the interface ------------------------------------------------------------------- */

static void
number_of_queues_is_set_and_put_back(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_cfg cfg = {.range_queues = 2, .range = &f->range};
	struct ep_dev_info info;
	struct ep_dev *dev;

	queues_make(4, 2);
	dev = queues_open(&cfg);
	ep_dev_info(dev, &info);
	assert_int_equal(info.queue_pairs, 2);
	assert_string_equal(info.steering, "interface set from 4 to 2 queues");
	assert_non_null(strstr(info.steering_why, "rules into an RSS context: "));
	assert_true(queues_are(2));
	expect_queues(f, dev, 2);
	ep_dev_close(dev);
	assert_true(queues_are(4));

	/* up, too */
	assert_int_equal(veth_run("ethtool -L qa rx 1 tx 1"), 0);
	dev = queues_open(&cfg);
	assert_true(queues_are(2));
	ep_dev_close(dev);
	assert_true(queues_are(1));
	queues_remove();
}

static void
number_of_queues_that_is_not_to_be_had_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_cfg cfg = near_cfg(VETH_NEAR);
	struct ep_err err = {0};
	struct ep_dev *dev;

	cfg.range_queues = 8;
	cfg.range = &f->range;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "8 queues"));
	expect_clean();
}

static void
settings_that_a_killed_everyport_left_are_put_back(void **state)
{
	struct ep_dev_cfg cfg = {0};
	pid_t pid;

	(void)state;
	queues_make(4, 2);
	setenv("EP_HOLD_QUEUES", "2", 1);
	pid = hold_start("qa");
	unsetenv("EP_HOLD_QUEUES");
	assert_true(queues_are(2));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(queues_are(2));
	ep_dev_close(queues_open(&cfg));
	assert_true(queues_are(4));
	queues_remove();
}

/* --- Busy polling ---------------------------------------------------------------------------------- */

static bool
timer_is(const char *want)
{
	char line[160];

	snprintf(line, sizeof(line),
		"[ \"$(cat /sys/class/net/" VETH_NEAR
		"/napi_defer_hard_irqs /sys/class/net/" VETH_NEAR
		"/gro_flush_timeout | xargs)\" = '%s' ]",
		want);
	return veth_run(line) == 0;
}

static void
busy_polling_is_set_and_put_back(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_cfg cfg = near_cfg(VETH_NEAR);
	struct ep_dev_info info;
	struct ep_err err = {0};
	struct ep_dev *dev;

	cfg.busy_poll_pkts = 64;
	/* /sys still shows the interfaces of the namespace that this program was started in */
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -ENOTSUP);
	expect_clean();
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("everyport", "/sys", "sysfs", 0, NULL), 0);
	assert_true(timer_is("0 0"));
	if (ep_dev_open(&cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	ep_dev_info(dev, &info);
	assert_int_equal(info.busy_poll_pkts, 64);
	assert_true(timer_is("2 200000"));
	near_arm(f, dev, VETH_NEAR_IPV4);
	expect_device(f, dev, VETH_NEAR_IPV4, IN_RANGE);
	expect_kernel(f, dev, VETH_NEAR_IPV4, OUTSIDE);
	ep_dev_close(dev);
	assert_true(timer_is("0 0"));
	expect_clean();
}

static int
setup(void **state)
{
	const struct ep_dev_eal_cfg eal = {.memory_mib = 256};
	static struct fixture f;

	veth_make(&f.veth);
	assert_int_equal(ep_range_parse("50000-50009", "--ports", &f.range, NULL), 0);
	f.far4 = veth_far_udp(&f.veth, VETH_FAR_IPV4, OUTSIDE);
	f.far6 = veth_far_udp(&f.veth, VETH_FAR_IPV6, OUTSIDE);
	assert_int_equal(ep_dev_eal_init(&eal, NULL), 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_takes_the_range_only_while_armed),
		cmocka_unit_test(filter_takes_its_address_only_or_any),
		cmocka_unit_test(filter_of_an_initiator_judges_peer_and_source_port),
		cmocka_unit_test(filter_takes_ipv4_options_and_leaves_fragments),
		cmocka_unit_test(kernel_answers_no_probe_with_icmp),
		cmocka_unit_test(device_sends_and_does_not_hear_itself),
		cmocka_unit_test(drops_are_counted_to_the_packet),
		cmocka_unit_test(info_says_what_the_device_is),
		cmocka_unit_test(second_everyport_on_an_interface_is_refused),
		cmocka_unit_test(foreign_xdp_program_is_respected),
		cmocka_unit_test(a_queue_that_somebody_holds_is_named),
		cmocka_unit_test(a_queue_that_becomes_free_is_waited_for),
		cmocka_unit_test(a_device_is_opened_again_at_once),
		cmocka_unit_test(foreign_qdisc_is_kept),
		cmocka_unit_test(unfit_interfaces_and_configurations_are_refused),
		cmocka_unit_test(large_frames_arrive_whole),
		cmocka_unit_test(ordinary_user_is_told_what_a_kernel_interface_needs),
		cmocka_unit_test(what_a_killed_everyport_left_is_removed_at_the_next_start),
		cmocka_unit_test(what_the_device_did_not_take_is_no_error),
		cmocka_unit_test(each_queue_of_an_interface_has_a_socket),
		cmocka_unit_test(generic_mode_is_taken_where_the_driver_refuses_native),
		cmocka_unit_test(packets_on_a_queue_without_a_socket_are_counted),
		cmocka_unit_test(number_of_queues_is_set_and_put_back),
		cmocka_unit_test(number_of_queues_that_is_not_to_be_had_is_refused),
		cmocka_unit_test(settings_that_a_killed_everyport_left_are_put_back),
		cmocka_unit_test(busy_polling_is_set_and_put_back),
	};

	if (argc == 3 && strcmp(argv[1], "--hold") == 0)
		return hold(argv[2]);
	if (geteuid() != 0) {
		const bool required = getenv("EP_LAB_REQUIRED") != NULL;

		printf("1..0 # SKIP needs root for network namespaces\n");
		return required ? 1 : EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
