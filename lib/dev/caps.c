/* Capabilities of this process, by the system call: libcap would be a dependency for one bit test. */

#include "dev_priv.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
caps_has(const struct __user_cap_data_struct *data, unsigned int cap)
{
	return (data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap)) != 0;
}

bool
dev_caps_ok(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return caps_has(data, CAP_NET_ADMIN) && caps_has(data, CAP_NET_RAW) &&
		(caps_has(data, CAP_BPF) || caps_has(data, CAP_SYS_ADMIN));
}
