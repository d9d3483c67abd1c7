/*
 * NICs on PCI. What is refused before DPDK sees it: on made-up trees of /sys. What happens at DPDK's border: with a double there, behind
 * which a real net_null port answers to the NIC's address. A NIC that is one is in tests/lab/qemu.
 */

#include "../unit/hostinfo/tree.h"

#include <ep_dev.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NIC "0000:01:00.0"
#define OTHER "0000:01:00.1"
#define DEVICES "/sys/bus/pci/devices/"
#define VDEV "net_null0"

/* --- Made-up hosts ---------------------------------------------------------------------------------------------------------- */

/* A function with a driver ("": none) and a group of the IOMMU ("": none). */
static void
function_put(const struct tree *t, const char *address, const char *driver, const char *group)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), DEVICES "%s/vendor", address);
	tree_put(t, path, "0x8086\n");
	snprintf(path, sizeof(path), DEVICES "%s/driver", address);
	snprintf(target, sizeof(target), "/sys/bus/pci/drivers/%s", driver);
	if (driver[0] != '\0')
		tree_point(t, path, target);
	snprintf(path, sizeof(path), DEVICES "%s/iommu_group", address);
	snprintf(target, sizeof(target), "/sys/kernel/iommu_groups/%s", group);
	if (group[0] == '\0')
		return;
	tree_point(t, path, target);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices/%s", group, address);
	tree_put(t, path, "");
}

static void
absent(const struct tree *t)
{
	function_put(t, OTHER, "ixgbe", "7");
}

static void
with_the_kernel(const struct tree *t)
{
	function_put(t, NIC, "ixgbe", "7");
	tree_put(t, DEVICES NIC "/net/enp1s0f0/mtu", "1500\n");
}

static void
without_iommu(const struct tree *t)
{
	function_put(t, NIC, "ixgbe", "");
	tree_put(t, DEVICES NIC "/net/enp1s0f0/mtu", "1500\n");
}

static void
unbound_without_iommu(const struct tree *t)
{
	function_put(t, NIC, "", "");
	tree_put(t, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
}

static void
without_iommu_in_its_mode(const struct tree *t)
{
	without_iommu(t);
	tree_put(t, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
}

static void
virtio_with_the_kernel(const struct tree *t)
{
	function_put(t, NIC, "virtio-pci", "7");
	tree_put(t, DEVICES NIC "/virtio0/net/eth1/mtu", "1500\n");
}

static void
kernel_without_interface(const struct tree *t)
{
	function_put(t, NIC, "ixgbe", "7");
}

static void
unbound(const struct tree *t)
{
	function_put(t, NIC, "", "7");
}

static void
ready(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "7");
	tree_put(t, "/dev/vfio/7", "");
}

static void
ready_with_quiet_neighbours(const struct tree *t)
{
	ready(t);
	function_put(t, OTHER, "vfio-pci", "7");
	function_put(t, "0000:00:01.0", "pcieport", "7");
	function_put(t, "0000:01:00.2", "", "7");
}

static void
neighbour_with_the_kernel(const struct tree *t)
{
	ready(t);
	function_put(t, OTHER, "ixgbe", "7");
}

static void
no_group(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "");
}

static void
group_without_file(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "7");
}

static void
noiommu(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "0");
	tree_put(t, "/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	tree_put(t, "/dev/vfio/noiommu-0", "");
}

static void
noiommu_without_file(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "0");
	tree_put(t, "/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	tree_put(t, "/dev/vfio/0", "");
}

/* A folder cannot be opened for writing, by root neither. */
static void
group_that_does_not_open(const struct tree *t)
{
	function_put(t, NIC, "vfio-pci", "7");
	tree_put(t, "/dev/vfio/7/x", "");
}

static void
uio(const struct tree *t)
{
	function_put(t, NIC, "uio_pci_generic", "");
}

static void
shared(const struct tree *t)
{
	function_put(t, NIC, "mlx5_core", "7");
	tree_put(t, DEVICES NIC "/net/enp1s0f0np0/mtu", "1500\n");
}

