#include "lib_hot.h"

#define LIB_DECLARE(isa)                         \
	void lib_perm_##isa(struct lib_work *w); \
	void lib_window_##isa(struct lib_work *w);

#ifdef __x86_64__
LIB_DECLARE(v4)
LIB_DECLARE(v3)
#endif
LIB_DECLARE(base)

/* The best first. */
static const struct lib_isa isas[] = {
#ifdef __x86_64__
	{"x86-64-v4", lib_perm_v4, lib_window_v4},
	{"x86-64-v3", lib_perm_v3, lib_window_v3},
#endif
	{"baseline", lib_perm_base, lib_window_base},
};

static bool
isa_runs(const char *name)
{
#ifdef __x86_64__
	if (strcmp(name, "x86-64-v4") == 0)
		return __builtin_cpu_supports("x86-64-v4");
	if (strcmp(name, "x86-64-v3") == 0)
		return __builtin_cpu_supports("x86-64-v3");
#endif
	return strcmp(name, "baseline") == 0;
}

const struct lib_isa *
lib_choose(void)
{
	size_t i = 0;

	while (!isa_runs(isas[i].name))
		i++;
	return &isas[i];
}

const struct lib_isa *
lib_find(const char *name)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(isas); i++)
		if (strcmp(isas[i].name, name) == 0 && isa_runs(name))
			return &isas[i];
	return NULL;
}
