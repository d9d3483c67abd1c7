/*
 * The neighbour cache in a simulated link: a gateway that answers after a while, changes its MAC, falls silent and comes back, with
 * the truth known at every moment.
 */

#include "slow_util.h"

#include <errno.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS EP_NS_PER_MS
#define STEP_NS (10 * MS)
#define FOLLOW_NS (3 * EP_NS_PER_S)
#define ANSWERS_MAX 64

static uint64_t seed;

/* A gateway, and what is under way from it. */
struct world {
	struct ep_slow_stack *s;
	enum ep_wire_family family;
	struct ep_wire_ip us, gateway, far;
	uint64_t now_ns;
	uint64_t random;
	uint8_t mac_last; /* last byte of the gateway's MAC */
	bool alive;
	bool without_override; /* its answers have no override flag (IPv6) */
	double loss_ratio;
	struct {
		uint64_t at_ns; /* 0: none */
		struct util_packet frame;
	} answer[ANSWERS_MAX];
	uint64_t questions;
};

static void
world_init(struct world *w, enum ep_wire_family family)
{
	const bool ipv6 = family == EP_WIRE_IPV6;
	struct ep_slow_cfg cfg = {.mac = {2, [5] = 1}, .addr_count = 1};
	uint8_t out[EP_SLOW_FRAME_MAX];

	memset(w, 0, sizeof(*w));
	w->family = family;
	w->random = seed;
	w->mac_last = 10;
	w->alive = true;
	assert_int_equal(ep_wire_ip_parse(ipv6 ? "2001:2::1" : "198.18.0.1", &w->us, NULL), 0);
	assert_int_equal(ep_wire_ip_parse(ipv6 ? "2001:2::9" : "198.18.0.9", &w->gateway, NULL), 0);
	assert_int_equal(ep_wire_ip_parse(ipv6 ? "2001:db8::1" : "192.0.2.1", &w->far, NULL), 0);
	cfg.addr[0].ip = w->us;
	cfg.addr[0].prefix_bits = ipv6 ? 64 : 24;
	*(ipv6 ? &cfg.gateway_ipv6 : &cfg.gateway_ipv4) = w->gateway;
	assert_int_equal(ep_slow_stack_create(&cfg, 0, &w->s, NULL), 0);
	while (ep_slow_stack_due_ns(w->s) != UINT64_MAX) {
		w->now_ns = ep_slow_stack_due_ns(w->s);
		ep_slow_stack_poll(w->s, w->now_ns, out);
	}
	w->now_ns += EP_NS_PER_S;
}

static void
put(struct util_packet *p, const void *bytes, size_t len)
{
	memcpy(p->bytes + p->len, bytes, len);
	p->len += len;
}

/* What the gateway says, in answer to us or to all. */
static struct util_packet
gateway_frame(const struct world *w, bool to_us)
{
	const uint8_t mac[6] = {2, [5] = w->mac_last}, our_mac[6] = {2, [5] = 1};
	const uint8_t all_mac[6] = {255, 255, 255, 255, 255, 255};
	const uint8_t nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	const uint8_t nodes[16] = {0xFF, 2, [15] = 1};
	const uint8_t flags = (uint8_t)((to_us ? 0x40 : 0) | (w->without_override ? 0 : 0x20));
	const bool ipv6 = w->family == EP_WIRE_IPV6;
	struct util_packet p = {0}, ip = {0};

	put(&p, to_us ? our_mac : ipv6 ? nodes_mac : all_mac, 6);
	put(&p, mac, 6);
	if (!ipv6) {
		put(&p, to_us ? "\x08\x06\0\1\x08\0\6\4\0\2" : "\x08\x06\0\1\x08\0\6\4\0\1", 10);
		put(&p, mac, 6);
		put(&p, w->gateway.bytes_be, 4);
		put(&p, our_mac, 6);
		put(&p, to_us ? w->us.bytes_be : w->gateway.bytes_be, 4);
		return p;
	}
	put(&p, "\x86\xdd", 2);
	put(&ip, "\x60\0\0\0\0\x20\x3a\xff", 8);
	put(&ip, w->gateway.bytes_be, 16);
	put(&ip, to_us ? w->us.bytes_be : nodes, 16);
	put(&ip, "\x88\0\0\0", 4);
	put(&ip, (const uint8_t[4]){flags}, 4);
	put(&ip, w->gateway.bytes_be, 16);
	put(&ip, "\2\1", 2);
	put(&ip, mac, 6);
	util_icmp_checksum(&ip);
	put(&p, ip.bytes, ip.len);
	return p;
}

