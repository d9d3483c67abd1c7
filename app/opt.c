#include "opt_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define COMMAND_TRAFFIC (COMMAND_LOOP | COMMAND_RUN)
#define COMMAND_CHECKED (COMMAND_LOOP | COMMAND_RUN | COMMAND_TCP)
#define COMMAND_ALL (COMMAND_LOOP | COMMAND_SERVE | COMMAND_RUN)
/* What decides how a device would be used is the doctor's business, too. */
#define COMMAND_DEVICE (COMMAND_ALL | COMMAND_DOCTOR)

/** One option: how it is written, for whom it is, what it does. `value` NULL: a switch. */
struct opt {
	const char *name;
	const char *value;
	unsigned int commands;
	const char *help;
	int (*set)(struct config *c, const char *text, struct ep_err *err);
};

static int
set_dev(struct config *c, const char *text, struct ep_err *err)
{
	if (c->dev_count == CONFIG_DEVS_MAX)
		return ep_err_set(err, -EINVAL, "--dev %s: at most %d devices can be given", text,
			CONFIG_DEVS_MAX);
	c->dev[c->dev_count++] = text;
	return 0;
}

/* An address with the length of its link's prefix. */
static int
set_addr(struct config *c, const char *text, struct ep_err *err)
{
	struct ep_slow_addr_cfg *a = &c->addr[c->addr_count];
	const char *slash = strchr(text, '/');
	char ip[EP_WIRE_IP_TEXT_BYTES];
	uint64_t bits;
	int ret;

	if (c->addr_count == CONFIG_DEVS_MAX)
		return ep_err_set(err, -EINVAL,
			"--addr %s: at most %d addresses can be given, one a device", text,
			CONFIG_DEVS_MAX);
	if (slash == NULL || (size_t)(slash - text) >= sizeof(ip))
		return ep_err_set(err, -EINVAL,
			"--addr %s: give an address and the length of its prefix, such as "
			"198.18.0.2/24",
			text);
	snprintf(ip, sizeof(ip), "%.*s", (int)(slash - text), text);
	ret = ep_wire_ip_parse(ip, &a->ip, err);
	if (ret == 0)
		ret = ep_count_parse(slash + 1, "--addr: the length of the prefix", 1,
			a->ip.family == EP_WIRE_IPV6 ? 128 : 32, &bits, err);
	if (ret < 0)
		return ret;
	a->prefix_bits = (uint8_t)bits;
	c->addr_text[c->addr_count++] = text;
	return 0;
}

static int
set_gateway(struct config *c, const char *text, struct ep_err *err)
{
	if (c->gateway_count == CONFIG_DEVS_MAX)
		return ep_err_set(err, -EINVAL,
			"--gateway %s: at most %d gateways can be given, one a device", text,
			CONFIG_DEVS_MAX);
	c->gateway_text[c->gateway_count] = text;
	return ep_wire_ip_parse(text, &c->gateway[c->gateway_count++], err);
}

static int
set_vlan(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--vlan", 1, 4094, &c->vlan, err);
}

static int
set_control_dev(struct config *c, const char *text, struct ep_err *err)
{
	if (*text == '\0')
		return ep_err_set(err, -EINVAL,
			"--control-dev is empty, give an interface of the kernel, such as eth0");
	c->control_dev = text;
	return 0;
}

static int
set_control_peer(struct config *c, const char *text, struct ep_err *err)
{
	if (*text == '\0')
		return ep_err_set(
			err, -EINVAL, "--control-peer is empty, give a name or an address");
	c->control_peer = text;
	return 0;
}

static int
set_peer(struct config *c, const char *text, struct ep_err *err)
{
	if (*text == '\0')
		return ep_err_set(
			err, -EINVAL, "--peer is empty, give the responder's name or address");
	c->peer = text;
	return 0;
}

static int
set_ports(struct config *c, const char *text, struct ep_err *err)
{
	c->ports_text = text;
	c->ports_given = true;
	return ep_range_parse(text, "--ports", c->range, err);
}

