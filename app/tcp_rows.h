#pragma once

/** @file What the fallback checker found, as rows of the result. */

#include <ep_result.h>
#include <ep_tcpcheck.h>

/** A row of a round. */
void tcp_row_of(struct ep_result_tcp *row, const struct ep_tcpcheck_row *from, const char *phase);

/** Put the connects of target @p i into a row that has its port, or make one: a failure under load decides its status. */
void tcp_row_connects(struct ep_result_tcp *row, const struct ep_tcpcheck_load *load);

/** A row of the connects alone, for a phase without a round. */
void tcp_row_of_load(struct ep_result_tcp *row, const struct ep_tcpcheck_load *load,
	const struct ep_tcpcheck_target *target, const char *phase);

/** @param load_ns Beginning of the load since that of the held connection [ns]; 0: none. */
void tcp_row_of_hold(struct ep_result_tcp *row, const struct ep_tcpcheck_hold *hold,
	const struct ep_tcpcheck_target *target, uint64_t load_ns);

void tcp_row_of_capacity(struct ep_result_tcp *row, const struct ep_tcpcheck_capacity *c,
	const struct ep_tcpcheck_capacity_cfg *cfg);

void tcp_row_of_age(struct ep_result_tcp *row, const struct ep_tcpcheck_age *age);