static void
send_later(struct world *w, bool to_us)
{
	if (sim_chance(&w->random, w->loss_ratio))
		return;
	for (int i = 0; i < ANSWERS_MAX; i++) {
		if (w->answer[i].at_ns != 0)
			continue;
		w->answer[i].at_ns = w->now_ns + MS * (1 + sim_below(&w->random, 50));
		w->answer[i].frame = gateway_frame(w, to_us);
		return;
	}
	fail_msg("more than %d answers under way", ANSWERS_MAX);
}

/* The gateway hears what is sent to all or to its MAC. */
static void
question(struct world *w, const uint8_t *frame)
{
	w->questions++;
	if (w->alive && ((frame[0] & 1) != 0 || frame[5] == w->mac_last) &&
		!sim_chance(&w->random, w->loss_ratio))
		send_later(w, true);
}

static void
step(struct world *w)
{
	uint8_t out[EP_SLOW_FRAME_MAX];

	w->now_ns += STEP_NS;
	for (int i = 0; i < ANSWERS_MAX; i++) {
		if (w->answer[i].at_ns == 0 || w->answer[i].at_ns > w->now_ns)
			continue;
		w->answer[i].at_ns = 0;
		ep_slow_stack_input(
			w->s, w->answer[i].frame.bytes, w->answer[i].frame.len, w->now_ns, out);
	}
	while (ep_slow_stack_poll(w->s, w->now_ns, out) > 0)
		question(w, out);
}

/* Go on for some time, in use; returns when the gateway was first known rightly and stayed so [ns], or UINT64_MAX. */
static uint64_t
use(struct world *w, uint64_t ns, int *last)
{
	const uint64_t start_ns = w->now_ns;
	uint64_t right_ns = UINT64_MAX;
	uint8_t mac[6];

	while (w->now_ns - start_ns < ns) {
		step(w);
		*last = ep_slow_stack_resolve(w->s, &w->far, w->now_ns, mac);
		if (*last != 0 || mac[5] != w->mac_last)
			right_ns = UINT64_MAX;
		else if (right_ns == UINT64_MAX)
			right_ns = w->now_ns - start_ns;
		if (*last == 0) /* never anybody else's */
			assert_in_range(mac[5], 10, w->mac_last);
	}
	return right_ns;
}

static const enum ep_wire_family families[] = {EP_WIRE_IPV4, EP_WIRE_IPV6};
#define EACH_FAMILY(f) for (size_t f = 0; f < EP_ARRAY_LEN(families); f++)

static void
a_gateway_is_resolved_at_once_and_kept_with_a_question_a_second(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		struct world w;
		int last;

		world_init(&w, families[f]);
		assert_in_range(use(&w, EP_NS_PER_S, &last), 0, 100 * MS);
		w.questions = 0;
		assert_int_equal(use(&w, 60 * EP_NS_PER_S, &last), STEP_NS);
		assert_in_range(w.questions, 55, 62);
		ep_slow_stack_destroy(w.s);
	}
}

static void
a_mac_that_changes_is_followed_within_three_seconds(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		uint64_t worst_ns = 0;
		struct world w;
		int last;

		world_init(&w, families[f]);
		use(&w, EP_NS_PER_S, &last);
		for (int i = 0; i < 200; i++) {
			uint64_t took_ns;

			use(&w, MS * sim_below(&w.random, 3000), &last);
			w.mac_last++;
			w.without_override = i % 2 == 1;
			took_ns = use(&w, 4 * EP_NS_PER_S, &last);
			assert_in_range(took_ns, 0, FOLLOW_NS);
			worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
		}
		print_message("# slowest of 200: %.2f s\n", (double)worst_ns / 1e9);
		ep_slow_stack_destroy(w.s);
	}
}

