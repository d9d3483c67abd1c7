#include <ep_base.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
err_set_fills_code_and_sentence_and_returns_the_code(void **state)
{
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_err_set(&err, -ERANGE, "%s is %d", "x", 7), -ERANGE);
	assert_int_equal(err.code, -ERANGE);
	assert_string_equal(err.text, "x is 7");
}

static void
err_set_accepts_no_error_to_fill(void **state)
{
	(void)state;
	assert_int_equal(ep_err_set(NULL, -EINVAL, "%s", "x"), -EINVAL);
}

static void
err_set_cuts_a_long_sentence(void **state)
{
	struct ep_err err;
	char text[2 * sizeof(err.text)];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ep_err_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void
err_set_can_put_words_around_its_own_text(void **state)
{
	struct ep_err err;

	(void)state;
	ep_err_set(&err, -EINVAL, "no such port");
	ep_err_set(&err, err.code, "line %d: %s", 3, err.text);
	assert_string_equal(err.text, "line 3: no such port");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_set_fills_code_and_sentence_and_returns_the_code),
		cmocka_unit_test(err_set_accepts_no_error_to_fill),
		cmocka_unit_test(err_set_cuts_a_long_sentence),
		cmocka_unit_test(err_set_can_put_words_around_its_own_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
