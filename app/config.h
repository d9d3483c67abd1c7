#pragma once

/**
 * @file
 * What the user asked for: every option as a value with its unit, checked on its own. Filled by opt.c, const afterwards.
 */

#include <ep_base.h>
#include <ep_ctrl.h>
#include <ep_engine.h>
#include <ep_path.h>
#include <ep_range.h>
#include <ep_slow.h>
#include <ep_tcpcheck.h>

#include <stdbool.h>
#include <stdint.h>

/** Exit codes (design section 2). */
enum exit_code {
	EXIT_PASS = 0,
	EXIT_CRITERION = 1,
	EXIT_USAGE = 2,
	EXIT_ENVIRONMENT = 3,
	EXIT_PEER = 4,
	EXIT_INVALID = 5,
	EXIT_INTERRUPTED = 6,
};

#define CONFIG_DEVS_MAX 2
#define CONFIG_CORES_MAX 64
#define CONFIG_TCP_MAX EP_TCPCHECK_TARGETS_MAX
#define CONFIG_NOTES_MAX 32

/** One command's options. */
struct config {
	const char *command;
	const char *dev[CONFIG_DEVS_MAX];
	uint32_t dev_count;
	struct ep_slow_addr_cfg addr[CONFIG_DEVS_MAX]; /**< Of each device, in their order. */
	const char *addr_text[CONFIG_DEVS_MAX];
	uint32_t addr_count;
	struct ep_wire_ip gateway[CONFIG_DEVS_MAX];
	const char *gateway_text[CONFIG_DEVS_MAX];
	uint32_t gateway_count;
	uint64_t
		vlan; /**< Of devices that no kernel owns: 802.1Q identifier of all frames; 0: no tag. */
	const char *control_dev;  /**< NULL: not given. */
	const char *control_peer; /**< NULL: peer. */
	const char *peer;
	const char *ports_text;
	struct ep_range *range;
	struct ep_rate rate;
	struct ep_rate sweep_rate;
	bool sweep_rate_given;
	struct ep_sizes sizes;
	const char *sizes_text;
	uint64_t duration_ns;
	uint64_t drain_ns;
	enum ep_ctrl_mode direction;
	uint64_t sources;
	uint64_t seed;
	uint64_t sweeps;
	uint64_t burst_pkts; /**< 0: chosen from the rate. */
	enum ep_engine_stamp stamp;
	uint64_t ring_descs;
	uint64_t busy_poll_pkts; /**< AF_XDP: budget; 0: off. */
	double max_loss_ratio;
	uint16_t cores[CONFIG_CORES_MAX];
	uint32_t core_count; /**< 0: planned. */
	uint64_t
		queues; /**< Receive queues of each device, AF_XDP: that the range is kept on; 0: planned. */
	const char *host; /**< everyport tcp HOST. */
	struct ep_tcpcheck_targets
		targets;              /**< Ports of the fallback check; serve: to answer on. */
	uint16_t tcp[CONFIG_TCP_MAX]; /**< The TCP ports of targets, each once, ascending. */
	uint32_t tcp_count;
	const char *tcp_text;      /**< --tcp; NULL: not given. */
	const char *udp_stun_text; /**< --udp-stun; NULL: not given. */
	const char *preset;        /**< NULL: not given. */
	const char *livekit_path;  /**< NULL: none. */
	const char *sni, *turn_sni, *expect_issuer, *ufrag, *pwd; /**< NULL: not given. */
	char turn_domain[256];  /**< Of the LiveKit file: turn_sni may point to it. */
	char livekit_ports[16]; /**< Of the LiveKit file: ports_text may point to it. */
	char (*note)
		[256]; /**< [note_count] sentences about the options: where the LiveKit file contradicts itself. */
	uint32_t note_count;
	uint64_t tcp_timeout_ns;
	double tcp_rate_hz;   /**< Connects a second and port under load. */
	uint64_t connections; /**< 0: no capacity test. */
	uint64_t hold_ns;
	double connect_rate_hz;
	const char *hold_text, *connect_rate_text; /**< NULL: not given. */
	uint64_t capacity_port;                    /**< 0: not given. */
	uint64_t idle_ns;                          /**< 0: no idle test. */
	bool ports_given;
	uint64_t control_port; /**< 0: one of the TCP ports. */
	const char *key_file;
	const char *json_path;
	const char *csv_path;
	const char *eal_args;
	struct ep_path_cfg impair;
	const char *impair_text;
	bool has_impair;
	bool verify_filler;
	bool offload_checksum;
	bool quiet;
	bool once;
	bool fix;
	bool no_measure;
	bool verbose;
	bool duration_given;
	bool rate_given;
};

/** Free what options took. */
void config_fini(struct config *c);
