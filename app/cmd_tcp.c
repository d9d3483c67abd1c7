/* everyport tcp HOST: the fallback check alone, against whatever is there. */

#include "cmd.h"
#include "common.h"
#include "output.h"
#include "peer.h"
#include "tcp.h"
#include "tcp_rows.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS 100
#define PROGRESS_NS EP_NS_PER_S

/** The check under way. */
struct alone {
	const struct config *config;
	struct peer peer;
	struct ep_tcpcheck *check;
	struct ep_result *result;
	struct ep_tcpcheck_capacity_cfg capacity;
	bool terminal; /**< stderr is one: a line of progress goes there. */
	uint64_t progress_ns;
};

/* Which port the connections go to, and what each is asked there. */
static int
capacity_choose(struct alone *a, struct ep_err *err)
{
	const struct config *c = a->config;
	const struct ep_tcpcheck_target *chosen = NULL;
	uint16_t port;

	for (uint32_t i = 0; i < c->targets.count; i++) {
		const struct ep_tcpcheck_target *t = &c->targets.target[i];

		if (t->transport != EP_TCPCHECK_TCP ||
			(c->capacity_port != 0 && t->port != c->capacity_port))
			continue;
		if (chosen == NULL || t->check == EP_TCPCHECK_ICE_TCP)
			chosen = t;
	}
	if (chosen == NULL && c->capacity_port == 0)
		return ep_err_set(err, -EINVAL, "--connections: name the port with --port");
	port = chosen != NULL ? chosen->port : (uint16_t)c->capacity_port;
	a->capacity = (struct ep_tcpcheck_capacity_cfg){
		.port = port,
		.check = chosen != NULL ? chosen->check : ep_tcpcheck_usual(EP_TCPCHECK_TCP, port),
		.connections = (uint32_t)c->connections,
		.rate_hz = c->connect_rate_hz,
		.hold_ns = c->hold_ns,
	};
	if (a->capacity.check == EP_TCPCHECK_TLS || a->capacity.check == EP_TCPCHECK_TURN_TLS)
		return ep_err_set(err, -EINVAL,
			"--connections: port %u is checked by %s, and TLS is not held in numbers; "
			"give "
			"--port with a port of ice-tcp, http, stun or turn",
			port, ep_tcpcheck_check_name(a->capacity.check));
	return 0;
}

/* What belongs to --connections is given with it only. */
static int
capacity_check(const struct config *c, struct ep_err *err)
{
	if (c->connections > 0)
		return 0;
	if (c->capacity_port != 0)
		return ep_err_set(err, -EINVAL,
			"--port %u: is the port of --connections, which is missing; --tcp names "
			"the "
			"ports of the check",
			(unsigned int)c->capacity_port);
	if (c->hold_text != NULL)
		return ep_err_set(err, -EINVAL,
			"--hold %s: is how long --connections are held, which is missing",
			c->hold_text);
	if (c->connect_rate_text != NULL)
		return ep_err_set(err, -EINVAL,
			"--connect-rate %s: is how fast --connections are opened, which is missing",
			c->connect_rate_text);
	return 0;
}