static const struct {
	void (*make)(const struct tree *);
	int code;
	const char *says, *command;
} cases[] = {
	{absent, -ENODEV, "there is no such PCI device", "lspci -D"},
	{with_the_kernel, -ENXIO, "bound to the kernel's driver ixgbe as enp1s0f0;",
		"sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci 0000:01:00.0"},
	{virtio_with_the_kernel, -ENXIO, "bound to the kernel's driver virtio-pci as eth1;",
		"--bind=vfio-pci 0000:01:00.0"},
	{kernel_without_interface, -ENXIO, "bound to the kernel's driver ixgbe;",
		"--bind=vfio-pci 0000:01:00.0"},
	{unbound, -ENXIO, "no driver is bound to it",
		"sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci 0000:01:00.0"},
	{without_iommu, -ENXIO,
		"driver ixgbe as enp1s0f0; this host has no IOMMU for it, which vfio-pci needs",
		"everyport doctor --dev 0000:01:00.0"},
	{unbound_without_iommu, -ENXIO, "no driver is bound to it; this host has no IOMMU for it",
		"everyport doctor --dev 0000:01:00.0"},
	{without_iommu_in_its_mode, -ENXIO, "driver ixgbe as enp1s0f0;",
		"--bind=vfio-pci 0000:01:00.0"},
	{ready, 0, "", ""},
	{ready_with_quiet_neighbours, 0, "", ""},
	{neighbour_with_the_kernel, -EPERM,
		"0000:01:00.1 is in the same group 7 of the IOMMU and bound to ixgbe",
		"sudo dpdk-devbind.py --bind=vfio-pci 0000:01:00.1"},
	{no_group, -ENOENT, "in no group of an IOMMU",
		"sudo dpdk-devbind.py --bind=vfio-pci 0000:01:00.0"},
	{group_without_file, -ENOENT, "/dev/vfio/7", "sudo modprobe vfio-pci"},
	{noiommu, 0, "", ""},
	{noiommu_without_file, -ENOENT, "/dev/vfio/noiommu-0", "sudo modprobe vfio-pci"},
	{group_that_does_not_open, -EISDIR, "/dev/vfio/7: Is a directory", ""},
	{uio, 0, "", ""},
	{shared, 0, "", ""},
};

static struct ep_dev_spec
nic_spec(void)
{
	struct ep_dev_spec spec;

	assert_int_equal(ep_dev_spec_parse("01:00.0", &spec, NULL), 0);
	return spec;
}

static void
each_state_of_a_device_leads_to_its_sentence_and_command(void **state)
{
	const struct ep_dev_spec spec = nic_spec();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_err err = {0};
		struct tree t;

		tree_make(&t);
		cases[i].make(&t);
		assert_int_equal(ep_dev_pci_check(t.root, &spec, "eth0", &err), cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		if (strstr(err.text, cases[i].says) == NULL ||
			strstr(err.text, cases[i].command) == NULL)
			fail_msg("case %zu: %s", i, err.text);
		if (cases[i].code < 0)
			assert_memory_equal(err.text, "--dev 0000:01:00.0: ", 20);
		assert_null(strchr(err.text, '\n'));
		tree_remove(&t);
	}
}

static void
nobody_is_told_to_bind_what_carries_the_ssh_session(void **state)
{
	const struct ep_dev_spec spec = nic_spec();
	struct ep_err err = {0};
	struct tree t;

	(void)state;
	tree_make(&t);
	with_the_kernel(&t);
	assert_int_equal(ep_dev_pci_check(t.root, &spec, "enp1s0f0", &err), -ENXIO);
	assert_non_null(strstr(err.text, "ssh session"));
	assert_non_null(strstr(err.text, "use --dev enp1s0f0"));
	assert_null(strstr(err.text, "devbind"));
	assert_int_equal(ep_dev_pci_check(t.root, &spec, NULL, &err), -ENXIO);
	assert_non_null(strstr(err.text, "devbind"));
	tree_remove(&t);
}

/* --- A double of DPDK's border ---------------------------------------------------------------------------------------------- */