static int
set_rate(struct config *c, const char *text, struct ep_err *err)
{
	c->rate_given = true;
	return ep_rate_parse(text, "--rate", &c->rate, err);
}

static int
set_sweep_rate(struct config *c, const char *text, struct ep_err *err)
{
	c->sweep_rate_given = true;
	return ep_rate_parse(text, "--sweep-rate", &c->sweep_rate, err);
}

static int
set_size(struct config *c, const char *text, struct ep_err *err)
{
	c->sizes_text = text;
	return ep_sizes_parse(text, "--size", &c->sizes, err);
}

static int
set_duration(struct config *c, const char *text, struct ep_err *err)
{
	c->duration_given = true;
	return ep_duration_parse(text, "--duration", &c->duration_ns, err);
}

static int
set_drain(struct config *c, const char *text, struct ep_err *err)
{
	return ep_duration_parse(text, "--drain", &c->drain_ns, err);
}

static int
set_direction(struct config *c, const char *text, struct ep_err *err)
{
	for (int m = EP_CTRL_MODE_ECHO; m <= EP_CTRL_MODE_BOTH; m++) {
		if (strcmp(text, ep_ctrl_mode_name((enum ep_ctrl_mode)m)) == 0) {
			c->direction = (enum ep_ctrl_mode)m;
			return 0;
		}
	}
	return ep_err_set(
		err, -EINVAL, "--direction %s: allowed are up, down, both and echo", text);
}

static int
set_sources(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--sources", 1, 45000, &c->sources, err);
}

static int
set_seed(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--seed", 0, INT64_MAX, &c->seed, err);
}

static int
set_sweeps(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--sweeps", 1, 1000, &c->sweeps, err);
}

static int
set_burst(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--burst", 1, EP_WIRE_BURST, &c->burst_pkts, err);
}

static int
set_stamp(struct config *c, const char *text, struct ep_err *err)
{
	if (strcmp(text, "burst") == 0)
		c->stamp = EP_ENGINE_STAMP_BURST;
	else if (strcmp(text, "packet") == 0)
		c->stamp = EP_ENGINE_STAMP_PACKET;
	else
		return ep_err_set(err, -EINVAL, "--stamp %s: allowed is burst or packet", text);
	return 0;
}

static int
set_ring(struct config *c, const char *text, struct ep_err *err)
{
	const int ret = ep_count_parse(text, "--ring", 64, 4096, &c->ring_descs, err);

	if (ret == 0 && (c->ring_descs & (c->ring_descs - 1)) != 0)
		return ep_err_set(err, -EINVAL,
			"--ring %s: allowed are 64, 128, 256, 512, 1024, 2048 and 4096", text);
	return ret;
}

static int
set_busy_poll(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--busy-poll", 0, UINT16_MAX, &c->busy_poll_pkts, err);
}

static int
set_max_loss(struct config *c, const char *text, struct ep_err *err)
{
	return ep_ratio_parse(text, "--max-loss", &c->max_loss_ratio, err);
}

static bool
cores_has(const struct config *c, unsigned long core)
{
	for (uint32_t i = 0; i < c->core_count; i++)
		if (c->cores[i] == core)
			return true;
	return false;
}

/* "1,2" or "2-5": CPUs, at most CONFIG_CORES_MAX. */
static int
set_cores(struct config *c, const char *text, struct ep_err *err)
{
	const char *p = text;

	c->core_count = 0;
	while (true) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (end == p || *p == '-' || *p == '+')
			break;
		if (*end == '-')
			last = strtoul(p = end + 1, &end, 10);
		if (end == p || last < first || last > UINT16_MAX ||
			c->core_count + (last - first) >= CONFIG_CORES_MAX)
			break;
		for (unsigned long core = first; core <= last; core++) {
			if (cores_has(c, core))
				return ep_err_set(err, -EINVAL,
					"--cores %s: names CPU %lu twice, each worker needs one "
					"for itself",
					text, core);
			c->cores[c->core_count++] = (uint16_t)core;
		}
		if (*end == '\0')
			return 0;
		if (*end != ',')
			break;
		p = end + 1;
	}
	return ep_err_set(err, -EINVAL,
		"--cores %s: give at most %d CPU numbers, such as 2,3 or 2-5", text,
		CONFIG_CORES_MAX);
}

