/* Counters of a NIC: what grew between two readings, as tables of values before and after, and what that adds up to. */

#include <ep_nic.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/** One counter, in one of the readings or in both. */
struct row {
	enum ep_nic_source source;
	const char *name;
	bool before, after; /**< It is in that reading. */
	uint64_t was, is;
};

struct readings {
	struct ep_nic_sample before, after;
	struct ep_nic_changes changes;
};

static void
readings_add(struct readings *r, const struct row *row)
{
	if (row->before)
		assert_int_equal(ep_nic_sample_add(&r->before, row->source, row->name,
					 EP_NIC_NAME_BYTES, row->was),
			0);
	if (row->after)
		assert_int_equal(ep_nic_sample_add(&r->after, row->source, row->name,
					 EP_NIC_NAME_BYTES, row->is),
			0);
}

static void
readings_diff(struct readings *r, const char *driver, const struct row *row, size_t count)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < count; i++)
		readings_add(r, &row[i]);
	r->before.known = r->after.known = true;
	ep_nic_sample_driver(&r->before, driver);
	ep_nic_sample_driver(&r->after, driver);
	ep_nic_diff(&r->before, &r->after, &r->changes);
}

static void
readings_fini(struct readings *r)
{
	ep_nic_sample_fini(&r->before);
	ep_nic_sample_fini(&r->after);
}

static void
diff_of_a_counter_knows_wraps_and_resets(void **state)
{
	static const struct {
		uint64_t was, is, count;
		bool at_least;
	} cases[] = {
		{0, 0, 0, false},
		{7, 7, 0, false},
		{0, 1, 1, false},
		{5, 1000, 995, false},
		{0, UINT64_MAX, UINT64_MAX, false},
		/* 32 bits: from the upper half over the end. */
		{UINT32_MAX, 0, 1, false},
		{UINT32_MAX - 9, 90, 100, false},
		{UINT64_C(1) << 31, 0, UINT64_C(1) << 31,
			true}, /* half a turn: as likely a reset */
		{(UINT64_C(1) << 31) + 1, 0, (UINT64_C(1) << 31) - 1, false},
		/* 64 bits. */
		{UINT64_MAX, 0, 1, false},
		{UINT64_MAX - 4, 5, 10, false},
		/* Resets: the growth is at least what is shown now. */
		{1000, 3, 3, true},
		{1000, 0, 0, true},
		{UINT64_C(1) << 40, 12, 12, true},
		{UINT64_C(1) << 62, 12, 12, true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const struct row row = {
			EP_NIC_DPDK, "rx_missed_errors", true, true, cases[i].was, cases[i].is};
		uint64_t count = cases[i].count;
		struct readings r;

		/* Half a turn backwards ends at 0, and a reset has counted nothing then. */
		if (cases[i].at_least && cases[i].is == 0)
			count = 0;
		readings_diff(&r, "net_x", &row, 1);
		assert_int_equal(r.changes.count, count > 0);
		if (count > 0) {
			assert_true(r.changes.change[0].count == count);
			assert_int_equal(r.changes.change[0].at_least, cases[i].at_least);
		}
		readings_fini(&r);
	}
}

static void
diff_counts_what_comes_and_goes_without_a_value(void **state)
{
	static const struct row rows[] = {
		{EP_NIC_ETHTOOL, "rx_queue_0_drops", true, true, 10, 12},
		{EP_NIC_ETHTOOL, "rx_queue_1_drops", true, false, 10, 0},
		{EP_NIC_ETHTOOL, "rx_queue_2_drops", false, true, 0, 500},
		{EP_NIC_LINK, "rx_packets", true, true, 1, 2},
	};
	struct readings r;

	(void)state;
	readings_diff(&r, "veth", rows, EP_ARRAY_LEN(rows));
	assert_true(r.changes.known);
	assert_int_equal(r.changes.count, 2);
	assert_int_equal(r.changes.gone, 2);
	assert_string_equal(r.changes.change[0].name, "rx_queue_0_drops");
	assert_int_equal(r.changes.change[0].count, 2);
	readings_fini(&r);
}

static void
diff_matches_names_out_of_order_and_names_used_twice(void **state)
{
	/* As vmxnet3 has them: one row a queue, without the queue's number. */
	struct readings r = {.before.known = true, .after.known = true};
	const struct ep_nic_changes *c = &r.changes;

	(void)state;
	ep_nic_sample_driver(&r.after, "vmxnet3");
	ep_nic_sample_add(&r.before, EP_NIC_ETHTOOL, "  pkts rx OOB", 32, 1);
	ep_nic_sample_add(&r.before, EP_NIC_ETHTOOL, "  pkts rx OOB", 32, 100);
	ep_nic_sample_add(&r.before, EP_NIC_ETHTOOL, "other drops", 32, 7);
	ep_nic_sample_add(&r.after, EP_NIC_ETHTOOL, "other drops", 32, 8);
	ep_nic_sample_add(&r.after, EP_NIC_ETHTOOL, "  pkts rx OOB", 32, 3);
	ep_nic_sample_add(&r.after, EP_NIC_ETHTOOL, "  pkts rx OOB", 32, 105);
	ep_nic_diff(&r.before, &r.after, &r.changes);
	assert_int_equal(c->count, 3);
	assert_int_equal(c->gone, 0);
	assert_string_equal(c->change[0].name, "pkts rx OOB");
	assert_int_equal(c->change[0].count, 2);
	assert_int_equal(c->change[1].count, 5);
	assert_int_equal(ep_nic_own(c, EP_NIC_RX, 0), 7);
	readings_fini(&r);
}

static void
diff_of_what_was_not_read_knows_nothing(void **state)
{
	struct ep_nic_sample empty = {0}, read = {.known = true};
	struct ep_nic_changes changes;

	(void)state;
	assert_int_equal(ep_nic_sample_add(&read, EP_NIC_DPDK, "rx_errors", 64, 5), 0);
	ep_nic_diff(&empty, &read, &changes);
	assert_false(changes.known);
	assert_int_equal(changes.count, 0);
	ep_nic_diff(&read, &empty, &changes);
	assert_false(changes.known);
	ep_nic_sample_fini(&read);
}

static void
diff_keeps_the_telling_ones_where_there_are_too_many(void **state)
{
	struct readings r = {.before.known = true, .after.known = true};
	char name[EP_NIC_NAME_BYTES];

	(void)state;
	ep_nic_sample_driver(&r.after, "ena");
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "queue_%u_rx_cnt", i);
		if (i == 250)
			snprintf(name, sizeof(name), "rx_strange_discards");
		if (i == 499)
			snprintf(name, sizeof(name), "pps_allowance_exceeded");
		ep_nic_sample_add(&r.before, EP_NIC_ETHTOOL, name, sizeof(name), 0);
		ep_nic_sample_add(&r.after, EP_NIC_ETHTOOL, name, sizeof(name), i + 1);
	}
	ep_nic_diff(&r.before, &r.after, &r.changes);
	assert_int_equal(r.changes.count, EP_NIC_CHANGES_MAX);
	assert_int_equal(r.changes.omitted, 500 - EP_NIC_CHANGES_MAX);
	assert_string_equal(r.changes.change[0].name, "pps_allowance_exceeded");
	assert_string_equal(r.changes.change[1].name, "rx_strange_discards");
	assert_string_equal(r.changes.change[2].name, "queue_0_rx_cnt");
	readings_fini(&r);
}

