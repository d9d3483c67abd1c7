#include "ceiling.h"

#include "host.h"

#include <ep_dev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 64 entries of some hundred bytes; what is larger was not written here. */
#define FILE_MAX_BYTES (256 * 1024)

int
ceiling_path(char *path, size_t len, struct ep_err *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int used;

	/* The XDG base directory specification ignores a relative path. */
	if (state != NULL && state[0] == '/')
		used = snprintf(path, len, "%s/everyport/ceiling.json", state);
	else if (home != NULL && home[0] == '/')
		used = snprintf(path, len, "%s/.local/state/everyport/ceiling.json", home);
	else
		return ep_err_set(err, -ENOENT, "neither XDG_STATE_HOME nor HOME names a folder");
	if (used < 0 || (size_t)used >= len)
		return ep_err_set(err, -ENAMETOOLONG,
			"the name of the folder of XDG_STATE_HOME or HOME is too long");
	return 0;
}

/* What is there already; a file that is none of ours counts as empty. */
static void
load(const char *path, struct ep_doctor_ceilings *all)
{
	FILE *in = fopen(path, "re");
	char *text = in != NULL ? malloc(FILE_MAX_BYTES) : NULL;

	all->count = 0;
	if (text != NULL)
		ep_doctor_ceilings_parse(text, fread(text, 1, FILE_MAX_BYTES, in), all);
	free(text);
	if (in != NULL)
		fclose(in);
}

/* The folders before the file, as the specification wants them: for the user alone. */
static int
folders_make(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int ret;

		*slash = '\0';
		ret = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		/* A folder that is there may be one where nothing can be made; the next step will tell. */
		if (ret < 0 && ret != -EROFS && ret != -EACCES && ret != -EPERM)
			return ret;
	}
	return 0;
}

/* A new file in place of the old one at once: a reader never sees half of it. */
static int
write_whole(const char *path, const char *text)
{
	char fresh[4200];
	FILE *out;
	bool ok;

	snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
	out = fopen(fresh, "wxe");
	if (out == NULL)
		return -errno;
	ok = fputs(text, out) >= 0;
	ok = fclose(out) == 0 && ok;
	if (ok && rename(fresh, path) == 0)
		return 0;
	unlink(fresh);
	return -EIO;
}

int
ceiling_store(const struct ep_doctor_ceiling_entry *entry, struct ep_err *err)
{
	struct ep_doctor_ceilings *all = malloc(sizeof(*all));
	char path[4096], *text = NULL;
	int ret = ceiling_path(path, sizeof(path), err);

	if (ret == 0 && all == NULL)
		ret = ep_err_set(err, -ENOMEM, "no memory");
	if (ret < 0)
		goto out;
	load(path, all);
	ep_doctor_ceilings_put(all, entry);
	ret = folders_make(path);
	if (ret == 0)
		ret = ep_doctor_ceilings_format(all, &text);
	if (ret == 0)
		ret = write_whole(path, text);
	if (ret < 0)
		ep_err_set(err, ret, "%.300s: %s", path, strerror(-ret));
out:
	free(text);
	free(all);
	return ret;
}

const char *
ceiling_kind(const struct config *config)
{
	struct ep_dev_spec spec;

	if (config->dev_count == 0)
		return "memory";
	if (ep_dev_spec_parse(config->dev[0], &spec, NULL) < 0 || !ep_dev_spec_is_kernel(&spec))
		return NULL;
	return spec.kind == EP_DEV_AF_PACKET ? "af_packet" : "af_xdp";
}

double
ceiling_run_pps(const struct ep_result *result)
{
	struct ep_result_totals up, down;
	double up_pps, down_pps;

	ep_result_totals(result, EP_RESULT_UP, &up);
	ep_result_totals(result, EP_RESULT_DOWN, &down);
	up_pps = up.has_rate ? up.pps : 0;
	down_pps = down.has_rate ? down.pps : 0;
	if (strcmp(result->command, "loop") == 0)
		return up_pps + down_pps;
	return up_pps > down_pps ? up_pps : down_pps;
}

static const char *
host_text(const struct ep_result *result, const char *key)
{
	for (uint32_t i = 0; i < result->host_count; i++)
		if (strcmp(result->host[i].key, key) == 0)
			return result->host[i].value;
	return "";
}

static void
ceiling_take(struct ep_result *result, const struct ep_doctor_ceiling_entry *e)
{
	struct ep_result_ceiling *c = &result->ceiling;

	c->known = true;
	c->pps = e->pps;
	c->run_pps = ceiling_run_pps(result);
	snprintf(c->device, sizeof(c->device), "%s", e->device);
	snprintf(c->measured, sizeof(c->measured), "%s", e->measured);
}

void
ceiling_show(const struct config *config, struct ep_result *result)
{
	struct ep_doctor_ceilings *all = malloc(sizeof(*all));
	const struct ep_doctor_ceiling_entry *e = NULL;
	const char *kind = ceiling_kind(config);
	char path[4096];

	/* A model between the ends costs what the tester alone does not. */
	if (all != NULL && kind != NULL && !config->has_impair &&
		ceiling_path(path, sizeof(path), NULL) == 0) {
		load(path, all);
		e = ep_doctor_ceilings_find(all, kind, host_text(result, "driver"),
			host_text(result, "cpu"), config->sizes_text);
	}
	if (e != NULL && ceiling_run_pps(result) > 0)
		ceiling_take(result, e);
	free(all);
}
