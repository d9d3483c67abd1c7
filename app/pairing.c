#include "pairing.h"

#include <errno.h>
#include <string.h>

static bool
is_driver(const char *dev, const char *driver)
{
	return strncmp(dev, driver, strlen(driver)) == 0;
}

/* Whether a device has an argument, "server=1"; DPDK takes the last of several, and a user who gives two means nothing that we could know. */
static bool
has_arg(const char *dev, const char *arg)
{
	const size_t len = strlen(arg);

	for (const char *at = strchr(dev, ','); at != NULL; at = strchr(at + 1, ','))
		if (strncmp(at + 1, arg, len) == 0 && (at[1 + len] == ',' || at[1 + len] == '\0'))
			return true;
	return false;
}

static bool
is_waiting(const char *dev)
{
	return is_driver(dev, "net_virtio_user") && has_arg(dev, "server=1");
}

static bool
is_vhost_server(const char *dev)
{
	return is_driver(dev, "net_vhost") && !has_arg(dev, "client=1");
}

static int
sends_somewhere(const char *dev, struct ep_err *err)
{
	if (is_driver(dev, "net_null"))
		return ep_err_set(err, -EINVAL,
			"--dev %s: net_null throws away what it is given and receives frames that "
			"nobody sent, so no probe can arrive; leave --dev out for the in-memory "
			"pair",
			dev);
	if (is_driver(dev, "net_ring"))
		return ep_err_set(err, -EINVAL,
			"--dev %s: a net_ring that is made by its name hears only itself, so no "
			"probe "
			"can arrive at the other device; leave --dev out for the in-memory pair, "
			"which is two net_ring joined",
			dev);
	return 0;
}

int
pairing_check(const char *const dev[2], struct ep_err *err)
{
	for (int i = 0; i < 2; i++) {
		const int ret = sends_somewhere(dev[i], err);

		if (ret < 0)
			return ret;
	}
	for (int i = 0; i < 2; i++)
		if (is_waiting(dev[i]) && (is_waiting(dev[1 - i]) || is_vhost_server(dev[1 - i])))
			return ep_err_set(err, -EINVAL,
				"--dev %s: is a server, and so is the other device (%s); make one "
				"of "
				"them a client (client=1 of net_vhost, or no server=1)",
				dev[i], dev[1 - i]);
	return 0;
}

bool
pairing_second_first(const char *const dev[2])
{
	return is_waiting(dev[0]);
}
