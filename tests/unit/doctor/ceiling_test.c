#include <ep_doctor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ep_doctor_ceiling_entry
entry(const char *kind, const char *size, double pps)
{
	struct ep_doctor_ceiling_entry e = {
		.driver = "net_ring",
		.cpu = "AMD EPYC",
		.pps = pps,
		.device = "the in-memory pair",
		.measured = "2026-11-24T03:00:00Z",
	};

	snprintf(e.kind, sizeof(e.kind), "%s", kind);
	snprintf(e.size, sizeof(e.size), "%s", size);
	return e;
}

static void
put(struct ep_doctor_ceilings *all, const char *kind, const char *size, double pps)
{
	const struct ep_doctor_ceiling_entry e = entry(kind, size, pps);

	ep_doctor_ceilings_put(all, &e);
}

static double
find(const struct ep_doctor_ceilings *all, const char *kind, const char *size)
{
	const struct ep_doctor_ceiling_entry *e =
		ep_doctor_ceilings_find(all, kind, "net_ring", "AMD EPYC", size);

	return e != NULL ? e->pps : 0;
}

static void
the_newest_of_a_key_is_kept_and_each_part_of_the_key_counts(void **state)
{
	struct ep_doctor_ceilings *all = calloc(1, sizeof(*all));

	(void)state;
	put(all, "memory", "64", 1e6);
	put(all, "memory", "imix", 2e6);
	put(all, "af_xdp", "64", 3e6);
	put(all, "memory", "64", 4e6);
	assert_int_equal(all->count, 3);
	assert_true(find(all, "memory", "64") == 4e6);
	assert_true(find(all, "memory", "imix") == 2e6);
	assert_true(find(all, "af_xdp", "64") == 3e6);
	assert_null(ep_doctor_ceilings_find(all, "memory", "net_null", "AMD EPYC", "64"));
	assert_null(ep_doctor_ceilings_find(all, "memory", "net_ring", "Xeon", "64"));
	free(all);
}

static void
the_oldest_goes_where_there_is_no_room(void **state)
{
	struct ep_doctor_ceilings *all = calloc(1, sizeof(*all));
	char size[16];

	(void)state;
	for (int i = 0; i < EP_DOCTOR_CEILINGS_MAX + 2; i++) {
		snprintf(size, sizeof(size), "%d", 64 + i);
		put(all, "memory", size, 1e6 + i);
		/* one that is measured again and again is never the oldest */
		put(all, "memory", "imix", 2e6);
	}
	assert_int_equal(all->count, EP_DOCTOR_CEILINGS_MAX);
	assert_true(find(all, "memory", "64") == 0);
	assert_true(find(all, "memory", "imix") == 2e6);
	assert_true(find(all, "memory", size) == 1e6 + EP_DOCTOR_CEILINGS_MAX + 1);
	free(all);
}

static void
what_is_written_is_read_back(void **state)
{
	struct ep_doctor_ceilings *all = calloc(1, sizeof(*all)), *back = calloc(1, sizeof(*back));
	char *text;

	(void)state;
	put(all, "memory", "64", 12345678.25);
	put(all, "af_packet", "64,1256", 4e5);
	assert_int_equal(ep_doctor_ceilings_format(all, &text), 0);
	assert_int_equal(ep_doctor_ceilings_parse(text, strlen(text), back), 0);
	assert_int_equal(back->count, 2);
	assert_memory_equal(back->entry, all->entry, 2 * sizeof(all->entry[0]));
	free(text);
	free(all);
	free(back);
}

static void
what_is_none_of_ours_is_refused_and_bad_entries_are_left_out(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"schema\": \"x\", \"ceilings\": []}",
		"{\"schema\": \"everyport.ceiling/1\"}"};
	static const char some[] = "{\"schema\": \"everyport.ceiling/1\", \"ceilings\": [1, {}, "
				   "{\"kind\": \"memory\"},"
				   "{\"kind\": \"a name that is too long for it\", \"driver\": "
				   "\"d\", \"cpu\": \"c\", \"size\": \"64\","
				   "\"device\": \"x\", \"measured\": \"t\", \"pps\": 1.0},"
				   "{\"kind\": \"memory\", \"driver\": \"d\", \"cpu\": \"c\", "
				   "\"size\": \"64\", \"device\": \"x\","
				   "\"measured\": \"t\", \"pps\": -1.0},"
				   "{\"kind\": \"memory\", \"driver\": \"d\", \"cpu\": \"c\", "
				   "\"size\": \"64\", \"device\": \"x\","
				   "\"measured\": \"t\", \"pps\": 5}]}";
	struct ep_doctor_ceilings *all = calloc(1, sizeof(*all));

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		assert_int_not_equal(ep_doctor_ceilings_parse(bad[i], strlen(bad[i]), all), 0);
		assert_int_equal(all->count, 0);
	}
	assert_int_equal(ep_doctor_ceilings_parse(some, strlen(some), all), 0);
	assert_int_equal(all->count, 1);
	assert_true(all->entry[0].pps == 5);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_of_a_key_is_kept_and_each_part_of_the_key_counts),
		cmocka_unit_test(the_oldest_goes_where_there_is_no_room),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(what_is_none_of_ours_is_refused_and_bad_entries_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
