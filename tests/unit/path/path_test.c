#include <ep_acct.h>
#include <ep_path.h>

#include <math.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

/* A packet is an opaque number that is never 0. */
static void *
packet(uintptr_t n)
{
	return (void *)(n + 1);
}

static uintptr_t
packet_number(const void *p)
{
	return (uintptr_t)p - 1;
}

static struct ep_range *
range_of(const char *text)
{
	struct ep_range *const range = malloc(sizeof(*range));

	assert_non_null(range);
	assert_int_equal(ep_range_parse(text, "ports", range, NULL), 0);
	return range;
}

/* ---- One flow, by hand ---- */

/* Pass packet n and compare what leaves with "3 3c 2": c marks a copy; "x" is a drop, "" a hold. */
static void
pass_gives(struct ep_path *path, uintptr_t n, const char *want)
{
	struct ep_path_out out;
	char got[64] = "";

	ep_path_pass(path, packet(n), 0, (uint32_t)n, 50000, &out);
	assert_true(out.count <= EP_PATH_OUT_MAX);
	for (uint32_t i = 0; i < out.count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d%s", i > 0 ? " " : "",
			(int)packet_number(out.packet[i]), out.copy[i] ? "c" : "");
	if (out.dropped)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "x");
	assert_string_equal(got, want);
}

static struct ep_path *
path_of(const struct ep_path_cfg *cfg, const struct ep_range *range, uint32_t flow_count)
{
	struct ep_path *path = NULL;

	assert_int_equal(ep_path_create(cfg, range, flow_count, seed, &path), 0);
	return path;
}

static void
port_is(const struct ep_path *path, struct ep_path_port want)
{
	assert_memory_equal(&ep_path_ports(path)[0], &want, sizeof(want));
}

static void
path_without_faults_passes_everything(void **state)
{
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&(struct ep_path_cfg){0}, range, 1);
	bool copy;

	(void)state;
	pass_gives(path, 0, "0");
	pass_gives(path, 1, "1");
	assert_null(ep_path_flush(path, &copy));
	port_is(path, (struct ep_path_port){.seen = 2});
	ep_path_destroy(path);
	free(range);
}

static void
path_holds_one_packet_until_the_next_has_passed(void **state)
{
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&(struct ep_path_cfg){.reorder_ratio = 1}, range, 1);
	bool copy = true;

	(void)state;
	pass_gives(path, 0, "");
	pass_gives(path, 1, "1 0");
	pass_gives(path, 2, "");
	port_is(path, (struct ep_path_port){.seen = 3, .reordered = 1});
	assert_ptr_equal(ep_path_flush(path, &copy), packet(2));
	assert_false(copy);
	assert_null(ep_path_flush(path, &copy));
	port_is(path, (struct ep_path_port){.seen = 3, .reordered = 1});
	ep_path_destroy(path);
	free(range);
}

static void
path_copy_follows_its_packet_at_once(void **state)
{
	const struct ep_path_cfg cfg = {.dup_ratio = 1, .reorder_ratio = 1};
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&cfg, range, 1);
	bool copy = false;

	(void)state;
	pass_gives(path, 0, "");
	port_is(path, (struct ep_path_port){.seen = 1});
	pass_gives(path, 1, "1 1c 0 0c");
	pass_gives(path, 2, "");
	assert_ptr_equal(ep_path_flush(path, &copy), packet(2));
	assert_true(copy);
	port_is(path, (struct ep_path_port){.seen = 3, .duplicated = 3, .reordered = 1});
	ep_path_destroy(path);
	free(range);
}

static void
path_that_drops_all_neither_holds_nor_copies(void **state)
{
	const struct ep_path_cfg cfg = {.drop_ratio = 1, .dup_ratio = 1, .reorder_ratio = 1};
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&cfg, range, 1);
	bool copy;

	(void)state;
	pass_gives(path, 0, "x");
	pass_gives(path, 1, "x");
	assert_null(ep_path_flush(path, &copy));
	port_is(path, (struct ep_path_port){.seen = 2, .dropped = 2});
	ep_path_destroy(path);
	free(range);
}

static void
path_dropped_packet_releases_nothing(void **state)
{
	const struct ep_path_cfg cfg = {.drop_ratio = 0.5, .reorder_ratio = 0.5};
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&cfg, range, 1);
	uint64_t drops_while_holding = 0;
	bool holds = false;

	(void)state;
	for (uintptr_t n = 0; n < 1000; n++) {
		struct ep_path_out out;

		ep_path_pass(path, packet(n), 0, (uint32_t)n, 50000, &out);
		if (out.dropped) {
			assert_int_equal(out.count, 0);
			drops_while_holding += holds;
		} else {
			assert_int_equal(out.count, holds ? 2 : out.count & 1);
			holds = out.count == 0;
		}
	}
	assert_true(drops_while_holding > 0);
	ep_path_destroy(path);
	free(range);
}