static struct {
	int check;         /* What is found of the device in /sys. */
	int hotplug;       /* What attaching it gives. */
	bool named;        /* The port answers to the NIC's address. */
	int start;         /* What starting it gives. */
	bool all_multi;    /* The driver can receive all groups, */
	bool list;         /* or a list of them. */
	uint32_t listed;   /* Groups in the list. */
	uint16_t status;   /* Of the link. */
	uint32_t speed;    /* Of the link [Mbit/s]. */
	bool configured;   /* net_null has a queue before anybody asked for one. */
	bool flood;        /* Frames come without end; else none. */
	bool discreet;     /* It was told not to receive what is for others. */
	uint32_t attached; /* How often it was attached, */
	uint32_t removed;  /* and taken away. */
} nic;

int __wrap_ep_dev_pci_check(const char *root, const struct ep_dev_spec *spec,
	const char *ssh_ifname, struct ep_err *err);
int __wrap_rte_eal_hotplug_add(const char *bus, const char *name, const char *args);
int __real_rte_eal_hotplug_add(const char *bus, const char *name, const char *args);
int __wrap_rte_eal_hotplug_remove(const char *bus, const char *name);
int __real_rte_eal_hotplug_remove(const char *bus, const char *name);
const char *__wrap_rte_dev_name(const struct rte_device *dev);
const char *__real_rte_dev_name(const struct rte_device *dev);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_configure(
	uint16_t port_id, uint16_t rx, uint16_t tx, const struct rte_eth_conf *conf);
int __real_rte_eth_dev_configure(
	uint16_t port_id, uint16_t rx, uint16_t tx, const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_start(uint16_t port_id);
int __real_rte_eth_dev_start(uint16_t port_id);
int __wrap_rte_eth_promiscuous_disable(uint16_t port_id);
int __wrap_rte_eth_allmulticast_enable(uint16_t port_id);
int __wrap_rte_eth_dev_set_mc_addr_list(
	uint16_t port_id, struct rte_ether_addr *group, uint32_t count);
int __wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link);

int __real_ep_dev_pci_check(const char *root, const struct ep_dev_spec *spec,
	const char *ssh_ifname, struct ep_err *err);

/* Trees are looked at as they are; of this host, what the test says. */
int
__wrap_ep_dev_pci_check(const char *root, const struct ep_dev_spec *spec, const char *ssh_ifname,
	struct ep_err *err)
{
	if (root[0] != '\0')
		return __real_ep_dev_pci_check(root, spec, ssh_ifname, err);
	return nic.check < 0 ? ep_err_set(err, nic.check, "--dev %s: as in /sys", spec->pci) : 0;
}

int
__wrap_rte_eal_hotplug_add(const char *bus, const char *name, const char *args)
{
	if (strcmp(bus, "pci") != 0)
		return __real_rte_eal_hotplug_add(bus, name, args);
	assert_string_equal(name, NIC);
	if (nic.hotplug < 0)
		return nic.hotplug;
	nic.attached++;
	assert_string_equal(args, "");
	return __real_rte_eal_hotplug_add("vdev", VDEV, nic.flood ? "" : "no-rx=1");
}

int
__wrap_rte_eal_hotplug_remove(const char *bus, const char *name)
{
	if (strcmp(bus, "pci") != 0)
		return __real_rte_eal_hotplug_remove(bus, name);
	assert_string_equal(name, NIC);
	nic.removed++;
	nic.configured = false;
	return __real_rte_eal_hotplug_remove("vdev", VDEV);
}

const char *
__wrap_rte_dev_name(const struct rte_device *dev)
{
	return nic.named ? NIC : __real_rte_dev_name(dev);
}

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	const int ret = __real_rte_eth_dev_info_get(port_id, info);

	if (!nic.configured)
		info->nb_rx_queues = 0;
	return ret;
}

int
__wrap_rte_eth_dev_configure(
	uint16_t port_id, uint16_t rx, uint16_t tx, const struct rte_eth_conf *conf)
{
	nic.configured = true;
	return __real_rte_eth_dev_configure(port_id, rx, tx, conf);
}

