/* Devices that are a kernel interface with several queues, and what is set on an interface and put back: queues, polling. */

#include "near.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
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
#include <unistd.h>

#include <cmocka.h>

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

/* A frame as near_frame()'s, the other way, from a source port of its own. */
static void
far_frame_send(int fd, const struct ep_dev *dev, uint16_t sport)
{
	struct rte_mbuf *m = near_frame(dev, NEAR_IN_RANGE);
	uint8_t *byte = rte_pktmbuf_mtod(m, uint8_t *);

	byte[34] = (uint8_t)(sport >> 8);
	byte[35] = (uint8_t)sport;
	byte[40] = byte[41] = 0; /* no checksum */
	memcpy(byte, "\x02\0\0\0\x01\x0a\x02\0\0\0\x01\x0b", 12);
	assert_int_equal(send(fd, byte, NEAR_FRAME_BYTES, 0), NEAR_FRAME_BYTES);
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
	const uint64_t end_ms = near_now_ms() + NEAR_DEADLINE_MS;
	struct ep_dev_info info;
	unsigned int all = 0;

	memset(got, 0, 4 * sizeof(*got));
	ep_dev_info(dev, &info);
	while (all < wanted && near_now_ms() < end_ms) {
		for (uint16_t q = 0; q < info.queue_pairs; q++) {
			const struct ep_dev_queue at = ep_dev_queue(dev, q);
			struct rte_mbuf *burst[NEAR_BURST];
			const uint16_t n =
				rte_eth_rx_burst(at.port_id, at.queue_id, burst, NEAR_BURST);

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
		struct rte_mbuf *m = near_frame(dev, (uint16_t)(NEAR_IN_RANGE + q));
		struct pollfd wait = {.fd = far, .events = POLLIN};
		bool seen = false;

		assert_int_equal(rte_eth_tx_burst(at.port_id, at.queue_id, &m, 1), 1);
		while (!seen && poll(&wait, 1, NEAR_DEADLINE_MS) == 1)
			seen = recv(far, frame, sizeof(frame), 0) == NEAR_FRAME_BYTES &&
				frame[36] == (NEAR_IN_RANGE + q) >> 8 &&
				frame[37] == (uint8_t)(NEAR_IN_RANGE + q);
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
	for (const uint64_t end_ms = near_now_ms() + NEAR_DEADLINE_MS; near_now_ms() < end_ms;) {
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
	near_expect_clean();
}

static void
settings_that_a_killed_everyport_left_are_put_back(void **state)
{
	struct ep_dev_cfg cfg = {0};
	pid_t pid;

	(void)state;
	queues_make(4, 2);
	setenv("EP_HOLD_QUEUES", "2", 1);
	pid = near_hold_start("qa");
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
	near_expect_clean();
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
	near_expect_device(f, dev, VETH_NEAR_IPV4, NEAR_IN_RANGE);
	near_expect_kernel(f, dev, VETH_NEAR_IPV4, NEAR_OUTSIDE);
	ep_dev_close(dev);
	assert_true(timer_is("0 0"));
	near_expect_clean();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_of_an_interface_has_a_socket),
		cmocka_unit_test(generic_mode_is_taken_where_the_driver_refuses_native),
		cmocka_unit_test(packets_on_a_queue_without_a_socket_are_counted),
		cmocka_unit_test(number_of_queues_is_set_and_put_back),
		cmocka_unit_test(number_of_queues_that_is_not_to_be_had_is_refused),
		cmocka_unit_test(settings_that_a_killed_everyport_left_are_put_back),
		cmocka_unit_test(busy_polling_is_set_and_put_back),
	};

	return near_main(argc, argv, "dev_queues", tests, EP_ARRAY_LEN(tests));
}
