#include "exc_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"
#define INSTEAD "or name a kernel interface for the control connection with --control-dev"

static int
tun_open(const struct ep_exc *exc, struct ep_err *err)
{
	const int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return ep_err_set(err, -ENOENT,
			"--dev %s: its exception interface needs " TUN_PATH
			", which this host has not: modprobe tun, in a container give it the "
			"device, " INSTEAD,
			exc->info.name);
	return ep_err_set(err, -errno,
		"--dev %s: its exception interface needs " TUN_PATH " (%s): run as root, " INSTEAD,
		exc->info.name, strerror(errno));
}

/* No offload is asked for: the kernel then computes every checksum before it hands a frame over, cuts TCP into segments that fit the MTU, and
 * verifies what it is given, as with a plain NIC. */
int
exc_tap_open(struct ep_exc *exc, struct ep_err *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	exc->tap_fd = tun_open(exc, err);
	if (exc->tap_fd < 0)
		return exc->tap_fd;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "everyport%%d");
	if (ioctl(exc->tap_fd, TUNSETIFF, &ifr) < 0)
		return ep_err_set(err, -errno,
			"--dev %s: the kernel makes no exception interface (%s): run as root "
			"(CAP_NET_ADMIN), " INSTEAD,
			exc->info.name, strerror(errno));
	snprintf(exc->ifname, sizeof(exc->ifname), "%s", ifr.ifr_name);
	exc->ifindex = (int)if_nametoindex(exc->ifname);
	return exc->ifindex > 0
		? 0
		: ep_err_set(err, -errno, "interface %s: %s", exc->ifname, strerror(errno));
}
