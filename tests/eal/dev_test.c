/* Devices that need no privilege: the shape of --dev, the start of DPDK, the in-memory pair, vdevs, refusals. */

#include <ep_dev.h>

/* What DPDK is started with, too. */
#include "../../lib/dev/eal_args.h"

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BURST 32
#define RING 64

static struct ep_dev_cfg
memory_cfg(uint16_t queue_pairs)
{
	return (struct ep_dev_cfg){
		.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = queue_pairs,
		.ring_descs = RING,
		.mtu_frame_bytes = 1518,
	};
}

static struct ep_dev_cfg
vdev_cfg(const char *text)
{
	struct ep_dev_cfg cfg = memory_cfg(1);

	assert_int_equal(ep_dev_spec_parse(text, &cfg.spec, NULL), 0);
	return cfg;
}

/* --- Shape ---------------------------------------------------------------------------------- */

static void
spec_tells_devices_by_their_shape(void **state)
{
	static const struct {
		const char *text;
		enum ep_dev_kind kind;
		const char *ifname;
		const char *vdev;
		const char *pci;
	} row[] = {
		{"eth1", EP_DEV_AF_XDP, "eth1", "", ""},
		{"enp0s31f6.100", EP_DEV_AF_XDP, "enp0s31f6.100", "", ""},
		{"a", EP_DEV_AF_XDP, "a", "", ""},
		{"fifteen_letters", EP_DEV_AF_XDP, "fifteen_letters", "", ""},
		{"af_packet:eth1", EP_DEV_AF_PACKET, "eth1", "", ""},
		{"af_packet", EP_DEV_AF_XDP, "af_packet", "", ""},
		{"net_memif0,role=server", EP_DEV_VDEV, "", "net_memif0,role=server", ""},
		{"net_null0", EP_DEV_VDEV, "", "net_null0", ""},
		{"dead", EP_DEV_AF_XDP, "dead", "", ""},
		{"0000:01:00.0", EP_DEV_PCI, "", "", "0000:01:00.0"},
		{"01:00.7", EP_DEV_PCI, "", "", "0000:01:00.7"},
		{"ABCD:ef:1f.1", EP_DEV_PCI, "", "", "abcd:ef:1f.1"},
		{"1:2.3", EP_DEV_PCI, "", "", "0000:01:02.3"},
		{"10000:e1:00.0", EP_DEV_PCI, "", "", "10000:e1:00.0"},
		{"00000000:01:00.0", EP_DEV_PCI, "", "", "0000:01:00.0"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_dev_spec spec;

		memset(&spec, 0xff, sizeof(spec));
		assert_int_equal(ep_dev_spec_parse(row[i].text, &spec, NULL), 0);
		assert_int_equal(spec.kind, row[i].kind);
		assert_string_equal(spec.ifname, row[i].ifname);
		assert_string_equal(spec.vdev, row[i].vdev);
		assert_string_equal(spec.pci, row[i].pci);
		assert_int_equal(ep_dev_spec_is_kernel(&spec), row[i].ifname[0] != '\0');
	}
}

static void
spec_refuses_what_is_no_device(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *says;
	} row[] = {
		{"", -EINVAL, "empty"},
		{"sixteen_letters_", -EINVAL, "15 characters"},
		{"af_packet:", -EINVAL, "not the name"},
		{"af_packet:sixteen_letters_", -EINVAL, "15 characters"},
		{"afpacket:eth1", -EINVAL, "af_packet:INTERFACE"},
		{"../eth1", -EINVAL, "not the name"},
		{"..", -EINVAL, "not the name"},
		{"eth 1", -EINVAL, "not the name"},
		{"0000:01:20.0", -EINVAL, "not a PCI address"},
		{"0000:01:00.8", -EINVAL, "function 0 to 7"},
		{"0000:01:00", -EINVAL, "not a PCI address"},
		{"0000:01:00.", -EINVAL, "not a PCI address"},
		{"0000:01:00.0.", -EINVAL, "not a PCI address"},
		{"0000:01:00.00", -EINVAL, "not a PCI address"},
		{"000000000:01:00.0", -EINVAL, "not a PCI address"},
		{"0000:001:00.0", -EINVAL, "not a PCI address"},
		{":01:00.0", -EINVAL, "not a PCI address"},
		{"0:0:1:0.0", -EINVAL, "not a PCI address"},
		{"01:00.0,x=1", -EINVAL, "not the name"},
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_dev_spec spec = {.ifname = "kept"};
		struct ep_err err = {0};

		assert_int_equal(ep_dev_spec_parse(row[i].text, &spec, &err), row[i].code);
		assert_int_equal(err.code, row[i].code);
		assert_non_null(strstr(err.text, row[i].says));
		assert_non_null(strstr(err.text, row[i].text));
		assert_string_equal(spec.ifname, "kept");
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "net_", 4);
	longest[256] = '\0';
	assert_int_equal(ep_dev_spec_parse(longest, &(struct ep_dev_spec){0}, NULL), -EINVAL);
	longest[255] = '\0';
	assert_int_equal(ep_dev_spec_parse(longest, &(struct ep_dev_spec){0}, NULL), 0);
}

