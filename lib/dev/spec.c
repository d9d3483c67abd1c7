/* The shape of a --dev. */

#include "ep_dev.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AF_PACKET_PREFIX "af_packet:"
#define SHAPES "an interface (eth1), af_packet:INTERFACE, or a DPDK virtual device (net_memif0,...)"

/* [domain:]bus:device.function, all hexadecimal. */
static bool
spec_is_pci(const char *text)
{
	unsigned int part[4];
	int end = -1;

	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return false;
	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &part[0], &part[1], &part[2], &part[3], &end) == 4 &&
		end > 0 && text[end] == '\0')
		return true;
	end = -1;
	return sscanf(text, "%2x:%2x.%1x%n", &part[0], &part[1], &part[2], &end) == 3 && end > 0 &&
		text[end] == '\0';
}

/* What the kernel accepts as the name of an interface (dev_valid_name), with room for its NUL. */
static bool
spec_is_ifname(const char *name, size_t size)
{
	const size_t len = strlen(name);

	if (len == 0 || len >= size || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]))
			return false;
	return true;
}

static int
spec_ifname(const char *text, const char *name, struct ep_dev_spec *spec, struct ep_err *err)
{
	if (!spec_is_ifname(name, sizeof(spec->ifname)))
		return ep_err_set(err, -EINVAL,
			"--dev %.300s: not the name of an interface (1 to %zu characters, no "
			"'/', ':' or space); allowed: " SHAPES,
			text, sizeof(spec->ifname) - 1);
	snprintf(spec->ifname, sizeof(spec->ifname), "%s", name);
	return 0;
}

static int
spec_vdev(const char *text, struct ep_dev_spec *spec, struct ep_err *err)
{
	if (strlen(text) >= sizeof(spec->vdev))
		return ep_err_set(err, -EINVAL, "--dev %.40s...: longer than %zu characters", text,
			sizeof(spec->vdev) - 1);
	snprintf(spec->vdev, sizeof(spec->vdev), "%s", text);
	return 0;
}

int
ep_dev_spec_parse(const char *text, struct ep_dev_spec *spec, struct ep_err *err)
{
	struct ep_dev_spec out = {.kind = EP_DEV_AF_XDP};
	int ret;

	if (text[0] == '\0')
		return ep_err_set(err, -EINVAL, "--dev is empty; allowed: " SHAPES);
	if (spec_is_pci(text))
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: PCI addresses are not supported in this version; leave the NIC "
			"with the kernel and name its interface (eth1)",
			text);
	if (strncmp(text, "net_", strlen("net_")) == 0) {
		out.kind = EP_DEV_VDEV;
		ret = spec_vdev(text, &out, err);
	} else if (strncmp(text, AF_PACKET_PREFIX, strlen(AF_PACKET_PREFIX)) == 0) {
		out.kind = EP_DEV_AF_PACKET;
		ret = spec_ifname(text, text + strlen(AF_PACKET_PREFIX), &out, err);
	} else {
		ret = spec_ifname(text, text, &out, err);
	}
	if (ret == 0)
		*spec = out;
	return ret;
}
