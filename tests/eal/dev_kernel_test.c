/*
 * Devices that are a kernel interface: what the filter takes and what it leaves, that nothing stays behind, and that drops are counted.
 */

#include "near.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const kinds[] = {VETH_NEAR, "af_packet:" VETH_NEAR};

/* --- What the filter takes -------------------------------------------------------------------- */

static void
filter_takes_the_range_only_while_armed(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV4);
		near_expect_device(f, dev, VETH_NEAR_IPV4, 50000);
		near_expect_device(f, dev, VETH_NEAR_IPV4, 50009);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4, 49999);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4, 50010);
		assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV4));
		assert_true(veth_far_pings(&f->veth, VETH_NEAR_IPV6));
		ep_dev_disarm(dev);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV4);
		near_expect_device(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
		ep_dev_close(dev);
		near_expect_clean();
	}
}

static void
filter_takes_its_address_only_or_any(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		near_arm(f, dev, VETH_NEAR_IPV4);
		near_expect_kernel(f, dev, VETH_NEAR2_IPV4, NEAR_IN_RANGE);
		near_expect_kernel(f, dev, VETH_NEAR_IPV6, NEAR_IN_RANGE);
		near_arm(f, dev, VETH_NEAR_IPV6);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
		near_expect_device(f, dev, VETH_NEAR_IPV6, NEAR_IN_RANGE);
		near_expect_kernel(f, dev, VETH_NEAR_IPV6, NEAR_OUTSIDE);
		near_arm(f, dev, NULL);
		near_expect_device(f, dev, VETH_NEAR2_IPV4, NEAR_IN_RANGE);
		near_expect_device(f, dev, VETH_NEAR_IPV6, NEAR_IN_RANGE);
		ep_dev_close(dev);
	}
}

static void
filter_of_an_initiator_judges_peer_and_source_port(void **state)
{
	const struct fixture *f = *state;
	struct ep_dev_filter filter = {.initiator = true, .range = &f->range};
	const int sender = veth_far_udp(&f->veth, VETH_FAR_IPV4, NEAR_IN_RANGE);
	const int near = veth_udp(VETH_NEAR_IPV4, NEAR_OUTSIDE);
	char data[16];

	assert_int_equal(ep_wire_ip_parse(VETH_NEAR_IPV4, &filter.local, NULL), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);

		assert_int_equal(ep_wire_ip_parse(VETH_FAR_IPV4, &filter.peer, NULL), 0);
		assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
		veth_send(sender, VETH_NEAR_IPV4, NEAR_OUTSIDE, "device", 6);
		assert_true(near_receives(dev));
		near_settle(f);
		assert_int_equal(recv(near, data, sizeof(data), 0), -1);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4,
			NEAR_IN_RANGE); /* range as destination, not as source */

		assert_int_equal(ep_wire_ip_parse("198.18.0.99", &filter.peer, NULL), 0);
		assert_int_equal(ep_dev_arm(dev, &filter, NULL), 0);
		veth_send(sender, VETH_NEAR_IPV4, NEAR_OUTSIDE, "kernel", 6);
		assert_true(veth_receives(near));
		assert_int_equal(near_drain(dev), 0);
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
		const int near = veth_udp(VETH_NEAR_IPV4, NEAR_IN_RANGE);

		near_arm(f, dev, VETH_NEAR_IPV4);
		veth_send(f->far4, VETH_NEAR_IPV4, NEAR_IN_RANGE, big, sizeof(big));
		assert_true(veth_receives(near));
		if (i == 0)
			assert_int_equal(near_drain(dev), 0);
		else
			near_drain(dev); /* the driver's sockets ask for whole datagrams */
		close(near);

		assert_int_equal(
			setsockopt(f->far4, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)), 0);
		near_expect_device(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
		near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_OUTSIDE);
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
		.sin_port = htons(NEAR_IN_RANGE),
		.sin_addr.s_addr = inet_addr(VETH_NEAR_IPV4)};

	assert_int_equal(connect(far, (const struct sockaddr *)&to, sizeof(to)), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		char data[16];

		assert_int_equal(send(far, "a", 1, 0), 1);
		assert_true(veth_receives(far)); /* unarmed: port unreachable */
		near_arm(f, dev, VETH_NEAR_IPV4);
		assert_int_equal(send(far, "b", 1, 0), 1);
		assert_true(near_receives(dev));
		near_settle(f);
		assert_int_equal(recv(far, data, sizeof(data), 0), -1);
		assert_int_equal(errno, EAGAIN);
		ep_dev_close(dev);
	}
	close(far);
}

/* --- Sending ----------------------------------------------------------------------------------- */

