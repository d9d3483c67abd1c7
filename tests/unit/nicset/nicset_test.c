/* Settings of an interface on a model of a NIC: what is set, that all of it is put back, whichever step fails and wherever it crashes. */

#include "nic_model.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMERS_FOLDER "/sys/va"

static char root[64];
static char state_dir[96], sys_dir[96];
static struct ep_plan_masks masks; /* 50000-60000: 11 rules */

static struct nic_model
nic_full(void)
{
	struct nic_model n = {
		.has_rules = true,
		.has_contexts = true,
		.has_channels = true,
		.combined = true,
		.rules_max = MODEL_RULES,
		.queues = 8,
		.queues_max = 16,
		.hash = {RXH_IP_SRC | RXH_IP_DST, RXH_IP_SRC | RXH_IP_DST},
	};

	for (uint32_t i = 0; i < MODEL_TABLE; i++)
		n.context[0].table[i] = i % 8;
	return n;
}

static struct ep_nicset_cfg
cfg_of(struct nic_model *n)
{
	return (struct ep_nicset_cfg){
		.ifname = "va",
		.ifindex = 7,
		.mac = {2, 0, 0, 0, 0, 0xa},
		.state_dir = state_dir,
		.sys_dir = sys_dir,
		.ethtool = nic_model_ethtool,
		.ethtool_ctx = n,
	};
}

static struct ep_nicset_wish
wish_of(uint16_t queue_count)
{
	return (struct ep_nicset_wish){
		.queue_count = queue_count, .masks = &masks, .ipv4 = true, .ipv6 = true};
}

static void
file_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
timer_is(const char *name, const char *want)
{
	char path[160], line[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/va/%s", sys_dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, want);
}

/* As the kernel has them, and of this very interface. */
static void
timers_reset(const char *address)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/va/ifindex", sys_dir);
	file_write(path, "7\n");
	snprintf(path, sizeof(path), "%s/va/address", sys_dir);
	file_write(path, address);
	snprintf(path, sizeof(path), "%s/va/napi_defer_hard_irqs", sys_dir);
	file_write(path, "0\n");
	snprintf(path, sizeof(path), "%s/va/gro_flush_timeout", sys_dir);
	file_write(path, "0\n");
}

/* Files in a folder, or 0 where it is not there; removed on the way if wished. */
static int
files_in(const char *path, bool remove)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (remove)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
	if (remove)
		rmdir(path);
	return count;
}

static int
state_files(void)
{
	return files_in(state_dir, false);
}

static struct ep_nicset *
opened(struct nic_model *n, const struct ep_nicset_wish *wish, struct ep_nicset_chosen *chosen)
{
	const struct ep_nicset_cfg cfg = cfg_of(n);
	struct ep_nicset *set = NULL;
	struct ep_err err = {0};

	if (ep_nicset_open(&cfg, wish, &set, chosen, &err) < 0)
		fail_msg("%s", err.text);
	return set;
}

/* --- What is set -------------------------------------------------------------------------------- */

static void
range_goes_into_a_context_over_the_lowest_queues(void **state)
{
	const struct nic_model before = nic_full();
	struct nic_model n = before;
	const struct ep_nicset_wish wish = wish_of(2);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set = opened(&n, &wish, &chosen);
	uint32_t used = 0;

	(void)state;
	assert_int_equal(chosen.way, EP_NICSET_RULES_RSS);
	assert_int_equal(chosen.queue_count, 2);
	assert_string_equal(chosen.why, "");
	assert_int_equal(n.queues, 8);
	for (uint32_t i = 0; i < MODEL_TABLE; i++)
		assert_int_equal(n.context[1].table[i], i % 2);
	for (uint32_t i = 0; i < MODEL_RULES; i++) {
		const struct ethtool_rx_flow_spec *fs = &n.rule[i].fs;

		if (!n.rule[i].used)
			continue;
		used++;
		assert_int_equal(n.rule[i].context, 1);
		assert_true(fs->flow_type == (UDP_V4_FLOW | FLOW_RSS) ||
			fs->flow_type == (UDP_V6_FLOW | FLOW_RSS));
	}
	assert_int_equal(used, 2 * masks.rule_count);
	assert_int_equal(n.hash[0] & RXH_L4_B_2_3, RXH_L4_B_2_3);
	assert_int_equal(state_files(), 1);
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	assert_true(nic_model_same(&n, &before));
	assert_int_equal(state_files(), 0);
}

