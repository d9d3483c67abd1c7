#pragma once

/** @file Results of the fallback check, with every part that a row can have. */

#include <ep_result.h>

/** everyport tcp: levels, TLS, ICMP, capacity, idle; fails. */
struct ep_result *tcp_case_alone(void);

/** A run with a load under which new connections fail, and a held one stalls. */
struct ep_result *tcp_case_load(void);
