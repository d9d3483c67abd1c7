#include "tcpcheck_priv.h"

#include <string.h>

void
ep_tcpcheck_round_start(struct ep_tcpcheck *c, uint64_t now_ns)
{
	memset(c->round.used, 0, sizeof(c->round.used));
	for (uint32_t i = 0; i < c->targets.count; i++)
		tc_probe_round(c, i, now_ns);
}

void
ep_tcpcheck_round_stop(struct ep_tcpcheck *c, uint64_t now_ns)
{
	tc_probe_stop(c, now_ns);
}

bool
ep_tcpcheck_round_done(const struct ep_tcpcheck *c)
{
	return c->round.running == 0;
}

const struct ep_tcpcheck_row *
ep_tcpcheck_rows(struct ep_tcpcheck *c, uint32_t *count)
{
	*count = 0;
	for (uint32_t i = 0; i < c->targets.count; i++)
		for (uint32_t k = 0; k < EP_TCPCHECK_LEVELS_MAX; k++)
			if (c->round.used[i][k])
				c->round.out[(*count)++] = c->round.row[i][k];
	return c->round.out;
}