/* Each port of the range, and no other, is led to one of our queues. */
static void
rules_by_queue_cover_the_range_exactly(void **state)
{
	const struct nic_model before = {.has_rules = true,
		.any_location = true,
		.rules_max = MODEL_RULES,
		.has_channels = true,
		.combined = true,
		.queues = 8,
		.queues_max = 8};
	struct nic_model n = before;
	struct ep_nicset_wish wish = wish_of(4);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	uint32_t ports[4] = {0};

	(void)state;
	wish.ipv6 = false;
	wish.initiator = true;
	set = opened(&n, &wish, &chosen);
	assert_int_equal(chosen.way, EP_NICSET_RULES);
	assert_non_null(strstr(chosen.why, "rules into an RSS context: Operation not supported"));
	for (uint32_t port = 0; port < 65536; port++) {
		int queue = -1;

		for (uint32_t i = 0; i < MODEL_RULES; i++) {
			const struct ethtool_tcpip4_spec *h = &n.rule[i].fs.h_u.udp_ip4_spec;
			const struct ethtool_tcpip4_spec *m = &n.rule[i].fs.m_u.udp_ip4_spec;
			const uint16_t be = (uint16_t)(port >> 8 | port << 8);

			if (n.rule[i].used && m->psrc != 0 && (be & m->psrc) == h->psrc)
				queue = (int)n.rule[i].fs.ring_cookie;
		}
		assert_int_equal(queue >= 0, port >= 50000 && port <= 60000);
		assert_in_range(queue + 1, 0, 4);
		if (queue >= 0)
			ports[queue]++;
	}
	for (int q = 0; q < 4; q++)
		assert_in_range(ports[q], 1, 10001);
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	assert_true(nic_model_same(&n, &before));
}

static void
number_of_queues_is_set_where_there_are_no_rules(void **state)
{
	static const struct {
		bool combined, has_rules;
		uint32_t rules_max;
		uint16_t wanted;
	} cases[] = {{true, false, 0, 2}, {false, false, 0, 2}, {true, true, 5, 3},
		{true, true, MODEL_RULES, 12}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct nic_model before = nic_full();
		struct ep_nicset_chosen chosen;
		struct ep_nicset_wish wish = wish_of(cases[i].wanted);
		struct ep_nicset *set;
		struct nic_model n;

		before.combined = cases[i].combined;
		before.has_rules = cases[i].has_rules;
		before.rules_max = cases[i].rules_max;
		n = before;
		set = opened(&n, &wish, &chosen);
		assert_int_equal(chosen.way, EP_NICSET_CHANNELS);
		assert_int_equal(chosen.queue_count, cases[i].wanted);
		assert_int_equal(n.queues, cases[i].wanted);
		assert_int_equal(chosen.why[0] != '\0', cases[i].wanted < 8);
		assert_int_equal(ep_nicset_close(set, NULL), 0);
		assert_true(nic_model_same(&n, &before));
	}
}

static void
nothing_is_touched_where_nothing_is_wanted(void **state)
{
	static const uint16_t wanted[] = {0, 8};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(wanted); i++) {
		struct nic_model n = nic_full();
		const struct ep_nicset_wish wish = wish_of(wanted[i]);
		struct ep_nicset_chosen chosen;
		struct ep_nicset *set = opened(&n, &wish, &chosen);

		assert_int_equal(chosen.way, EP_NICSET_AS_IS);
		assert_int_equal(chosen.queue_count, 8);
		assert_int_equal(n.change_count, 0);
		assert_int_equal(state_files(), 0);
		assert_int_equal(ep_nicset_close(set, NULL), 0);
	}
}

