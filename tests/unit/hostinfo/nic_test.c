#include "tree.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PCI "/sys/devices/pci0000:00/"

static int
setup(void **state)
{
	struct tree *t = malloc(sizeof(*t));

	tree_make(t);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	tree_remove(*state);
	free(*state);
	return 0;
}

/* --- A model of ethtool ------------------------------------------------------------------------------------------------------ */

struct card {
	const char *driver;
	uint32_t queues, queues_max, ring, ring_max;
	uint64_t hash;
	bool lro;
	uint32_t counter_count;
	const char *counter[4];
	uint64_t value[4];
};

static int
card_strings(const struct card *c, void *command)
{
	struct ethtool_gstrings *names = command;

	if (names->string_set != ETH_SS_STATS || names->len != c->counter_count)
		return -EINVAL;
	/* Names fill their field to its end where they are long: no NUL is promised. */
	for (uint32_t i = 0; i < c->counter_count; i++)
		strncpy((char *)names->data + (size_t)i * ETH_GSTRING_LEN, c->counter[i],
			ETH_GSTRING_LEN);
	return 0;
}

static int
card_ethtool(void *ctx, const char *ifname, void *command)
{
	const struct card *c = ctx;
	uint32_t cmd;

	(void)ifname;
	memcpy(&cmd, command, sizeof(cmd));
	switch (cmd) {
	case ETHTOOL_GDRVINFO: {
		struct ethtool_drvinfo *info = command;

		snprintf(info->driver, sizeof(info->driver), "%s", c->driver);
		snprintf(info->fw_version, sizeof(info->fw_version), "1.2.3");
		snprintf(info->bus_info, sizeof(info->bus_info), "0000:00:05.0");
		return 0;
	}
	case ETHTOOL_GCHANNELS: {
		struct ethtool_channels *channels = command;

		channels->combined_count = c->queues;
		channels->max_combined = c->queues_max;
		return 0;
	}
	case ETHTOOL_GRINGPARAM: {
		struct ethtool_ringparam *ring = command;

		ring->rx_pending = c->ring;
		ring->rx_max_pending = c->ring_max;
		return 0;
	}
	case ETHTOOL_GRXFH:
		((struct ethtool_rxnfc *)command)->data = c->hash;
		return 0;
	case ETHTOOL_GFLAGS:
		((struct ethtool_value *)command)->data = c->lro ? ETH_FLAG_LRO : 0;
		return 0;
	case ETHTOOL_GSSET_INFO:
		((struct ethtool_sset_info *)command)->data[0] = c->counter_count;
		return 0;
	case ETHTOOL_GSTRINGS:
		return card_strings(c, command);
	case ETHTOOL_GSTATS:
		memcpy(((struct ethtool_stats *)command)->data, c->value,
			c->counter_count * sizeof(c->value[0]));
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* --- Trees ------------------------------------------------------------------------------------------------------------------- */

/* An interface on a PCI device, or, with @p between, on a device of another bus on it ("virtio0"). */
static void
interface(const struct tree *t, const char *name, const char *pci, const char *between,
	const char *driver)
{
	char path[512], target[256];

	snprintf(target, sizeof(target), PCI "%s%s%s", pci, between != NULL ? "/" : "",
		between != NULL ? between : "");
	snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
	tree_point(t, path, target);
	snprintf(path, sizeof(path), "%s/driver", target);
	snprintf(target, sizeof(target), "/sys/bus/drivers/%s", driver);
	tree_point(t, path, target);
	snprintf(path, sizeof(path), "/sys/class/net/%s/mtu", name);
	tree_put(t, path, "1500\n");
	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", name);
	tree_put(t, path, "1\n");
	snprintf(path, sizeof(path), "/sys/class/net/%s/flags", name);
	tree_put(t, path, "0x1003\n");
}

/* A PCI function of class Ethernet; @p driver may be NULL. */
static void
function(const struct tree *t, const char *address, const char *vendor, const char *device,
	const char *driver)
{
	char path[512], target[256];

	snprintf(target, sizeof(target), PCI "%s", address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	tree_point(t, path, target);
	snprintf(path, sizeof(path), "%s/class", target);
	tree_put(t, path, "0x020000\n");
	snprintf(path, sizeof(path), "%s/vendor", target);
	tree_put(t, path, vendor);
	snprintf(path, sizeof(path), "%s/device", target);
	tree_put(t, path, device);
	snprintf(path, sizeof(path), "%s/numa_node", target);
	tree_put(t, path, "1\n");
	if (driver == NULL)
		return;
	snprintf(path, sizeof(path), "%s/driver", target);
	snprintf(target, sizeof(target), "/sys/bus/pci/drivers/%s", driver);
	tree_point(t, path, target);
}

static const struct ep_doctor_nic *
nic(const struct ep_doctor_facts *f, const char *name)
{
	for (uint32_t i = 0; i < f->nic_count; i++)
		if (strcmp(f->nic[i].name, name) == 0 ||
			(f->nic[i].name[0] == '\0' && strcmp(f->nic[i].pci, name) == 0))
			return &f->nic[i];
	fail_msg("no device %s", name);
	return NULL;
}

static void
an_ec2_instance_shows_its_ena_and_its_allowances(void **state)
{
	const struct tree *t = *state;
	struct card card = {
		.driver = "ena",
		.queues = 4,
		.queues_max = 4,
		.ring = 1024,
		.ring_max = 8192,
		.counter_count = 3,
		.counter = {"queue_0_rx_cnt", "pps_allowance_exceeded",
			"conntrack_allowance_available"},
		.value = {9, 77, 5000},
	};
	const struct ep_hostinfo_cfg cfg = {.ethtool = card_ethtool, .ethtool_ctx = &card};
	struct ep_doctor_facts *f;
	const struct ep_doctor_nic *n;

	interface(t, "ens5", "0000:00:05.0", NULL, "ena");
	tree_put(t, "/sys/class/net/ens5/mtu", "9001\n");
	tree_put(t, "/proc/net/route",
		"Iface\tDestination\tGateway\nens5\t00000000\t0101A8C0\t0003\nens5\t0001A8C0\t00000"
		"000\t0001\n");
	f = tree_facts(t, &cfg);
	n = nic(f, "ens5");
	assert_string_equal(n->driver, "ena");
	assert_string_equal(n->pci, "0000:00:05.0");
	assert_string_equal(n->firmware, "1.2.3");
	assert_int_equal(n->mtu_bytes, 9001);
	assert_true(n->up && n->default_route && n->address);
	assert_int_equal(n->queues, 4);
	assert_int_equal(n->ring_max, 8192);
	assert_int_equal(n->udp_ports_hashed, EP_DOCTOR_UNKNOWN); /* it does not tell */
	assert_int_equal(n->counter_count, 1);
	assert_string_equal(n->counter[0].name, "pps_allowance_exceeded");
	assert_int_equal(n->counter[0].value, 77);
	assert_int_equal(n->use, EP_DOCTOR_USE_NONE);
	free(f);
}

static void
a_gcp_vm_shows_virtio_on_its_pci_device(void **state)
{
	const struct tree *t = *state;
	struct card card = {.driver = "virtio_net",
		.queues = 2,
		.queues_max = 2,
		.hash = RXH_IP_SRC | RXH_IP_DST};
	const struct ep_hostinfo_cfg cfg = {.ethtool = card_ethtool, .ethtool_ctx = &card};
	struct ep_doctor_facts *f;
	const struct ep_doctor_nic *n;

	interface(t, "ens4", "0000:00:04.0", "virtio1", "virtio_net");
	tree_put(
		t, "/proc/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80     ens4\n");
	f = tree_facts(t, NULL);
	assert_string_equal(nic(f, "ens4")->pci, "0000:00:04.0"); /* not virtio1 */
	assert_false(nic(f, "ens4")->address); /* a link-local one is none to lose */
	free(f);
	f = tree_facts(t, &cfg);
	n = nic(f, "ens4");
	assert_int_equal(n->udp_ports_hashed, EP_DOCTOR_NO);
	free(f);
	card.hash |= RXH_L4_B_0_1 | RXH_L4_B_2_3;
	card.lro = true;
	f = tree_facts(t, &cfg);
	assert_int_equal(nic(f, "ens4")->udp_ports_hashed, EP_DOCTOR_YES);
	assert_true(nic(f, "ens4")->lro);
	free(f);
}

static void
an_azure_vm_shows_the_device_behind_its_interface(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	interface(t, "eth0", "0000:00:00.0", "vmbus", "hv_netvsc");
	interface(t, "enP1s1", "0001:00:02.0", NULL, "mana");
	tree_point(t, "/sys/class/net/enP1s1/master", "/sys/class/net/eth0");
	f = tree_facts(t, NULL);
	assert_string_equal(nic(f, "enP1s1")->master, "eth0");
	assert_string_equal(nic(f, "enP1s1")->driver, "mana");
	assert_string_equal(nic(f, "eth0")->master, "");
	free(f);
}

static void
a_bare_host_shows_free_bound_and_unbound_functions(void **state)
{
	const struct tree *t = *state;
	const struct ep_hostinfo_cfg cfg = {
		.dev_count = 1, .dev = {{"0000:01:00.0", EP_DOCTOR_USE_PCI}}};
	uint8_t config[64] = {0};
	struct ep_doctor_facts *f;

	interface(t, "eno1", "0000:01:00.0", NULL, "ixgbe");
	function(t, "0000:01:00.0", "0x8086\n", "0x10fb\n", NULL);
	function(t, "0000:01:00.1", "0x8086\n", "0x10fb\n", "vfio-pci");
	function(t, "0000:02:00.0", "0x8086\n", "0x1592\n", NULL);
	function(t, "0000:03:00.0", "0x15b3\n", "0x1017\n", "mlx5_core");
	f = tree_facts(t, NULL);
	assert_int_equal(
		f->nic_count, 3); /* mlx5_core's interface is elsewhere: nothing is amiss */
	assert_int_equal(nic(f, "eno1")->use, EP_DOCTOR_USE_NONE);
	assert_string_equal(nic(f, "0000:01:00.1")->driver, "vfio-pci");
	assert_string_equal(nic(f, "0000:01:00.1")->former, "ixgbe");
	assert_int_equal(nic(f, "0000:01:00.1")->node, 1);
	assert_string_equal(nic(f, "0000:02:00.0")->driver, "");
	assert_string_equal(nic(f, "0000:02:00.0")->former, "ice");
	assert_int_equal(nic(f, "0000:02:00.0")->intx, EP_DOCTOR_UNKNOWN);
	free(f);
	config[0x3d] = 1;
	tree_put_bytes(t, "/sys/bus/pci/devices/0000:01:00.0/config", config, sizeof(config));
	config[0x3d] = 0;
	tree_put_bytes(t, "/sys/bus/pci/devices/0000:02:00.0/config", config, sizeof(config));
	f = tree_facts(t, &cfg);
	assert_int_equal(nic(f, "eno1")->intx, EP_DOCTOR_YES);
	assert_int_equal(nic(f, "0000:02:00.0")->intx, EP_DOCTOR_NO);
	assert_int_equal(nic(f, "eno1")->use, EP_DOCTOR_USE_PCI); /* named by its address */
	free(f);
}

static void
what_is_named_comes_first_and_may_be_missing_or_virtual(void **state)
{
	const struct tree *t = *state;
	const struct ep_hostinfo_cfg cfg = {
		.dev_count = 3,
		.dev = {{"veth0", EP_DOCTOR_USE_AF_XDP}, {"nosuch0", EP_DOCTOR_USE_AF_PACKET},
			{"0000:09:00.0", EP_DOCTOR_USE_PCI}},
		.ssh_ifname = "eno1",
	};
	struct ep_doctor_facts *f;

	interface(t, "eno1", "0000:01:00.0", NULL, "ixgbe");
	tree_put(t, "/sys/class/net/veth0/mtu", "1400\n");
	tree_put(t, "/sys/class/net/veth0/flags", "0x1002\n");
	tree_put(t, "/sys/class/net/veth1/mtu", "1400\n");
	f = tree_facts(t, &cfg);
	assert_int_equal(f->nic_count, 4); /* veth1 is nobody's business */
	assert_string_equal(f->nic[0].name, "veth0");
	assert_false(f->nic[0].missing || f->nic[0].up);
	assert_true(f->nic[1].missing);
	assert_true(nic(f, "eno1")->ssh);
	assert_true(nic(f, "0000:09:00.0")->missing);
	free(f);
}

static void
more_devices_than_there_is_room_for_are_left_out(void **state)
{
	const struct tree *t = *state;
	const struct ep_hostinfo_cfg cfg = {
		.dev_count = 1, .dev = {{"eth39", EP_DOCTOR_USE_AF_XDP}}};
	struct ep_doctor_facts *f;
	char name[16], pci[16];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "eth%d", i);
		snprintf(pci, sizeof(pci), "0000:%02x:00.0", i);
		interface(t, name, pci, NULL, "ixgbe");
	}
	f = tree_facts(t, &cfg);
	assert_int_equal(f->nic_count, EP_DOCTOR_NICS_MAX);
	assert_string_equal(f->nic[0].name, "eth39");
	free(f);
}

/* --- From the tree to the finding -------------------------------------------------------------------------------------------- */

static void
found(struct ep_doctor_facts *f, const char *id, enum ep_doctor_status status, const char *part)
{
	struct ep_doctor_report *r = malloc(sizeof(*r));
	bool seen = false;

	f->ports = "50000-60000";
	f->port_first = 50000;
	f->port_last = 60000;
	ep_doctor_judge(f, r);
	for (uint32_t i = 0; i < r->count && !seen; i++)
		seen = strcmp(r->finding[i].id, id) == 0 && r->finding[i].status == status &&
			(strstr(r->finding[i].sentence, part) != NULL ||
				strstr(r->finding[i].fix, part) != NULL);
	free(r);
	if (!seen)
		fail_msg(
			"no finding %s is %s with \"%s\"", id, ep_doctor_status_name(status), part);
}

static void
a_fresh_ec2_instance_is_told_about_mtu_queues_and_allowance(void **state)
{
	const struct tree *t = *state;
	struct card card = {.driver = "ena",
		.queues = 4,
		.queues_max = 4,
		.counter_count = 1,
		.counter = {"bw_out_allowance_exceeded"},
		.value = {5}};
	const struct ep_hostinfo_cfg cfg = {.ethtool = card_ethtool,
		.ethtool_ctx = &card,
		.dev_count = 1,
		.dev = {{"ens5", EP_DOCTOR_USE_AF_XDP}}};
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/sys/kernel/osrelease", "6.1.0-18-cloud-amd64\n");
	tree_put(t, "/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
	tree_put(t, "/sys/class/dmi/id/product_name", "m5.large\n");
	interface(t, "ens5", "0000:00:05.0", NULL, "ena");
	tree_put(t, "/sys/class/net/ens5/mtu", "9001\n");
	f = tree_facts(t, &cfg);
	found(f, "cloud", EP_DOCTOR_WARN, "bw_out_allowance_exceeded is 5");
	found(f, "mtu", EP_DOCTOR_WARN, "ip link set ens5 mtu 1500");
	found(f, "xdp", EP_DOCTOR_WARN, "ethtool -L ens5 combined 2");
	free(f);
}

static void
a_debian_12_on_gcp_is_told_about_its_kernel(void **state)
{
	const struct tree *t = *state;
	struct card card = {.driver = "gve", .queues = 2, .queues_max = 4};
	const struct ep_hostinfo_cfg cfg = {.ethtool = card_ethtool, .ethtool_ctx = &card};
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/sys/kernel/osrelease", "6.1.0-18-cloud-amd64\n");
	tree_put(t, "/sys/class/dmi/id/product_name", "Google Compute Engine\n");
	interface(t, "ens4", "0000:00:04.0", NULL, "gve");
	f = tree_facts(t, &cfg);
	found(f, "cloud", EP_DOCTOR_OK, "gVNIC");
	found(f, "xdp", EP_DOCTOR_WARN, "from kernel 6.4 on");
	free(f);
	tree_put(t, "/proc/sys/kernel/osrelease", "6.12.9+bpo-cloud-amd64\n");
	f = tree_facts(t, &cfg);
	found(f, "xdp", EP_DOCTOR_OK, "zero copy");
	free(f);
}

static void
an_azure_vm_is_told_to_use_af_packet_behind_a_vf(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(t, "/sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n");
	tree_put(t, "/sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n");
	interface(t, "eth0", "0000:00:00.0", "vmbus", "hv_netvsc");
	f = tree_facts(t, NULL);
	found(f, "cloud", EP_DOCTOR_WARN, "--accelerated-networking true");
	free(f);
	interface(t, "enP1s1", "0001:00:02.0", NULL, "mlx5_core");
	tree_point(t, "/sys/class/net/enP1s1/master", "/sys/class/net/eth0");
	f = tree_facts(t, NULL);
	found(f, "cloud", EP_DOCTOR_WARN, "af_packet:eth0");
	free(f);
}

static void
an_untuned_bare_host_is_told_about_each_thing(void **state)
{
	const struct tree *t = *state;
	const struct ep_hostinfo_cfg cfg = {
		.dev_count = 1, .dev = {{"0000:01:00.1", EP_DOCTOR_USE_PCI}}};
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/cpuinfo", "flags\t\t: constant_tsc nonstop_tsc\n");
	tree_put(t, "/proc/cmdline", "quiet intel_iommu=off\n");
	tree_put(t, "/sys/devices/system/cpu/online", "0-3\n");
	tree_put(t, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
	tree_put(t, "/sys/devices/system/cpu/smt/active", "1\n");
	tree_put(t, "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n");
	tree_put(t, "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3\n");
	tree_put(t, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	function(t, "0000:01:00.1", "0x8086\n", "0x10fb\n", "ixgbe");
	f = tree_facts(t, &cfg);
	f->memory.needed_mib = 100;
	found(f, "tsc", EP_DOCTOR_OK, "invariant");
	found(f, "iommu", EP_DOCTOR_WARN, "turns it off");
	found(f, "governor", EP_DOCTOR_WARN, "powersave");
	found(f, "isolation", EP_DOCTOR_WARN, "isolcpus=2-3");
	found(f, "smt", EP_DOCTOR_WARN, "2 and 3 are threads of one core");
	found(f, "hugepages", EP_DOCTOR_STOP, "echo 50 |");
	found(f, "driver", EP_DOCTOR_STOP, "dpdk-devbind.py --bind=uio_pci_generic 0000:01:00.1");
	free(f);
	tree_put(t, "/sys/kernel/iommu_groups/0/type", "DMA\n");
	tree_put(t, "/sys/devices/system/cpu/isolated", "2-3\n");
	tree_put(t, "/sys/devices/system/cpu/nohz_full", "2-3\n");
	tree_put(t, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
	f = tree_facts(t, &cfg);
	found(f, "iommu", EP_DOCTOR_OK, "1 group)");
	found(f, "driver", EP_DOCTOR_STOP, "dpdk-devbind.py --bind=vfio-pci 0000:01:00.1");
	found(f, "governor", EP_DOCTOR_OK, "performance");
	found(f, "isolation", EP_DOCTOR_OK, "2-3 are isolated");
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_ec2_instance_shows_its_ena_and_its_allowances, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_gcp_vm_shows_virtio_on_its_pci_device, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_azure_vm_shows_the_device_behind_its_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_bare_host_shows_free_bound_and_unbound_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_named_comes_first_and_may_be_missing_or_virtual, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_devices_than_there_is_room_for_are_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_fresh_ec2_instance_is_told_about_mtu_queues_and_allowance, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_debian_12_on_gcp_is_told_about_its_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_azure_vm_is_told_to_use_af_packet_behind_a_vf, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_untuned_bare_host_is_told_about_each_thing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
