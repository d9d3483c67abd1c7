#include "output.h"

#include <ep_report.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_stdout(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

/* Opening for append leaves an older result alone until there is a new one; a file that only the check made goes again, so that
 * a run that never began leaves no empty result. A pipe is not opened: its reader would see it end. */
static int
path_check(const char *path, const char *option, struct ep_err *err)
{
	const bool existed = path != NULL && access(path, F_OK) == 0;
	struct stat st;
	int fd;

	if (path == NULL || is_stdout(path))
		return 0;
	if (existed && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return ep_err_set(
			err, -errno, "%s %s: cannot be written: %s", option, path, strerror(errno));
	close(fd);
	if (!existed)
		unlink(path);
	return 0;
}

int
output_check(const struct config *config, struct ep_err *err)
{
	int ret;

	if (is_stdout(config->json_path) && is_stdout(config->csv_path))
		return ep_err_set(
			err, -EINVAL, "--json - and --csv -: only one of them can go to stdout");
	ret = path_check(config->json_path, "--json", err);
	return ret < 0 ? ret : path_check(config->csv_path, "--csv", err);
}

int
output_text(const char *path, const char *option, const char *text, struct ep_err *err)
{
	FILE *f = is_stdout(path) ? stdout : fopen(path, "we");
	bool ok;

	if (f == NULL)
		return ep_err_set(
			err, -errno, "%s %s: cannot be written: %s", option, path, strerror(errno));
	ok = fputs(text, f) >= 0;
	ok = (f == stdout ? fflush(f) : fclose(f)) == 0 && ok;
	return ok ? 0
		  : ep_err_set(err, -EIO, "%s %s: cannot be written: %s", option, path,
			    strerror(errno));
}

typedef int (*render_fn)(const struct ep_result *r, char **text);

static int
render(const struct ep_result *result, render_fn fn, const char *path, const char *option,
	struct ep_err *err)
{
	char *text = NULL;
	int ret;

	if (path == NULL)
		return 0;
	ret = fn(result, &text);
	if (ret < 0)
		ep_err_set(err, ret, "%s %s: no memory for the report", option, path);
	else
		ret = output_text(path, option, text, err);
	free(text);
	return ret;
}

int
output_write(const struct config *config, const struct ep_result *result, struct ep_err *err)
{
	const bool taken = is_stdout(config->json_path) || is_stdout(config->csv_path);
	const char *report_path = taken || config->quiet ? NULL : "-";
	const int a = render(result, ep_report_json, config->json_path, "--json", err);
	const int b = render(result, ep_report_csv, config->csv_path, "--csv", err);
	const int c = render(result, ep_report_text, report_path, "report", err);

	return a < 0 ? a : b < 0 ? b : c;
}

static void
rate_text(char *buf, size_t len, const struct ep_rate *rate)
{
	switch (rate->kind) {
	case EP_RATE_PPS:
		snprintf(buf, len, "%.12gpps", rate->value);
		break;
	case EP_RATE_BPS:
		snprintf(buf, len, "%.12gbps", rate->value);
		break;
	case EP_RATE_RATIO:
		snprintf(buf, len, "%.12g%%", rate->value * 100);
		break;
	case EP_RATE_MAX:
		snprintf(buf, len, "max");
		break;
	}
}

static void
text_or_none(struct ep_result *result, const char *key, const char *text)
{
	ep_result_config_text(result, key, text != NULL ? text : "");
}

/* How the fallback check is made. The password of a session is not written down. */
static void
config_check(struct ep_result *result, const struct config *c)
{
	char text[512];

	ep_result_config_text(result, "tcp",
		ep_tcpcheck_targets_format(&c->targets, EP_TCPCHECK_TCP, text, sizeof(text)));
	ep_result_config_text(result, "udp_stun",
		ep_tcpcheck_targets_format(&c->targets, EP_TCPCHECK_UDP, text, sizeof(text)));
	text_or_none(result, "preset", c->preset != NULL ? c->preset : "plugnmeet");
	text_or_none(result, "livekit_yaml", c->livekit_path);
	text_or_none(result, "sni", c->sni);
	text_or_none(result, "turn_sni", c->turn_sni);
	text_or_none(result, "expect_issuer", c->expect_issuer);
	text_or_none(result, "ufrag", c->ufrag);
	text_or_none(result, "pwd", c->pwd != NULL ? "given" : NULL);
	ep_result_config_number(result, "tcp_timeout_ns", (double)c->tcp_timeout_ns);
}

/* The options of everyport tcp. */
static void
config_alone(struct ep_result *result, const struct config *c)
{
	ep_result_config_text(result, "host", c->host);
	config_check(result, c);
	ep_result_config_number(result, "connections", (double)c->connections);
	ep_result_config_number(result, "port", (double)c->capacity_port);
	ep_result_config_number(result, "connect_rate_hz", c->connect_rate_hz);
	ep_result_config_number(result, "hold_ns", (double)c->hold_ns);
	ep_result_config_number(result, "idle_ns", (double)c->idle_ns);
}

static void
config_cores(struct ep_result *result, const struct config *c)
{
	char text[256];
	size_t used = 0;

	snprintf(text, sizeof(text), "planned");
	for (uint32_t i = 0; i < c->core_count && used < sizeof(text); i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", i > 0 ? "," : "", c->cores[i]);
	ep_result_config_text(result, "cores", text);
	if (c->queues > 0)
		ep_result_config_number(result, "queues", (double)c->queues);
	else
		ep_result_config_text(result, "queues", "planned");
}

/* A double holds whole numbers up to 2^53; a larger seed is kept exact as text. */
static void
config_seed(struct ep_result *result, uint64_t seed)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, seed);
	if (seed <= UINT64_C(1) << 53)
		ep_result_config_number(result, "seed", (double)seed);
	else
		ep_result_config_text(result, "seed", text);
}

