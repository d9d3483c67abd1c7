/* What the counters of the NICs make of a loss: the tester's own, a cloud's allowance, or neither. */

#include "result_util.h"

#include <stdio.h>
#include <string.h>

#define PORTS "50000-50999"
#define SENT \
	100 /* A port: 100,000 in all, of which the goal allows 100, and the tester's own shortfall 10. */

/** One load up, of which each port from the first on lost one probe. */
struct grown {
	uint64_t lost;
	enum ep_result_side side;
	const char *driver;
	enum ep_nic_source source;
	const char *name;
	uint64_t count;
	enum ep_result_verdict verdict;
	const char *reason, *warning; /* NULL: none of NICs. */
};

static void
nic_grows(struct ep_result_trial *t, enum ep_result_side side, const char *driver,
	enum ep_nic_source source, const char *name, uint64_t count)
{
	struct ep_nic_changes *nic = &t->nic[side];

	nic->known = true;
	snprintf(nic->driver, sizeof(nic->driver), "%s", driver);
	nic->change[nic->count] = (struct ep_nic_change){.source = source, .count = count};
	snprintf(nic->change[nic->count].name, sizeof(nic->change[0].name), "%s", name);
	nic->count++;
}

static struct ep_result *
grown_result(const struct grown *g)
{
	struct ep_result *r = util_result(PORTS);

	snprintf(r->command, sizeof(r->command), "run");
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	if (g->lost > 0)
		util_lose(r, EP_RESULT_UP, 50000, (uint16_t)(50000 + g->lost - 1), 1);
	nic_grows(util_load(r), g->side, g->driver, g->source, g->name, g->count);
	return r;
}

static void
counters_decide_whose_a_loss_is(void **state)
{
	static const struct grown row[] = {
		/* The tester's own: receiver up is the responder, sender up the initiator. */
		{500, EP_RESULT_RESPONDER, "virtio_net", EP_NIC_ETHTOOL, "rx_queue_0_drops", 400,
			EP_RESULT_INVALID,
			"invalid: up: the far side's NIC dropped 400 packets (rx_queue_0_drops: "
			"the driver "
			"dropped them",
			NULL},
		{500, EP_RESULT_INITIATOR, "ixgbe", EP_NIC_LINK, "tx_dropped", 400,
			EP_RESULT_INVALID,
			"invalid: up: our NIC dropped 400 packets (tx_dropped: this host dropped "
			"them while "
			"sending); at most 10 are allowed",
			NULL},
		/* As many as a tenth of the goal are borne, and what the other way dropped is not its business. */
		{50, EP_RESULT_RESPONDER, "mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", 10,
			EP_RESULT_PASS, NULL, NULL},
		{50, EP_RESULT_RESPONDER, "mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", 11,
			EP_RESULT_INVALID, "rx_out_of_buffer: no receive buffer was free", NULL},
		{50, EP_RESULT_INITIATOR, "mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", 4000,
			EP_RESULT_PASS, NULL, NULL},
		/* Where no probe was lost, what was dropped was somebody else's. */
		{0, EP_RESULT_RESPONDER, "mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", 4000,
			EP_RESULT_PASS, NULL, NULL},
		{5, EP_RESULT_RESPONDER, "mlx5_core", EP_NIC_ETHTOOL, "rx_out_of_buffer", 4000,
			EP_RESULT_PASS, NULL, NULL},
		/* Nobody's fault that we know. */
		{50, EP_RESULT_RESPONDER, "virtio_net", EP_NIC_LINK, "rx_dropped", 4000,
			EP_RESULT_PASS, NULL, NULL},
		{500, EP_RESULT_INITIATOR, "veth", EP_NIC_LINK, "tx_dropped", 500, EP_RESULT_FAIL,
			"loss up 0.5 % is above the goal of 0.1 %", NULL},
		/* A cloud's allowance: within the goal with it, above it only with it, above it in any case. */
		{50, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded", 1234,
			EP_RESULT_PASS, NULL,
			"up: EC2's PPS allowance, not your firewall: pps_allowance_exceeded of our "
			"NIC grew "
			"by 1,234; up to 50 of the 50 lost probes are its doing"},
		{0, EP_RESULT_RESPONDER, "ena", EP_NIC_ETHTOOL, "bw_in_allowance_exceeded", 1234,
			EP_RESULT_PASS, NULL,
			"EC2's inbound bandwidth allowance, not your firewall: "
			"bw_in_allowance_exceeded of "
			"the far side's NIC grew by 1,234: it delayed or dropped"},
		{500, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded", 480,
			EP_RESULT_INVALID,
			"invalid: up: EC2's PPS allowance, not your firewall: "
			"pps_allowance_exceeded of our "
			"NIC grew by 480 while 500 of 100,000 probes were lost, and without these "
			"the loss is "
			"within the goal of 0.1 %; take an instance with a larger allowance, or "
			"lower --rate",
			"down: EC2's PPS allowance"},
		{500, EP_RESULT_RESPONDER, "net_ena", EP_NIC_DPDK, "conntrack_allowance_exceeded",
			999999, EP_RESULT_INVALID, "let the security group allow",
			"down: EC2's connection tracking allowance"},
		{500, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded", 300,
			EP_RESULT_FAIL, "loss up 0.5 % is above the goal of 0.1 %",
			"grew by 300; up to 300 of the 500 lost probes are its doing"},
		/* The other way's, and what no probe uses. */
		{500, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "bw_in_allowance_exceeded", 500,
			EP_RESULT_FAIL, "loss up 0.5 % is above the goal of 0.1 %", "down: EC2's"},
		{500, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "linklocal_allowance_exceeded",
			500, EP_RESULT_FAIL, "loss up 0.5 % is above the goal of 0.1 %", NULL},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_result *r = grown_result(&row[i]);

		util_judge(r);
		if (r->verdict != row[i].verdict ||
			(row[i].reason != NULL && !util_has_reason(r, row[i].reason)) ||
			(row[i].warning != NULL && !util_has_warning(r, row[i].warning)) ||
			(row[i].warning == NULL && r->warning_count > 0))
			fail_msg("row %zu: %s; %s", i, r->reason[0],
				r->warning_count > 0 ? r->warning[0] : "no warning");
		assert_int_equal(r->trial[0].valid, row[i].verdict != EP_RESULT_INVALID);
		ep_result_destroy(r);
	}
}

