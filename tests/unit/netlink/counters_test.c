/* Counters of an interface's driver, through a double in the place of ethtool. */

#include <ep_netlink.h>

#include <errno.h>
#include <linux/ethtool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/** A driver: how many counters it has at each question, and which command fails. */
struct driver {
	uint32_t count
		[8]; /**< At each question that has their number in its answer; the last goes on. */
	uint32_t asked;
	uint32_t fails; /**< This command, */
	int error;      /**< with this. */
};

static uint32_t
driver_count(struct driver *d)
{
	const uint32_t at = d->asked < 7 ? d->asked : 7;

	d->asked++;
	return d->count[at];
}

static void
driver_names(struct ethtool_gstrings *names, uint32_t count)
{
	for (uint32_t i = 0; i < names->len && i < count; i++) {
		uint8_t *name = names->data + (size_t)i * ETH_GSTRING_LEN;
		char number[16];

		/* The kernel's names need not end with a NUL. */
		memset(name, 'x', ETH_GSTRING_LEN);
		snprintf(number, sizeof(number), "%05u", i);
		memcpy(name, number, 5);
	}
	names->len = count;
}

static int
driver_ask(void *ctx, const char *ifname, void *command)
{
	struct driver *d = ctx;
	struct ethtool_sset_info *set = command;
	struct ethtool_stats *values = command;
	uint32_t count;

	assert_string_equal(ifname, "eth9");
	if (*(uint32_t *)command == d->fails)
		return -d->error;
	count = driver_count(d);
	switch (*(uint32_t *)command) {
	case ETHTOOL_GSSET_INFO:
		memcpy(set->data, &count, sizeof(count));
		return 0;
	case ETHTOOL_GSTRINGS:
		driver_names(command, count);
		return 0;
	case ETHTOOL_GSTATS:
		for (uint32_t i = 0; i < count; i++)
			values->data[i] = UINT64_C(1) << 40 | i;
		values->n_stats = count;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static void
driver_counters_are_read_by_name(void **state)
{
	static const struct {
		struct driver driver;
		int ret;
		uint32_t count;
	} row[] = {
		{{{0}, 0, 0, 0}, 0, 0},
		{{{0}, 0, ETHTOOL_GSSET_INFO, EOPNOTSUPP}, 0, 0},
		{{{1, 1, 1, 1, 1, 1, 1, 1}, 0, 0, 0}, 0, 1},
		{{{900, 900, 900, 900, 900, 900, 900, 900}, 0, 0, 0}, 0, 900},
		/* Queues are added between the questions: once, and then it is quiet; and all the time. */
		{{{4, 4, 8, 8, 8, 8, 8, 8}, 0, 0, 0}, 0, 8},
		{{{4, 6, 6, 6, 6, 6, 6, 6}, 0, 0, 0}, 0, 6},
		{{{8, 8, 4, 4, 4, 4, 4, 4}, 0, 0, 0}, 0, 4},
		{{{4, 4, 5, 5, 5, 6, 6, 7}, 0, 0, 0}, -EAGAIN, 0},
		{{{16385}, 0, 0, 0}, -E2BIG, 0},
		{{{3, 3, 3, 3, 3, 3, 3, 3}, 0, ETHTOOL_GSTRINGS, EIO}, -EIO, 0},
		{{{3, 3, 3, 3, 3, 3, 3, 3}, 0, ETHTOOL_GSTATS, ENODEV}, -ENODEV, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct driver d = row[i].driver;
		struct ep_nic_sample sample = {0};
		const int ret = ep_netlink_driver_counters(driver_ask, &d, "eth9", &sample);

		if (ret != row[i].ret || sample.count != row[i].count)
			fail_msg("row %zu: %d, %u counters", i, ret, sample.count);
		for (uint32_t k = 0; k < sample.count; k++) {
			assert_int_equal(sample.counter[k].source, EP_NIC_ETHTOOL);
			assert_int_equal(strlen(sample.counter[k].name), ETH_GSTRING_LEN);
			assert_true(sample.counter[k].value == (UINT64_C(1) << 40 | k));
		}
		ep_nic_sample_fini(&sample);
	}
}

static void
link_counters_are_those_of_the_kernel(void **state)
{
	struct ep_nic_sample sample = {0};

	(void)state;
	/* The loopback is there in every namespace, and has the index 1. */
	assert_int_equal(ep_netlink_link_counters(1, &sample), 0);
	assert_int_equal(sample.count, 22);
	assert_string_equal(sample.counter[0].name, "rx_packets");
	assert_int_equal(sample.counter[0].source, EP_NIC_LINK);
	ep_nic_sample_reset(&sample);
	assert_int_equal(ep_netlink_link_counters(123456, &sample), -ENODEV);
	assert_int_equal(sample.count, 0);
	ep_nic_sample_fini(&sample);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_counters_are_read_by_name),
		cmocka_unit_test(link_counters_are_those_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
