#pragma once

/* Private to lib/plan: from ports to prime rules, and from these to a smallest cover. */

#include "ep_plan.h"

/* Sets of more runs of ports are broken up before they are minimised. */
#define PLAN_RUNS_MAX 64
/* Prime rules of one set; one range has 240 at most. */
#define PLAN_PRIMES_MAX 1024
/* Ports that tell them apart; one range in 5,000 has more than 1,000. */
#define PLAN_POINTS_MAX 1024

/* A set of numbers below 2^n as runs, ascending and apart. */
struct plan_runs {
	uint32_t count;
	struct {
		uint16_t first, last;
	} run[PLAN_RUNS_MAX];
};

/* prime.c */
/* Whether all ports that a rule matches are in the set. */
bool plan_runs_hold(const struct plan_runs *set, struct ep_plan_mask rule);
/* All prime rules of a set: those that match nothing else and that no wider such rule contains. Their number, or -E2BIG. */
int plan_primes(const struct plan_runs *set, struct ep_plan_mask prime[PLAN_PRIMES_MAX]);

/* cover.c */
/* A smallest choice of the primes that matches all that they match, and its witnesses. 0, -E2BIG (too tangled) or -ENOMEM. */
int plan_cover(const struct ep_plan_mask *prime, uint32_t prime_count, struct ep_plan_masks *masks);

/* rss.c */
enum plan_rss_place { PLAN_RSS_SPORT, PLAN_RSS_DPORT };
int plan_rss_check(const struct ep_plan_rss *rss, struct ep_err *err);
/* What the addresses, and one port, add to the hash. */
uint32_t plan_rss_addresses(
	const struct ep_plan_rss *rss, const struct ep_wire_ip *src, const struct ep_wire_ip *dst);
uint32_t plan_rss_port(const struct ep_plan_rss *rss, enum ep_wire_family family,
	enum plan_rss_place place, uint16_t port);