static void
sample_is_bounded_and_keeps_names_clean(void **state)
{
	struct ep_nic_sample s = {0};
	char name[100];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(ep_nic_sample_add(&s, EP_NIC_ETHTOOL, name, sizeof(name), 1), 0);
	assert_int_equal(strlen(s.counter[0].name), EP_NIC_NAME_BYTES - 1);
	assert_int_equal(ep_nic_sample_add(&s, EP_NIC_ETHTOOL, " \t", 2, 1), 0);
	assert_string_equal(s.counter[1].name, "");
	while (s.count < EP_NIC_COUNTERS_MAX)
		assert_int_equal(ep_nic_sample_add(&s, EP_NIC_ETHTOOL, "a", 2, 1), 0);
	assert_int_equal(ep_nic_sample_add(&s, EP_NIC_ETHTOOL, "a", 2, 1), -E2BIG);
	assert_int_equal(s.count, EP_NIC_COUNTERS_MAX);
	ep_nic_sample_reset(&s);
	assert_int_equal(s.count, 0);
	ep_nic_sample_fini(&s);
	ep_nic_sample_fini(&s);
}

static void
meanings_are_those_of_the_table(void **state)
{
	static const struct {
		const char *driver;
		enum ep_nic_source source;
		const char *name;
		enum ep_nic_meaning meaning;
	} cases[] = {
		{"ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded", EP_NIC_ALLOWANCE},
		{"net_ena", EP_NIC_DPDK, "pps_allowance_exceeded", EP_NIC_ALLOWANCE},
		{"net_ena", EP_NIC_DPDK, "conntrack_allowance_exceeded", EP_NIC_ALLOWANCE},
		{"ena", EP_NIC_ETHTOOL, "conntrack_allowance_available", EP_NIC_TRAFFIC},
		{"ena", EP_NIC_ETHTOOL, "linklocal_allowance_exceeded", EP_NIC_INFO},
		{"ena", EP_NIC_LINK, "rx_dropped", EP_NIC_OWN},
		{"virtio_net", EP_NIC_LINK, "rx_dropped", EP_NIC_INFO},
		{"virtio_net", EP_NIC_ETHTOOL, "rx_queue_12_drops", EP_NIC_OWN},
		{"virtio_net", EP_NIC_ETHTOOL, "rx3_drops", EP_NIC_OWN},
		{"virtio_net", EP_NIC_ETHTOOL, "rx_queue__drops", EP_NIC_INFO},
		{"virtio_net", EP_NIC_ETHTOOL, "rx_queue_0_dropsy", EP_NIC_INFO},
		{"gve", EP_NIC_ETHTOOL, "rx_no_buffers_posted[7]", EP_NIC_OWN},
		{"mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", EP_NIC_OWN},
		{"mlx5_pci", EP_NIC_DPDK, "rx_out_of_buffer", EP_NIC_OWN},
		{"veth", EP_NIC_LINK, "tx_dropped", EP_NIC_INFO},
		{"e1000e", EP_NIC_LINK, "tx_dropped", EP_NIC_OWN},
		{"mana", EP_NIC_ETHTOOL, "hc_rx_discards_no_wqe", EP_NIC_OWN},
		{"", EP_NIC_ETHTOOL, "rx_bytes", EP_NIC_TRAFFIC},
		{"new_nic", EP_NIC_ETHTOOL, "hw_rx_Missed_frames", EP_NIC_INFO},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const enum ep_nic_meaning meaning =
			ep_nic_meaning(cases[i].driver, cases[i].source, cases[i].name);

		if (meaning != cases[i].meaning)
			fail_msg("%s %s: %s", cases[i].driver, cases[i].name,
				ep_nic_meaning_name(meaning));
	}
}

