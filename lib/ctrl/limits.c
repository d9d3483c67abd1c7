/*
 * What a responder allows. Every sentence goes to the far user, so it names what was asked and what is allowed.
 */

#include <ep_ctrl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_TEXT_BYTES 160

static int
refuse(struct ep_err *err, const char *asked, const char *allowed)
{
	return ep_err_set(err, -EPERM, "%s asked, this responder allows %s", asked, allowed);
}

/** Ports of @p asked that are not in @p allowed, as text; cut with "..." where long. */
static int
outside_format(const struct ep_range *allowed, const struct ep_range *asked, char *buf, size_t len)
{
	bool *outside = calloc(asked->port_count, sizeof(*outside));

	if (outside == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < asked->port_count; i++)
		outside[i] = !ep_range_has(allowed, asked->port[i]);
	if (ep_range_format(asked, outside, buf, len) >= len)
		memcpy(buf + len - 4, "...", 4);
	free(outside);
	return 0;
}

static int
ports_check(const struct ep_range *allowed, const struct ep_range *asked, struct ep_err *err)
{
	char outside_text[PORTS_TEXT_BYTES], allowed_text[PORTS_TEXT_BYTES];

	if (ep_range_covers(allowed, asked))
		return 0;
	if (outside_format(allowed, asked, outside_text, sizeof(outside_text)) < 0)
		return ep_err_set(err, -ENOMEM, "no memory");
	if (ep_range_format(allowed, NULL, allowed_text, sizeof(allowed_text)) >=
		sizeof(allowed_text))
		memcpy(allowed_text + sizeof(allowed_text) - 4, "...", 4);
	return ep_err_set(err, -EPERM, "ports %s asked, this responder allows %s", outside_text,
		allowed_text);
}

static int
rate_check(double limit_pps, double rate_pps, struct ep_err *err)
{
	char asked[32], allowed[32];

	if (limit_pps <= 0 || (rate_pps > 0 && rate_pps <= limit_pps))
		return 0;
	ep_pps_format(allowed, sizeof(allowed), limit_pps);
	if (rate_pps <= 0)
		return refuse(err, "rate max", allowed);
	return refuse(err, ep_pps_format(asked, sizeof(asked), rate_pps), allowed);
}

static int
duration_check(uint64_t limit_ns, uint64_t duration_ns, struct ep_err *err)
{
	char asked[32], allowed[32];

	if (limit_ns == 0 || duration_ns <= limit_ns)
		return 0;
	return refuse(err, ep_duration_format(asked, sizeof(asked), duration_ns),
		ep_duration_format(allowed, sizeof(allowed), limit_ns));
}

static int
flows_check(uint64_t limit_flows, uint32_t port_count, uint32_t source_count, struct ep_err *err)
{
	/* At most 65,535 x 65,536 by consistency_check(): fits the 32 bits of a flow number. */
	const uint64_t flows = (uint64_t)port_count * source_count;

	if (limit_flows == 0 || flows <= limit_flows)
		return 0;
	return ep_err_set(err, -EPERM,
		"%ju flows (%u ports with %u sources) asked, this responder allows %ju",
		(uintmax_t)flows, port_count, source_count, (uintmax_t)limit_flows);
}

static int
frame_check(uint16_t limit_bytes, const struct ep_ctrl_hello *hello, struct ep_err *err)
{
	const uint16_t bytes = hello->frame_bytes_max;
	const bool ipv6 = hello->initiator.family == EP_WIRE_IPV6;
	const int min = ipv6 ? EP_WIRE_MIN_FRAME_IPV6 : EP_WIRE_MIN_FRAME_IPV4;

	if (bytes < min)
		return ep_err_set(err, -EINVAL,
			"frames of %u B asked, a probe over %s needs at least %d B", bytes,
			ipv6 ? "IPv6" : "IPv4", min);
	if (limit_bytes != 0 && bytes > limit_bytes)
		return ep_err_set(err, -EPERM, "frames of %u B asked, this responder allows %u B",
			bytes, limit_bytes);
	return 0;
}

/** What no responder could do, whatever it allows. */
static int
consistency_check(const struct ep_ctrl_hello *hello, struct ep_err *err)
{
	if (hello->source_count == 0 || hello->source_count > hello->source_span)
		return ep_err_set(err, -EINVAL,
			"%u source ports for each port out of %u asked, at least 1 and at most all "
			"of them",
			hello->source_count, hello->source_span);
	if (hello->source_base + (uint64_t)hello->source_span > EP_RANGE_PORTS)
		return ep_err_set(err, -EINVAL,
			"%u source ports from %u on asked, the last port is 65535",
			hello->source_span, hello->source_base);
	if (hello->sweeps == 0 && hello->duration_ns == 0)
		return ep_err_set(err, -EINVAL, "neither a sweep nor a load asked, at least one");
	return 0;
}

static int
limits_check(const struct ep_ctrl_limits *limits, const struct ep_ctrl_hello *hello,
	const struct ep_range *asked, struct ep_err *err)
{
	int ret;

	ret = consistency_check(hello, err);
	if (ret == 0)
		ret = ports_check(limits->ports, asked, err);
	if (ret == 0)
		ret = flows_check(limits->flow_count, asked->port_count, hello->source_count, err);
	if (ret == 0)
		ret = frame_check(limits->frame_bytes_max, hello, err);
	if (ret == 0)
		ret = rate_check(limits->rate_pps, hello->rate_pps, err);
	if (ret == 0)
		ret = duration_check(limits->duration_ns, hello->duration_ns, err);
	return ret;
}

int
ep_ctrl_limits_check(
	const struct ep_ctrl_limits *limits, const struct ep_ctrl_hello *hello, struct ep_err *err)
{
	struct ep_range *asked = malloc(sizeof(*asked)); /* half a MiB */
	int ret;

	if (asked == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = ep_range_parse(hello->ports, "ports", asked, err);
	if (ret == 0)
		ret = limits_check(limits, hello, asked, err);
	else
		ret = -EINVAL;
	if (err != NULL)
		err->code = ret;
	free(asked);
	return ret;
}
