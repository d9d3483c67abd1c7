/* Preloaded: an ARMv8 whose AES instructions nobody is told of, since qemu has no such CPU. */

#include <dlfcn.h>
#include <sys/auxv.h>

unsigned long
getauxval(unsigned long type)
{
	unsigned long (*const real)(unsigned long) =
		(unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
	const unsigned long value = real(type);

	return type == AT_HWCAP ? value & ~(unsigned long)HWCAP_AES : value;
}
