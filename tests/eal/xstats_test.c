/* Counters of a device by name: DPDK's extended statistics through a double at their border, and the kernel's of a real veth pair. */

#include "veth.h"

#include <ep_dev.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/** The double's statistics, as many as are named; 0 names: the real ones. */
static struct {
	const char *name[4];
	uint64_t value[4];
	int count;
	int grow_at; /* At this question for the number there is one more than the answer before it; 0: never. */
	int asked;
	int error; /* Of the values. */
} fake;

int __real_rte_eth_xstats_get_names_by_id(
	uint16_t port, struct rte_eth_xstat_name *names, unsigned int size, uint64_t *ids);
int __wrap_rte_eth_xstats_get_names_by_id(
	uint16_t port, struct rte_eth_xstat_name *names, unsigned int size, uint64_t *ids);
int
__wrap_rte_eth_xstats_get_names_by_id(
	uint16_t port, struct rte_eth_xstat_name *names, unsigned int size, uint64_t *ids)
{
	if (fake.count == 0)
		return __real_rte_eth_xstats_get_names_by_id(port, names, size, ids);
	if (names == NULL && ++fake.asked == fake.grow_at)
		return fake.count - 1;
	if (names == NULL || size < (unsigned int)fake.count)
		return fake.count;
	for (int i = 0; i < fake.count; i++)
		snprintf(names[i].name, sizeof(names[i].name), "%s", fake.name[i]);
	return fake.count;
}

int __real_rte_eth_xstats_get_by_id(
	uint16_t port, const uint64_t *ids, uint64_t *values, unsigned int size);
int __wrap_rte_eth_xstats_get_by_id(
	uint16_t port, const uint64_t *ids, uint64_t *values, unsigned int size);
int
__wrap_rte_eth_xstats_get_by_id(
	uint16_t port, const uint64_t *ids, uint64_t *values, unsigned int size)
{
	if (fake.count == 0)
		return __real_rte_eth_xstats_get_by_id(port, ids, values, size);
	if (fake.error != 0)
		return -fake.error;
	for (int i = 0; i < fake.count && i < (int)size; i++)
		values[i] = fake.value[i];
	return fake.count;
}