int
__wrap_rte_eth_dev_start(uint16_t port_id)
{
	return nic.start < 0 ? nic.start : __real_rte_eth_dev_start(port_id);
}

int
__wrap_rte_eth_promiscuous_disable(uint16_t port_id)
{
	(void)port_id;
	nic.discreet = true;
	return 0;
}

int
__wrap_rte_eth_allmulticast_enable(uint16_t port_id)
{
	(void)port_id;
	return nic.all_multi ? 0 : -ENOTSUP;
}

int
__wrap_rte_eth_dev_set_mc_addr_list(uint16_t port_id, struct rte_ether_addr *group, uint32_t count)
{
	(void)port_id;
	(void)group;
	nic.listed = nic.list ? count : 0;
	return nic.list ? 0 : -ENOTSUP;
}

int
__wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link)
{
	(void)port_id;
	*link = (struct rte_eth_link){.link_status = nic.status, .link_speed = nic.speed};
	return 0;
}

static int
nic_make(void **state)
{
	(void)state;
	memset(&nic, 0, sizeof(nic));
	nic.named = true;
	nic.status = RTE_ETH_LINK_UP;
	nic.speed = RTE_ETH_SPEED_NUM_25G;
	return 0;
}

static struct ep_dev_cfg
nic_cfg(void)
{
	return (struct ep_dev_cfg){
		.spec = nic_spec(), .queue_pairs = 2, .ring_descs = 64, .mtu_frame_bytes = 1518};
}

/* --- With the double -------------------------------------------------------------------------------------------------------- */

static void
a_nic_is_opened_described_and_given_back(void **state)
{
	const struct ep_dev_cfg cfg = nic_cfg();
	struct ep_dev_info info;
	struct ep_dev *dev;

	(void)state;
	for (uint32_t round = 1; round <= 2; round++) {
		assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
		assert_int_equal(nic.attached, round);
		ep_dev_info(dev, &info);
		assert_string_equal(info.name, NIC);
		assert_false(info.kernel);
		assert_int_equal(info.queue_pairs, 2);
		assert_int_equal(info.speed_bps, UINT64_C(25000000000));
		assert_int_equal(info.mtu_bytes, 1500);
		assert_int_equal(info.uncounted_ring_pkts, 0);
		assert_memory_equal(info.mode, "DPDK driver, ", 13);
		assert_true(nic.discreet);
		ep_dev_close(dev);
		assert_int_equal(nic.removed, round);
		assert_int_equal(rte_eth_dev_count_avail(), 0);
	}
}

static void
a_link_that_is_down_has_no_speed(void **state)
{
	const struct ep_dev_cfg cfg = nic_cfg();
	struct ep_dev_info info;
	struct ep_dev *dev;

	(void)state;
	nic.status = RTE_ETH_LINK_DOWN;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	assert_false(ep_dev_link_up(dev));
	ep_dev_info(dev, &info);
	assert_int_equal(info.speed_bps, 0);
	nic.status = RTE_ETH_LINK_UP;
	nic.speed = RTE_ETH_SPEED_NUM_UNKNOWN;
	assert_true(ep_dev_link_up(dev));
	ep_dev_info(dev, &info);
	assert_int_equal(info.speed_bps, 0);
	ep_dev_close(dev);
}

static void
what_cannot_be_opened_says_why_and_is_given_back(void **state)
{
	const struct ep_dev_cfg cfg = nic_cfg();
	static const struct {
		int check, hotplug, start;
		bool nameless;
		int code;
		const char *says;
		uint32_t removed;
	} row[] = {
		{.check = -ENXIO, .code = -ENXIO, .says = "as in /sys"},
		{.hotplug = -ENOTSUP, .code = -ENOTSUP, .says = "has no driver for it"},
		{.hotplug = -1, .code = -ENODEV, .says = "cannot start it"},
		{.hotplug = -ENOMEM, .code = -ENOMEM, .says = "cannot start it"},
		{.hotplug = -EINVAL, .code = -ENODEV, .says = "Invalid argument"},
		{.start = -EIO, .code = -EIO, .says = "start", .removed = 1},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_err err = {0};
		struct ep_dev *dev = NULL;

		nic_make(NULL);
		nic.check = row[i].check;
		nic.hotplug = row[i].hotplug;
		nic.start = row[i].start;
		assert_int_equal(ep_dev_open(&cfg, &dev, &err), row[i].code);
		assert_null(dev);
		if (strstr(err.text, row[i].says) == NULL)
			fail_msg("case %zu: %s", i, err.text);
		assert_memory_equal(err.text, "--dev 0000:01:00.0: ", 20);
		assert_int_equal(nic.removed, row[i].removed);
		assert_int_equal(rte_eth_dev_count_avail(), 0);
	}
}

