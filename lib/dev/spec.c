/* The shape of a --dev. */

#include "ep_dev.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AF_PACKET_PREFIX "af_packet:"
#define SHAPES                                                                               \
	"an interface (eth1), af_packet:INTERFACE, a PCI address (0000:01:00.0), or a DPDK " \
	"virtual device (net_memif0,...)"
#define PCI_DOMAIN_DIGITS 8
#define PCI_DEVICE_MAX 0x1f
#define PCI_FUNCTION_MAX 7

/* Names of interfaces have no colon, and other prefixes have letters beyond f. */
static bool
spec_is_pci(const char *text)
{
	return strchr(text, ':') != NULL &&
		strspn(text, "0123456789abcdefABCDEF:.") == strlen(text);
}

/* A hexadecimal number of 1 to @p digits_max digits that ends with @p end, which is passed over. */
static bool
pci_field(const char **text, size_t digits_max, char end, unsigned long *value)
{
	const size_t digits = strspn(*text, "0123456789abcdefABCDEF");

	if (digits == 0 || digits > digits_max || (*text)[digits] != end)
		return false;
	*value = strtoul(*text, NULL, 16);
	*text += digits + (end != '\0');
	return true;
}

/* [domain:]bus:device.function, all hexadecimal. The domain has four digits, or more where a bridge makes domains of its own (VMD). */
static int
spec_pci(const char *text, struct ep_dev_spec *spec, struct ep_err *err)
{
	const bool has_domain = strchr(text, ':') != strrchr(text, ':');
	unsigned long domain = 0, bus = 0, device = 0, function = 0;
	const char *at = text;
	const bool fits = (!has_domain || pci_field(&at, PCI_DOMAIN_DIGITS, ':', &domain)) &&
		pci_field(&at, 2, ':', &bus) && pci_field(&at, 2, '.', &device) &&
		pci_field(&at, 1, '\0', &function);

	if (!fits || device > PCI_DEVICE_MAX || function > PCI_FUNCTION_MAX)
		return ep_err_set(err, -EINVAL,
			"--dev %.300s: not a PCI address; allowed is [domain:]bus:device.function, "
			"as 0000:01:00.0 (device 0 to 1f, function 0 to 7)",
			text);
	snprintf(spec->pci, sizeof(spec->pci), "%04lx:%02lx:%02lx.%lx", domain, bus, device,
		function);
	return 0;
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
	if (spec_is_pci(text)) {
		out.kind = EP_DEV_PCI;
		ret = spec_pci(text, &out, err);
	} else if (strncmp(text, "net_", strlen("net_")) == 0) {
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

bool
ep_dev_spec_is_kernel(const struct ep_dev_spec *spec)
{
	return spec->kind == EP_DEV_AF_XDP || spec->kind == EP_DEV_AF_PACKET;
}