static int
alone_check(struct alone *a, struct ep_err *err)
{
	const struct config *c = a->config;

	if (c->host == NULL)
		return ep_err_set(err, -EINVAL, "HOST is missing: give a name or an address");
	if (c->targets.count == 0)
		return ep_err_set(
			err, -EINVAL, "--tcp none and --udp-stun none: nothing is left to check");
	if (capacity_check(c, err) < 0)
		return err->code;
	if (c->connections > 0 && capacity_choose(a, err) < 0)
		return err->code;
	if (c->connections > 0 && ep_tcpcheck_files((uint32_t)c->connections, err) < 0)
		return err->code;
	return output_check(c, err);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void
progress(struct alone *a, const char *fmt, ...)
{
	const uint64_t now_ns = host_now_ns();
	va_list ap;

	if (!a->terminal || now_ns < a->progress_ns)
		return;
	a->progress_ns = now_ns + PROGRESS_NS;
	va_start(ap, fmt);
	fprintf(stderr, "\r\033[K");
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

static void
progress_end(const struct alone *a)
{
	if (a->terminal && a->progress_ns != 0)
		fprintf(stderr, "\r\033[K");
}

/* One wait. Returns whether to go on. */
static bool
step(struct alone *a)
{
	const uint64_t next_ns = ep_tcpcheck_next_ns(a->check), now_ns = host_now_ns();
	struct pollfd p = {.fd = ep_tcpcheck_fd(a->check), .events = POLLIN};
	int wait_ms = STEP_MS;

	if (next_ns <= now_ns)
		wait_ms = 0;
	else if (next_ns - now_ns < STEP_MS * EP_NS_PER_MS)
		wait_ms = (int)((next_ns - now_ns + EP_NS_PER_MS - 1) / EP_NS_PER_MS);
	poll(&p, 1, wait_ms);
	ep_tcpcheck_poll(a->check, host_now_ns());
	return !host_interrupted();
}

/* --- The parts ----------------------------------------------------------------------------------------------------------------- */

static bool
alone_round(struct alone *a)
{
	const struct ep_tcpcheck_row *from;
	uint32_t count;
	bool on = true;

	ep_tcpcheck_round_start(a->check, host_now_ns());
	while (on && !ep_tcpcheck_round_done(a->check))
		on = step(a);
	from = ep_tcpcheck_rows(a->check, &count);
	for (uint32_t i = 0; i < count; i++) {
		struct ep_result_tcp row;

		tcp_row_of(&row, &from[i], "alone");
		ep_result_add_tcp(a->result, &row);
	}
	return on;
}

/* What this host failed says nothing of the path, and must not pass as a property of it. */
static void
capacity_warn(struct alone *a, const struct ep_tcpcheck_capacity *c)
{
	const uint32_t busy = c->connect_failed[EP_TCPCHECK_BUSY];
	const uint32_t error = c->connect_failed[EP_TCPCHECK_ERROR];

	if (busy + error > 0)
		ep_result_warn(a->result,
			"%u connections failed at this host itself (%u had no local port, %u no "
			"socket): that is no limit of the path",
			busy + error, busy, error);
}

static bool
alone_capacity(struct alone *a, struct ep_err *err)
{
	struct ep_tcpcheck_capacity state;
	struct ep_result_tcp row;
	bool on = true;

	if (ep_tcpcheck_capacity_start(a->check, &a->capacity, host_now_ns(), err) < 0)
		return false;
	do {
		on = step(a);
		ep_tcpcheck_capacity(a->check, &state);
		progress(a, "%u of %u connections open, %u answered", state.held, state.wanted,
			state.answered);
	} while (on && !state.done);
	progress_end(a);
	tcp_row_of_capacity(&row, &state, &a->capacity);
	ep_result_add_tcp(a->result, &row);
	capacity_warn(a, &state);
	return on;
}

static void
idle_rows(struct alone *a)
{
	const uint32_t max = EP_TCPCHECK_TARGETS_MAX * EP_TCPCHECK_AGES_MAX;
	struct ep_tcpcheck_age *age = calloc(max, sizeof(*age));
	const uint32_t count = age != NULL ? ep_tcpcheck_idle(a->check, age, max) : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct ep_result_tcp row;

		/* An age that an interrupted test did not reach has no result. */
		if (age[i].alive + age[i].reset + age[i].lost + age[i].closed + age[i].failed <
			EP_TCPCHECK_AGE_CONNECTIONS)
			continue;
		tcp_row_of_age(&row, &age[i]);
		ep_result_add_tcp(a->result, &row);
	}
	free(age);
}

static bool
alone_idle(struct alone *a, struct ep_err *err)
{
	const uint64_t start_ns = host_now_ns();
	bool on = true;

	if (ep_tcpcheck_idle_start(a->check, a->config->idle_ns, start_ns, err) < 0)
		return false;
	while (on && !ep_tcpcheck_idle_done(a->check)) {
		on = step(a);
		progress(a, "idle for %.0f of %.0f s", (double)(host_now_ns() - start_ns) / 1e9,
			(double)a->config->idle_ns / 1e9);
	}
	progress_end(a);
	idle_rows(a);
	return on;
}

/* --- All of it ------------------------------------------------------------------------------------------------------------------ */

static int
alone_finish(struct alone *a, bool complete, struct ep_err *err)
{
	const struct config *c = a->config;

	a->result->aborted = !complete;
	if (!complete)
		ep_result_reason(a->result,
			"interrupted: the check did not reach its end; the rows are those that "
			"did");
	if (ep_result_judge(a->result) < 0) {
		ep_err_set(err, -ENOMEM, "no memory to judge the result");
		return common_fail(c, err, EXIT_ENVIRONMENT);
	}
	if (output_write(c, a->result, err) < 0)
		return common_fail(c, err, EXIT_ENVIRONMENT);
	return ep_result_exit_code(a->result->verdict);
}

static int
alone_measure(struct alone *a, struct ep_err *err)
{
	const struct config *c = a->config;
	char text[256];
	bool on;

	host_cpu(text, sizeof(text));
	ep_result_host_text(a->result, "cpu", text);
	ep_result_host_number(a->result, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
	ep_wire_ip_format(text, sizeof(text), &a->peer.ip);
	ep_result_host_text(a->result, "peer_address", text);
	if (a->peer.note[0] != '\0')
		ep_result_warn(a->result, "%s; give one as HOST to check it", a->peer.note);
	on = alone_round(a);
	if (on && c->connections > 0)
		on = alone_capacity(a, err);
	if (on && c->idle_ns > 0)
		on = alone_idle(a, err);
	if (!on && !host_interrupted())
		return common_fail(c, err, EXIT_ENVIRONMENT);
	return alone_finish(a, on, err);
}

static int
alone_run(struct alone *a, struct ep_err *err)
{
	/* No UDP port belongs to a load here. */
	static const struct ep_range none = {0};
	int code;

	if (peer_choose(a->config, a->config->host, "HOST", NULL, &a->peer, err) < 0)
		return common_fail(a->config, err, err->code == -EINVAL ? EXIT_USAGE : EXIT_PEER);
	if (tcp_checker(a->config, &a->peer.ip, NULL, &a->check, err) < 0)
		return common_fail(a->config, err, EXIT_ENVIRONMENT);
	if (common_result(a->config, &none, &a->result) < 0) {
		ep_err_set(err, -ENOMEM, "no memory for the result");
		code = common_fail(a->config, err, EXIT_ENVIRONMENT);
	} else {
		code = alone_measure(a, err);
	}
	ep_result_destroy(a->result);
	ep_tcpcheck_destroy(a->check);
	return code;
}

int
cmd_tcp(struct config *config)
{
	struct alone a = {.config = config, .terminal = isatty(2) && !config->quiet};
	struct ep_err err = {0};

	host_catch_signals();
	if (alone_check(&a, &err) < 0)
		return common_fail(
			config, &err, err.code == -EMFILE ? EXIT_ENVIRONMENT : EXIT_USAGE);
	return alone_run(&a, &err);
}
