/* Make the settings that were wished for, and put them back. */

#include "nicset_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Channels for so many queues: combined where the driver has such, else as many to receive as to send. */
static struct ethtool_channels
channels_for(const struct ethtool_channels *now, uint16_t queue_count)
{
	struct ethtool_channels c = *now;

	c.cmd = ETHTOOL_SCHANNELS;
	if (now->max_combined > 0) {
		c.combined_count = queue_count;
		c.rx_count = c.tx_count = 0;
	} else {
		c.rx_count = c.tx_count = queue_count;
	}
	return c;
}

static int
channels_set(struct ep_nicset *set, const struct ethtool_channels *now,
	const struct ep_nicset_wish *wish, struct ep_nicset_chosen *chosen)
{
	struct ethtool_channels next = channels_for(now, wish->queue_count);
	const struct nicset_entry e = {
		.kind = NICSET_CHANNELS,
		.before = {now->rx_count, now->tx_count, now->other_count, now->combined_count},
		.after = {next.rx_count, next.tx_count, next.other_count, next.combined_count},
	};
	int ret = nicset_note(set, &e);

	if (ret == 0)
		ret = nicset_ask(set, &next);
	if (ret < 0)
		return ret;
	chosen->way = EP_NICSET_CHANNELS;
	snprintf(chosen->text, sizeof(chosen->text), "interface set from %u to %u queues",
		nicset_queue_count(now), wish->queue_count);
	return 0;
}

/* The driver's words about the last way are added to those about the ones before. */
static int
queues_refused(const struct ep_nicset *set, const struct ep_nicset_wish *wish,
	const struct ep_nicset_chosen *chosen, int ret, struct ep_err *err)
{
	return ep_err_set(err, -ENOTSUP,
		"--dev %s: the range cannot be kept on %u queues (%s%snumber of queues: %s); leave "
		"--queues out to use all that there are",
		set->cfg.ifname, wish->queue_count, chosen->why, chosen->why[0] != '\0' ? "; " : "",
		strerror(-ret));
}

static int
queues_set(struct ep_nicset *set, const struct ep_nicset_wish *wish,
	struct ep_nicset_chosen *chosen, struct ep_err *err)
{
	struct ethtool_channels now;
	int ret = nicset_channels_get(set, &now);

	/* An interface without channels has one queue. */
	if (ret == -EOPNOTSUPP)
		now = (struct ethtool_channels){.rx_count = 1};
	else if (ret < 0)
		return queues_refused(set, wish, chosen, ret, err);
	chosen->queue_count = nicset_queue_count(&now);
	snprintf(chosen->text, sizeof(chosen->text), "all %u queues of the interface",
		chosen->queue_count);
	if (wish->queue_count == 0 || wish->queue_count == chosen->queue_count)
		return 0;
	if (ret < 0)
		return queues_refused(set, wish, chosen, ret, err);
	ret = -ENOTSUP;
	if (wish->queue_count < chosen->queue_count)
		ret = nicset_rules(set, wish, chosen);
	if (ret < 0)
		ret = channels_set(set, &now, wish, chosen);
	if (ret < 0)
		return queues_refused(set, wish, chosen, ret, err);
	chosen->queue_count = wish->queue_count;
	return 0;
}

int
ep_nicset_open(const struct ep_nicset_cfg *cfg, const struct ep_nicset_wish *wish,
	struct ep_nicset **out, struct ep_nicset_chosen *chosen, struct ep_err *err)
{
	struct ep_nicset *set = nicset_alloc(cfg);
	struct ep_nicset_chosen made = {.way = EP_NICSET_AS_IS};
	int ret;

	if (set == NULL)
		return ep_err_set(err, -ENOMEM, "--dev %s: no memory", cfg->ifname);
	ret = queues_set(set, wish, &made, err);
	if (ret == 0 && wish->busy_poll) {
		ret = nicset_timers(set);
		if (ret < 0)
			ep_err_set(err, -ENOTSUP,
				"--busy-poll: the timers of %s that it needs cannot be set in %s: "
				"%s",
				cfg->ifname, cfg->sys_dir,
				ret == -EXDEV ? "it shows the interfaces of another network "
						"namespace"
					      : strerror(-ret));
	}
	if (ret < 0) {
		nicset_undo(set, 0);
		nicset_free(set);
		return ret == -ENOMEM ? ret : -ENOTSUP;
	}
	*chosen = made;
	*out = set;
	return 0;
}

int
ep_nicset_close(struct ep_nicset *set, struct ep_err *err)
{
	int ret;

	if (set == NULL)
		return 0;
	ret = nicset_undo(set, 0);
	if (ret < 0)
		ep_err_set(err, ret,
			"--dev %s: not all of its settings could be put back (%s); %s names those "
			"that are left, and the next start tries again",
			set->cfg.ifname, strerror(-ret), set->path);
	nicset_free(set);
	return ret < 0 ? ret : 0;
}

int
ep_nicset_recover(const struct ep_nicset_cfg *cfg, struct ep_err *err)
{
	struct ep_nicset *set = nicset_alloc(cfg);
	int ret;

	if (set == NULL)
		return ep_err_set(err, -ENOMEM, "--dev %s: no memory", cfg->ifname);
	ret = nicset_read(set);
	/* Another interface's, or no file of ours: nothing here says what is to be done. */
	if (ret == -EBADMSG)
		ret = unlink(set->path) < 0 ? -errno : 0;
	else if (ret == 0 && set->entry_count > 0)
		ret = nicset_undo(set, 0);
	if (ret < 0)
		ep_err_set(err, ret,
			"--dev %s: putting back the settings that a crashed everyport noted in %s: "
			"%s",
			cfg->ifname, set->path, strerror(-ret));
	nicset_free(set);
	return ret;
}