static void
a_nic_is_opened_once_and_a_second_try_leaves_it_alone(void **state)
{
	const struct ep_dev_cfg cfg = nic_cfg();
	struct ep_dev *dev, *second = NULL;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	assert_int_equal(ep_dev_open(&cfg, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use"));
	assert_int_equal(nic.removed, 0);
	assert_int_equal(rte_eth_dev_count_avail(), 1);
	ep_dev_close(dev);
	assert_int_equal(nic.removed, 1);
}

static void
multicast_is_all_groups_or_a_list_or_a_sentence(void **state)
{
	static const uint8_t group[2][6] = {{0x33, 0x33, 0, 0, 0, 1}, {0x33, 0x33, 0xff, 0, 0, 1}};
	const struct ep_dev_cfg cfg = nic_cfg();
	struct ep_err err = {0};
	struct ep_dev *dev;

	(void)state;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	nic.all_multi = nic.list = true;
	assert_int_equal(ep_dev_multicast(dev, group, 2, &err), 0);
	assert_int_equal(nic.listed, 0);
	nic.all_multi = false;
	assert_int_equal(ep_dev_multicast(dev, group, 2, &err), 0);
	assert_int_equal(nic.listed, 2);
	assert_string_equal(err.text, "");
	nic.list = false;
	assert_int_equal(ep_dev_multicast(dev, group, 2, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "multicast"));
	ep_dev_close(dev);
}

/* What waits in the rings is thrown away and counted, at most what 16 looks find where it has no end. */
static void
counters_are_read_when_the_rings_are_empty(void **state)
{
	const struct ep_dev_cfg cfg = nic_cfg();
	struct ep_dev_stats stats;
	struct ep_dev *dev;
	uint64_t queue[2] = {7, 0};
	uint32_t left;

	(void)state;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	assert_int_equal(ep_dev_stats_settled(dev, &stats, queue), 0);
	assert_int_equal(stats.ipackets, 0);
	ep_dev_close(dev);
	nic.flood = true;
	assert_int_equal(ep_dev_open(&cfg, &dev, NULL), 0);
	left = ep_dev_stats_settled(dev, &stats, queue);
	assert_int_equal(left, 16 * cfg.queue_pairs * cfg.ring_descs);
	assert_int_equal(queue[0], 7 + left / 2);
	assert_int_equal(queue[1], left / 2);
	ep_dev_stats(dev, &stats);
	assert_int_equal(stats.ipackets, left);
	ep_dev_close(dev);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_of_a_device_leads_to_its_sentence_and_command),
		cmocka_unit_test(nobody_is_told_to_bind_what_carries_the_ssh_session),
		cmocka_unit_test_setup(a_nic_is_opened_described_and_given_back, nic_make),
		cmocka_unit_test_setup(a_link_that_is_down_has_no_speed, nic_make),
		cmocka_unit_test_setup(what_cannot_be_opened_says_why_and_is_given_back, nic_make),
		cmocka_unit_test_setup(
			a_nic_is_opened_once_and_a_second_try_leaves_it_alone, nic_make),
		cmocka_unit_test_setup(counters_are_read_when_the_rings_are_empty, nic_make),
		cmocka_unit_test_setup(multicast_is_all_groups_or_a_list_or_a_sentence, nic_make),
	};
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 64};
	struct ep_err err = {0};

	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
