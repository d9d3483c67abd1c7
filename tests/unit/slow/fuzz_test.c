/*
 * Mutated frames and packets, from the seeds of tests/fuzz/slow-frame and slow-error. Nothing may crash or be read behind its end;
 * answers are whole frames from us; what is counted adds up. A change mostly breaks a checksum, so they are mended most times.
 */

#include "slow_paths.h"
#include "slow_util.h"

#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

static const char *const token_text[] = {"\x08\x06", "\x86\xdd", "\x81\x01\x01\x01", "\x45\x01",
	"\x4f\x44\x46", "\x60", "\x3a\x3c\x2c\x2b\x33", "\x87", "\x88", "\xff\xff\xff\xff\xff\xff",
	"\x02\x01", "\x03\x0d", "\x80\x60"};
static const struct fuzz_tokens tokens = {token_text, EP_ARRAY_LEN(token_text)};

/* Mend the checksums of the IP packet from an offset on, where it looks like one. */
static void
mend(struct fuzz_sample *s, size_t at)
{
	struct util_packet p = {0};

	if (s->len <= at + 20 || s->len - at > sizeof(p.bytes))
		return;
	p.len = s->len - at;
	memcpy(p.bytes, s->bytes + at, p.len);
	if (p.bytes[0] >> 4 == 6 && p.len < 42)
		return;
	util_icmp_checksum(&p);
	memcpy(s->bytes + at, p.bytes, p.len);
}

/* --- Frames to the stack --- */

static struct ep_slow_stack *
stack_new(void)
{
	struct ep_slow_cfg cfg = {
		.mac = {2, [5] = 1},
		.addr_count = 2,
		.addr = {{.prefix_bits = 24}, {.prefix_bits = 64}},
		.timing = {.answers_pps = 1000000},
	};
	uint8_t out[EP_SLOW_FRAME_MAX];
	struct ep_slow_stack *s;

	assert_int_equal(ep_wire_ip_parse("198.18.0.1", &cfg.addr[0].ip, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("2001:2::1", &cfg.addr[1].ip, NULL), 0);
	assert_int_equal(ep_slow_stack_create(&cfg, 0, &s, NULL), 0);
	while (ep_slow_stack_due_ns(s) != UINT64_MAX)
		ep_slow_stack_poll(s, ep_slow_stack_due_ns(s), out);
	return s;
}

/* Whether it is answered. Everything that takes a frame, on a copy of exactly its bytes. */
static bool
frame_try(struct ep_slow_stack *s, const struct fuzz_sample *sample, uint64_t now_ns)
{
	static const uint8_t our_mac[6] = {2, [5] = 1};
	uint8_t *const copy = fuzz_exact_copy(sample->bytes, sample->len);
	uint8_t out[EP_SLOW_FRAME_MAX];
	size_t ip_len = 0;
	const uint8_t *ip = ep_slow_stack_ip(s, copy, sample->len, &ip_len);
	const size_t len = ep_slow_stack_input(s, copy, sample->len, now_ns, out);

	if (ip != NULL)
		assert_true(ip >= copy && ip_len == sample->len - (size_t)(ip - copy));
	if (len > 0) {
		assert_in_range(len, 42, EP_SLOW_FRAME_MAX);
		assert_memory_equal(out + 6, our_mac, 6);
		assert_int_not_equal(memcmp(out, our_mac, 6), 0);
	}
	free(copy);
	return len > 0;
}

static void
frames_of_any_kind_are_survived(void **state)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(slow_frame_corpus_dir);
	struct ep_slow_stack *s = stack_new();
	const long rounds = fuzz_rounds();
	uint64_t random = seed, now_ns = 100 * EP_NS_PER_S;
	struct ep_slow_count count;
	uint64_t answered = 0;
	uint8_t out[EP_SLOW_FRAME_MAX], mac[6];
	struct ep_wire_ip host;

	(void)state;
	assert_int_equal(ep_wire_ip_parse("198.18.0.2", &host, NULL), 0);
	for (long i = 0; i < rounds; i++) {
		fuzz_sample_random(&random, corpus, &tokens, &sample);
		if (!sim_chance(&random, 0.2))
			mend(&sample, 14);
		now_ns += EP_NS_PER_MS;
		ep_slow_stack_resolve(s, &host, now_ns, mac);
		answered += frame_try(s, &sample, now_ns);
		while (ep_slow_stack_poll(s, now_ns, out) > 0)
			;
		assert_true(ep_slow_stack_due_ns(s) > now_ns);
	}
	ep_slow_stack_count(s, &count);
	assert_int_equal(count.frames, rounds);
	assert_int_equal(count.answered, answered);
	assert_in_range(answered, rounds / 20, rounds);
	assert_true(count.malformed > (uint64_t)rounds / 100);
	assert_true(count.conflicts > 0);
	ep_slow_stack_destroy(s);
	free(corpus);
}