/* --- DPDK's environment --------------------------------------------------------------------- */

/* Start DPDK in a child with its stdout in a pipe. Returns -errno of the start; what it printed into @p text. */
static int
eal_init_in_child(const struct ep_dev_eal_cfg *cfg, struct ep_err *err, char *text, size_t len)
{
	int out[2], said[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(said), 0);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		freopen("/dev/null", "w", stderr);
		ep_dev_eal_init(cfg, err);
		fflush(stdout);
		n = write(said[1], err, sizeof(*err));
		_exit(n == sizeof(*err) ? 0 : 1);
	}
	close(out[1]);
	close(said[1]);
	assert_int_equal(read(said[0], err, sizeof(*err)), sizeof(*err));
	n = read(out[0], text, len - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(out[0]);
	close(said[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return err->code;
}

static void
eal_refuses_what_it_cannot_have_and_keeps_stdout_clean(void **state)
{
	static const uint16_t no_core[] = {1023};
	static const struct ep_dev_spec no_nic[] = {
		{.kind = EP_DEV_VDEV, .vdev = "net_null0"},
		{.kind = EP_DEV_PCI, .pci = "ffff:ff:1f.7"},
	};
	const struct {
		struct ep_dev_eal_cfg cfg;
		int code;
		const char *says;
	} row[] = {
		{{.memory_mib = 64, .extra_args = "--nosuch"}, -EINVAL, "--nosuch"},
		{{.memory_mib = 64, .extra_args = " -h"}, -EINVAL, "-h"},
		{{.memory_mib = 64, .extra_args = "--help"}, -EINVAL, "--help"},
		{{.memory_mib = 64, .worker_count = 1, .cores = no_core}, -EINVAL, "1023"},
		{{.memory_mib = 64, .worker_count = RTE_MAX_LCORE}, -EINVAL, "workers"},
		{{.memory_mib = 900000000}, -ENOMEM, "900000000 MiB"},
		{{.memory_mib = 64, .dev = no_nic, .dev_count = 2}, -ENODEV,
			"ffff:ff:1f.7: there is no such PCI device"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_err err = {0};
		char text[256];

		assert_int_equal(
			eal_init_in_child(&row[i].cfg, &err, text, sizeof(text)), row[i].code);
		assert_non_null(strstr(err.text, row[i].says));
		assert_string_equal(text, "");
	}
}

static void
eal_leaves_memory_and_cores_to_the_user_who_names_them(void **state)
{
	const struct ep_dev_eal_cfg cfg = {
		.memory_mib = 900000000, .worker_count = 1, .extra_args = "--no-huge -m 64 -l 0"};
	struct ep_err err = {0};
	char text[256];

	(void)state;
	assert_int_equal(eal_init_in_child(&cfg, &err, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

/* Whatever this host has: a PCI device takes huge pages, and of no memory there is enough. */
static void
eal_keeps_huge_pages_in_one_file_for_virtio_user_alone(void **state)
{
	static const struct {
		const char *dev;
		bool one_file;
	} row[] = {
		{"net_virtio_user0,path=s", true},
		{"net_virtio_user1,path=s,server=1,queues=2", true},
		{"net_vhost0,iface=s", false},
		{"net_memif0,socket=s", false},
		{"0000:02:00.0", false},
	};
	cpu_set_t allowed;

	(void)state;
	assert_int_equal(eal_cpus_allowed(&allowed, NULL), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_dev_spec spec[2];
		const struct ep_dev_eal_cfg cfg = {.dev = spec, .dev_count = 2};
		struct eal_args args = {0};
		bool huge = false, one_file = false;

		assert_int_equal(ep_dev_spec_parse("0000:01:00.0", &spec[0], NULL), 0);
		assert_int_equal(ep_dev_spec_parse(row[i].dev, &spec[1], NULL), 0);
		assert_int_equal(eal_args_build(&args, &cfg, &allowed, NULL), 0);
		for (int k = 0; k < args.count; k++) {
			huge |= strcmp(args.text[k], "--in-memory") == 0;
			one_file |= strcmp(args.text[k], "--single-file-segments") == 0;
		}
		assert_true(huge);
		assert_int_equal(one_file, row[i].one_file);
		eal_args_fini(&args);
	}
}

static void
eal_starts_once_with_the_workers_asked_for(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 128, .worker_count = 3};
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_dev_eal_init(&cfg, &err), 0);
	assert_int_equal(rte_lcore_count(), 4);
	assert_int_equal(ep_dev_eal_init(&cfg, &err), -EALREADY);
	assert_non_null(strstr(err.text, "already"));
	assert_memory_equal(ep_dev_dpdk_version(), "DPDK ", 5);
}

/* --- In-memory pair -------------------------------------------------------------------------- */

static uint16_t
port_of(const struct ep_dev *dev)
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	return info.port_id;
}

/* Send @p count packets that carry @p first and up, at most BURST. */
static void
send_numbers(const struct ep_dev *dev, uint16_t queue, uint32_t first, uint16_t count)
{
	struct rte_mbuf *burst[BURST];

	assert_int_equal(rte_pktmbuf_alloc_bulk(ep_dev_pool(dev, queue), burst, count), 0);
	for (uint16_t i = 0; i < count; i++)
		*(uint32_t *)rte_pktmbuf_append(burst[i], 60) = first + i;
	assert_int_equal(rte_eth_tx_burst(port_of(dev), queue, burst, count), count);
}

static void
expect_numbers(struct rte_mbuf **burst, uint16_t got, uint32_t first, uint16_t count)
{
	assert_int_equal(got, count);
	for (uint16_t i = 0; i < count; i++)
		assert_int_equal(*rte_pktmbuf_mtod(burst[i], uint32_t *), first + i);
	rte_pktmbuf_free_bulk(burst, got);
}

static void
receive_numbers(const struct ep_dev *dev, uint16_t queue, uint32_t first, uint16_t count)
{
	struct rte_mbuf *burst[BURST];

	expect_numbers(burst, rte_eth_rx_burst(port_of(dev), queue, burst, BURST), first, count);
}

static void
pair_carries_packets_both_ways_on_each_queue(void **state)
{
	const struct ep_dev_cfg cfg = memory_cfg(2);
	struct ep_dev_stats stats;
	struct ep_dev_info info;
	struct ep_dev *dev[2];

	(void)state;
	assert_int_equal(ep_dev_pair_open(&cfg, dev, NULL, NULL), 0);
	for (int end = 0; end < 2; end++)
		for (uint16_t q = 0; q < 2; q++)
			send_numbers(dev[end], q, 1000u * (uint32_t)end + 100u * q, 7);
	for (int end = 0; end < 2; end++) {
		for (uint16_t q = 0; q < 2; q++)
			receive_numbers(dev[end], q, 1000u * (uint32_t)(1 - end) + 100u * q, 7);
		receive_numbers(dev[end], 0, 0, 0);
		ep_dev_stats(dev[end], &stats);
		assert_int_equal(stats.opackets, 14);
		assert_int_equal(stats.ipackets, 14);
		assert_int_equal(
			stats.imissed + stats.oerrors + stats.ierrors + stats.rx_nombuf, 0);
		ep_dev_info(dev[end], &info);
		assert_int_equal(info.queue_pairs, 2);
		assert_string_equal(info.driver, "net_ring");
		assert_string_equal(info.mode, "in memory");
		assert_false(info.kernel);
		assert_int_equal(info.mac[5], end);
	}
	ep_dev_close(dev[0]);
	ep_dev_close(dev[1]);
}

static void
pair_holds_exactly_a_ring(void **state)
{
	const struct ep_dev_cfg cfg = memory_cfg(1);
	struct rte_mbuf *one;
	struct ep_dev *dev[2];

	(void)state;
	assert_int_equal(ep_dev_pair_open(&cfg, dev, NULL, NULL), 0);
	send_numbers(dev[0], 0, 0, BURST);
	send_numbers(dev[0], 0, BURST, BURST);
	one = rte_pktmbuf_alloc(ep_dev_pool(dev[0], 0));
	assert_int_equal(rte_eth_tx_burst(port_of(dev[0]), 0, &one, 1), 0);
	rte_pktmbuf_free(one);
	ep_dev_close(dev[0]); /* with packets in the ring */
	ep_dev_close(dev[1]);
}

static void
pair_with_a_wire_leads_through_the_caller(void **state)
{
	const struct ep_dev_cfg cfg = memory_cfg(1);
	struct rte_mbuf *burst[BURST];
	struct ep_dev_wire wire;
	struct ep_dev *dev[2];

	(void)state;
	assert_int_equal(ep_dev_pair_open(&cfg, dev, &wire, NULL), 0);
	for (int end = 0; end < 2; end++) {
		unsigned int n;

		send_numbers(dev[end], 0, 40, 5);
		receive_numbers(dev[1 - end], 0, 0, 0);
		n = rte_ring_dequeue_burst(wire.from[end], (void **)burst, BURST, NULL);
		assert_int_equal(n, 5);
		assert_int_equal(
			rte_ring_enqueue_burst(wire.to[1 - end], (void **)burst, n, NULL), n);
		receive_numbers(dev[1 - end], 0, 40, 5);
		receive_numbers(dev[end], 0, 0, 0);
	}
	ep_dev_close(dev[1]);
	ep_dev_close(dev[0]);
}

static void
pairs_can_be_opened_beside_and_after_each_other(void **state)
{
	const struct ep_dev_cfg cfg = memory_cfg(1);
	struct ep_dev *dev[3][2];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < EP_ARRAY_LEN(dev); i++)
			assert_int_equal(ep_dev_pair_open(&cfg, dev[i], NULL, NULL), 0);
		send_numbers(dev[1][0], 0, 9, 3);
		receive_numbers(dev[0][1], 0, 0, 0);
		receive_numbers(dev[1][1], 0, 9, 3);
		for (size_t i = 0; i < EP_ARRAY_LEN(dev); i++) {
			ep_dev_close(dev[i][0]);
			ep_dev_close(dev[i][1]);
		}
	}
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void
pair_refuses_bad_configurations_and_leaves_nothing(void **state)
{
	struct ep_dev_cfg cfg[] = {memory_cfg(1), memory_cfg(1), memory_cfg(1), memory_cfg(1),
		memory_cfg(17), memory_cfg(1)};
	static const int code[] = {-EINVAL, -EINVAL, -EINVAL, -ENOMEM, -EINVAL, -ENOTSUP};
	struct ep_dev_wire wire;
	struct ep_dev *dev[2];

	(void)state;
	cfg[0].ring_descs = 32;
	cfg[1].ring_descs = 100;
	cfg[2].ring_descs = 8192;
	cfg[3].pool_mbufs = 1000000;
	cfg[5].offload_checksum = true;
	for (size_t i = 0; i < EP_ARRAY_LEN(cfg); i++) {
		struct ep_err err = {0};

		assert_int_equal(ep_dev_pair_open(&cfg[i], dev, NULL, &err), code[i]);
		assert_int_equal(err.code, code[i]);
		assert_int_not_equal(err.text[0], '\0');
	}
	cfg[0] = memory_cfg(2);
	assert_int_equal(ep_dev_pair_open(&cfg[0], dev, &wire, NULL), -EINVAL);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void
arm_and_disarm_do_nothing_where_no_kernel_shares(void **state)
{
	const struct ep_dev_cfg cfg = memory_cfg(1);
	struct ep_dev *dev[2];

	(void)state;
	assert_int_equal(ep_dev_pair_open(&cfg, dev, NULL, NULL), 0);
	assert_int_equal(ep_dev_arm(dev[0], &(struct ep_dev_filter){0}, NULL), 0);
	ep_dev_disarm(dev[0]);
	send_numbers(dev[1], 0, 5, 1);
	receive_numbers(dev[0], 0, 5, 1);
	ep_dev_close(dev[0]);
	ep_dev_close(dev[1]);
	ep_dev_close(NULL);
}

/* --- Others ----------------------------------------------------------------------------------- */

static void
vdev_is_opened_by_name_and_arguments(void **state)
{
	struct ep_dev_cfg cfg = vdev_cfg("net_null7,size=96");
	struct rte_mbuf *burst[BURST];
	struct ep_dev_info info;
	struct ep_dev_stats stats;
	struct ep_dev *dev, *second;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), 0);
	ep_dev_info(dev, &info);
	assert_string_equal(info.name, "net_null7,size=96");
	assert_string_equal(info.driver, "net_null");
	assert_int_equal(info.speed_bps, 0);
	assert_int_equal(rte_eth_rx_burst(info.port_id, 0, burst, 4), 4);
	assert_int_equal(burst[0]->pkt_len, 96);
	rte_pktmbuf_free_bulk(burst, 4);
	ep_dev_stats(dev, &stats);
	assert_int_equal(stats.ipackets, 4);

	assert_int_equal(ep_dev_open(&cfg, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "net_null7"));
	ep_dev_close(dev);
	assert_int_equal(ep_dev_open(&cfg, &second, &err), 0);
	ep_dev_close(second);
}

static void
a_tag_of_a_vlan_counts_in_no_mtu(void **state)
{
	static const struct {
		uint32_t frame_bytes;
		uint16_t tag_bytes;
		uint32_t mtu_bytes;
	} row[] = {
		{64, 0, 1500},
		{1518, 0, 1500},
		{1519, 0, 1501},
		{68, 4, 1500},
		{1522, 4, 1500},
		{1523, 4, 1501},
		{9018, 0, 9000},
		{9022, 4, 9000},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_dev_cfg cfg = vdev_cfg("net_null7");
		struct ep_dev_info info;
		struct ep_dev *dev;

		cfg.mtu_frame_bytes = row[i].frame_bytes;
		cfg.tag_bytes = row[i].tag_bytes;
		assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
		ep_dev_info(dev, &info);
		assert_int_equal(info.mtu_bytes, row[i].mtu_bytes);
		ep_dev_close(dev);
	}
}

static void
open_says_what_is_wrong_with_a_device(void **state)
{
	static const struct {
		const char *dev;
		int code;
		const char *says;
	} row[] = {
		{"nosuch0", -ENODEV, "nosuch0"},
		{"af_packet:nosuch0", -ENODEV, "nosuch0"},
		{"lo", -EINVAL, "loopback"},
		{"af_packet:lo", -EINVAL, "loopback"},
		{"net_nosuch0", -ENODEV, "net_nosuch0"},
		{"net_null0,nosuch=1", -ENODEV, "nosuch=1"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const struct ep_dev_cfg cfg = vdev_cfg(row[i].dev);
		struct ep_err err = {0};
		struct ep_dev *dev;

		assert_int_equal(ep_dev_open(&cfg, &dev, &err), row[i].code);
		assert_int_equal(err.code, row[i].code);
		assert_non_null(strstr(err.text, row[i].says));
	}
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void
open_refuses_a_checksum_offload_that_is_not_there(void **state)
{
	struct ep_dev_cfg cfg = vdev_cfg("net_null0");
	struct ep_err err = {0};
	struct ep_dev *dev;

	(void)state;
	cfg.offload_checksum = true;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "checksum"));
	cfg.offload_checksum = false;
	cfg.spec.kind = EP_DEV_MEMORY;
	assert_int_equal(ep_dev_open(&cfg, &dev, &err), -EINVAL);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

int
main(void)
{
	/* The order counts: DPDK starts once in a process, and a child must not inherit a started one. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_tells_devices_by_their_shape),
		cmocka_unit_test(spec_refuses_what_is_no_device),
		cmocka_unit_test(eal_refuses_what_it_cannot_have_and_keeps_stdout_clean),
		cmocka_unit_test(eal_leaves_memory_and_cores_to_the_user_who_names_them),
		cmocka_unit_test(eal_keeps_huge_pages_in_one_file_for_virtio_user_alone),
		cmocka_unit_test(eal_starts_once_with_the_workers_asked_for),
		cmocka_unit_test(pair_carries_packets_both_ways_on_each_queue),
		cmocka_unit_test(pair_holds_exactly_a_ring),
		cmocka_unit_test(pair_with_a_wire_leads_through_the_caller),
		cmocka_unit_test(pairs_can_be_opened_beside_and_after_each_other),
		cmocka_unit_test(pair_refuses_bad_configurations_and_leaves_nothing),
		cmocka_unit_test(arm_and_disarm_do_nothing_where_no_kernel_shares),
		cmocka_unit_test(vdev_is_opened_by_name_and_arguments),
		cmocka_unit_test(a_tag_of_a_vlan_counts_in_no_mtu),
		cmocka_unit_test(open_says_what_is_wrong_with_a_device),
		cmocka_unit_test(open_refuses_a_checksum_offload_that_is_not_there),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	ep_dev_eal_fini();
	return failed;
}