static void
what_is_not_to_be_had_is_refused_in_the_drivers_words(void **state)
{
	struct nic_model n = {.queues = 1};
	const struct nic_model before = n;
	const struct ep_nicset_cfg cfg = cfg_of(&n);
	const struct ep_nicset_wish wish = wish_of(4);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	struct ep_err err;

	(void)state;
	assert_int_equal(ep_nicset_open(&cfg, &wish, &set, &chosen, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "4 queues"));
	assert_non_null(strstr(err.text, "number of queues: Operation not supported"));
	assert_true(nic_model_same(&n, &before));
	assert_int_equal(state_files(), 0);
}

/* --- Whatever fails ------------------------------------------------------------------------------ */

/* Each change in turn is refused: another way is taken or the wish is refused, and all is as before. */
static void
a_step_that_fails_leaves_nothing_behind(void **state)
{
	bool ended = false;

	(void)state;
	for (int any = 0; any < 2; any++) {
		ended = false;
		for (uint32_t at = 1; !ended; at++) {
			struct nic_model before = nic_full();
			const struct ep_nicset_wish wish = wish_of(2);
			struct ep_nicset_chosen chosen;
			struct ep_nicset *set;
			struct nic_model n;
			struct ep_nicset_cfg cfg;

			before.any_location = any == 1;
			n = before;
			n.fail_at = at;
			n.fail_with = -EIO;
			cfg = cfg_of(&n);
			assert_int_equal(ep_nicset_open(&cfg, &wish, &set, &chosen, NULL), 0);
			ended = n.change_count < at;
			if (!ended)
				assert_non_null(strstr(chosen.why, "Input/output error"));
			n.fail_at = 0;
			assert_int_equal(ep_nicset_close(set, NULL), 0);
			assert_true(nic_model_same(&n, &before));
			assert_int_equal(state_files(), 0);
		}
	}
}

/* What cannot be put back is said, and the next start tries again. */
static void
what_could_not_be_put_back_is_kept_for_the_next_start(void **state)
{
	const struct nic_model before = nic_full();

	(void)state;
	for (uint32_t back = 1;; back++) {
		struct nic_model n = before;
		const struct ep_nicset_cfg cfg = cfg_of(&n);
		const struct ep_nicset_wish wish = wish_of(2);
		struct ep_nicset_chosen chosen;
		struct ep_nicset *set = opened(&n, &wish, &chosen);
		struct ep_err err = {0};
		int ret;

		n.fail_at = n.change_count + back;
		n.fail_with = -EIO;
		ret = ep_nicset_close(set, &err);
		if (n.change_count < n.fail_at) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_true(ret < 0);
		assert_non_null(strstr(err.text, state_dir));
		assert_int_equal(state_files(), 1);
		n.fail_at = 0;
		assert_true(ep_nicset_recover(&cfg, NULL) > 0);
		assert_true(nic_model_same(&n, &before));
		assert_int_equal(state_files(), 0);
	}
}

/* --- Crash ---------------------------------------------------------------------------------------- */

/* A model that is shared with a process that ends at a given change, without a word. */
static int
crash_ethtool(void *ctx, const char *ifname, void *command)
{
	struct nic_model *n = ctx;
	const uint32_t count = n->change_count;
	const int ret = nic_model_ethtool(ctx, ifname, command);

	if (n->fail_with == 0 && n->change_count != count && n->change_count == n->fail_at)
		_exit(0);
	return ret;
}