static void
each_seed_frame_is_answered_as_its_name_says(void **state)
{
	struct fuzz_corpus *const corpus = fuzz_corpus_read(slow_frame_corpus_dir);

	(void)state;
	for (size_t i = 0; i < corpus->count; i++) {
		struct ep_slow_stack *s = stack_new();
		const struct fuzz_seed *f = &corpus->seed[i];

		print_message("# %s\n", f->name);
		assert_int_equal(
			frame_try(s, &f->sample, 100 * EP_NS_PER_S), fuzz_seed_is(f, "answer"));
		ep_slow_stack_destroy(s);
	}
	free(corpus);
}

/* --- Packets that quote --- */

static const char *const verdict_name[EP_SLOW_VERDICTS] = {
	"flow", "port", "forged", "foreign", "other"};

static enum ep_slow_verdict
packet_try(const struct util_side *side, const struct fuzz_sample *sample)
{
	uint8_t *const copy = fuzz_exact_copy(sample->bytes, sample->len);
	struct ep_slow_quote q = {.port_index = UINT32_MAX};
	const enum ep_slow_verdict verdict = ep_slow_quote(&side->match, copy, sample->len, &q);

	if (verdict == EP_SLOW_FLOW || verdict == EP_SLOW_PORT) {
		assert_in_range(q.port_index, 0, UTIL_PORT_COUNT - 1);
		assert_true(q.from.family == EP_WIRE_IPV4 || q.from.family == EP_WIRE_IPV6);
		if (verdict == EP_SLOW_FLOW)
			assert_in_range(q.flow, 0, side->space.flow_count - 1);
	} else {
		assert_int_equal(q.port_index, UINT32_MAX);
	}
	free(copy);
	return verdict;
}

static void
errors_of_any_kind_are_survived_and_none_is_made_ours_by_chance(void **state)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(slow_error_corpus_dir);
	const long rounds = fuzz_rounds();
	long count[EP_SLOW_VERDICTS] = {0};
	struct util_side side[2];
	uint64_t random = seed;

	(void)state;
	util_side_init(&side[0], EP_WIRE_IPV4, false);
	util_side_init(&side[1], EP_WIRE_IPV6, false);
	for (long i = 0; i < rounds; i++) {
		fuzz_sample_random(&random, corpus, &tokens, &sample);
		if (!sim_chance(&random, 0.2))
			mend(&sample, 0);
		count[packet_try(&side[sim_below(&random, 2)], &sample)]++;
	}
	for (int v = 0; v < EP_SLOW_VERDICTS; v++) {
		print_message("# %s: %ld of %ld\n", verdict_name[v], count[v], rounds);
		assert_true(count[v] > rounds / 200);
	}
	util_side_fini(&side[0]);
	util_side_fini(&side[1]);
	free(corpus);
}

static void
each_seed_error_is_what_its_name_says(void **state)
{
	struct fuzz_corpus *const corpus = fuzz_corpus_read(slow_error_corpus_dir);
	struct util_side side[2];

	(void)state;
	util_side_init(&side[0], EP_WIRE_IPV4, false);
	util_side_init(&side[1], EP_WIRE_IPV6, false);
	for (size_t i = 0; i < corpus->count; i++) {
		const struct fuzz_seed *f = &corpus->seed[i];

		print_message("# %s\n", f->name);
		assert_true(fuzz_seed_is(f,
			verdict_name[packet_try(&side[f->sample.bytes[0] >> 4 == 6], &f->sample)]));
	}
	util_side_fini(&side[0]);
	util_side_fini(&side[1]);
	free(corpus);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_any_kind_are_survived),
		cmocka_unit_test(each_seed_frame_is_answered_as_its_name_says),
		cmocka_unit_test(errors_of_any_kind_are_survived_and_none_is_made_ours_by_chance),
		cmocka_unit_test(each_seed_error_is_what_its_name_says),
	};

	seed = sim_seed(20240603);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
