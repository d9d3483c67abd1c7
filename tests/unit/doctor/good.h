#pragma once

/* Facts about a host on which everything is as it should be, and what each case changes. */

#include <ep_doctor.h>

/* A bare-metal host of 8 CPUs with one ixgbe NIC, named by --dev; every finding is OK. The caller frees it. */
struct ep_doctor_facts *good_facts(void);

/* One change, and the finding that it is to lead to. */
struct good_case {
	const char *what;
	void (*change)(struct ep_doctor_facts *f);
	const char *id;
	enum ep_doctor_status status;
	const char *sentence; /* Part of it. */
	const char *fix;      /* Part of it; "": there is none. */
};

/* Assert each case. */
void good_cases(const struct good_case *list, size_t count);

/* Assert that the cases show each finding's id with each status that it can have: "id" and a word such as "OK warn". */
struct good_can {
	const char *id;
	bool ok, warn, stop;
};
void good_covers(
	const struct good_case *list, size_t count, const struct good_can *can, size_t can_count);

/* The finding of an id; fails the test where there is none. */
const struct ep_doctor_finding *good_find(const struct ep_doctor_report *r, const char *id);
