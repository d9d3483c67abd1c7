/* What the doctor measures: pauses of the CPUs, and the ceiling of the tester alone. */

#include "ceiling.h"
#include "common.h"
#include "doctor.h"
#include "loop.h"
#include "opt.h"

#include <ep_hostinfo.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_NS (200 * EP_NS_PER_MS)

/* --- Pauses ----------------------------------------------------------------------------------------------------------------- */

static bool
hiccup_tick(void *ctx, uint64_t elapsed_ns)
{
	(void)ctx;
	(void)elapsed_ns;
	return !host_interrupted();
}

bool
doctor_hiccup(const struct config *config, struct ep_doctor_facts *facts)
{
	char span[32];

	common_say(config, "looking for pauses of each CPU for %s",
		ep_duration_format(span, sizeof(span), config->duration_ns));
	ep_hostinfo_hiccup(config->duration_ns, hiccup_tick, NULL, &facts->hiccup);
	return !host_interrupted();
}

/* --- Ceiling ---------------------------------------------------------------------------------------------------------------- */

/* One direction, as fast as it goes: in a loop this host sends and receives each packet, as it does in a run of both directions. */
static int
ceiling_config(const struct config *config, const char *kind, struct config *c, struct ep_err *err)
{
	const int ret = opt_defaults(c, "loop", COMMAND_LOOP, err);

	if (ret < 0)
		return ret;
	*c->range = *config->range;
	c->ports_text = config->ports_text;
	c->rate = (struct ep_rate){.kind = EP_RATE_MAX};
	c->direction = EP_CTRL_MODE_UP;
	c->duration_ns = config->duration_ns;
	c->drain_ns = DRAIN_NS;
	c->sweeps = 1;
	c->sweep_rate.value = 100e3;
	c->sweep_rate_given = true;
	c->sizes = config->sizes;
	c->sizes_text = config->sizes_text;
	c->ring_descs = config->ring_descs;
	memcpy(c->cores, config->cores, sizeof(c->cores));
	c->core_count = config->core_count;
	c->eal_args = config->eal_args;
	c->verbose = config->verbose;
	c->quiet = true;
	if (strcmp(kind, "memory") != 0) {
		c->dev_count = 2;
		c->dev[0] = strcmp(kind, "af_packet") == 0 ? "af_packet:" EP_HOSTINFO_PAIR_NEAR
							   : EP_HOSTINFO_PAIR_NEAR;
		c->dev[1] = strcmp(kind, "af_packet") == 0 ? "af_packet:" EP_HOSTINFO_PAIR_FAR
							   : EP_HOSTINFO_PAIR_FAR;
	}
	return 0;
}

static const char *
device_words(const char *kind)
{
	if (strcmp(kind, "af_xdp") == 0)
		return "AF_XDP on a veth pair";
	return strcmp(kind, "af_packet") == 0 ? "AF_PACKET on a veth pair" : "the in-memory pair";
}

static const char *
host_value(const struct ep_result *result, const char *key)
{
	for (uint32_t i = 0; i < result->host_count; i++)
		if (strcmp(result->host[i].key, key) == 0)
			return result->host[i].value;
	return "";
}

static void
ceiling_keep(const struct ep_result *result, const char *kind, struct ep_doctor_ceiling *out)
{
	struct ep_doctor_ceiling_entry e = {.pps = out->pps};
	struct ep_err err = {0};

	snprintf(e.kind, sizeof(e.kind), "%s", kind);
	snprintf(e.driver, sizeof(e.driver), "%.31s", host_value(result, "driver"));
	snprintf(e.cpu, sizeof(e.cpu), "%.127s", host_value(result, "cpu"));
	snprintf(e.size, sizeof(e.size), "%s", out->size);
	snprintf(e.device, sizeof(e.device), "%s", out->device);
	snprintf(e.measured, sizeof(e.measured), "%s", result->started);
	out->stored = ceiling_store(&e, &err) == 0 &&
		ceiling_path(out->path, sizeof(out->path), &err) == 0;
	if (!out->stored)
		snprintf(out->error, sizeof(out->error), "%.255s", err.text);
}

static int
ceiling_measure(const struct config *config, const char *kind, struct ep_doctor_ceiling *out,
	struct ep_err *err)
{
	struct config c = {0};
	struct ep_result *result = NULL;
	int ret = ceiling_config(config, kind, &c, err);

	if (ret == 0 && c.dev_count > 0)
		ret = ep_hostinfo_pair_make(err);
	if (ret == 0)
		ret = loop_only(&c, &result, err);
	if (ret == 0) {
		out->pps = ceiling_run_pps(result);
		out->measured = out->pps > 0;
		if (!out->measured)
			ret = ep_err_set(err, -EIO, "nothing arrived");
	}
	if (ret == 0)
		ceiling_keep(result, kind, out);
	ep_result_destroy(result);
	config_fini(&c);
	return ret;
}

bool
doctor_ceiling(const struct config *config, struct ep_doctor_facts *facts)
{
	struct ep_doctor_ceiling *out = &facts->ceiling;
	const char *kind = ceiling_kind(config);
	struct ep_err err = {0};
	char span[32];

	/* A driver of DPDK's, virtual or not, is nearest to the pair in memory. */
	if (kind == NULL)
		kind = "memory";
	out->wanted = true;
	snprintf(out->device, sizeof(out->device), "%s", device_words(kind));
	snprintf(out->size, sizeof(out->size), "%.63s", config->sizes_text);
	common_say(config, "measuring the tester's ceiling over %s for %s", out->device,
		ep_duration_format(span, sizeof(span), config->duration_ns));
	if (ceiling_measure(config, kind, out, &err) < 0)
		snprintf(out->error, sizeof(out->error), "%.255s", err.text);
	return !host_interrupted();
}