static void
path_counts_what_left_late_whoever_reordered_it(void **state)
{
	const struct ep_path_cfg cfg = {.dup_ratio = 0.1, .reorder_ratio = 0.3};
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&cfg, range, 1);
	struct ep_acct_flow flow = {0};
	struct ep_acct_port port = {0};
	struct ep_acct a = {&flow, &port, 1, 1};
	struct ep_path_out out;
	uintptr_t n;
	bool copy;
	void *p;

	(void)state;
	/* Pairs enter swapped: 1 0 3 2 ... */
	for (n = 0; n < 2000; n++) {
		ep_path_pass(path, packet(n ^ 1), 0, (uint32_t)(n ^ 1), 50000, &out);
		for (uint32_t i = 0; i < out.count; i++)
			ep_acct_push(&a, 0, 0, (uint32_t)packet_number(out.packet[i]), 64);
	}
	while ((p = ep_path_flush(path, &copy)) != NULL)
		for (int i = 0; i <= copy; i++)
			ep_acct_push(&a, 0, 0, (uint32_t)packet_number(p), 64);
	assert_true(port.count[EP_ACCT_REORDERED] > 500);
	assert_int_equal(ep_path_ports(path)->reordered, port.count[EP_ACCT_REORDERED]);
	assert_int_equal(ep_path_ports(path)->duplicated, port.count[EP_ACCT_DUP]);
	ep_path_destroy(path);
	free(range);
}

static void
path_restart_forgets_sequences(void **state)
{
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&(struct ep_path_cfg){0}, range, 1);
	struct ep_path_out out;

	(void)state;
	ep_path_pass(path, packet(9), 0, 9, 50000, &out);
	ep_path_restart(path);
	ep_path_pass(path, packet(0), 0, 0, 50000, &out);
	assert_int_equal(ep_path_ports(path)->reordered, 0);
	ep_path_destroy(path);
	free(range);
}

static void
path_flush_goes_by_flow_number_and_may_be_repeated(void **state)
{
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path = path_of(&(struct ep_path_cfg){.reorder_ratio = 1}, range, 10);
	struct ep_path_out out;
	bool copy;

	(void)state;
	ep_path_pass(path, packet(7), 7, 0, 50000, &out);
	ep_path_pass(path, packet(2), 2, 0, 50000, &out);
	ep_path_pass(path, packet(9), 9, 0, 50000, &out);
	assert_ptr_equal(ep_path_flush(path, &copy), packet(2));
	assert_ptr_equal(ep_path_flush(path, &copy), packet(7));
	ep_path_pass(path, packet(0), 0, 0, 50000, &out); /* below what was flushed */
	assert_ptr_equal(ep_path_flush(path, &copy), packet(0));
	assert_ptr_equal(ep_path_flush(path, &copy), packet(9));
	assert_null(ep_path_flush(path, &copy));
	ep_path_pass(path, packet(4), 4, 0, 50000, &out);
	assert_ptr_equal(ep_path_flush(path, &copy), packet(4));
	assert_null(ep_path_flush(path, &copy));
	ep_path_destroy(path);
	free(range);
}

static void
path_destroy_accepts_null(void **state)
{
	(void)state;
	ep_path_destroy(NULL);
}

/* ---- Streams over the whole range ---- */

enum { SOURCES = 3, PORTS = 10001, FLOWS = SOURCES * PORTS, PROBES = 8 };

/* Both ends of a stream: sends, accounts, and remembers what became of each packet. */
struct world {
	struct ep_range *range;
	struct ep_path *path;
	struct ep_acct a;
	uint32_t *sent;   /* [FLOWS] */
	uint8_t *first;   /* [FLOWS x PROBES] first copies that arrived */
	uint8_t *copies;  /* [FLOWS x PROBES] copies that arrived */
	uint8_t *dropped; /* [FLOWS x PROBES] */
	uint64_t digest;  /* of all that left, in order */
};

static void
world_init(struct world *w, const struct ep_path_cfg *cfg, uint64_t path_seed)
{
	*w = (struct world){.range = range_of("50000-60000")};
	assert_int_equal(w->range->port_count, PORTS);
	assert_int_equal(ep_path_create(cfg, w->range, FLOWS, path_seed, &w->path), 0);
	w->a = (struct ep_acct){calloc(FLOWS, sizeof(struct ep_acct_flow)),
		calloc(PORTS, sizeof(struct ep_acct_port)), FLOWS, PORTS};
	w->sent = calloc(FLOWS, sizeof(*w->sent));
	w->first = calloc(FLOWS, PROBES);
	w->copies = calloc(FLOWS, PROBES);
	w->dropped = calloc(FLOWS, PROBES);
}

