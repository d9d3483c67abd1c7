/* A PCI device as the kernel shows it in /sys, and whether DPDK can be given it as it is. */

#include "pci_sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

/* --- Reading ---------------------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
path_make(char path[PATH_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, PATH_MAX, fmt, ap);
	va_end(ap);
}

/* The last part of what a link points to; "" where there is none. */
static void
link_name(const char *path, char *buf, size_t len)
{
	char target[PATH_MAX];
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	buf[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(buf, len, "%.*s", (int)len - 1, slash == NULL ? target : slash + 1);
}

/* The first line of a file; "" where there is none. */
static void
line_read(const char *path, char *buf, size_t len)
{
	FILE *in = fopen(path, "re");

	buf[0] = '\0';
	if (in == NULL)
		return;
	if (fgets(buf, (int)len, in) == NULL)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(in);
}

static unsigned int
hex_read(const char *root, const char *address, const char *file)
{
	char path[PATH_MAX], line[32];

	path_make(path, "%s" DEVICES "/%s/%s", root, address, file);
	line_read(path, line, sizeof(line));
	return (unsigned int)strtoul(line, NULL, 16);
}

/* The first entry of a folder that begins with @p prefix. Returns whether there is one. */
static bool
entry_first(const char *path, const char *prefix, char *buf, size_t len)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool found = false;

	while (dir != NULL && !found && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(buf, len, "%.*s", (int)len - 1, e->d_name);
		found = true;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* The kernel's interface stands on the device itself, or on a virtio device on it. */
static void
interface_find(const char *root, const char *address, char *ifname, size_t len)
{
	char path[PATH_MAX], virtio[32];

	ifname[0] = '\0';
	path_make(path, "%s" DEVICES "/%s/net", root, address);
	if (entry_first(path, "", ifname, len))
		return;
	path_make(path, "%s" DEVICES "/%s", root, address);
	if (!entry_first(path, "virtio", virtio, sizeof(virtio)))
		return;
	path_make(path, "%s" DEVICES "/%s/%s/net", root, address, virtio);
	entry_first(path, "", ifname, len);
}

static bool
driver_is(const char *driver, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(driver, list[i]) == 0)
			return true;
	return false;
}

/* What may hold a function of a group that vfio gives to a program (vfio_dev_viable() of the kernel). */
static bool
driver_leaves_group_whole(const char *driver)
{
	static const char *const list[] = {"", "vfio-pci", "pci-stub", "pcieport"};

	return driver_is(driver, list, EP_ARRAY_LEN(list));
}

static void
group_read(const char *root, const char *address, struct pci_facts *facts)
{
	char path[PATH_MAX], name[32];
	DIR *dir;
	struct dirent *e;

	path_make(path, "%s" DEVICES "/%s/iommu_group", root, address);
	link_name(path, facts->group, sizeof(facts->group));
	path_make(path, "%s" DEVICES "/%s/iommu_group/name", root, address);
	line_read(path, name, sizeof(name));
	facts->noiommu = strcmp(name, "vfio-noiommu") == 0;
	path_make(path, "%s/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", root);
	line_read(path, name, sizeof(name));
	facts->noiommu_on = name[0] == 'Y' || name[0] == '1';
	path_make(path, "%s" DEVICES "/%s/iommu_group/devices", root, address);
	dir = opendir(path);
	while (dir != NULL && facts->other[0] == '\0' && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, address) == 0)
			continue;
		path_make(path, "%s" DEVICES "/%s/driver", root, e->d_name);
		link_name(path, facts->other_driver, sizeof(facts->other_driver));
		if (!driver_leaves_group_whole(facts->other_driver))
			snprintf(facts->other, sizeof(facts->other), "%.*s",
				(int)sizeof(facts->other) - 1, e->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

bool
pci_facts_read(const char *root, const char *address, struct pci_facts *facts)
{
	char path[PATH_MAX];

	*facts = (struct pci_facts){0};
	path_make(path, "%s" DEVICES "/%s", root, address);
	if (access(path, F_OK) != 0)
		return false;
	path_make(path, "%s" DEVICES "/%s/driver", root, address);
	link_name(path, facts->driver, sizeof(facts->driver));
	interface_find(root, address, facts->ifname, sizeof(facts->ifname));
	facts->vendor = hex_read(root, address, "vendor");
	facts->device = hex_read(root, address, "device");
	group_read(root, address, facts);
	return true;
}

bool
pci_is_shared(const struct pci_facts *facts)
{
	static const char *const list[] = {"mlx4_core", "mlx5_core", "mana"};

	return driver_is(facts->driver, list, EP_ARRAY_LEN(list));
}

/* --- Judging ---------------------------------------------------------------------------------------------------------------- */

/* Without an IOMMU vfio-pci does not take it as a rule, and what does is a longer story, which the doctor tells. */
static const char *
give_command(const char *address, const struct pci_facts *facts, char *buf, size_t len)
{
	if (facts->group[0] != '\0' || facts->noiommu_on)
		snprintf(buf, len,
			"give it to DPDK: sudo modprobe vfio-pci && sudo dpdk-devbind.py "
			"--bind=vfio-pci %s",
			address);
	else
		snprintf(buf, len,
			"this host has no IOMMU for it, which vfio-pci needs; what can be done: "
			"everyport doctor --dev %s",
			address);
	return buf;
}

static int
bound_to_kernel(const char *address, const struct pci_facts *facts, const char *ssh_ifname,
	struct ep_err *err)
{
	char give[160];

	give_command(address, facts, give, sizeof(give));
	if (facts->driver[0] == '\0')
		return ep_err_set(
			err, -ENXIO, "--dev %s: no driver is bound to it; %s", address, give);
	if (ssh_ifname != NULL && facts->ifname[0] != '\0' &&
		strcmp(ssh_ifname, facts->ifname) == 0)
		return ep_err_set(err, -ENXIO,
			"--dev %s: is the kernel's %s (%s), which carries the ssh session that "
			"this runs in, so do not bind it to vfio-pci; use --dev %s, which shares "
			"it",
			address, facts->ifname, facts->driver, facts->ifname);
	return ep_err_set(err, -ENXIO, "--dev %s: is bound to the kernel's driver %s%s%s; %s",
		address, facts->driver, facts->ifname[0] != '\0' ? " as " : "", facts->ifname,
		give);
}

static int
group_refused(
	const char *address, const struct pci_facts *facts, const char *path, struct ep_err *err)
{
	const int code = -errno;

	if (code == -EACCES || code == -EPERM)
		return ep_err_set(err, -EPERM,
			"--dev %s: this user may not open its group %s of vfio; run everyport as "
			"root, or%s: sudo chown $USER %s",
			address, facts->group,
			facts->noiommu ? ", with an IOMMU" : " give the group to this user", path);
	if (code == -EBUSY)
		return ep_err_set(err, -EBUSY,
			"--dev %s: another program has its group %s of vfio; see which: sudo fuser "
			"-v %s",
			address, facts->group, path);
	if (code == -ENOENT)
		return ep_err_set(err, -ENOENT,
			"--dev %s: there is no %s; load vfio: sudo modprobe vfio-pci; a container "
			"has to be given it: --device=/dev/vfio/vfio --device=%s",
			address, path, path);
	return ep_err_set(err, code, "--dev %s: %s: %s", address, path, strerror(-code));
}

/* DPDK opens the group itself; here it is only tried, because DPDK's own words would be about "region info". */
static int
group_check(
	const char *root, const char *address, const struct pci_facts *facts, struct ep_err *err)
{
	char path[PATH_MAX];
	int fd;

	if (facts->group[0] == '\0')
		return ep_err_set(err, -ENOENT,
			"--dev %s: is bound to vfio-pci and in no group of an IOMMU; bind it "
			"again: sudo dpdk-devbind.py --bind=vfio-pci %s",
			address, address);
	if (facts->other[0] != '\0')
		return ep_err_set(err, -EPERM,
			"--dev %s: %s is in the same group %s of the IOMMU and bound to %s; vfio "
			"gives away whole groups: sudo dpdk-devbind.py --bind=vfio-pci %s",
			address, facts->other, facts->group, facts->other_driver, facts->other);
	path_make(path, "%s/dev/vfio/%s%s", root, facts->noiommu ? "noiommu-" : "", facts->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return group_refused(address, facts, path, err);
	close(fd);
	return 0;
}

int
ep_dev_pci_check(const char *root, const struct ep_dev_spec *spec, const char *ssh_ifname,
	struct ep_err *err)
{
	static const char *const uio[] = {"uio_pci_generic", "igb_uio"};
	struct pci_facts facts;

	if (!pci_facts_read(root, spec->pci, &facts))
		return ep_err_set(err, -ENODEV,
			"--dev %s: there is no such PCI device; see which there are: lspci -D",
			spec->pci);
	if (strcmp(facts.driver, "vfio-pci") == 0)
		return group_check(root, spec->pci, &facts, err);
	if (driver_is(facts.driver, uio, EP_ARRAY_LEN(uio)) || pci_is_shared(&facts))
		return 0;
	return bound_to_kernel(spec->pci, &facts, ssh_ifname, err);
}