static int
set_queues(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--queues", 1, EP_ENGINE_QUEUES_MAX, &c->queues, err);
}

static int
set_control_port(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--control-port", 1, UINT16_MAX, &c->control_port, err);
}

static int
set_key_file(struct config *c, const char *text, struct ep_err *err)
{
	(void)err;
	c->key_file = text;
	return 0;
}

static int
set_json(struct config *c, const char *text, struct ep_err *err)
{
	(void)err;
	c->json_path = text;
	return 0;
}

static int
set_csv(struct config *c, const char *text, struct ep_err *err)
{
	(void)err;
	c->csv_path = text;
	return 0;
}

static int
set_html(struct config *c, const char *text, struct ep_err *err)
{
	(void)c;
	return ep_err_set(err, -EINVAL,
		"--html %s: HTML reports are not in this version, use --json or --csv", text);
}

static int
set_eal(struct config *c, const char *text, struct ep_err *err)
{
	(void)err;
	c->eal_args = text;
	return 0;
}

static int
set_impair(struct config *c, const char *text, struct ep_err *err)
{
	if (c->has_impair)
		return ep_err_set(err, -EINVAL,
			"--impair %s: can be given once, join its words with commas", text);
	c->has_impair = true;
	c->impair_text = text;
	return ep_path_parse(text, "--impair", &c->impair, err);
}

static int
set_checksum(struct config *c, const char *text, struct ep_err *err)
{
	c->offload_checksum = strcmp(text, "offload") == 0;
	if (!c->offload_checksum && strcmp(text, "software") != 0)
		return ep_err_set(
			err, -EINVAL, "--checksum %s: allowed are software and offload", text);
	return 0;
}

static int
set_verify_payload(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->verify_filler = true;
	return 0;
}

static int
set_quiet(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->quiet = true;
	return 0;
}

static int
set_verbose(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->verbose = true;
	return 0;
}

static int
set_once(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->once = true;
	return 0;
}

static int
set_fix(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->fix = true;
	return 0;
}

static int
set_no_measure(struct config *c, const char *text, struct ep_err *err)
{
	(void)text;
	(void)err;
	c->no_measure = true;
	return 0;
}

