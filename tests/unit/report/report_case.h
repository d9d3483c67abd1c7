#pragma once

/** @file Results whose renderings are kept as goldens, one for each kind of verdict. */

#include <ep_result.h>

/** A named result. */
struct report_case {
	const char *name;                 /**< Of its golden files. */
	struct ep_result *(*build)(void); /**< Judged; the caller destroys it. */
	bool every_port;                  /**< Over 10,001 ports: kept as text only. */
};

extern const struct report_case report_cases[];
extern const size_t report_case_count;

/** Where the goldens are, from the build. */
extern const char *const report_golden_dir;

/** Compare with a golden, or write it when EP_TEST_GOLDEN_UPDATE is set. Fails the test on a difference. */
void report_golden(const char *name, const char *extension, const char *text);
