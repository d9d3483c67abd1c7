/* Start and end of DPDK's environment. */

#include "dev_priv.h"
#include "eal_args.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_version.h>

#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNTIME_ENV "RUNTIME_DIRECTORY" /* Where EAL looks first. */

static bool
runtime_dir_usable(void)
{
	const char *dir = getenv(RUNTIME_ENV);

	if (dir == NULL)
		dir = geteuid() == 0 ? "/var/run" : getenv("XDG_RUNTIME_DIR");
	return dir != NULL && access(dir, W_OK | X_OK) == 0;
}

/* EAL's next choice would be /tmp/dpdk, which belongs to whoever came first. */
static int
runtime_dir_make(char *dir, size_t len, struct ep_err *err)
{
	dir[0] = '\0';
	if (runtime_dir_usable())
		return 0;
	snprintf(dir, len, "/tmp/everyport-XXXXXX");
	if (mkdtemp(dir) == NULL) {
		dir[0] = '\0';
		return ep_err_set(err, -errno, "private directory in /tmp: %s", strerror(errno));
	}
	setenv(RUNTIME_ENV, dir, 1);
	return 0;
}

static int
runtime_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Nothing in it is needed once EAL runs without files to share, so nothing stays behind whatever happens later. */
static void
runtime_dir_remove(const char *dir)
{
	if (dir[0] == '\0')
		return;
	nftw(dir, runtime_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	unsetenv(RUNTIME_ENV);
}

/* EAL prints its usage to stdout, which is for results only. */
static int
eal_start(struct eal_args *args)
{
	const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const int stdout_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	char *argv[EAL_ARGS_MAX + 1]; /* a copy: EAL rearranges and replaces them */
	int ret;

	memcpy(argv, args->text, sizeof(argv));
	fflush(stdout);
	if (null_fd >= 0 && stdout_fd >= 0)
		dup2(null_fd, STDOUT_FILENO);
	ret = rte_eal_init(args->count, argv) < 0 ? -rte_errno : 0;
	fflush(stdout);
	if (null_fd >= 0 && stdout_fd >= 0)
		dup2(stdout_fd, STDOUT_FILENO);
	if (null_fd >= 0)
		close(null_fd);
	if (stdout_fd >= 0)
		close(stdout_fd);
	return ret;
}

static int
eal_fail(const struct ep_dev_eal_cfg *cfg, int ret, struct ep_err *err)
{
	if (ret == -EALREADY)
		return ep_err_set(err, ret, "DPDK is started already");
	if (ret == -ENOMEM)
		return ep_err_set(err, ret, "DPDK gets no %u MiB of memory", cfg->memory_mib);
	if (cfg->extra_args != NULL)
		return ep_err_set(err, ret, "DPDK does not start (%s); is --eal \"%.300s\" right?",
			strerror(-ret), cfg->extra_args);
	return ep_err_set(err, ret, "DPDK does not start: %s", strerror(-ret));
}

static int
eal_devices_check(const struct ep_dev_eal_cfg *cfg, struct ep_err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < cfg->dev_count && ret == 0; i++)
		if (cfg->dev[i].kind == EP_DEV_PCI)
			ret = ep_dev_pci_check("", &cfg->dev[i], cfg->ssh_ifname, err);
	return ret;
}

int
ep_dev_eal_init(const struct ep_dev_eal_cfg *cfg, struct ep_err *err)
{
	struct eal_args args = {0};
	char dir[64] = "";
	cpu_set_t allowed;
	int ret = eal_devices_check(cfg, err);

	if (ret == 0)
		ret = eal_cpus_allowed(&allowed, err);
	if (ret == 0)
		ret = eal_args_build(&args, cfg, &allowed, err);
	if (ret == 0)
		ret = runtime_dir_make(dir, sizeof(dir), err);
	if (ret < 0)
		goto out;
	if (!cfg->verbose)
		libbpf_set_print(NULL);
	ret = eal_start(&args);
	if (ret < 0)
		eal_fail(cfg, ret, err);
out:
	runtime_dir_remove(dir);
	eal_args_fini(&args);
	return ret;
}

void
ep_dev_eal_fini(void)
{
	/* DPDK would unmap memory page by page that the IOMMU has as one piece, and complain of each. */
	dev_pci_detach_rest();
	rte_eal_cleanup();
}

const char *
ep_dev_dpdk_version(void)
{
	return rte_version();
}