static const struct opt options[] = {
	{"--peer", "HOST", COMMAND_RUN | COMMAND_LOOP,
		"the responder: a name or an address (of several the first that connects); loop "
		"with --dev: a server behind the device "
		"under test, whose fallback ports are checked over the first device",
		set_peer},
	{"--dev", "SPEC", COMMAND_DEVICE,
		"device: eth1 (AF_XDP), af_packet:eth1, 0000:01:00.0 (a NIC on DPDK's own driver), "
		"or net_... (any DPDK virtual device); "
		"loop takes two; doctor: what is planned for it, without touching it",
		set_dev},
	{"--addr", "IP/BITS", COMMAND_ALL,
		"address of a PCI or net_... device; loop: one for each, in the order of --dev; "
		"serve and "
		"run: one of each family at most, on an interface that leads from the device to "
		"the "
		"kernel (everyport0)",
		set_addr},
	{"--gateway", "IP", COMMAND_ALL,
		"router of a device with --addr, in their order; without, the peer is on its link",
		set_gateway},
	{"--vlan", "ID", COMMAND_LOOP | COMMAND_SERVE | COMMAND_RUN,
		"802.1Q tag of all frames of PCI and net_... devices, 1 to 4094; sizes count it "
		"(at least 68 B, over IPv6 88 B)",
		set_vlan},
	{"--control-dev", "IFACE", COMMAND_SERVE | COMMAND_RUN,
		"instead of that interface: kernel interface of the control connection and the "
		"fallback "
		"check; such a device then answers ARP, NDP and ping by itself",
		set_control_dev},
	{"--control-peer", "HOST", COMMAND_RUN,
		"where the responder has its control connection and fallback ports (default: as "
		"--peer)",
		set_control_peer},
	{"--key-file", "F", COMMAND_SERVE | COMMAND_RUN,
		"the session key, mode 0600 (see everyport keygen)", set_key_file},
	{"--ports", "LIST", COMMAND_DEVICE,
		"UDP ports (default 50000-60000); serve: those it allows", set_ports},
	{"--rate", "RATE", COMMAND_ALL,
		"of each direction: 100kpps (default), 2.5Gbps (layer 1), 50%, max; serve: the "
		"most it allows",
		set_rate},
	{"--size", "SIZE", COMMAND_TRAFFIC | COMMAND_DOCTOR,
		"frame with FCS [B]: 64 (default), a list such as 64,1256, or imix", set_size},
	{"--duration", "TIME", COMMAND_DEVICE,
		"of the load (default 10s); serve: the longest it allows (default 1h); doctor: of "
		"the meter of "
		"pauses, and of the ceiling (default 3s)",
		set_duration},
	{"--direction", "DIR", COMMAND_TRAFFIC, "of the load: up, down, both (default) or echo",
		set_direction},
	{"--sources", "N", COMMAND_ALL,
		"source ports per destination port (default 1); serve: the most it allows (default "
		"100)",
		set_sources},
	{"--sweeps", "N", COMMAND_TRAFFIC, "reachability rounds before the load (default 3)",
		set_sweeps},
	{"--sweep-rate", "RATE", COMMAND_TRAFFIC,
		"of the sweep (default 5kpps; 100kpps for the in-memory pair, which no sweep can "
		"disturb)",
		set_sweep_rate},
	{"--drain", "TIME", COMMAND_TRAFFIC,
		"wait for the last probes; what comes later is late (default 2s)", set_drain},
	{"--max-loss", "RATIO", COMMAND_TRAFFIC,
		"the goal: most loss of a direction that passes (default 0.1%)", set_max_loss},
	{"--burst", "N", COMMAND_TRAFFIC,
		"packets sent at once, 1 to 32 (default: 1 up to 1 Mpps a core)", set_burst},
	{"--stamp", "WHAT", COMMAND_ALL,
		"time stamp of what this host sends: one a burst (default) or one a packet, which "
		"costs more",
		set_stamp},
	{"--seed", "N", COMMAND_TRAFFIC, "of the order of flows and of --impair (default 1)",
		set_seed},
	{"--impair", "MODEL", COMMAND_LOOP,
		"bad path between the in-memory pair: "
		"block=50100-50110,drop=1%,dup=0.1%,reorder=0.5%",
		set_impair},
	{"--tcp", "LIST", COMMAND_CHECKED | COMMAND_SERVE,
		"TCP ports to check, or none; a port may name its check: 8443=tls,9000=connect "
		"(connect, http, tls, turn-tls, ice-tcp, stun, turn); serve: to listen on",
		opt_set_tcp},
	{"--udp-stun", "LIST", COMMAND_CHECKED | COMMAND_SERVE,
		"UDP ports to check with STUN and TURN, or none; 7882=stun asks for STUN alone; "
		"serve: "
		"to answer on",
		opt_set_udp_stun},
	{"--preset", "NAME", COMMAND_CHECKED | COMMAND_SERVE,
		"ports of plugnmeet (default: TCP 80, 443, 7881, UDP 443) or livekit (TCP 7880, "
		"7881, "
		"5349, UDP 3478, 7882)",
		opt_set_preset},
	{"--livekit-yaml", "F", COMMAND_CHECKED | COMMAND_SERVE,
		"take the ports from a LiveKit server's configuration, and say where it "
		"contradicts "
		"itself",
		opt_set_livekit_yaml},
	{"--sni", "NAME", COMMAND_CHECKED,
		"name of the web server, for TLS and HTTP (default: HOST)", opt_set_sni},
	{"--turn-sni", "NAME", COMMAND_CHECKED,
		"name of the TURN server: a second handshake on each port of TLS, and an Allocate "
		"in it",
		opt_set_turn_sni},
	{"--expect-issuer", "TEXT", COMMAND_CHECKED,
		"part of the certificate's issuer; another one fails the check",
		opt_set_expect_issuer},
	{"--ufrag", "TEXT", COMMAND_CHECKED | COMMAND_SERVE,
		"ICE user name of a live session, for ice-tcp and stun; serve: its own, with --pwd",
		opt_set_ufrag},
	{"--pwd", "TEXT", COMMAND_CHECKED | COMMAND_SERVE,
		"its password: requests then have MESSAGE-INTEGRITY; serve: answers ICE-TCP only "
		"to who knows it",
		opt_set_pwd},
	{"--tcp-timeout", "TIME", COMMAND_CHECKED,
		"silence of a level of a check that counts (default 4s: three SYNs)",
		opt_set_tcp_timeout},
	{"--tcp-rate", "RATE", COMMAND_LOOP | COMMAND_RUN,
		"connects a port while the load runs (default 10/s)", opt_set_tcp_rate},
	{"--connections", "N", COMMAND_TCP,
		"capacity: open so many connections, hold them, and have each one answer at the "
		"end",
		opt_set_connections},
	{"--port", "PORT", COMMAND_TCP, "capacity: to this port (default: that of ice-tcp)",
		opt_set_port},
	{"--connect-rate", "RATE", COMMAND_TCP, "capacity: opened at this rate (default 500/s)",
		opt_set_connect_rate},
	{"--hold", "TIME", COMMAND_TCP, "capacity: held for this long (default 10s)", opt_set_hold},
	{"--idle", "TIME", COMMAND_TCP,
		"how long an idle connection survives: a ladder of ages up to this one, side by "
		"side",
		opt_set_idle},
	{"--control-port", "PORT", COMMAND_SERVE | COMMAND_RUN,
		"TCP port of the control connection (default: the first of 7881, 443, 80 that "
		"answers)",
		set_control_port},
	{"--cores", "LIST", COMMAND_DEVICE, "CPUs of the data path, pinned (default: planned)",
		set_cores},
	{"--ring", "N", COMMAND_DEVICE,
		"descriptors of a receive or transmit ring, 64 to 4096 (default 2048)", set_ring},
	{"--queues", "N", COMMAND_DEVICE,
		"receive and transmit queues of each device (default: planned; AF_XDP: all that "
		"the interface has). AF_XDP: the range is kept on N of them by ntuple rules, or by "
		"giving the interface so many (which takes the link down for a moment on many "
		"NICs), put back at the end",
		set_queues},
	{"--busy-poll", "N", COMMAND_ALL,
		"AF_XDP: workers take up to N packets from the NIC by themselves, without "
		"interrupts; 0 is off (default); 64 is usual",
		set_busy_poll},
	{"--checksum", "HOW", COMMAND_ALL, "software (default) or offload", set_checksum},
	{"--verify-payload", NULL, COMMAND_ALL, "also check the filler behind each probe",
		set_verify_payload},
	{"--fix", NULL, COMMAND_DOCTOR,
		"raise the number of huge pages where there are too few, until the next boot; all "
		"else is "
		"only printed",
		set_fix},
	{"--no-measure", NULL, COMMAND_DOCTOR,
		"only read: neither the meter of pauses nor the ceiling", set_no_measure},
	{"--once", NULL, COMMAND_SERVE, "end after one session", set_once},
	{"--json", "F", COMMAND_TRAFFIC | COMMAND_TCP | COMMAND_DOCTOR,
		"write the result as JSON (- for stdout)", set_json},
	{"--csv", "F", COMMAND_TRAFFIC | COMMAND_TCP,
		"write the table of ports (tcp: of checks) as CSV (- for stdout)", set_csv},
	{"--html", "F", 0, NULL, set_html},
	{"--eal", "ARGS", COMMAND_DEVICE, "passed to DPDK as they are", set_eal},
	{"--quiet", NULL, COMMAND_DEVICE | COMMAND_TCP,
		"no progress on stderr, no text report on stdout", set_quiet},
	{"--verbose", NULL, COMMAND_DEVICE, "say on stderr what is chosen and done", set_verbose},
};

