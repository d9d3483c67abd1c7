/*
 * A NIC of EC2 for a program that has none: loaded in front of it (LD_PRELOAD), it takes the place of the drivers at the two borders at
 * which counters are read, rte_eth_xstats and SIOCETHTOOL. NIC_DOUBLE="NAME=STEP,..." names the counters; each grows by STEP from one
 * reading of a device to the next. NIC_DOUBLE_DRIVER is the driver ("ena", which DPDK's side calls "net_ena", for the in-memory pair alone).
 */

#include <rte_ethdev.h>

#include <dlfcn.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define COUNTERS_MAX 16
#define DEVICES_MAX 64

struct counter {
	char name[ETH_GSTRING_LEN];
	uint64_t step;
};

static uint64_t readings[DEVICES_MAX];

static uint32_t
counters(struct counter *out)
{
	const char *text = getenv("NIC_DOUBLE");
	uint32_t n = 0;

	while (text != NULL && *text != '\0' && n < COUNTERS_MAX) {
		const size_t len = strcspn(text, "=");

		snprintf(out[n].name, sizeof(out[n].name), "%.*s", (int)len, text);
		text += len;
		out[n].step = *text == '=' ? strtoull(text + 1, NULL, 10) : 0;
		text += strcspn(text, ",");
		text += *text == ',';
		n++;
	}
	return n;
}

static const char *
driver(void)
{
	const char *name = getenv("NIC_DOUBLE_DRIVER");

	return name != NULL ? name : "ena";
}

/* --- rte_eth_xstats --- */

int
rte_eth_xstats_get_names_by_id(
	uint16_t port_id, struct rte_eth_xstat_name *names, unsigned int size, uint64_t *ids)
{
	struct counter c[COUNTERS_MAX];
	const uint32_t n = counters(c);

	(void)port_id;
	(void)ids;
	if (names == NULL || size < n)
		return (int)n;
	for (uint32_t i = 0; i < n; i++)
		snprintf(names[i].name, sizeof(names[i].name), "%.*s", ETH_GSTRING_LEN - 1,
			c[i].name);
	return (int)n;
}

int
rte_eth_xstats_get_by_id(uint16_t port_id, const uint64_t *ids, uint64_t *values, unsigned int size)
{
	struct counter c[COUNTERS_MAX];
	const uint32_t n = counters(c);
	const uint64_t reading = readings[port_id % DEVICES_MAX]++;

	(void)ids;
	if (values == NULL || size < n)
		return (int)n;
	for (uint32_t i = 0; i < n; i++)
		values[i] = 1000 + reading * c[i].step;
	return (int)n;
}

int
rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	static char name[64];
	int (*real)(uint16_t, struct rte_eth_dev_info *);
	int ret;

	*(void **)&real = dlsym(RTLD_NEXT, "rte_eth_dev_info_get");
	ret = real(port_id, info);
	if (ret < 0 || info->driver_name == NULL || strcmp(info->driver_name, "net_ring") != 0)
		return ret;
	snprintf(name, sizeof(name), "net_%s", driver());
	info->driver_name = name;
	return ret;
}

/* --- SIOCETHTOOL --- */

static int
ethtool(unsigned int ifindex, void *data)
{
	struct counter c[COUNTERS_MAX];
	const uint32_t n = counters(c);
	struct ethtool_drvinfo *info = data;
	struct ethtool_sset_info *set = data;
	struct ethtool_gstrings *names = data;
	struct ethtool_stats *values = data;

	switch (*(uint32_t *)data) {
	case ETHTOOL_GDRVINFO:
		snprintf(info->driver, sizeof(info->driver), "%s", driver());
		return 0;
	case ETHTOOL_GSSET_INFO:
		memcpy(set->data, &n, sizeof(n));
		return 0;
	case ETHTOOL_GSTRINGS:
		names->len = n;
		for (uint32_t i = 0; i < n; i++)
			memcpy(names->data + (size_t)i * ETH_GSTRING_LEN, c[i].name,
				ETH_GSTRING_LEN);
		return 0;
	case ETHTOOL_GSTATS:
		values->n_stats = n;
		for (uint32_t i = 0; i < n; i++)
			values->data[i] = 1000 + readings[ifindex % DEVICES_MAX] * c[i].step;
		readings[ifindex % DEVICES_MAX]++;
		return 0;
	default:
		return 1;
	}
}

int
ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, void *);
	void *arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == SIOCETHTOOL && getenv("NIC_DOUBLE") != NULL) {
		struct ifreq *ifr = arg;

		if (ethtool(if_nametoindex(ifr->ifr_name), ifr->ifr_data) == 0)
			return 0;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, arg);
}
