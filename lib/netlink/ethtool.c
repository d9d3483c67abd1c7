#include "netlink_priv.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's three link-mode masks hold at most 127 words each: the count is a signed byte. */
#define LINK_MODE_WORDS (3 * 127)

#define BPS_PER_MBPS UINT64_C(1000000)

static int
ethtool_call(int fd, const char *name, void *command)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, name, strnlen(name, sizeof(ifr.ifr_name) - 1));
	ifr.ifr_data = command;
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

int
ep_netlink_ethtool(void *ctx, const char *ifname, void *command)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	(void)ctx;
	if (fd < 0)
		return -errno;
	ret = ethtool_call(fd, ifname, command) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static uint32_t
rx_queue_count(int fd, const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	uint32_t count;

	if (ethtool_call(fd, name, &channels) < 0)
		return 1;
	count = channels.combined_count + channels.rx_count;
	return count > 0 ? count : 1;
}

/* Two calls: the first, with no room for masks, is answered with minus the number of words that they need. */
static uint64_t
speed_bps(int fd, const char *name)
{
	union {
		struct ethtool_link_settings head;
		uint32_t words[sizeof(struct ethtool_link_settings) / sizeof(uint32_t) +
			LINK_MODE_WORDS];
	} settings = {.head = {.cmd = ETHTOOL_GLINKSETTINGS}};
	int8_t words;

	if (ethtool_call(fd, name, &settings) < 0 || settings.head.link_mode_masks_nwords >= 0)
		return 0;
	words = (int8_t)-settings.head.link_mode_masks_nwords;
	memset(&settings, 0, sizeof(settings));
	settings.head.cmd = ETHTOOL_GLINKSETTINGS;
	settings.head.link_mode_masks_nwords = words;
	if (ethtool_call(fd, name, &settings) < 0 || settings.head.speed == (uint32_t)SPEED_UNKNOWN)
		return 0;
	return settings.head.speed * BPS_PER_MBPS;
}

static void
driver_name(int fd, const char *name, char *driver, size_t len)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	size_t used;

	driver[0] = '\0';
	if (ethtool_call(fd, name, &info) < 0)
		return;
	used = strnlen(info.driver, len - 1);
	memcpy(driver, info.driver, used);
	driver[used] = '\0';
}

void
netlink_ethtool(struct ep_netlink_link *link)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Without a socket each call fails and leaves the default, as it does for an interface without ethtool. */
	link->rx_queue_count = rx_queue_count(fd, link->name);
	link->speed_bps = speed_bps(fd, link->name);
	driver_name(fd, link->name, link->driver, sizeof(link->driver));
	if (fd >= 0)
		close(fd);
}