/* Nothing that this host sends, by the device or by the kernel, comes back as received. */
static void
device_sends_and_does_not_hear_itself(void **state)
{
	const struct fixture *f = *state;
	const int far = veth_far_udp(&f->veth, VETH_FAR_IPV4, NEAR_IN_RANGE);
	const int near = veth_udp(VETH_NEAR_IPV4, NEAR_OUTSIDE);

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct ep_dev *dev = near_open(kinds[i]);
		struct ep_dev_stats stats;
		struct ep_dev_info info;
		struct rte_mbuf *m;

		ep_dev_info(dev, &info);
		near_arm(f, dev, NULL);
		m = near_frame(dev, NEAR_IN_RANGE);
		assert_int_equal(rte_eth_tx_burst(info.port_id, 0, &m, 1), 1);
		assert_true(veth_receives(far));
		veth_send(near, VETH_FAR_IPV4, NEAR_IN_RANGE, "kernel", 6);
		assert_true(veth_receives(far));
		near_settle(f);
		assert_int_equal(near_drain(dev), 0);
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
			veth_send(f->far4, VETH_NEAR_IPV4, NEAR_IN_RANGE, "drop", 4);
		near_settle(f);
		ep_dev_stats(dev, &stats); /* AF_PACKET: the kernel forgets what was read */
		received = near_drain(dev);
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
	struct rte_mbuf *burst[NEAR_BURST];
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
	for (; tried < 4 * NEAR_BURST; tried += NEAR_BURST) {
		uint16_t n;

		for (unsigned int i = 0; i < NEAR_BURST; i++)
			burst[i] = near_frame(dev, NEAR_IN_RANGE);
		n = rte_eth_tx_burst(info.port_id, 0, burst, NEAR_BURST);
		rte_pktmbuf_free_bulk(&burst[n], NEAR_BURST - n);
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
	snprintf(id, sizeof(id), "%u (somebody)", near_xdp_prog_id());
	expect_refused(VETH_NEAR, -EBUSY, id);
	ep_dev_close(near_open("af_packet:" VETH_NEAR));
	assert_int_not_equal(near_xdp_prog_id(), 0);
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
	const uint64_t end_ms = near_now_ms() + NEAR_DEADLINE_MS;
	const int descs = 64;

	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &descs, sizeof(descs)), 0);
	assert_int_equal(
		setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &descs, sizeof(descs)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_RX_RING, &descs, sizeof(descs)), 0);
	while (bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		assert_int_equal(errno, EBUSY);
		assert_true(near_now_ms() < end_ms);
	}
	return fd;
}

static void
a_queue_that_somebody_holds_is_named(void **state)
{
	const int fd = foreign_socket();

	(void)state;
	expect_refused(VETH_NEAR, -EBUSY, "queue 0 is occupied by an AF_XDP socket");
	near_expect_clean();
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
	near_expect_clean();
}

static void
foreign_qdisc_is_kept(void **state)
{
	(void)state;
	assert_int_equal(veth_run("tc qdisc add dev " VETH_NEAR " clsact"), 0);
	ep_dev_close(near_open("af_packet:" VETH_NEAR));
	assert_true(near_qdisc_is_there());
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
	near_expect_clean();
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
	struct rte_mbuf *burst[NEAR_BURST];
	struct ep_dev *dev;
	uint64_t end_ms;
	uint16_t n = 0;

	mtu_set(f, mtu_bytes);
	cfg.mtu_frame_bytes = mtu_bytes + 18;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	near_arm(f, dev, VETH_NEAR_IPV4);
	veth_send(f->far4, VETH_NEAR_IPV4, NEAR_IN_RANGE, data, mtu_bytes - 28);
	end_ms = near_now_ms() + NEAR_DEADLINE_MS;
	while (n == 0 && near_now_ms() < end_ms)
		n = near_burst(dev, burst);
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

static void
what_a_killed_everyport_left_is_removed_at_the_next_start(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		for (size_t j = 0; j < EP_ARRAY_LEN(kinds); j++) {
			const pid_t pid = near_hold_start(kinds[i]);
			struct ep_dev *dev;

			expect_refused(kinds[j], -EBUSY, "another everyport");
			kill(pid, SIGKILL);
			assert_int_equal(waitpid(pid, NULL, 0), pid);
			assert_true(i == 0 ? near_xdp_prog_id() != 0 : near_qdisc_is_there());

			dev = near_open(kinds[j]);
			near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
			ep_dev_close(dev);
			near_expect_clean();
		}
	}
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
	};

	return near_main(argc, argv, "dev_kernel", tests, EP_ARRAY_LEN(tests));
}