static void
config_peer(struct ep_result *result, const struct config *c)
{
	ep_result_config_text(result, "peer", c->peer);
	config_check(result, c);
	ep_result_config_number(result, "tcp_rate_hz", c->tcp_rate_hz);
	if (strcmp(c->command, "run") != 0)
		return;
	if (c->control_port != 0)
		ep_result_config_number(result, "control_port", (double)c->control_port);
	else
		ep_result_config_text(result, "control_port", "of tcp");
	if (c->control_dev != NULL)
		ep_result_config_text(result, "control_dev", c->control_dev);
	if (c->control_peer != NULL)
		ep_result_config_text(result, "control_peer", c->control_peer);
}

void
output_config(struct ep_result *result, const struct config *c)
{
	char text[64];

	if (c->host != NULL) {
		config_alone(result, c);
		return;
	}
	for (uint32_t i = 0; i < c->dev_count; i++) {
		snprintf(text, sizeof(text), i == 0 ? "dev" : "dev_%u", i + 1);
		ep_result_config_text(result, text, c->dev[i]);
	}
	for (uint32_t i = 0; i < c->addr_count; i++) {
		snprintf(text, sizeof(text), i == 0 ? "addr" : "addr_%u", i + 1);
		ep_result_config_text(result, text, c->addr_text[i]);
	}
	for (uint32_t i = 0; i < c->gateway_count; i++) {
		snprintf(text, sizeof(text), i == 0 ? "gateway" : "gateway_%u", i + 1);
		ep_result_config_text(result, text, c->gateway_text[i]);
	}
	if (c->peer != NULL)
		config_peer(result, c);
	ep_result_config_text(result, "ports", c->ports_text);
	rate_text(text, sizeof(text), &c->rate);
	ep_result_config_text(result, "rate", text);
	ep_result_config_text(result, "size", c->sizes_text);
	ep_result_config_number(result, "duration_ns", (double)c->duration_ns);
	ep_result_config_text(result, "direction", ep_ctrl_mode_name(c->direction));
	ep_result_config_number(result, "sources", (double)c->sources);
	ep_result_config_number(result, "sweeps", (double)c->sweeps);
	rate_text(text, sizeof(text), &c->sweep_rate);
	ep_result_config_text(result, "sweep_rate", text);
	ep_result_config_number(result, "drain_ns", (double)c->drain_ns);
	ep_result_config_number(result, "max_loss", c->max_loss_ratio);
	ep_result_config_number(result, "burst", (double)c->burst_pkts);
	ep_result_config_text(
		result, "stamp", c->stamp == EP_ENGINE_STAMP_PACKET ? "packet" : "burst");
	ep_result_config_number(result, "ring", (double)c->ring_descs);
	ep_result_config_number(result, "vlan", (double)c->vlan);
	ep_result_config_number(result, "busy_poll", (double)c->busy_poll_pkts);
	config_seed(result, c->seed);
	config_cores(result, c);
	ep_result_config_text(result, "checksum", c->offload_checksum ? "offload" : "software");
	ep_result_config_text(result, "verify_payload", c->verify_filler ? "yes" : "no");
	ep_result_config_text(result, "eal", c->eal_args != NULL ? c->eal_args : "");
	if (c->has_impair)
		ep_result_config_text(result, "impair", c->impair_text);
}
