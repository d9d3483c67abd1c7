#include <ep_path.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
path_parse_reads_each_word_in_any_order(void **state)
{
	static const struct {
		const char *text;
		uint32_t blocked_count;
		double drop_ratio, dup_ratio, reorder_ratio;
	} c[] = {
		{"block=50100-50110,drop=1%,dup=0.1%,reorder=0.5%", 11, 0.01, 0.001, 0.005},
		{"reorder=0.5,dup=0.25,drop=0.125", 0, 0.125, 0.25, 0.5},
		{"block=7", 1, 0, 0, 0},
		{"block=50100-50110+55555+50110-50111", 13, 0, 0, 0},
		{"drop=100%", 0, 1, 0, 0},
		{"drop=0", 0, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		struct ep_path_cfg cfg;

		assert_int_equal(ep_path_parse(c[i].text, "--impair", &cfg, NULL), 0);
		assert_int_equal(cfg.blocked != NULL, c[i].blocked_count > 0);
		if (cfg.blocked != NULL)
			assert_int_equal(cfg.blocked->port_count, c[i].blocked_count);
		assert_true(cfg.drop_ratio == c[i].drop_ratio);
		assert_true(cfg.dup_ratio == c[i].dup_ratio);
		assert_true(cfg.reorder_ratio == c[i].reorder_ratio);
		ep_path_cfg_fini(&cfg);
		assert_null(cfg.blocked);
		ep_path_cfg_fini(&cfg);
	}
}

/* The sentence has the option, the value and what is allowed, and the cfg stays as it was. */
static void
path_parse_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
		const char *says;
	} c[] = {
		{"", -EINVAL, "'' is no known word; allowed are block=PORTS, drop=RATIO"},
		{"drop=1%,", -EINVAL, "'' is no known word"},
		{",drop=1%", -EINVAL, "'' is no known word"},
		{"loss=1%", -EINVAL,
			"'loss' is no known word; allowed are block=PORTS, drop=RATIO"},
		{"Drop=1%", -EINVAL, "'Drop' is no known word"},
		{"drops=1%", -EINVAL, "'drops' is no known word"},
		{"block=50100,50200", -EINVAL, "'50200' is no known word"},
		{"drop", -EINVAL, "'drop' has no value"},
		{"drop=1%,dup=1%,drop=2%", -EINVAL, "'drop' is given twice"},
		{"block=1,block=2", -EINVAL, "'block' is given twice"},
		{"drop=", -EINVAL, "drop ''"},
		{"drop=x", -EINVAL, "drop 'x'"},
		{"dup=1%%", -EINVAL, "dup '1%%'"},
		{"reorder=1=2", -EINVAL, "reorder '1=2'"},
		{"drop=101%", -ERANGE, "drop '101%'"},
		{"drop=-1%", -ERANGE, "drop '-1%'"},
		{"block=5,drop=2", -ERANGE, "drop '2'"},
		{"block=", -EINVAL, "block '' is no list of ports; allowed are ports 1 to 65535"},
		{"block=5+", -EINVAL, "block '5+' is no list of ports"},
		{"block=9-5", -EINVAL, "block '9-5' is no list of ports"},
		{"block=5-x%s%n", -EINVAL, "block '5-x%s%n'"},
		{"block=0", -ERANGE, "block '0' is out of range; allowed are ports 1 to 65535"},
		{"block=5+65536", -ERANGE, "block '5+65536' is out of range"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		struct ep_path_cfg cfg = {.drop_ratio = 0.75};
		struct ep_err err = {0};

		assert_int_equal(ep_path_parse(c[i].text, "--impair", &cfg, &err), c[i].want);
		assert_int_equal(err.code, c[i].want);
		assert_non_null(strstr(err.text, "--impair"));
		assert_non_null(strstr(err.text, "allowed"));
		if (strstr(err.text, c[i].says) == NULL)
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", c[i].text, err.text,
				c[i].says);
		assert_true(cfg.drop_ratio == 0.75);
		assert_null(cfg.blocked);
		assert_int_equal(ep_path_parse(c[i].text, "--impair", &cfg, NULL), c[i].want);
	}
}

static void
path_parse_takes_texts_longer_than_the_sentence(void **state)
{
	enum { LENGTH = 5000 };
	char *const text = malloc(LENGTH + 1);
	struct ep_path_cfg cfg;
	struct ep_err err;

	(void)state;
	memset(text, 'x', LENGTH);
	text[LENGTH] = '\0';
	assert_int_equal(ep_path_parse(text, "--impair", &cfg, &err), -EINVAL);
	memcpy(text, "block=", 6);
	assert_int_equal(ep_path_parse(text, "--impair", &cfg, &err), -EINVAL);
	memcpy(text, "drop=0", 6);
	assert_int_equal(ep_path_parse(text, "--impair", &cfg, &err), -EINVAL);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_parse_reads_each_word_in_any_order),
		cmocka_unit_test(path_parse_refuses_with_a_sentence),
		cmocka_unit_test(path_parse_takes_texts_longer_than_the_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
