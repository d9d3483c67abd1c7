/*
 * The counters that are known by name, from the drivers' own sources and manuals: Linux (6.1 to 6.12) for ethtool's, DPDK 22.11 for
 * the others. What is not here is told by its words alone, and judged by nobody.
 */

#include "ep_nic.h"

#include <ctype.h>
#include <string.h>

#define DPDK (1u << EP_NIC_DPDK)
#define ETHTOOL (1u << EP_NIC_ETHTOOL)
#define LINK (1u << EP_NIC_LINK)
#define DRIVER (DPDK | ETHTOOL)

#define NO_BUFFER "no receive buffer was free when they came"
#define RING_FULL "the receive ring was full when they came"
#define BROKEN "they came broken (checksum of the frame, length, line coding)"
#define FASTER "give the receiver more cores or longer rings (--cores, --ring), or lower --rate"
#define CABLE "look at cable, transceiver and the far port"
#define LARGER "take an instance with a larger allowance, or lower --rate"

static const struct ep_nic_known rows[] = {
	/* Amazon's ENA. The instance's allowances; packets that were queued or dropped. */
	{"ena", DRIVER, "pps_allowance_exceeded", EP_NIC_ALLOWANCE, EP_NIC_BOTH,
		"EC2's PPS allowance, not your firewall", LARGER},
	{"ena", DRIVER, "bw_in_allowance_exceeded", EP_NIC_ALLOWANCE, EP_NIC_RX,
		"EC2's inbound bandwidth allowance, not your firewall", LARGER},
	{"ena", DRIVER, "bw_out_allowance_exceeded", EP_NIC_ALLOWANCE, EP_NIC_TX,
		"EC2's outbound bandwidth allowance, not your firewall", LARGER},
	{"ena", DRIVER, "conntrack_allowance_exceeded", EP_NIC_ALLOWANCE, EP_NIC_BOTH,
		"EC2's connection tracking allowance of the security group, not your firewall",
		"let the security group allow the ports from any address and all traffic out, "
		"which is then not tracked, or take a larger instance"},
	{"ena", DRIVER, "linklocal_allowance_exceeded", EP_NIC_INFO, EP_NIC_BOTH,
		"EC2's allowance for name service, time and metadata, which no probe uses", NULL},
	{"ena", DRIVER, "conntrack_allowance_available", EP_NIC_TRAFFIC, EP_NIC_BOTH,
		"a gauge: connections that EC2 could still track", NULL},
	/* Its driver gives the kernel the device's own drops under this name, which elsewhere says little. */
	{"ena", LINK, "rx_dropped", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{"ena", LINK, "tx_dropped", EP_NIC_INFO, EP_NIC_TX,
		"EC2's device dropped them while sending; an allowance is among the causes", NULL},

	/* Google's gVNIC. */
	{"gve", ETHTOOL, "rx_queue_drop_cnt[#]", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{"gve", ETHTOOL, "rx_no_buffers_posted[#]", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"gve", ETHTOOL, "rx_xdp_redirect_errors[#]", EP_NIC_OWN, EP_NIC_RX,
		"the AF_XDP socket did not take them", FASTER},
	{"gve", ETHTOOL, "rx_drops_packet_over_mru[#]", EP_NIC_INFO, EP_NIC_RX,
		"they were larger than the interface takes", "lower --size, or raise the MTU"},
	{"gve", ETHTOOL, "rx_drops_invalid_checksum[#]", EP_NIC_INFO, EP_NIC_RX, BROKEN, NULL},

	/* Azure: netvsc and MANA. */
	{"hv_netvsc", ETHTOOL, "rx_no_memory", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"hv_netvsc", ETHTOOL, "tx_no_memory", EP_NIC_OWN, EP_NIC_TX,
		"the driver had no memory to send them", "lower --rate"},
	{"hv_netvsc", ETHTOOL, "tx_busy", EP_NIC_INFO, EP_NIC_TX,
		"the host's ring was full, and sending waited", NULL},
	{"mana", ETHTOOL, "hc_rx_discards_no_wqe", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"mana", DPDK, "hc_rx_discards_no_wqe", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},

	/* virtio: rx_queue_N_drops until Linux 6.8, rxN_drops from there on. */
	{"virtio", ETHTOOL, "rx_queue_#_drops", EP_NIC_OWN, EP_NIC_RX,
		"the driver dropped them: no memory, or the AF_XDP socket did not take them",
		FASTER},
	{"virtio", ETHTOOL, "rx#_drops", EP_NIC_OWN, EP_NIC_RX,
		"the driver dropped them: no memory, or the AF_XDP socket did not take them",
		FASTER},

	/* veth: the far end is another host, or the device under test. */
	{"veth", ETHTOOL, "peer_ifindex", EP_NIC_TRAFFIC, EP_NIC_BOTH, "no counter", NULL},
	{"veth", ETHTOOL, "rx_queue_#_drops", EP_NIC_OWN, EP_NIC_RX,
		"the AF_XDP socket did not take them, or no memory was free", FASTER},
	{"veth", LINK, "tx_dropped", EP_NIC_INFO, EP_NIC_TX,
		"the other end of this veth pair did not take them: down, its MTU smaller, or its "
		"ring full",
		NULL},
	{"tun", LINK, "tx_dropped", EP_NIC_INFO, EP_NIC_TX,
		"the program or guest behind this tap did not take them", NULL},

	/* mlx4, mlx5. */
	{"mlx5", DRIVER, "rx_out_of_buffer", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"mlx5", ETHTOOL, "rx_discards_phy", EP_NIC_OWN, EP_NIC_RX,
		"the NIC's own buffer was full: the host took them too slowly", FASTER},
	{"mlx5", DPDK, "rx_phy_discard_packets", EP_NIC_OWN, EP_NIC_RX,
		"the NIC's own buffer was full: the host took them too slowly", FASTER},
	{"mlx5", ETHTOOL, "tx_discards_phy", EP_NIC_OWN, EP_NIC_TX,
		"the NIC dropped them while sending", NULL},
	{"mlx5", ETHTOOL, "rx_steer_missed_packets", EP_NIC_INFO, EP_NIC_RX,
		"no rule of the NIC wanted them", NULL},
	{"mlx5", ETHTOOL, "rx_crc_errors_phy", EP_NIC_INFO, EP_NIC_RX, BROKEN, CABLE},

	/* Intel's, by DPDK and by the kernel. */
	{"e1000", ETHTOOL, "rx_no_buffer_count", EP_NIC_INFO, EP_NIC_RX,
		"no receive buffer was free, and the NIC held them back", FASTER},
	{"igb", ETHTOOL, "rx_no_buffer_count", EP_NIC_INFO, EP_NIC_RX,
		"no receive buffer was free, and the NIC held them back", FASTER},
	{"ixgbe", ETHTOOL, "rx_no_dma_resources", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"i40e", ETHTOOL, "port.rx_dropped", EP_NIC_OWN, EP_NIC_RX,
		"the NIC's own buffer was full: the host took them too slowly", FASTER},
	{"i40e", ETHTOOL, "port.rx_discards", EP_NIC_OWN, EP_NIC_RX,
		"the NIC's own buffer was full: the host took them too slowly", FASTER},
	{"ice", ETHTOOL, "rx_dropped.nic", EP_NIC_OWN, EP_NIC_RX,
		"the NIC's own buffer was full: the host took them too slowly", FASTER},

	/* VMware's. */
	{"vmxnet3", ETHTOOL, "pkts rx OOB", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},
	{"vmxnet3", ETHTOOL, "pkts rx out of buf", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},

	/* What every driver of DPDK has; the account knows the first four by other names. */
	{NULL, DPDK, "rx_missed_errors", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{NULL, DPDK, "rx_mbuf_allocation_errors", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER,
		"give DPDK more memory (--eal \"-m N\"), or lower --rate"},
	{NULL, DPDK, "rx_errors", EP_NIC_OWN, EP_NIC_RX, BROKEN, CABLE},
	{NULL, DPDK, "tx_errors", EP_NIC_OWN, EP_NIC_TX, "the NIC took them and did not send them",
		"lower --rate"},
	{NULL, DRIVER, "rx_out_of_buffer", EP_NIC_OWN, EP_NIC_RX, NO_BUFFER, FASTER},

	/* What the kernel has for every interface. Its rx_dropped is no shortfall: frames of a protocol that nobody speaks are in it. */
	{NULL, LINK, "rx_missed_errors", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{NULL, LINK, "rx_fifo_errors", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{NULL, LINK, "rx_over_errors", EP_NIC_OWN, EP_NIC_RX, RING_FULL, FASTER},
	{NULL, LINK, "rx_crc_errors", EP_NIC_INFO, EP_NIC_RX, BROKEN, CABLE},
	{NULL, LINK, "rx_frame_errors", EP_NIC_INFO, EP_NIC_RX, BROKEN, CABLE},
	{NULL, LINK, "rx_dropped", EP_NIC_INFO, EP_NIC_RX,
		"the kernel dropped them, frames of protocols that nobody here speaks included",
		NULL},
	{NULL, LINK, "tx_dropped", EP_NIC_OWN, EP_NIC_TX, "this host dropped them while sending",
		"lower --rate"},
	{NULL, LINK, "tx_fifo_errors", EP_NIC_OWN, EP_NIC_TX,
		"this host dropped them while sending", "lower --rate"},
};

const char *
ep_nic_meaning_name(enum ep_nic_meaning meaning)
{
	static const char *const name[] = {"traffic", "information", "own", "allowance"};

	return meaning <= EP_NIC_ALLOWANCE ? name[meaning] : "traffic";
}

static bool
driver_is(const char *row, const char *driver)
{
	if (row == NULL)
		return true;
	if (strncmp(driver, "net_", 4) == 0)
		driver += 4;
	return strncmp(driver, row, strlen(row)) == 0;
}

static bool
name_is(const char *row, const char *name)
{
	for (; *row != '\0'; row++) {
		if (*row != '#') {
			if (*row != *name++)
				return false;
			continue;
		}
		if (!isdigit((unsigned char)*name))
			return false;
		while (isdigit((unsigned char)*name))
			name++;
	}
	return *name == '\0';
}

const struct ep_nic_known *
ep_nic_know(const char *driver, enum ep_nic_source source, const char *name)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(rows); i++)
		if ((rows[i].sources & (1u << source)) != 0 && driver_is(rows[i].driver, driver) &&
			name_is(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* Words that counters of drops and errors have in all drivers. */
static bool
name_is_suspicious(const char *name)
{
	static const char *const word[] = {"drop", "err", "miss", "discard", "exceeded", "no_buf",
		"nobuf", "alloc_fail", "overrun", "out_of_buf", "timeout", "bad_", "invalid"};

	for (size_t i = 0; i < EP_ARRAY_LEN(word); i++)
		if (strcasestr(name, word[i]) != NULL)
			return true;
	return false;
}

enum ep_nic_meaning
ep_nic_meaning(const char *driver, enum ep_nic_source source, const char *name)
{
	const struct ep_nic_known *known = ep_nic_know(driver, source, name);

	if (known != NULL)
		return known->meaning;
	return name_is_suspicious(name) ? EP_NIC_INFO : EP_NIC_TRAFFIC;
}