static const struct opt *
opt_find(const char *name, size_t len)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0)
			return &options[i];
	return NULL;
}

int
opt_defaults(struct config *c, const char *command, unsigned int bit, struct ep_err *err)
{
	*c = (struct config){
		.command = command,
		.ports_text = "50000-60000",
		.rate = {EP_RATE_PPS, 100e3},
		.sweep_rate = {EP_RATE_PPS, 5e3},
		.sizes = {1, {64}},
		.sizes_text = "64",
		.duration_ns = 10 * EP_NS_PER_S,
		.drain_ns = 2 * EP_NS_PER_S,
		.direction = EP_CTRL_MODE_BOTH,
		.sources = 1,
		.seed = 1,
		.sweeps = 3,
		.ring_descs = 2048,
		.max_loss_ratio = 0.001,
		.tcp_timeout_ns = EP_TCPCHECK_TIMEOUT_NS,
		.tcp_rate_hz = 10,
		.hold_ns = 10 * EP_NS_PER_S,
		.connect_rate_hz = 500,
	};
	if (bit == COMMAND_SERVE) {
		c->sources = 100;
		c->duration_ns = 3600 * EP_NS_PER_S;
	}
	if (bit == COMMAND_DOCTOR)
		c->duration_ns = 3 * EP_NS_PER_S;
	c->range = calloc(1, sizeof(*c->range));
	if (c->range == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the options");
	return ep_range_parse(c->ports_text, "--ports", c->range, err);
}

void
config_fini(struct config *c)
{
	free(c->range);
	free(c->note);
	c->range = NULL;
	c->note = NULL;
	ep_path_cfg_fini(&c->impair);
}

/* One option at argv[*i]; both "--name value" and "--name=value" are understood. */
static int
opt_one(const struct command *command, int argc, char **argv, int *i, struct config *c,
	struct ep_err *err)
{
	const char *arg = argv[*i];
	const char *equals = strchr(arg, '=');
	const size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
	const struct opt *o = opt_find(arg, len);
	const char *value = equals != NULL ? equals + 1 : NULL;

	if (o == NULL)
		return ep_err_set(err, -EINVAL,
			"%.*s: unknown option of everyport %s (see everyport %s --help)", (int)len,
			arg, command->name, command->name);
	if (o->commands != 0 && (o->commands & command->bit) == 0)
		return ep_err_set(
			err, -EINVAL, "%s is no option of everyport %s", o->name, command->name);
	if (o->value == NULL && value != NULL)
		return ep_err_set(err, -EINVAL, "%s takes no value, got %s", o->name, value);
	if (o->value != NULL && value == NULL) {
		if (*i + 1 >= argc)
			return ep_err_set(err, -EINVAL, "%s needs a value: %s %s", o->name, o->name,
				o->value);
		value = argv[++*i];
	}
	return o->set(c, value, err);
}

int
opt_parse(const struct command *command, int argc, char **argv, struct config *config,
	struct ep_err *err)
{
	int ret = opt_defaults(config, command->name, command->bit, err);

	for (int i = 0; i < argc && ret == 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			opt_help(command);
			return 1;
		}
		if (strncmp(argv[i], "--", 2) != 0 && command->operand != NULL &&
			config->host == NULL && argv[i][0] != '-' && argv[i][0] != '\0') {
			config->host = argv[i];
			continue;
		}
		if (strncmp(argv[i], "--", 2) != 0)
			return ep_err_set(err, -EINVAL,
				"%s: not an option (see everyport %s --help)", argv[i],
				command->name);
		ret = opt_one(command, argc, argv, &i, config, err);
	}
	if (ret == 0 && command->bit != COMMAND_KEYGEN)
		ret = opt_tcp_finish(config, command, err);
	return ret;
}

void
opt_help(const struct command *command)
{
	printf("everyport %s %s\n\n%s\n", command->name, command->synopsis, command->text);
	for (size_t i = 0; i < EP_ARRAY_LEN(options); i++) {
		char left[64];

		if ((options[i].commands & command->bit) == 0)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", options[i].name, options[i].value ? " " : "",
			options[i].value ? options[i].value : "");
		printf("  %-22s %s\n", left, options[i].help);
	}
}