static void
ledger_says_what_was_dropped_beside_the_account(void **state)
{
	const struct grown g = {.lost = 300,
		.side = EP_RESULT_RESPONDER,
		.driver = "net_mlx5",
		.source = EP_NIC_DPDK,
		.name = "rx_out_of_buffer",
		.count = 90};
	struct ep_result *r = grown_result(&g);
	struct ep_result_ledger *l = &r->trial[0].ledger[EP_RESULT_UP];

	(void)state;
	/* The same packets are imissed already: they are not counted twice. */
	l->imissed = 80;
	l->nic_rx += 80;
	util_judge(r);
	assert_true(l->nic_known);
	assert_int_equal(l->nic_dropped, 10);
	assert_int_equal(ep_result_shortfall(l), 90);
	assert_int_equal(r->ledger[EP_RESULT_UP].nic_dropped, 10);
	assert_int_equal(r->ledger[EP_RESULT_DOWN].nic_dropped, 0);
	ep_result_destroy(r);
}

static void
nic_that_was_not_read_is_not_known(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	util_load(r);
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_PASS);
	assert_false(r->ledger[EP_RESULT_UP].nic_known);
	ep_result_destroy(r);
}

/* What an allowance takes falls on all ports alike: none of them is lossy for it, and one that loses more still is. */
static void
lossy_ports_are_those_beyond_the_allowance(void **state)
{
	struct ep_result *r = util_result(PORTS);
	struct ep_result_trial *t;

	(void)state;
	util_fill(r, EP_RESULT_UP, 1000);
	util_fill(r, EP_RESULT_DOWN, 1000);
	util_lose(r, EP_RESULT_UP, 50000, 50999, 20);
	util_lose(r, EP_RESULT_UP, 50500, 50500, 400);
	t = util_load(r);
	util_judge(r);
	assert_int_equal(r->port[0].dir[EP_RESULT_UP].verdict, EP_RESULT_PORT_LOSSY);
	ep_result_destroy(r);

	r = util_result(PORTS);
	util_fill(r, EP_RESULT_UP, 1000);
	util_fill(r, EP_RESULT_DOWN, 1000);
	util_lose(r, EP_RESULT_UP, 50000, 50999, 20);
	util_lose(r, EP_RESULT_UP, 50500, 50500, 400);
	t = util_load(r);
	nic_grows(t, EP_RESULT_INITIATOR, "ena", EP_NIC_ETHTOOL, "pps_allowance_exceeded", 20000);
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_INVALID);
	assert_int_equal(r->port[0].dir[EP_RESULT_UP].verdict, EP_RESULT_PORT_OK);
	assert_int_equal(r->port[500].dir[EP_RESULT_UP].verdict, EP_RESULT_PORT_LOSSY);
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_decide_whose_a_loss_is),
		cmocka_unit_test(ledger_says_what_was_dropped_beside_the_account),
		cmocka_unit_test(nic_that_was_not_read_is_not_known),
		cmocka_unit_test(lossy_ports_are_those_beyond_the_allowance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
