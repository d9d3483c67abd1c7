#include "livekit.h"

#include <ep_livekit.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* TLS of a TURN server behind a proxy ends there, on the port that everything else has, too. */
#define PROXY_PORT 443

/* One byte more than is allowed is read, so that a longer file is refused and not cut. */
static int
file_read(const char *path, char *buf, size_t *len, struct ep_err *err)
{
	FILE *f = fopen(path, "re");
	int ret = 0;

	if (f == NULL)
		return ep_err_set(err, -errno, "--livekit-yaml %s: cannot be read: %s", path,
			strerror(errno));
	*len = fread(buf, 1, EP_LIVEKIT_FILE_MAX + 1, f);
	if (ferror(f))
		ret = ep_err_set(
			err, -EIO, "--livekit-yaml %s: cannot be read: %s", path, strerror(errno));
	fclose(f);
	return ret;
}

static void
add(struct config *c, enum ep_tcpcheck_transport transport, uint16_t port,
	enum ep_tcpcheck_check check, bool required)
{
	const struct ep_tcpcheck_target target = {transport, port, check, required};

	/* A file names five ports at most. */
	if (port != 0)
		ep_tcpcheck_targets_add(&c->targets, &target);
}

static void
livekit_targets(struct config *c, const struct ep_livekit *k)
{
	c->targets = (struct ep_tcpcheck_targets){0};
	add(c, EP_TCPCHECK_TCP, k->port, EP_TCPCHECK_HTTP, true);
	add(c, EP_TCPCHECK_TCP, k->tcp_port, EP_TCPCHECK_ICE_TCP, true);
	/* A mux says nothing to who does not know a participant: silence there fails nothing. */
	if (k->media_kind == EP_LIVEKIT_MEDIA_MUX)
		add(c, EP_TCPCHECK_UDP, k->media.first, EP_TCPCHECK_STUN, false);
	if (!k->turn_enabled)
		return;
	add(c, EP_TCPCHECK_TCP, k->turn_external_tls ? PROXY_PORT : k->turn_tls_port,
		EP_TCPCHECK_TURN_TLS, true);
	add(c, EP_TCPCHECK_UDP, k->turn_udp_port, EP_TCPCHECK_TURN, true);
	if (c->turn_sni == NULL && k->turn_domain[0] != '\0') {
		snprintf(c->turn_domain, sizeof(c->turn_domain), "%s", k->turn_domain);
		c->turn_sni = c->turn_domain;
	}
}

static int
livekit_ports(struct config *c, const struct ep_livekit *k, struct ep_err *err)
{
	if (c->ports_given || k->media.first == 0)
		return 0;
	snprintf(
		c->livekit_ports, sizeof(c->livekit_ports), "%u-%u", k->media.first, k->media.last);
	c->ports_text = c->livekit_ports;
	return ep_range_parse(c->ports_text, "--livekit-yaml", c->range, err);
}

static int
livekit_notes(struct config *c, const struct ep_livekit *k)
{
	if (k->contradiction_count == 0)
		return 0;
	c->note = calloc(k->contradiction_count, sizeof(*c->note));
	if (c->note == NULL)
		return -ENOMEM;
	c->note_count = k->contradiction_count;
	for (uint32_t i = 0; i < c->note_count; i++)
		snprintf(c->note[i], sizeof(c->note[i]), "%s", k->contradiction[i]);
	return 0;
}

int
opt_livekit_read(struct config *c, struct ep_err *err)
{
	struct ep_livekit *k = malloc(sizeof(*k));
	char *text = malloc(EP_LIVEKIT_FILE_MAX + 1);
	size_t len = 0;
	int ret = k != NULL && text != NULL
		? file_read(c->livekit_path, text, &len, err)
		: ep_err_set(err, -ENOMEM, "--livekit-yaml %s: no memory", c->livekit_path);

	if (ret == 0)
		ret = ep_livekit_parse(text, len, c->livekit_path, k, err);
	if (ret == 0) {
		livekit_targets(c, k);
		ret = livekit_ports(c, k, err);
	}
	if (ret == 0)
		ret = livekit_notes(c, k);
	free(text);
	free(k);
	return ret;
}
