/* The exception path of a net_tap device: two kernels talk over it, one by our interface, the other at the tap's own end, while the device goes
 * back and forth between the thread and a worker. */

#include <ep_exc.h>
#include <ep_netlink.h>

/* The filter alone, too. */
#include "../../lib/exc/exc_priv.h"
#include "veth.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_SKIP 77
#define PORT 4000
#define OURS "198.18.0.2"
#define THEIRS "198.18.0.1"
#define BURST 32
/* A change of hands after so many datagrams; as many of them are under way at that moment as the kernels have sent by then. */
#define TURN 16
#define DATAGRAMS 4000

/** A device with an exception path, a kernel at its other end, a worker that comes and goes. */
struct rig {
	int near_fd, far_fd; /* Namespaces. */
	struct ep_dev *dev;
	struct ep_dev_info info;
	struct ep_exc *exc;
	struct ep_exc_rings rings;
	unsigned int free_mbufs, free_side_mbufs;
	pthread_t worker;
	bool stop; /* Word to the worker. */
};

static void
run(const char *command)
{
	assert_int_equal(veth_run(command), 0);
}

static int
netns_new(void)
{
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	run("ip link set lo up");
	return fd;
}

static struct ep_wire_ip
ip_of(const char *text)
{
	struct ep_wire_ip ip;

	assert_int_equal(ep_wire_ip_parse(text, &ip, NULL), 0);
	return ip;
}

static void
rig_open_vlan(struct rig *r, uint16_t vlan_id)
{
	const struct ep_dev_cfg cfg = {
		.spec = {.kind = EP_DEV_VDEV, .vdev = "net_tap0,iface=epfar"},
		.queue_pairs = 1,
		.ring_descs = 1024,
		.mtu_frame_bytes = 1518,
		.extra_mbufs = EP_EXC_RX_FRAMES,
		.side_mbufs = EP_EXC_SIDE_MBUFS,
	};
	struct ep_exc_cfg exc = {
		.addr_count = 2,
		.addr = {{ip_of(OURS), 24}, {ip_of("2001:2::2"), 64}},
		.gateway_count = 1,
		.gateway = {ip_of("198.18.0.254")},
		.vlan_id = vlan_id,
	};
	char line[256];
	struct ep_err err;

	memset(r, 0, sizeof(*r));
	r->far_fd = netns_new();
	r->near_fd = netns_new();
	if (ep_dev_open(&cfg, &r->dev, &err) < 0)
		fail_msg("%s", err.text);
	ep_dev_info(r->dev, &r->info);
	snprintf(line, sizeof(line), "ip link set epfar netns /proc/%d/fd/%d", getpid(), r->far_fd);
	run(line);
	assert_int_equal(setns(r->far_fd, CLONE_NEWNET), 0);
	run("ip addr add " THEIRS "/24 dev epfar && ip addr add 2001:2::1/64 dev epfar nodad && ip "
	    "link set epfar up");
	assert_int_equal(setns(r->near_fd, CLONE_NEWNET), 0);
	r->free_mbufs = rte_mempool_avail_count(ep_dev_pool(r->dev, 0));
	r->free_side_mbufs = rte_mempool_avail_count(ep_dev_side_pool(r->dev));
	exc.dev = r->dev;
	if (ep_exc_open(&exc, &r->exc, &err) < 0)
		fail_msg("%s", err.text);
	ep_exc_rings(r->exc, &r->rings);
}

static void
rig_open(struct rig *r)
{
	rig_open_vlan(r, 0);
}

static void
rig_close(struct rig *r)
{
	ep_exc_close(r->exc);
	assert_int_equal(if_nametoindex("everyport0"), 0);
	/* Each buffer has gone back to where it came from. */
	assert_int_equal(rte_mempool_avail_count(ep_dev_side_pool(r->dev)), r->free_side_mbufs);
	assert_int_equal(rte_mempool_avail_count(ep_dev_pool(r->dev, 0)), r->free_mbufs);
	ep_dev_close(r->dev);
	close(r->near_fd);
	close(r->far_fd);
}

