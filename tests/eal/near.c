#include "near.h"

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_SKIP 77

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

struct ep_dev_cfg
near_cfg(const char *text)
{
	struct ep_dev_cfg cfg = {.ring_descs = 256, .mtu_frame_bytes = 1518};

	assert_int_equal(ep_dev_spec_parse(text, &cfg.spec, NULL), 0);
	return cfg;
}

struct ep_dev *
near_open(const char *text)
{
	const struct ep_dev_cfg cfg = near_cfg(text);
	struct ep_err err = {0};
	struct ep_dev *dev = NULL;

	if (ep_dev_open(&cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	return dev;
}

void
near_arm(const struct fixture *f, struct ep_dev *dev, const char *local)
{
	struct ep_dev_filter filter = {.range = &f->range};

	filter.any_local = local == NULL;
	if (local != NULL)
		assert_int_equal(ep_wire_ip_parse(local, &filter.local, NULL), 0);
	assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
}

uint64_t
near_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / EP_NS_PER_MS;
}

uint16_t
near_burst(const struct ep_dev *dev, struct rte_mbuf **burst)
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	return rte_eth_rx_burst(info.port_id, 0, burst, NEAR_BURST);
}

/* What has arrived at the device by now: thrown away and counted. */
unsigned int
near_drain(const struct ep_dev *dev)
{
	struct rte_mbuf *burst[NEAR_BURST];
	unsigned int all = 0;
	uint16_t n;

	while ((n = near_burst(dev, burst)) > 0) {
		rte_pktmbuf_free_bulk(burst, n);
		all += n;
	}
	return all;
}

/* Whether a packet arrives at the device. */
bool
near_receives(const struct ep_dev *dev)
{
	const uint64_t end_ms = near_now_ms() + NEAR_DEADLINE_MS;

	while (near_now_ms() < end_ms)
		if (near_drain(dev) > 0)
			return true;
	return false;
}

/* Whoever gets a packet from the far end has it by the time an echo that was sent later is answered. */
void
near_settle(const struct fixture *f)
{
	assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV4));
}

/* The kernel gets what the far end sends to a port; the device does not. */
void
near_expect_kernel(
	const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port)
{
	const int near = veth_udp(address, port);

	veth_send(strchr(address, ':') == NULL ? f->far4 : f->far6, address, port, "kernel", 6);
	assert_true(veth_receives(near));
	assert_int_equal(near_drain(dev), 0);
	close(near);
}

/* The device gets it; the kernel does not. */
void
near_expect_device(
	const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port)
{
	const int near = veth_udp(address, port);
	char data[16];

	veth_send(strchr(address, ':') == NULL ? f->far4 : f->far6, address, port, "device", 6);
	assert_true(near_receives(dev));
	near_settle(f);
	assert_int_equal(recv(near, data, sizeof(data), 0), -1);
	assert_int_equal(near_drain(dev), 0);
	close(near);
}

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[18];
} __attribute__((packed, aligned(2)));

static_assert(sizeof(struct frame) == NEAR_FRAME_BYTES, "the header says so");

struct rte_mbuf *
near_frame(const struct ep_dev *dev, uint16_t dport)
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
		.udp = {.src_port = htons(NEAR_IN_RANGE),
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

uint32_t
near_xdp_prog_id(void)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(VETH_NEAR), 0, &id), 0);
	return id;
}

bool
near_qdisc_is_there(void)
{
	return veth_run("tc qdisc show dev " VETH_NEAR " | grep -q clsact") == 0;
}

void
near_expect_clean(void)
{
	assert_int_equal(near_xdp_prog_id(), 0);
	assert_false(near_qdisc_is_there());
}

/* This program again, in the same namespace: opens, arms, says so, and waits to be killed. */
static int
near_hold(const char *text)
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

pid_t
near_hold_start(const char *text)
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

static int
near_setup(void **state)
{
	const struct ep_dev_eal_cfg eal = {.memory_mib = 256};
	static struct fixture f;

	veth_make(&f.veth);
	assert_int_equal(ep_range_parse("50000-50009", "--ports", &f.range, NULL), 0);
	f.far4 = veth_far_udp(&f.veth, VETH_FAR_IPV4, NEAR_OUTSIDE);
	f.far6 = veth_far_udp(&f.veth, VETH_FAR_IPV6, NEAR_OUTSIDE);
	assert_int_equal(ep_dev_eal_init(&eal, NULL), 0);
	*state = &f;
	return 0;
}

static int
near_teardown(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

int
near_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count)
{
	if (argc == 3 && strcmp(argv[1], "--hold") == 0)
		return near_hold(argv[2]);
	if (geteuid() != 0) {
		const bool required = getenv("EP_LAB_REQUIRED") != NULL;

		printf("1..0 # SKIP needs root for network namespaces\n");
		return required ? 1 : EXIT_SKIP;
	}
	return _cmocka_run_group_tests(name, tests, count, near_setup, near_teardown);
}