static void
world_fini(struct world *w)
{
	ep_path_destroy(w->path);
	free(w->range);
	free(w->a.flow);
	free(w->a.port);
	free(w->sent);
	free(w->first);
	free(w->copies);
	free(w->dropped);
}

static void
world_receive(struct world *w, const void *p, bool copy)
{
	const uintptr_t n = packet_number(p);
	const uint32_t flow = (uint32_t)(n / PROBES);

	assert_int_equal(w->first[n] == 0, !copy); /* a copy comes second */
	w->first[n] += !copy;
	w->copies[n] += copy;
	w->digest = (w->digest ^ (n * 2 + copy)) * UINT64_C(0x100000001B3);
	ep_acct_push(&w->a, flow, flow % PORTS, (uint32_t)(n % PROBES), 64);
}

static void
world_send(struct world *w, uint32_t flow)
{
	const uintptr_t n = (uintptr_t)flow * PROBES + w->sent[flow]++;
	struct ep_path_out out;

	ep_path_pass(w->path, packet(n), flow, (uint32_t)(n % PROBES), w->range->port[flow % PORTS],
		&out);
	if (out.dropped)
		w->dropped[n]++;
	for (uint32_t i = 0; i < out.count; i++) {
		if (out.copy[i])
			assert_ptr_equal(out.packet[i], out.packet[i - 1]);
		world_receive(w, out.packet[i], out.copy[i]);
	}
}

/* All probes of all flows, in sequence within a flow, otherwise in random order, then the flush. */
static void
world_run(struct world *w, uint64_t order_seed)
{
	uint32_t *const slot = malloc((size_t)FLOWS * PROBES * sizeof(*slot));
	void *p;
	bool copy;

	for (uint32_t i = 0; i < FLOWS * PROBES; i++) {
		const uint32_t k = (uint32_t)sim_below(&order_seed, i + 1);

		slot[i] = slot[k];
		slot[k] = i % FLOWS;
	}
	for (uint32_t i = 0; i < FLOWS * PROBES; i++)
		world_send(w, slot[i]);
	while ((p = ep_path_flush(w->path, &copy)) != NULL) {
		world_receive(w, p, false);
		if (copy)
			world_receive(w, p, true);
	}
	free(slot);
}

/* Every packet ended in exactly one place, and the path's counters say how many in which. */
static void
world_conserves(const struct world *w)
{
	for (uint32_t port = 0; port < PORTS; port++) {
		const struct ep_path_port *const p = &ep_path_ports(w->path)[port];
		uint64_t first = 0, dropped = 0, copies = 0;

		for (uint32_t flow = port; flow < FLOWS; flow += PORTS) {
			for (size_t n = (size_t)flow * PROBES; n < (size_t)(flow + 1) * PROBES;
				n++) {
				assert_int_equal(w->first[n] + w->dropped[n], 1);
				first += w->first[n];
				dropped += w->dropped[n];
				copies += w->copies[n];
			}
		}
		assert_int_equal(p->seen, SOURCES * PROBES);
		assert_int_equal(p->seen, first + dropped);
		assert_int_equal(p->dropped, dropped);
		assert_int_equal(p->duplicated, copies);
	}
}

/* What an independent receiver finds is what the path says that it did. */
static void
world_receiver_agrees(const struct world *w)
{
	for (uint32_t port = 0; port < PORTS; port++) {
		const struct ep_path_port *const p = &ep_path_ports(w->path)[port];
		const struct ep_acct_port *const a = &w->a.port[port];
		struct ep_acct_loss loss;

		assert_int_equal(ep_acct_loss(a, p->seen, &loss), 0);
		assert_int_equal(loss.min, p->dropped);
		assert_int_equal(loss.max, p->dropped);
		assert_int_equal(a->count[EP_ACCT_DUP], p->duplicated);
		assert_int_equal(a->count[EP_ACCT_REORDERED], p->reordered);
		assert_int_equal(a->count[EP_ACCT_BEHIND], 0);
	}
}

static struct ep_path_port
world_sum(const struct world *w)
{
	struct ep_path_port sum = {0};

	for (uint32_t i = 0; i < PORTS; i++) {
		const struct ep_path_port *const p = &ep_path_ports(w->path)[i];

		sum.seen += p->seen;
		sum.dropped += p->dropped;
		sum.duplicated += p->duplicated;
		sum.reordered += p->reordered;
	}
	return sum;
}

