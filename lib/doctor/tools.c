/* What the commands of findings need: a host with nothing but Debian's standard packages has not all of it. */

#include "doctor_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct ep_doctor_tool ep_doctor_tool[EP_DOCTOR_TOOLS] = {
	{"bpftool", "bpftool"},
	{"cpupower", "linux-cpupower"},
	{"dmidecode", "dmidecode"},
	{"dpdk-devbind.py", "dpdk"},
	{"ethtool", "ethtool"},
	{"lspci", "pciutils"},
};

static bool
is_of_a_word(char c)
{
	return isalnum((unsigned char)c) || strchr("._-/", c) != NULL;
}

static bool
has_word(const char *text, const char *word)
{
	const size_t len = strlen(word);

	for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
		if ((p == text || !is_of_a_word(p[-1])) &&
			(p[len] == '\0' || !is_of_a_word(p[len])))
			return true;
	return false;
}

void
doctor_tools(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	char command[sizeof(r->finding[0].fix)];

	for (uint32_t i = 0; i < r->count; i++) {
		struct ep_doctor_finding *x = &r->finding[i];

		for (size_t t = 0; t < EP_DOCTOR_TOOLS; t++) {
			if (!f->tool_missing[t] || !has_word(x->fix, ep_doctor_tool[t].name))
				continue;
			snprintf(command, sizeof(command), "%s", x->fix);
			snprintf(x->fix, sizeof(x->fix), "sudo apt install %s && %.*s",
				ep_doctor_tool[t].package, (int)sizeof(command) - 64, command);
		}
	}
}