static void
one_that_is_announced_is_followed_at_once(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		struct world w;
		int last;

		world_init(&w, families[f]);
		use(&w, EP_NS_PER_S, &last);
		for (int i = 0; i < 100; i++) {
			use(&w, MS * sim_below(&w.random, 3000), &last);
			w.mac_last++;
			send_later(&w, false);
			assert_in_range(use(&w, 2 * EP_NS_PER_S, &last), 0, 60 * MS);
		}
		ep_slow_stack_destroy(w.s);
	}
}

static void
a_gateway_that_falls_silent_is_told_and_found_again(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		struct world w;
		int last;

		world_init(&w, families[f]);
		use(&w, EP_NS_PER_S, &last);
		for (int i = 0; i < 20; i++) {
			w.alive = false;
			use(&w, FOLLOW_NS + MS * sim_below(&w.random, 5000), &last);
			assert_int_equal(last, -EHOSTUNREACH);
			w.alive = true;
			w.mac_last += i % 2;
			assert_in_range(use(&w, 4 * EP_NS_PER_S, &last), 0, FOLLOW_NS);
			assert_int_equal(last, 0);
		}
		ep_slow_stack_destroy(w.s);
	}
}

static void
a_lossy_link_delays_but_does_not_deceive(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		struct world w;
		uint64_t start_ns;
		int last = -1;

		world_init(&w, families[f]);
		w.loss_ratio = 0.2;
		w.questions = 0;
		start_ns = w.now_ns;
		for (int i = 0; i < 100; i++) {
			use(&w, 8 * EP_NS_PER_S, &last);
			if (i % 4 == 0)
				w.mac_last++;
		}
		/* A question is asked again after 250 ms at the earliest. */
		assert_in_range(w.questions, 1, (w.now_ns - start_ns) / (250 * MS));
		w.loss_ratio = 0;
		assert_in_range(use(&w, 4 * EP_NS_PER_S, &last), 0, FOLLOW_NS);
		ep_slow_stack_destroy(w.s);
	}
}

static void
who_is_not_asked_for_any_more_is_forgotten_in_silence(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		struct world w;
		uint64_t end_ns;
		int last;

		world_init(&w, families[f]);
		use(&w, EP_NS_PER_S, &last);
		end_ns = w.now_ns + 62 * EP_NS_PER_S;
		while (w.now_ns < end_ns)
			step(&w);
		w.questions = 0;
		assert_true(ep_slow_stack_due_ns(w.s) == UINT64_MAX);
		ep_slow_stack_destroy(w.s);
	}
}

static void
what_arrives_makes_no_neighbour(void **state)
{
	(void)state;
	EACH_FAMILY(f)
	{
		uint8_t out[EP_SLOW_FRAME_MAX], mac[6];
		struct world w;

		world_init(&w, families[f]);
		for (int i = 0; i < 1000; i++) {
			const struct util_packet frame = gateway_frame(&w, i % 2 == 0);

			w.gateway.bytes_be[2] = (uint8_t)i;
			ep_slow_stack_input(w.s, frame.bytes, frame.len, w.now_ns, out);
		}
		assert_true(ep_slow_stack_due_ns(w.s) == UINT64_MAX);
		assert_int_equal(ep_slow_stack_resolve(w.s, &w.far, w.now_ns, mac), -EAGAIN);
		ep_slow_stack_destroy(w.s);
	}
}