static struct ep_dev *
open_dev(const char *text)
{
	struct ep_dev_cfg cfg = {.queue_pairs = 0, .ring_descs = 64, .mtu_frame_bytes = 1518};
	struct ep_err err = {0};
	struct ep_dev *dev;

	assert_int_equal(ep_dev_spec_parse(text, &cfg.spec, NULL), 0);
	if (ep_dev_open(&cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	return dev;
}

/* By how much a counter grew; 0: not at all. */
static uint64_t
growth(const struct ep_nic_changes *changes, enum ep_nic_source source, const char *name)
{
	for (uint32_t i = 0; i < changes->count; i++)
		if (changes->change[i].source == source &&
			strcmp(changes->change[i].name, name) == 0)
			return changes->change[i].count;
	return 0;
}

static void
statistics_of_a_driver_are_read_by_name(void **state)
{
	struct ep_dev *dev = open_dev("net_null0");
	struct ep_nic_sample before = {0}, after = {0};
	struct ep_nic_changes changes;

	(void)state;
	fake.count = 3;
	fake.name[0] = "rx_good_packets";
	fake.name[1] = "pps_allowance_exceeded";
	fake.name[2] = "rx_out_of_buffer";
	fake.value[2] = 1;
	assert_int_equal(ep_dev_xstats(dev, &before), 0);
	assert_string_equal(before.driver, "net_null");
	assert_int_equal(before.count, 3);
	fake.value[1] = 77;
	fake.value[2] = 5;
	assert_int_equal(ep_dev_xstats(dev, &after), 0);
	ep_nic_diff(&before, &after, &changes);
	assert_true(changes.known);
	assert_int_equal(changes.count, 2);
	assert_int_equal(growth(&changes, EP_NIC_DPDK, "pps_allowance_exceeded"), 77);
	assert_int_equal(growth(&changes, EP_NIC_DPDK, "rx_out_of_buffer"), 4);
	ep_nic_sample_fini(&before);
	ep_nic_sample_fini(&after);
	memset(&fake, 0, sizeof(fake));
	ep_dev_close(dev);
}

static void
statistics_that_change_in_number_are_asked_for_again(void **state)
{
	struct ep_dev *dev = open_dev("net_null0");
	struct ep_nic_sample sample = {0};

	(void)state;
	fake.count = 2;
	fake.name[0] = "a";
	fake.name[1] = "b";
	fake.grow_at = 1;
	assert_int_equal(ep_dev_xstats(dev, &sample), 0);
	assert_int_equal(sample.count, 2);
	assert_int_equal(fake.asked, 2);
	fake.error = EIO;
	assert_int_equal(ep_dev_xstats(dev, &sample), -EIO);
	assert_false(sample.known);
	assert_int_equal(sample.count, 0);
	ep_nic_sample_fini(&sample);
	memset(&fake, 0, sizeof(fake));
	ep_dev_close(dev);
}

static void
real_statistics_of_a_port_are_read(void **state)
{
	struct ep_dev *dev = open_dev("net_null0,size=96");
	struct ep_nic_sample before = {0}, after = {0};
	struct ep_nic_changes changes;
	struct ep_dev_info info;
	struct rte_mbuf *burst[8];

	(void)state;
	ep_dev_info(dev, &info);
	assert_int_equal(ep_dev_xstats(dev, &before), 0);
	assert_int_equal(rte_eth_rx_burst(info.port_id, 0, burst, 8), 8);
	rte_pktmbuf_free_bulk(burst, 8);
	assert_int_equal(ep_dev_xstats(dev, &after), 0);
	ep_nic_diff(&before, &after, &changes);
	assert_int_equal(growth(&changes, EP_NIC_DPDK, "rx_good_packets"), 8);
	ep_nic_sample_fini(&before);
	ep_nic_sample_fini(&after);
	ep_dev_close(dev);
}

/* The far end sends 5 datagrams: the kernel's counters have them, and under native XDP those of veth's queue as well. */
static void
counters_of_a_kernel_interface_are_the_kernels(void **state)
{
	const struct veth *veth = *state;
	struct ep_nic_sample before = {0}, after = {0};
	struct ep_nic_changes changes;
	struct ep_dev *dev;
	int far;

	if (geteuid() != 0) {
		assert_null(getenv("EP_LAB_REQUIRED"));
		skip();
	}
	dev = open_dev(VETH_NEAR);
	far = veth_far_udp(veth, VETH_FAR_IPV4, 0);
	assert_int_equal(ep_dev_xstats(dev, &before), 0);
	assert_string_equal(before.driver, "veth");
	for (int i = 0; i < 5; i++)
		veth_send(far, VETH_NEAR_IPV4, 40000, "x", 1);
	usleep(100000);
	assert_int_equal(ep_dev_xstats(dev, &after), 0);
	ep_nic_diff(&before, &after, &changes);
	assert_true(growth(&changes, EP_NIC_LINK, "rx_packets") >= 5);
	assert_true(growth(&changes, EP_NIC_ETHTOOL, "rx_queue_0_xdp_packets") >= 5);
	assert_int_equal(ep_nic_own(&changes, EP_NIC_BOTH, 0), 0);
	ep_nic_sample_fini(&before);
	ep_nic_sample_fini(&after);
	close(far);
	ep_dev_close(dev);
}

int
main(void)
{
	static struct veth veth;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statistics_of_a_driver_are_read_by_name),
		cmocka_unit_test(statistics_that_change_in_number_are_asked_for_again),
		cmocka_unit_test(real_statistics_of_a_port_are_read),
		cmocka_unit_test_prestate(counters_of_a_kernel_interface_are_the_kernels, &veth),
	};
	const struct ep_dev_eal_cfg eal = {.memory_mib = 256};
	struct ep_err err;
	int failed;

	if (geteuid() == 0)
		veth_make(&veth);
	if (ep_dev_eal_init(&eal, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ep_dev_eal_fini();
	return failed;
}
