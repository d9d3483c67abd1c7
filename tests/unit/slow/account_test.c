#include <ep_slow.h>

#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PORTS 5

static uint64_t seed;

static struct ep_slow_icmp *
account(void)
{
	struct ep_slow_icmp *a;

	assert_int_equal(ep_slow_icmp_create(PORTS, &a), 0);
	return a;
}

static struct ep_slow_quote
quote(uint32_t hop, uint8_t type, uint8_t code, uint32_t port_index)
{
	return (struct ep_slow_quote){
		.from = {EP_WIRE_IPV4, {198, 18, (uint8_t)(hop >> 8), (uint8_t)hop}},
		.type = type,
		.code = code,
		.port_index = port_index,
	};
}

/* What an account says of one kind on one port; 0 where it has no cell. */
static uint64_t
count_of(const struct ep_slow_icmp *a, const struct ep_slow_quote *q)
{
	const struct ep_slow_port *port = &a->port[q->port_index];

	for (int i = 0; i < EP_SLOW_PORT_KINDS; i++) {
		const struct ep_slow_kind *k = &a->kind[port->cell[i].kind];

		if (port->cell[i].count > 0 && k->type == q->type && k->code == q->code &&
			ep_wire_ip_equal(&k->from, &q->from))
			return port->cell[i].count;
	}
	return 0;
}

/* The model: a table of hop x code x port, each with its own counter. */
#define HOPS 2
#define CODES 2
static uint64_t truth[HOPS][CODES][PORTS];

static void
within_its_bounds_an_account_equals_a_table_of_counters_however_it_is_split(void **state)
{
	struct ep_slow_icmp *part[3] = {account(), account(), account()}, *all = account();
	uint64_t random = seed;

	(void)state;
	memset(truth, 0, sizeof(truth));
	for (int i = 0; i < 20000; i++) {
		const uint32_t hop = (uint32_t)sim_below(&random, HOPS),
			       code = (uint32_t)sim_below(&random, CODES),
			       port = (uint32_t)sim_below(&random, PORTS);
		const struct ep_slow_quote q = quote(hop, 3, (uint8_t)code, port);

		truth[hop][code][port]++;
		ep_slow_icmp_push(part[sim_below(&random, 3)],
			sim_below(&random, 2) == 0 ? EP_SLOW_FLOW : EP_SLOW_PORT, &q);
	}
	for (int i = 0; i < 3; i++)
		ep_slow_icmp_merge(all, part[i]);
	for (uint32_t hop = 0; hop < HOPS; hop++)
		for (uint32_t code = 0; code < CODES; code++)
			for (uint32_t port = 0; port < PORTS; port++) {
				const struct ep_slow_quote q = quote(hop, 3, (uint8_t)code, port);

				assert_int_equal(count_of(all, &q), truth[hop][code][port]);
			}
	assert_int_equal(all->count[EP_SLOW_FLOW] + all->count[EP_SLOW_PORT], 20000);
	for (int i = 0; i < 3; i++)
		free(part[i]);
	free(all);
}

static void
beyond_its_bounds_no_error_is_lost_also_when_accounts_are_merged(void **state)
{
	struct ep_slow_icmp *a = account(), *b = account();
	uint64_t random = seed ^ 1, pushed[PORTS] = {0};

	(void)state;
	for (int i = 0; i < 50000; i++) {
		const struct ep_slow_quote q = quote((uint32_t)sim_below(&random, 200), 3,
			(uint8_t)sim_below(&random, 16), (uint32_t)sim_below(&random, PORTS));

		pushed[q.port_index]++;
		ep_slow_icmp_push(i % 2 == 0 ? a : b,
			sim_below(&random, 2) == 0 ? EP_SLOW_FLOW : EP_SLOW_PORT, &q);
	}
	ep_slow_icmp_push(a, EP_SLOW_FORGED, NULL);
	ep_slow_icmp_push(b, EP_SLOW_FOREIGN, NULL);
	ep_slow_icmp_merge(a, b);
	for (uint32_t p = 0; p < PORTS; p++) {
		assert_int_equal(ep_slow_icmp_port_sum(&a->port[p]), pushed[p]);
		assert_true(a->port[p].more > 0);
	}
	assert_int_equal(a->kind_count, EP_SLOW_KINDS_MAX);
	assert_int_equal(a->count[EP_SLOW_FORGED], 1);
	assert_int_equal(a->count[EP_SLOW_FOREIGN], 1);
	free(a);
	free(b);
}

static void
forged_hops_do_not_push_out_errors_whose_tag_verifies(void **state)
{
	struct ep_slow_icmp *a = account();
	const struct ep_slow_quote real = quote(1000, 3, 13, 4);

	(void)state;
	for (uint32_t hop = 0; hop < 500; hop++) {
		const struct ep_slow_quote q = quote(hop, 3, 1, 0);

		ep_slow_icmp_push(a, EP_SLOW_PORT, &q);
	}
	ep_slow_icmp_push(a, EP_SLOW_FLOW, &real);
	assert_int_equal(count_of(a, &real), 1);
	assert_int_equal(a->kind_count, EP_SLOW_KINDS_MAX - EP_SLOW_KINDS_FLOW + 1);
	free(a);
}

static void
the_smallest_mtu_that_a_hop_named_stays(void **state)
{
	static const uint32_t mtu_bytes[] = {0, 1400, 1280, 1492, 0};
	struct ep_slow_icmp *a = account(), *b = account();
	struct ep_slow_quote q = quote(1, 3, 4, 0);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(mtu_bytes); i++) {
		q.mtu_bytes = mtu_bytes[i];
		ep_slow_icmp_push(i < 2 ? a : b, EP_SLOW_FLOW, &q);
	}
	ep_slow_icmp_merge(a, b);
	assert_int_equal(a->kind_count, 1);
	assert_int_equal(a->kind[0].mtu_bytes, 1280);
	ep_slow_icmp_reset(a);
	assert_int_equal(a->kind_count, 0);
	assert_int_equal(a->port_count, PORTS);
	assert_int_equal(ep_slow_icmp_port_sum(&a->port[0]), 0);
	free(a);
	free(b);
}

static void
counts_stop_at_the_largest_number_that_they_hold(void **state)
{
	const struct ep_slow_kind kind = {.from = {EP_WIRE_IPV4, {1, 2, 3, 4}}, .type = 3};
	struct ep_slow_icmp *a = account();

	(void)state;
	ep_slow_icmp_add(a, 2, &kind, UINT32_MAX - 1);
	ep_slow_icmp_add(a, 2, &kind, 5);
	assert_int_equal(a->port[2].cell[0].count, UINT32_MAX);
	ep_slow_icmp_add(a, 2, &kind, UINT32_MAX);
	assert_int_equal(a->port[2].cell[0].count, UINT32_MAX);
	free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			within_its_bounds_an_account_equals_a_table_of_counters_however_it_is_split),
		cmocka_unit_test(beyond_its_bounds_no_error_is_lost_also_when_accounts_are_merged),
		cmocka_unit_test(forged_hops_do_not_push_out_errors_whose_tag_verifies),
		cmocka_unit_test(the_smallest_mtu_that_a_hop_named_stays),
		cmocka_unit_test(counts_stop_at_the_largest_number_that_they_hold),
	};

	seed = sim_seed(20240601);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