static void
path_counters_equal_the_receivers_account_to_the_packet(void **state)
{
	static const struct ep_path_cfg cfg[] = {
		{NULL, 0, 0, 0},
		{NULL, 0.01, 0.001, 0.005},
		{NULL, 0.3, 0.3, 0.3},
		{NULL, 0.9, 0.5, 1},
		{NULL, 0, 1, 1},
		{NULL, 1, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cfg); i++) {
		struct world w;

		world_init(&w, &cfg[i], seed + 10 * i);
		world_run(&w, seed + 20 * i);
		world_conserves(&w);
		world_receiver_agrees(&w);
		world_fini(&w);
	}
}

static void
path_blocked_ports_drop_everything_and_no_other_does(void **state)
{
	struct ep_range *const blocked = range_of("50100-50110,55555,70");
	const struct ep_path_cfg cfg = {.blocked = blocked, .dup_ratio = 0.1, .reorder_ratio = 0.1};
	struct world w;

	(void)state;
	world_init(&w, &cfg, seed);
	world_run(&w, seed);
	world_conserves(&w);
	world_receiver_agrees(&w);
	for (uint32_t i = 0; i < PORTS; i++) {
		const bool dead = ep_range_has(blocked, w.range->port[i]);

		assert_int_equal(
			ep_path_ports(w.path)[i].dropped, dead ? (uint64_t)SOURCES * PROBES : 0);
	}
	world_fini(&w);
	free(blocked);
}

static bool
within_6_sigma(uint64_t count, uint64_t of, double ratio)
{
	const double sigma = sqrt((double)of * ratio * (1 - ratio));

	return fabs((double)count - (double)of * ratio) <= 6 * sigma;
}

/*
 * Draws that depended on each other would shift the joint rates: copies among what is not dropped, holds among
 * both.
 */
static void
path_draws_are_independent_and_of_the_ratio_asked_for(void **state)
{
	enum { PACKETS = 200000 };
	const struct ep_path_cfg cfg = {.drop_ratio = 0.2, .dup_ratio = 0.1, .reorder_ratio = 0.3};
	struct ep_range *const range = range_of("50000");
	struct ep_path *const path =
		path_of(&cfg, range, PACKETS); /* a flow each: all chosen are held */
	uint64_t held = 0, held_with_copy = 0;
	struct ep_path_out out;
	bool copy;

	(void)state;
	for (uint32_t n = 0; n < PACKETS; n++) {
		ep_path_pass(path, packet(n), n, 0, 50000, &out);
		held += !out.dropped && out.count == 0;
	}
	while (ep_path_flush(path, &copy) != NULL)
		held_with_copy += copy;

	const struct ep_path_port *const p = ep_path_ports(path);

	assert_true(within_6_sigma(p->dropped, PACKETS, 0.2));
	assert_true(within_6_sigma(held, PACKETS - p->dropped, 0.3));
	assert_true(within_6_sigma(p->duplicated, PACKETS - p->dropped, 0.1));
	assert_true(within_6_sigma(held_with_copy, held, 0.1));
	assert_int_equal(p->reordered, 0);
	ep_path_destroy(path);
	free(range);
}

static void
path_is_the_same_for_the_same_seed_only(void **state)
{
	static const struct ep_path_cfg cfg = {NULL, 0.1, 0.1, 0.1};
	const uint64_t path_seed[] = {seed, seed, seed + 1};
	uint64_t digest[EP_ARRAY_LEN(path_seed)];
	struct ep_path_port sum[EP_ARRAY_LEN(path_seed)];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(path_seed); i++) {
		struct world w;

		world_init(&w, &cfg, path_seed[i]);
		world_run(&w, seed);
		digest[i] = w.digest;
		sum[i] = world_sum(&w);
		world_fini(&w);
	}
	assert_true(digest[0] == digest[1]);
	assert_memory_equal(&sum[0], &sum[1], sizeof(sum[0]));
	assert_true(digest[0] != digest[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_without_faults_passes_everything),
		cmocka_unit_test(path_holds_one_packet_until_the_next_has_passed),
		cmocka_unit_test(path_copy_follows_its_packet_at_once),
		cmocka_unit_test(path_that_drops_all_neither_holds_nor_copies),
		cmocka_unit_test(path_dropped_packet_releases_nothing),
		cmocka_unit_test(path_counts_what_left_late_whoever_reordered_it),
		cmocka_unit_test(path_restart_forgets_sequences),
		cmocka_unit_test(path_flush_goes_by_flow_number_and_may_be_repeated),
		cmocka_unit_test(path_destroy_accepts_null),
		cmocka_unit_test(path_counters_equal_the_receivers_account_to_the_packet),
		cmocka_unit_test(path_blocked_ports_drop_everything_and_no_other_does),
		cmocka_unit_test(path_draws_are_independent_and_of_the_ratio_asked_for),
		cmocka_unit_test(path_is_the_same_for_the_same_seed_only),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