/* As lib/engine does it with what is no probe. */
static void *
worker(void *arg)
{
	struct rig *r = arg;
	struct rte_mbuf *mbuf[BURST];

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		unsigned int n = rte_eth_rx_burst(r->info.port_id, 0, mbuf, BURST), took;

		took = rte_ring_enqueue_burst(r->rings.rx, (void **)mbuf, n, NULL);
		rte_pktmbuf_free_bulk(mbuf + took, n - took);
		n = rte_ring_dequeue_burst(r->rings.done, (void **)mbuf, BURST, NULL);
		rte_pktmbuf_free_bulk(mbuf, n);
		n = rte_ring_dequeue_burst(r->rings.tx, (void **)mbuf, BURST, NULL);
		took = rte_eth_tx_burst(r->info.port_id, 0, mbuf, (uint16_t)n);
		rte_pktmbuf_free_bulk(mbuf + took, n - took);
		sched_yield();
	}
	return NULL;
}

static void
lend(struct rig *r)
{
	ep_exc_lend(r->exc);
	r->stop = false;
	assert_int_equal(pthread_create(&r->worker, NULL, worker, r), 0);
}

static void
keep(struct rig *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(r->worker, NULL), 0);
	ep_exc_keep(r->exc);
}

static int
udp_open(const struct rig *r, bool far)
{
	const struct timeval wait = {.tv_sec = 5};
	const int size = 4 << 20;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd;

	if (far)
		assert_int_equal(setns(r->far_fd, CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	inet_pton(AF_INET, far ? THEIRS : OURS, &sa.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	inet_pton(AF_INET, far ? OURS : THEIRS, &sa.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setns(r->near_fd, CLONE_NEWNET);
	return fd;
}

/* The numbers first to last - 1 come, each once and in order. */
static void
expect(int fd, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last; i++) {
		uint32_t got[100];
		ssize_t n;

		do { /* net_tap's signal may come to any thread */
			n = recv(fd, got, sizeof(got), 0);
		} while (n < 0 && errno == EINTR);
		if (n != (ssize_t)sizeof(got))
			fail_msg("number %u does not come: %s", i, strerror(errno));
		assert_int_equal(got[0], i);
	}
}

/* Datagrams go both ways while the device changes hands: each arrives once, in order, and no buffer is left behind. */
static void
frames_cross_each_change_of_hands_once(void **state)
{
	struct rig r;
	uint32_t number[100] = {0}, expected = 0;
	struct ep_exc_count count;
	bool lent = false;
	int near, far;

	(void)state;
	rig_open(&r);
	near = udp_open(&r, false);
	far = udp_open(&r, true);
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		number[0] = i;
		/* The first waits for a neighbour; behind it both kernels know each other. */
		assert_int_equal(send(near, number, sizeof(number), 0), sizeof(number));
		assert_int_equal(send(far, number, sizeof(number), 0), sizeof(number));
		if (i == 0 || i % (4 * TURN) == 0) {
			expect(far, expected, i + 1);
			expect(near, expected, i + 1);
			expected = i + 1;
		}
		if (i % TURN != TURN / 2)
			continue;
		if (lent)
			keep(&r);
		else
			lend(&r);
		lent = !lent;
	}
	expect(far, expected, DATAGRAMS);
	expect(near, expected, DATAGRAMS);
	if (lent)
		keep(&r);
	ep_exc_count(r.exc, &count);
	assert_int_equal(count.dropped, 0);
	assert_int_equal(count.filtered, 0);
	assert_in_range(count.to_kernel, DATAGRAMS, DATAGRAMS + 200);
	assert_in_range(count.from_kernel, DATAGRAMS, DATAGRAMS + 200);
	close(near);
	close(far);
	rig_close(&r);
}

/* A session's ports are not for the kernel, which would answer with errors; when it is over they are again. */
static void
filter_keeps_the_ports_of_a_session_from_the_kernel(void **state)
{
	struct ep_range *range = malloc(sizeof(*range));
	struct ep_dev_filter filter = {.range = range, .local = ip_of(OURS)};
	const uint32_t number[100] = {0};
	struct ep_exc_count count;
	struct rig r;
	int near, far;

	(void)state;
	assert_non_null(range);
	assert_int_equal(ep_range_parse("4000", "ports", range, NULL), 0);
	rig_open(&r);
	near = udp_open(&r, false);
	far = udp_open(&r, true);
	assert_int_equal(send(far, number, sizeof(number), 0), sizeof(number));
	expect(near, 0, 1);
	assert_int_equal(ep_exc_arm(r.exc, &filter), 0);
	assert_int_equal(send(far, number, sizeof(number), 0), sizeof(number));
	for (int i = 0; i < 500; i++) {
		ep_exc_count(r.exc, &count);
		if (count.filtered > 0)
			break;
		usleep(10000);
	}
	assert_int_equal(count.filtered, 1);
	ep_exc_disarm(r.exc);
	assert_int_equal(recv(near, (uint8_t[400]){0}, 400, MSG_DONTWAIT), -1);
	assert_int_equal(send(far, number, sizeof(number), 0), sizeof(number));
	expect(near, 0, 1);
	close(near);
	close(far);
	rig_close(&r);
	free(range);
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Where nothing comes, little is done: the goal is 1 % of a core, the bound leaves room for a slow machine. */
static void
an_idle_path_sleeps(void **state)
{
	struct rig r;
	double cpu;

	(void)state;
	rig_open(&r);
	sleep(1);
	cpu = cpu_s();
	sleep(2);
	cpu = (cpu_s() - cpu) / 2;
	print_message("# idle: %.2f %% of a core\n", cpu * 100);
	assert_true(cpu < 0.05);
	rig_close(&r);
}

static void
interface_is_as_it_was_asked_for(void **state)
{
	struct ep_netlink_link link;
	struct ep_netlink_route route;
	const struct ep_wire_ip far = ip_of("203.0.113.1");
	uint8_t mac[6];
	struct rig r;

	(void)state;
	rig_open(&r);
	assert_string_equal(ep_exc_ifname(r.exc), "everyport0");
	assert_int_equal(ep_netlink_link("everyport0", &link, NULL), 0);
	ep_dev_host_mac(r.dev, mac);
	assert_memory_equal(link.mac, mac, 6);
	assert_int_equal(
		link.mac[1] ^ 0x80, r.info.mac[1]); /* the tap's own end has the device's */
	assert_int_equal(link.mtu_bytes, 1500);
	assert_true(link.up);
	assert_int_equal(ep_netlink_addr_state(
				 link.ifindex, &(struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, 2}}),
		EP_NETLINK_ADDR_READY);
	/* The default route is there, but its gateway is not. */
	assert_int_equal(
		ep_netlink_route_over(&far, link.ifindex, 50, &route, NULL), -EHOSTUNREACH);
	rig_close(&r);
}

static void
what_cannot_be_is_one_sentence(void **state)
{
	struct ep_exc_cfg cfg = {.addr_count = 1, .addr = {{ip_of(OURS), 24}}, .gateway_count = 1};
	struct ep_exc *exc = NULL;
	struct ep_err err;
	struct rig r;

	(void)state;
	rig_open(&r);
	ep_exc_close(r.exc);
	cfg.dev = r.dev;
	cfg.gateway[0] = ip_of("203.0.113.1");
	assert_int_equal(ep_exc_open(&cfg, &exc, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--gateway 203.0.113.1: is not on the link of an --addr"));
	assert_null(exc);
	cfg.vlan_id = 4095;
	assert_int_equal(ep_exc_open(&cfg, &exc, &err), -EINVAL);
	assert_non_null(strstr(err.text, "VLAN 4095: allowed are 1 to 4094"));
	cfg.vlan_id = 0;
	cfg.gateway_count = 0;
	cfg.addr[0].ip = ip_of("224.0.0.1");
	cfg.addr[0].prefix_bits = 4;
	cfg.addr_count = 2;
	cfg.addr[1] = (struct ep_exc_addr){ip_of("2001:2::1"), 64}; /* the far kernel has it */
	cfg.addr[0] = (struct ep_exc_addr){ip_of(OURS), 24};
	assert_int_equal(ep_exc_open(&cfg, &exc, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another host on the link"));
	cfg.addr_count = 1;
	if (ep_exc_open(&cfg, &r.exc, &err) < 0)
		fail_msg("%s", err.text);
	rig_close(&r);
}

/* What of a frame decides. Ports 50000 to 50001 of 198.18.0.2, of a responder and of an initiator. */
static void
filter_takes_whole_udp_to_its_ports_alone(void **state)
{
	static const struct {
		const char *what;
		size_t at; /* This byte becomes ... */
		uint8_t value;
		bool responder, initiator; /* ... and who then takes the frame. */
	} row[] = {
		{"as it is", 0, 0x02, true, true},
		{"another EtherType", 13, 0x06, false, false},
		{"TCP", 23, 6, false, false},
		{"a fragment", 20, 0x20, false, false},
		{"not to be fragmented", 20, 0x40, true, true},
		{"a later fragment", 21, 1, false, false},
		{"to another address", 33, 9, false, false},
		{"from another address", 29, 9, true, false},
		{"to another port", 37, 0x55, false, true},
		{"from another port", 35, 0x55, true, false},
		{"a header that is too short", 14, 0x44, false, false},
		{"IPv6 in IPv4", 14, 0x65, false, false},
	};
	static const uint8_t frame[42] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00,
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, 0xc3, 0x50,
		0xc3, 0x51, 0, 8, 0, 0};
	struct ep_range *range = malloc(sizeof(*range));
	struct exc_filter *f = malloc(sizeof(*f));

	(void)state;
	assert_non_null(range);
	assert_non_null(f);
	assert_int_equal(ep_range_parse("50000-50001", "ports", range, NULL), 0);
	for (int initiator = 0; initiator < 2; initiator++) {
		const struct ep_dev_filter cfg = {.range = range,
			.initiator = initiator,
			.local = ip_of("198.18.0.2"),
			.peer = ip_of("198.18.0.1")};

		exc_filter_set(f, &cfg);
		for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
			uint8_t b[42];

			memcpy(b, frame, sizeof(b));
			b[row[i].at] = row[i].value;
			if (exc_filter_takes(f, b, sizeof(b)) !=
				(initiator ? row[i].initiator : row[i].responder))
				fail_msg("%s, %s", row[i].what,
					initiator ? "initiator" : "responder");
		}
		for (size_t len = 0; len < sizeof(frame); len++) {
			uint8_t *exact = malloc(len + 1);

			assert_non_null(exact);
			memcpy(exact, frame, len);
			assert_false(exc_filter_takes(f, exact, len));
			free(exact);
		}
	}
	free(f);
	free(range);
}

/* What a frame begins with behind its MACs, and what becomes of it on a link of VLAN 5 and on one without tags. */
static void
tags_decide_what_the_kernel_is_given(void **state)
{
	static const struct {
		const char *what;
		size_t len; /* Of the frame. */
		uint8_t tag[10];
		enum exc_tag vlan, plain;
	} row[] = {
		{"no tag", 60, {0x08, 0x00, 0x45}, EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"our tag", 64, {0x81, 0x00, 0x00, 0x05, 0x08, 0x00}, EXC_TAG_TAKE_OFF,
			EXC_TAG_LEAVE},
		{"our tag with priority and DEI", 64, {0x81, 0x00, 0xf0, 0x05, 0x08, 0x06},
			EXC_TAG_TAKE_OFF, EXC_TAG_LEAVE},
		{"another tag", 64, {0x81, 0x00, 0x00, 0x06, 0x08, 0x00}, EXC_TAG_OTHER,
			EXC_TAG_LEAVE},
		{"another tag whose low byte is ours", 64, {0x81, 0x00, 0x01, 0x05, 0x08, 0x00},
			EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"a tag of priority alone", 64, {0x81, 0x00, 0xe0, 0x00, 0x08, 0x00}, EXC_TAG_OTHER,
			EXC_TAG_TAKE_OFF},
		{"ours around another one", 68,
			{0x81, 0x00, 0x00, 0x05, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00},
			EXC_TAG_TAKE_OFF, EXC_TAG_LEAVE},
		{"another one around ours", 68,
			{0x81, 0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05, 0x08, 0x00}, EXC_TAG_OTHER,
			EXC_TAG_LEAVE},
		{"priority alone around ours", 68,
			{0x81, 0x00, 0x00, 0x00, 0x81, 0x00, 0x00, 0x05, 0x08, 0x00}, EXC_TAG_OTHER,
			EXC_TAG_TAKE_OFF},
		{"a provider's tag (802.1ad)", 64, {0x88, 0xa8, 0x00, 0x05, 0x08, 0x00},
			EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"a tag and nothing behind it", 18, {0x81, 0x00, 0x00, 0x05, 0x08, 0x00},
			EXC_TAG_TAKE_OFF, EXC_TAG_LEAVE},
		{"a tag without the type behind it", 17, {0x81, 0x00, 0x00, 0x05, 0x08},
			EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"half a tag", 15, {0x81, 0x00, 0x00}, EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"MACs alone", 12, {0}, EXC_TAG_OTHER, EXC_TAG_LEAVE},
		{"nothing", 0, {0}, EXC_TAG_OTHER, EXC_TAG_LEAVE},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		/* Of exactly that length, so that ASan sees a look behind it. */
		uint8_t *frame = calloc(1, row[i].len + 1);

		assert_non_null(frame);
		for (size_t at = 12; at < row[i].len && at < 22; at++)
			frame[at] = row[i].tag[at - 12];
		frame = realloc(frame, row[i].len > 0 ? row[i].len : 1);
		assert_non_null(frame);
		if (exc_tag_look(5, frame, row[i].len) != row[i].vlan ||
			exc_tag_look(0, frame, row[i].len) != row[i].plain)
			fail_msg("%s: VLAN 5 %d, plain %d", row[i].what,
				exc_tag_look(5, frame, row[i].len),
				exc_tag_look(0, frame, row[i].len));
		free(frame);
	}
}

/* Each identifier that there is. */
static void
a_tag_that_was_put_on_is_the_one_that_is_taken_off(void **state)
{
	(void)state;
	for (uint16_t id = 1; id <= 4094; id++) {
		uint8_t plain[60], tagged[EXC_TAG_BYTES + 60];

		for (size_t i = 0; i < sizeof(plain); i++)
			plain[i] = (uint8_t)(i + id);
		memcpy(tagged + EXC_TAG_BYTES, plain, sizeof(plain));
		exc_tag_put_on(id, tagged);
		assert_memory_equal(tagged, plain, 12);
		assert_memory_equal(tagged + 16, plain + 12, sizeof(plain) - 12);
		assert_int_equal(exc_tag_look(id, tagged, sizeof(tagged)), EXC_TAG_TAKE_OFF);
		assert_int_equal(
			exc_tag_look(id % 4094 + 1, tagged, sizeof(tagged)), EXC_TAG_OTHER);
		exc_tag_take_off(tagged);
		assert_memory_equal(tagged + EXC_TAG_BYTES, plain, sizeof(plain));
	}
}

/* --- A link of a VLAN: a packet socket at the tap's other end --- */

#define VLAN_ID 5
#define ARP_BYTES 42
#define ARP_OPERATION 20

static int
packet_open(const struct rig *r)
{
	const struct timeval wait = {.tv_sec = 5};
	const int on = 1;
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd;

	assert_int_equal(setns(r->far_fd, CLONE_NEWNET), 0);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	sll.sll_ifindex = (int)if_nametoindex("epfar");
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(setns(r->near_fd, CLONE_NEWNET), 0);
	return fd;
}

/* Who has 198.18.0.2? Tell 198.18.0.9; with these bytes between MACs and EtherType. */
static void
arp_ask(int fd, const uint8_t *tags, size_t tags_bytes)
{
	static const uint8_t arp[ARP_BYTES - 12] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0, 0,
		0, 0, 9, 198, 18, 0, 9, 0, 0, 0, 0, 0, 0, 198, 18, 0, 2};
	uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 9};

	if (tags_bytes > 0)
		memcpy(frame + 12, tags, tags_bytes);
	memcpy(frame + 12 + tags_bytes, arp, sizeof(arp));
	assert_int_equal(send(fd, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
}

/* The next frame from the device: its length without the tag, and the tag as the kernel took it off; -1: none. */
static ssize_t
packet_take(int fd, uint8_t *frame, size_t room, int *tag)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct sockaddr_ll from;
	struct iovec iov = {.iov_base = frame, .iov_len = room};
	struct msghdr msg = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	do {
		msg.msg_namelen = sizeof(from);
		msg.msg_controllen = sizeof(control.bytes);
		n = recvmsg(fd, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.sll_pkttype == PACKET_OUTGOING));
	*tag = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); n >= 0 && c != NULL;
		c = CMSG_NXTHDR(&msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			*tag = aux.tp_vlan_tci;
	}
	return n;
}

/* Everything up to our answer, which is of the VLAN and large enough without its tag. */
static void
arp_answered(int fd)
{
	uint8_t frame[2048] = {0};
	int tag;

	for (;;) {
		const ssize_t n = packet_take(fd, frame, sizeof(frame), &tag);

		if (n < 0)
			fail_msg("no answer comes: %s", strerror(errno));
		assert_int_equal(tag, VLAN_ID);
		assert_true(n >= 60);
		if (frame[12] == 0x08 && frame[13] == 0x06 && frame[ARP_OPERATION + 1] == 2)
			return;
	}
}

/* With the device kept and with it lent: what is of the VLAN is answered, with its tag, and nothing else reaches the kernel. */
static void
a_link_of_a_vlan_has_its_tag_on_every_frame(void **state)
{
	static const uint8_t ours[] = {0x81, 0, 0, VLAN_ID}, priority[] = {0x81, 0, 0xe0, VLAN_ID},
			     other[] = {0x81, 0, 0, 6}, none[] = {0x81, 0, 0, 0},
			     twice[] = {0x81, 0, 0, 6, 0x81, 0, 0, VLAN_ID};
	struct ep_exc_count before, after;
	struct rig r;
	int fd;

	(void)state;
	rig_open_vlan(&r, VLAN_ID);
	fd = packet_open(&r);
	for (int lent = 0; lent <= 1; lent++) {
		if (lent)
			lend(&r);
		ep_exc_count(r.exc, &before);
		arp_ask(fd, other, sizeof(other));
		arp_ask(fd, none, sizeof(none));
		arp_ask(fd, twice, sizeof(twice));
		arp_ask(fd, NULL, 0);
		/* The last in the row; whoever answered one of those before it would be heard first. */
		arp_ask(fd, priority, sizeof(priority));
		arp_answered(fd);
		arp_ask(fd, ours, sizeof(ours));
		arp_answered(fd);
		ep_exc_count(r.exc, &after);
		/* The far kernel may have a word of its own, without a tag. */
		assert_in_range(after.other_vlan - before.other_vlan, 4, 20);
		assert_int_equal(after.to_kernel - before.to_kernel, 2);
		assert_int_equal(after.dropped, 0);
		if (lent)
			keep(&r);
	}
	close(fd);
	rig_close(&r);
}

static int
setup(void **state)
{
	const struct ep_dev_eal_cfg eal = {.memory_mib = 256};

	(void)state;
	return ep_dev_eal_init(&eal, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_takes_whole_udp_to_its_ports_alone),
		cmocka_unit_test(tags_decide_what_the_kernel_is_given),
		cmocka_unit_test(a_tag_that_was_put_on_is_the_one_that_is_taken_off),
		cmocka_unit_test(a_link_of_a_vlan_has_its_tag_on_every_frame),
		cmocka_unit_test(interface_is_as_it_was_asked_for),
		cmocka_unit_test(frames_cross_each_change_of_hands_once),
		cmocka_unit_test(filter_keeps_the_ports_of_a_session_from_the_kernel),
		cmocka_unit_test(an_idle_path_sleeps),
		cmocka_unit_test(what_cannot_be_is_one_sentence),
	};

	if (geteuid() != 0) {
		const bool required = getenv("EP_LAB_REQUIRED") != NULL;

		printf("1..0 # SKIP needs root for network namespaces\n");
		return required ? 1 : EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
