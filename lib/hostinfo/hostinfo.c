#include "hostinfo_priv.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
caps_has(const struct __user_cap_data_struct *data, unsigned int cap)
{
	return (data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap)) != 0;
}

void
hostinfo_rights(struct ep_doctor_rights *out)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	struct rlimit locked = {0};

	*out = (struct ep_doctor_rights){0};
	/* A root without its capabilities, as in a container, is root by name only. */
	if (syscall(SYS_capget, &header, data) < 0)
		return;
	out->net_admin = caps_has(data, CAP_NET_ADMIN);
	out->net_raw = caps_has(data, CAP_NET_RAW);
	out->bpf = caps_has(data, CAP_BPF) || caps_has(data, CAP_SYS_ADMIN);
	getrlimit(RLIMIT_MEMLOCK, &locked);
	out->locks_memory = caps_has(data, CAP_IPC_LOCK) || locked.rlim_cur == RLIM_INFINITY;
	out->locked_bytes_max = locked.rlim_cur;
	out->root = geteuid() == 0 && out->net_admin && out->net_raw && out->bpf;
}

static bool
tool_there(const char *root, const char *name)
{
	static const char *const folder[] = {
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

	for (size_t i = 0; i < EP_ARRAY_LEN(folder); i++)
		if (tree_has(root, "%s/%s", folder[i], name))
			return true;
	return false;
}

void
hostinfo_tools(const char *root, bool missing[EP_DOCTOR_TOOLS])
{
	const bool apt = tree_has(root, "/usr/bin/apt");

	for (size_t i = 0; i < EP_DOCTOR_TOOLS; i++)
		missing[i] = apt && !tool_there(root, ep_doctor_tool[i].name);
}

void
ep_hostinfo_read(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts)
{
	if (cfg->live)
		hostinfo_rights(&facts->rights);
	hostinfo_kernel(cfg, &facts->kernel);
	hostinfo_memory(cfg, &facts->memory);
	hostinfo_modules(cfg->root, &facts->memory);
	hostinfo_cpu(cfg, &facts->cpu);
	ep_hostinfo_irqs(cfg->root, &facts->cpu);
	hostinfo_iommu(cfg->root, &facts->iommu);
	hostinfo_dmi(cfg->root, &facts->dmi);
	hostinfo_conntrack(cfg, &facts->conntrack);
	hostinfo_tools(cfg->root, facts->tool_missing);
	facts->nic_count = 0;
	hostinfo_nics(cfg, facts);
	hostinfo_pci(cfg, facts);
}