static void
sentences_are_those_that_the_counters_deserve(void **state)
{
	const struct ep_nic_known *known =
		ep_nic_know("ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded");

	(void)state;
	assert_non_null(known);
	assert_string_equal(known->sentence, "EC2's PPS allowance, not your firewall");
	assert_non_null(known->advice);
	assert_null(ep_nic_know("ixgbe", EP_NIC_ETHTOOL, "pps_allowance_exceeded"));
}

static void
own_drops_are_not_counted_twice(void **state)
{
	/* The same 40 packets by the queues, by their sum, and by the kernel; 30 of them are in the account as imissed. */
	static const struct row rows[] = {
		{EP_NIC_ETHTOOL, "rx_queue_0_drops", true, true, 0, 15},
		{EP_NIC_ETHTOOL, "rx_queue_1_drops", true, true, 100, 125},
		{EP_NIC_LINK, "rx_missed_errors", true, true, 5, 45},
		{EP_NIC_LINK, "tx_dropped", true, true, 0, 3},
		{EP_NIC_LINK, "rx_dropped", true, true, 0, 4000},
	};
	struct readings r;

	(void)state;
	readings_diff(&r, "virtio_net", rows, EP_ARRAY_LEN(rows));
	assert_int_equal(ep_nic_own(&r.changes, EP_NIC_RX, 0), 40);
	assert_int_equal(ep_nic_own(&r.changes, EP_NIC_RX, 30), 10);
	assert_int_equal(ep_nic_own(&r.changes, EP_NIC_RX, 50), 0);
	assert_int_equal(ep_nic_own(&r.changes, EP_NIC_TX, 0), 3);
	assert_int_equal(ep_nic_allowance(&r.changes, EP_NIC_BOTH), 0);
	assert_string_equal(
		ep_nic_largest(&r.changes, EP_NIC_OWN, EP_NIC_RX)->name, "rx_missed_errors");
	assert_null(ep_nic_largest(&r.changes, EP_NIC_ALLOWANCE, EP_NIC_RX));
	readings_fini(&r);
}

static void
allowances_count_their_own_way(void **state)
{
	static const struct row rows[] = {
		{EP_NIC_ETHTOOL, "bw_in_allowance_exceeded", true, true, 0, 1},
		{EP_NIC_ETHTOOL, "bw_out_allowance_exceeded", true, true, 0, 20},
		{EP_NIC_ETHTOOL, "pps_allowance_exceeded", true, true, 7, 307},
		{EP_NIC_ETHTOOL, "conntrack_allowance_exceeded", true, true, 1000, 5000},
		{EP_NIC_ETHTOOL, "linklocal_allowance_exceeded", true, true, 0, 9},
		{EP_NIC_ETHTOOL, "conntrack_allowance_available", true, true, 1, 100000},
	};
	struct readings r;

	(void)state;
	readings_diff(&r, "ena", rows, EP_ARRAY_LEN(rows));
	assert_int_equal(r.changes.count, 5);
	assert_int_equal(ep_nic_allowance(&r.changes, EP_NIC_RX), 1 + 300 + 4000);
	assert_int_equal(ep_nic_allowance(&r.changes, EP_NIC_TX), 20 + 300 + 4000);
	assert_string_equal(ep_nic_largest(&r.changes, EP_NIC_ALLOWANCE, EP_NIC_TX)->name,
		"conntrack_allowance_exceeded");
	assert_int_equal(ep_nic_own(&r.changes, EP_NIC_RX, 0), 0);
	readings_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diff_of_a_counter_knows_wraps_and_resets),
		cmocka_unit_test(diff_counts_what_comes_and_goes_without_a_value),
		cmocka_unit_test(diff_matches_names_out_of_order_and_names_used_twice),
		cmocka_unit_test(diff_of_what_was_not_read_knows_nothing),
		cmocka_unit_test(diff_keeps_the_telling_ones_where_there_are_too_many),
		cmocka_unit_test(sample_is_bounded_and_keeps_names_clean),
		cmocka_unit_test(meanings_are_those_of_the_table),
		cmocka_unit_test(sentences_are_those_that_the_counters_deserve),
		cmocka_unit_test(own_drops_are_not_counted_twice),
		cmocka_unit_test(allowances_count_their_own_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
