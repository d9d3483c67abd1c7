#pragma once

/*
 * What the hot files share. They are compiled once for each instruction set (HOT_ISA, see meson.build), and hot.c chooses
 * between the results at start.
 */

#include "transmit.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#define HOT_PASTE_(name, isa) name##_##isa
#define HOT_PASTE(name, isa) HOT_PASTE_(name, isa)
/** The name of a function in this instruction set's copy. */
#define HOT_NAME(name) HOT_PASTE(name, HOT_ISA)

lane_rx_fn HOT_NAME(rx_choose)(const struct rx_choice *c);
lane_tx_fn HOT_NAME(tx_choose)(const struct tx_choice *c);
