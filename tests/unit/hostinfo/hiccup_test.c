#include <ep_hostinfo.h>

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SPAN_NS (20 * EP_NS_PER_MS)

static void
each_allowed_cpu_is_measured_within_the_span(void **state)
{
	struct ep_doctor_hiccup *h = calloc(1, sizeof(*h));
	cpu_set_t allowed;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	ep_hostinfo_hiccup(SPAN_NS, NULL, NULL, h);
	assert_true(h->measured);
	assert_int_equal(h->span_ns, SPAN_NS);
	assert_int_equal(h->cpu_count, CPU_COUNT(&allowed));
	for (uint32_t i = 0; i < h->cpu_count; i++) {
		assert_true(CPU_ISSET(h->cpu[i].cpu, &allowed));
		/* two readings of the clock are never at the same moment for the whole span */
		assert_true(h->cpu[i].max_gap_ns > 0 && h->cpu[i].max_gap_ns <= SPAN_NS);
		assert_true(h->cpu[i].away_ratio >= 0 && h->cpu[i].away_ratio <= 1);
	}
	assert_true(h->steal_ratio <= 1);
	free(h);
}

static bool
stop_at_once(void *ctx, uint64_t elapsed_ns)
{
	(void)elapsed_ns;
	++*(int *)ctx;
	return false;
}

static void
a_caller_that_has_enough_ends_it(void **state)
{
	struct ep_doctor_hiccup *h = calloc(1, sizeof(*h));
	int calls = 0;

	(void)state;
	ep_hostinfo_hiccup(3600 * EP_NS_PER_S, stop_at_once, &calls, h);
	assert_false(h->measured);
	assert_int_equal(calls, 1);
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allowed_cpu_is_measured_within_the_span),
		cmocka_unit_test(a_caller_that_has_enough_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