static void
more_neighbours_than_there_is_room_for_push_out_the_one_used_longest_ago(void **state)
{
	uint8_t out[EP_SLOW_FRAME_MAX], mac[6];
	struct world w;

	(void)state;
	world_init(&w, EP_WIRE_IPV4);
	for (int i = 0; i < 3 * EP_SLOW_NEIGHBOURS_MAX; i++) {
		struct ep_wire_ip host = w.us;
		int asked = 0;

		host.bytes_be[3] = (uint8_t)(100 + i);
		w.now_ns += MS;
		assert_int_equal(ep_slow_stack_resolve(w.s, &host, w.now_ns, mac), -EAGAIN);
		while (ep_slow_stack_poll(w.s, w.now_ns, out) > 0) {
			asked++;
			assert_int_equal(out[41], 100 + i);
		}
		assert_int_equal(asked, 1);
	}
	ep_slow_stack_destroy(w.s);
}

static void
a_host_is_reached_by_its_own_mac_on_the_link_and_by_a_gateway_beyond_it(void **state)
{
	static const struct {
		enum ep_wire_family family;
		const char *host;
		int want;
		uint8_t asked_last; /* last byte of who is asked for */
	} row[] = {
		{EP_WIRE_IPV4, "198.18.0.200", -EAGAIN, 200},
		{EP_WIRE_IPV4, "198.18.1.200", -EAGAIN, 9},
		{EP_WIRE_IPV4, "2001:2::5", -ENETUNREACH, 0},
		{EP_WIRE_IPV6, "2001:2::5", -EAGAIN, 5},
		{EP_WIRE_IPV6, "fe80::7", -EAGAIN, 7},
		{EP_WIRE_IPV6, "2001:3::5", -EAGAIN, 9},
		{EP_WIRE_IPV6, "198.18.0.2", -ENETUNREACH, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		uint8_t out[EP_SLOW_FRAME_MAX], mac[6];
		struct ep_wire_ip host;
		struct world w;
		size_t len;

		world_init(&w, row[i].family);
		assert_int_equal(ep_wire_ip_parse(row[i].host, &host, NULL), 0);
		assert_int_equal(ep_slow_stack_resolve(w.s, &host, w.now_ns, mac), row[i].want);
		len = ep_slow_stack_poll(w.s, w.now_ns, out);
		assert_int_equal(len > 0, row[i].asked_last != 0);
		if (len > 0) /* the target: at the end of ARP, in front of the option of NDP */
			assert_int_equal(out[len - (host.family == EP_WIRE_IPV6 ? 9 : 1)],
				row[i].asked_last);
		ep_slow_stack_destroy(w.s);
	}
}

static void
nobody_is_asked_for_before_an_address_is_ours(void **state)
{
	struct ep_slow_cfg cfg = {.mac = {2}, .addr_count = 1, .addr = {{.prefix_bits = 24}}};
	struct ep_slow_stack *s;
	struct ep_wire_ip host;
	uint8_t mac[6];

	(void)state;
	assert_int_equal(ep_wire_ip_parse("198.18.0.1", &cfg.addr[0].ip, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("198.18.0.2", &host, NULL), 0);
	assert_int_equal(ep_slow_stack_create(&cfg, 0, &s, NULL), 0);
	assert_int_equal(ep_slow_stack_resolve(s, &host, 0, mac), -EADDRNOTAVAIL);
	ep_slow_stack_destroy(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gateway_is_resolved_at_once_and_kept_with_a_question_a_second),
		cmocka_unit_test(a_mac_that_changes_is_followed_within_three_seconds),
		cmocka_unit_test(one_that_is_announced_is_followed_at_once),
		cmocka_unit_test(a_gateway_that_falls_silent_is_told_and_found_again),
		cmocka_unit_test(a_lossy_link_delays_but_does_not_deceive),
		cmocka_unit_test(who_is_not_asked_for_any_more_is_forgotten_in_silence),
		cmocka_unit_test(what_arrives_makes_no_neighbour),
		cmocka_unit_test(
			more_neighbours_than_there_is_room_for_push_out_the_one_used_longest_ago),
		cmocka_unit_test(
			a_host_is_reached_by_its_own_mac_on_the_link_and_by_a_gateway_beyond_it),
		cmocka_unit_test(nobody_is_asked_for_before_an_address_is_ours),
	};

	seed = sim_seed(20240602);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