static void
what_a_crash_left_is_undone(void **state)
{
	struct nic_model *n = *state;
	const struct nic_model before = nic_full();
	bool crashed = true;

	for (uint32_t at = 1; crashed; at++) {
		const struct ep_nicset_wish wish = wish_of(2);
		struct ep_nicset_cfg cfg = cfg_of(n);
		struct ep_nicset_chosen chosen;
		struct ep_nicset *set;
		pid_t pid;

		*n = before;
		n->fail_at = at;
		cfg.ethtool = crash_ethtool;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(ep_nicset_open(&cfg, &wish, &set, &chosen, NULL) < 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		crashed = n->change_count >= at;
		n->fail_at = 0;
		assert_true(ep_nicset_recover(&cfg, NULL) >= 0);
		/* Between the driver's choice of a context's number and the note of it: said in ep_nicset.h. */
		for (uint32_t i = 1; i < MODEL_CONTEXTS && n->change_count == 4; i++)
			memset(&n->context[i], 0, sizeof(n->context[i]));
		assert_true(nic_model_same(n, &before));
		assert_int_equal(state_files(), 0);
	}
}

/* Rules and numbers that somebody has changed meanwhile are not ours any more. */
static void
what_somebody_changed_meanwhile_stays(void **state)
{
	struct nic_model n = nic_full();
	const struct ep_nicset_wish wish = wish_of(2);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	uint32_t left = 0;

	(void)state;
	n.has_contexts = false;
	set = opened(&n, &wish, &chosen);
	assert_int_equal(chosen.way, EP_NICSET_RULES);
	for (uint32_t i = 0; i < MODEL_RULES; i++)
		if (n.rule[i].used && left++ == 0)
			n.rule[i].fs.ring_cookie = 5;
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	left = 0;
	for (uint32_t i = 0; i < MODEL_RULES; i++)
		left += n.rule[i].used;
	assert_int_equal(left, 1);
	/* their rule needs it */
	assert_int_equal(n.flags & ETH_FLAG_NTUPLE, ETH_FLAG_NTUPLE);

	n = nic_full();
	n.has_rules = false;
	set = opened(&n, &wish, &chosen);
	assert_int_equal(n.queues, 2);
	n.queues = 6;
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	assert_int_equal(n.queues, 6);
}

static void
a_file_of_another_interface_is_not_believed(void **state)
{
	struct nic_model *n = *state;
	const struct nic_model before = nic_full();
	const struct ep_nicset_wish wish = wish_of(2);
	struct ep_nicset_cfg cfg = cfg_of(n);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	struct nic_model left;
	pid_t pid;

	*n = before;
	pid = fork();
	if (pid == 0)
		_exit(ep_nicset_open(&cfg, &wish, &set, &chosen, NULL) < 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(state_files(), 1);
	left = *n;
	cfg.mac[5]++;
	assert_int_equal(ep_nicset_recover(&cfg, NULL), 0);
	assert_true(nic_model_same(n, &left));
	assert_int_equal(state_files(), 0);
}

static void
a_file_that_is_not_whole_is_not_believed(void **state)
{
	static const char *const cut[] = {"", "everyport nicset 1\n", "everyport nicset 2\nmac x\n",
		"everyport nicset 1\nmac 02:00:00:00:00:0a\nchannels 0 8 2 8 2 0 0 8 2\n",
		"everyport nicset 1\nmac 02:00:00:00:00:0a\nchannels 0 8 2\nend 1\n",
		"everyport nicset 1\nmac 02:00:00:00:00:0a\nrule 3 0 0 0 0 0 0 0 0 12\nend 1\n",
		"everyport nicset 1\nmac 02:00:00:00:00:0a\nmagic 0 0 0 0 0 0 0 0 0\nend 1\n"};
	struct nic_model *n = *state;
	const struct nic_model before = nic_full();
	const struct ep_nicset_wish wish = wish_of(12);
	const struct ep_nicset_cfg cfg = cfg_of(n);
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	char name[64], path[160];
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	snprintf(name, sizeof(name), "nicset-%llu-7", (unsigned long long)st.st_ino);
	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	*n = before;
	set = opened(n, &wish, &chosen);
	assert_int_equal(access(path, R_OK), 0);
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(cut); i++) {
		file_write(path, cut[i]);
		n->change_count = 0;
		assert_int_equal(ep_nicset_recover(&cfg, NULL), 0);
		assert_int_equal(n->change_count, 0);
		assert_int_equal(state_files(), 0);
	}
}

/* --- Timers --------------------------------------------------------------------------------------- */

static void
timers_of_busy_polling_are_set_and_put_back(void **state)
{
	struct nic_model n = nic_full();
	const struct ep_nicset_wish wish = {.busy_poll = true};
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;

	(void)state;
	timers_reset("02:00:00:00:00:0a\n");
	set = opened(&n, &wish, &chosen);
	timer_is("napi_defer_hard_irqs", "2");
	timer_is("gro_flush_timeout", "200000");
	assert_int_equal(ep_nicset_close(set, NULL), 0);
	timer_is("napi_defer_hard_irqs", "0");
	timer_is("gro_flush_timeout", "0");
}

static void
timers_of_another_namespace_are_left_alone(void **state)
{
	struct nic_model n = nic_full();
	const struct ep_nicset_cfg cfg = cfg_of(&n);
	const struct ep_nicset_wish wish = {
		.busy_poll = true, .queue_count = 2, .masks = &masks, .ipv4 = true};
	const struct nic_model before = n;
	struct ep_nicset_chosen chosen;
	struct ep_nicset *set;
	struct ep_err err;

	(void)state;
	timers_reset("02:00:00:00:00:0c\n");
	assert_int_equal(ep_nicset_open(&cfg, &wish, &set, &chosen, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "another network namespace"));
	timer_is("napi_defer_hard_irqs", "0");
	assert_true(nic_model_same(&n, &before));
	assert_int_equal(state_files(), 0);
}

static int
setup(void **state)
{
	static struct ep_range range;
	char path[128];

	snprintf(root, sizeof(root), "/tmp/nicset.XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(state_dir, sizeof(state_dir), "%s/run", root);
	snprintf(sys_dir, sizeof(sys_dir), "%s/sys", root);
	assert_int_equal(mkdir(sys_dir, 0700), 0);
	snprintf(path, sizeof(path), "%s%s", root, TIMERS_FOLDER);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &range, NULL), 0);
	assert_int_equal(ep_plan_masks_make(&range, &masks, NULL), 0);
	*state = mmap(NULL, sizeof(struct nic_model), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return *state == MAP_FAILED;
}

static int
teardown(void **state)
{
	char path[160];

	munmap(*state, sizeof(struct nic_model));
	snprintf(path, sizeof(path), "%s%s", root, TIMERS_FOLDER);
	files_in(path, true);
	files_in(state_dir, true);
	files_in(sys_dir, true);
	return rmdir(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_goes_into_a_context_over_the_lowest_queues),
		cmocka_unit_test(rules_by_queue_cover_the_range_exactly),
		cmocka_unit_test(number_of_queues_is_set_where_there_are_no_rules),
		cmocka_unit_test(nothing_is_touched_where_nothing_is_wanted),
		cmocka_unit_test(what_is_not_to_be_had_is_refused_in_the_drivers_words),
		cmocka_unit_test(a_step_that_fails_leaves_nothing_behind),
		cmocka_unit_test(what_could_not_be_put_back_is_kept_for_the_next_start),
		cmocka_unit_test(what_a_crash_left_is_undone),
		cmocka_unit_test(what_somebody_changed_meanwhile_stays),
		cmocka_unit_test(a_file_of_another_interface_is_not_believed),
		cmocka_unit_test(a_file_that_is_not_whole_is_not_believed),
		cmocka_unit_test(timers_of_busy_polling_are_set_and_put_back),
		cmocka_unit_test(timers_of_another_namespace_are_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
