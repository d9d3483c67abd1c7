#include "result_util.h"

#include <errno.h>
#include <string.h>

/* A ledger in which every counter differs and every equation holds. */
static struct ep_result_ledger
closing_ledger(void)
{
	return (struct ep_result_ledger){
		.intended = 1000,
		.accepted = 990,
		.not_sent = 10,
		.oerrors = 4,
		.nic_tx = 986,
		.received = 930,
		.duplicates = 15,
		.reordered = 7,
		.lost_max = 75,
		.lost_min = 73,
		.late = 3,
		.bad_tag = 5,
		.wrong_port = 8,
		.foreign = 11,
		.imissed = 21,
		.ierrors = 2,
		.rx_nombuf = 6,
		.nic_rx = 930 + 3 + 5 + 8 + 11 + 21 + 2 + 6,
		.nic_dropped = 13,
		.allowance = 17,
		.sender_known = true,
		.receiver_known = true,
	};
}

static void
ledger_that_closes_is_accepted(void **state)
{
	const struct ep_result_ledger l = closing_ledger(), empty = {0};

	(void)state;
	assert_int_equal(ep_result_ledger_check(&l, "up", NULL), 0);
	assert_int_equal(ep_result_ledger_check(&empty, "up", NULL), 0);
}

/* Each counter of an equation, one too many, breaks it; the sentence names the direction, the counter and both numbers. */
static void
ledger_off_by_one_is_found_in_every_counter(void **state)
{
#define AT(counter) offsetof(struct ep_result_ledger, counter)
	static const struct {
		size_t offset;
		const char *says;
	} step[] = {
		{AT(intended), "intended 1001 is not accepted 990 + not_sent 10 = 1000"},
		{AT(accepted), "intended 1000 is not accepted 991 + not_sent 10 = 1001"},
		{AT(not_sent), "intended 1000 is not accepted 990 + not_sent 11 = 1001"},
		{AT(oerrors), "accepted 990 is not nic_tx 986 + oerrors 5 = 991"},
		{AT(nic_tx), "accepted 990 is not nic_tx 987 + oerrors 4 = 991"},
		{AT(nic_rx), "nic_rx 987 is not received"},
		{AT(received), "nic_rx 986 is not received"},
		{AT(late), "nic_rx 986 is not received"},
		{AT(bad_tag), "nic_rx 986 is not received"},
		{AT(wrong_port), "nic_rx 986 is not received"},
		{AT(foreign), "nic_rx 986 is not received"},
		{AT(imissed), "imissed + ierrors + rx_nombuf 30 = 987"},
		{AT(ierrors), "imissed + ierrors + rx_nombuf 30 = 987"},
		{AT(rx_nombuf), "imissed + ierrors + rx_nombuf 30 = 987"},
		{AT(duplicates),
			"accepted 990 is not received 930 - duplicates 16 + lost_max 75 = 989"},
		{AT(lost_max),
			"accepted 990 is not received 930 - duplicates 15 + lost_max 76 = 991"},
	};
#undef AT

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++) {
		struct ep_result_ledger l = closing_ledger();
		struct ep_err err = {0};

		(*(uint64_t *)(void *)((char *)&l + step[i].offset))++;
		assert_int_equal(ep_result_ledger_check(&l, "down", &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
		assert_ptr_equal(strstr(err.text, "down: "), err.text);
		if (strstr(err.text, step[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.text, step[i].says);
	}
}

static void
ledger_rejects_a_lower_bound_above_the_upper(void **state)
{
	struct ep_result_ledger l = closing_ledger();
	struct ep_err err;

	(void)state;
	l.lost_min = l.lost_max + 1;
	assert_int_equal(ep_result_ledger_check(&l, "up", &err), -EBADMSG);
	assert_string_equal(err.text, "up: lost_min 76 is above lost_max 75");
}

static void
ledger_parts_that_are_not_known_are_not_checked(void **state)
{
	struct ep_result_ledger sender = closing_ledger(), receiver = closing_ledger();

	(void)state;
	sender.receiver_known = false;
	sender.nic_rx = sender.lost_max = 7777;
	assert_int_equal(ep_result_ledger_check(&sender, "up", NULL), 0);
	sender.not_sent++;
	assert_int_equal(ep_result_ledger_check(&sender, "up", NULL), -EBADMSG);

	receiver.sender_known = false;
	receiver.accepted = receiver.intended = receiver.nic_tx = 7777;
	assert_int_equal(ep_result_ledger_check(&receiver, "up", NULL), 0);
	receiver.foreign++;
	assert_int_equal(ep_result_ledger_check(&receiver, "up", NULL), -EBADMSG);
}

/* Sums of ledgers that close do close, and each counter is added: compared as an array of counters. */
static void
ledger_add_sums_every_counter(void **state)
{
	const struct ep_result_ledger one = closing_ledger();
	struct ep_result_ledger sum = closing_ledger();

	(void)state;
	ep_result_ledger_add(&sum, &one);
	ep_result_ledger_add(&sum, &one);
	for (size_t at = 0; at < offsetof(struct ep_result_ledger, sender_known);
		at += sizeof(uint64_t)) {
		const uint64_t *counter = (const void *)((const char *)&sum + at);
		const uint64_t *single = (const void *)((const char *)&one + at);

		assert_true(*single > 0);
		assert_int_equal(*counter, 3 * *single);
	}
	assert_int_equal(ep_result_ledger_check(&sum, "up", NULL), 0);
}

static void
ledger_part_stays_known_only_when_both_are(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits < 16; bits++) {
		struct ep_result_ledger dst = {
			.sender_known = bits & 1, .receiver_known = bits & 2};
		const struct ep_result_ledger src = {
			.sender_known = bits & 4, .receiver_known = bits & 8};

		ep_result_ledger_add(&dst, &src);
		assert_int_equal(dst.sender_known, (bits & 5) == 5);
		assert_int_equal(dst.receiver_known, (bits & 10) == 10);
	}
}

static void
ledger_shortfall_counts_what_is_known(void **state)
{
	struct ep_result_ledger l = closing_ledger();

	(void)state;
	assert_int_equal(ep_result_shortfall(&l), 10 + 4 + 21 + 2 + 6);
	l.nic_known = true;
	assert_int_equal(ep_result_shortfall(&l), 10 + 4 + 21 + 2 + 6 + 13);
	l.nic_dropped = 5000; /* other traffic's: no more than was lost */
	assert_int_equal(ep_result_shortfall(&l), 10 + 4 + 21 + 2 + 6 + 75);
	l.receiver_known = false;
	assert_int_equal(ep_result_shortfall(&l), 10 + 4);
	l.sender_known = false;
	assert_int_equal(ep_result_shortfall(&l), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ledger_that_closes_is_accepted),
		cmocka_unit_test(ledger_off_by_one_is_found_in_every_counter),
		cmocka_unit_test(ledger_rejects_a_lower_bound_above_the_upper),
		cmocka_unit_test(ledger_parts_that_are_not_known_are_not_checked),
		cmocka_unit_test(ledger_add_sums_every_counter),
		cmocka_unit_test(ledger_part_stays_known_only_when_both_are),
		cmocka_unit_test(ledger_shortfall_counts_what_is_known),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
