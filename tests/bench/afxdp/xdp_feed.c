#include "xdp_feed.h"

#include "probe.h"
#include "xdp_feed_map.h"
#include "xdp_feed_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Frames between two of which the kernel lets the far end work. */
#define BATCH_PKTS 16
#define POLL_US 1000

static_assert(XDP_FEED_FRAME_BYTES == PROBE_BYTES, "one size");

/* What the process tells whoever started it. */
struct word {
	bool ready; /* Its frames are there. */
	int ret;    /* What it ended with, and why. */
	struct ep_err err;
};

struct xdp_feed {
	uint32_t sweep_pkts;
	uint32_t frame_count;
	struct bpf_object *object;
	struct xdp_feed_state *state; /* Memory of the map. */
	struct word *word;            /* Shared with the process. */
	pid_t pid;                    /* 0: none yet. */
};

static size_t
state_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Memory of a map. @return NULL with errno. */
static void *
map_memory(const struct xdp_feed *f, const char *name, size_t bytes)
{
	const int fd = bpf_object__find_map_fd_by_name(f->object, name);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int
feed_load(struct xdp_feed *f, struct ep_err *err)
{
	struct bpf_map *frames;

	f->object = bpf_object__open_mem(xdp_feed_object, xdp_feed_object_bytes, NULL);
	if (f->object == NULL)
		return ep_err_set(err, -errno, "the feed does not open: %s", strerror(errno));
	frames = bpf_object__find_map_by_name(f->object, XDP_FEED_FRAMES);
	if (bpf_map__set_max_entries(frames, f->frame_count) != 0 ||
		bpf_object__load(f->object) != 0)
		return ep_err_set(err, -errno, "the feed of %u frames does not load: %s",
			f->frame_count, strerror(errno));
	f->state = map_memory(f, XDP_FEED_STATE, state_bytes());
	return f->state != NULL ? 0
				: ep_err_set(err, -errno, "the feed's state: %s", strerror(errno));
}

/* --- The process ------------------------------------------------------------------------------------------------------------- */

static void
sweep_write(const struct xdp_feed *f, struct probe_writer *w, uint8_t *slots)
{
	const size_t sweep_bytes = (size_t)f->sweep_pkts * XDP_FEED_SLOT_BYTES;

	for (uint32_t at = 0; at < f->sweep_pkts; at += EP_WIRE_BURST) {
		const uint32_t left = f->sweep_pkts - at;
		const uint32_t n = left < EP_WIRE_BURST ? left : EP_WIRE_BURST;
		uint8_t *frame[EP_WIRE_BURST];
		const uint32_t time_ns[EP_WIRE_BURST] = {0};

		for (uint32_t i = 0; i < n; i++)
			frame[i] = slots + (size_t)(at + i) * XDP_FEED_SLOT_BYTES;
		probe_write(w, frame, time_ns, n);
	}
	memcpy(slots + sweep_bytes, slots, sweep_bytes);
	for (uint32_t i = 0; i < f->sweep_pkts; i++)
		slots[sweep_bytes + (size_t)i * XDP_FEED_SLOT_BYTES + 11] |= 0x80;
}

static int
frames_write(const struct xdp_feed *f, struct ep_err *err)
{
	const size_t bytes = (size_t)f->frame_count * XDP_FEED_SLOT_BYTES;
	uint8_t *slots = map_memory(f, XDP_FEED_FRAMES, bytes);
	struct probe_writer writer;
	struct ep_wire_ends ends[2];
	struct ep_range range;
	struct ep_sched space;
	int ret = slots != NULL ? 0 : ep_err_set(err, -errno, "the frames: %s", strerror(errno));

	if (ret == 0)
		ret = probe_space(1, 1, &range, &space, err);
	if (ret < 0)
		return ret;
	probe_ends(ends);
	ret = probe_writer_open(&writer, &range, &space, &ends[0], err);
	for (uint32_t at = 0; ret == 0 && at < f->frame_count; at += 2 * f->sweep_pkts)
		sweep_write(f, &writer, slots + (size_t)at * XDP_FEED_SLOT_BYTES);
	probe_writer_close(&writer);
	munmap(slots, bytes);
	return ret;
}

static int
netns_enter(const char *name, struct ep_err *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		return ep_err_set(err, -errno, "network namespace '%s': %s", name, strerror(errno));
	close(fd);
	return 0;
}

/* One call of the kernel, which a signal ends: to set one up takes it milliseconds. */
static int
frames_send(const struct xdp_feed *f, struct ep_err *err)
{
	const struct bpf_program *prog = bpf_object__find_program_by_name(f->object, XDP_FEED_PROG);
	const uint8_t empty[XDP_FEED_FRAME_BYTES] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = empty, .data_size_in = sizeof(empty),
		.repeat = INT_MAX, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH_PKTS);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &run) == 0 || errno == EINTR)
		return 0;
	return ep_err_set(err, -errno, "the kernel does not send: %s", strerror(errno));
}

static int
feed_main(const struct xdp_feed *f, const struct xdp_feed_cfg *cfg)
{
	struct ep_err *err = &f->word->err;
	cpu_set_t cpu;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&cpu);
	CPU_SET(cfg->cpu, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu) != 0)
		return ep_err_set(err, -errno, "CPU %u: %s", cfg->cpu, strerror(errno));
	ret = netns_enter(cfg->netns, err);
	if (ret < 0)
		return ret;
	f->state->ifindex = if_nametoindex(cfg->interface);
	if (f->state->ifindex == 0)
		return ep_err_set(err, -errno, "'%s': %s", cfg->interface, strerror(errno));
	ret = frames_write(f, err);
	if (ret < 0)
		return ret;
	__atomic_store_n(&f->word->ready, true, __ATOMIC_RELEASE);
	return frames_send(f, err);
}

/* --- Who receives ------------------------------------------------------------------------------------------------------------ */

/* Until its frames are there. */
static int
feed_await(struct xdp_feed *f, struct ep_err *err)
{
	while (!__atomic_load_n(&f->word->ready, __ATOMIC_ACQUIRE)) {
		if (waitpid(f->pid, NULL, WNOHANG) == f->pid) {
			f->pid = 0;
			return ep_err_set(err, f->word->ret < 0 ? f->word->ret : -EIO,
				"the feed ended: %.200s", f->word->err.text);
		}
		usleep(POLL_US);
	}
	return 0;
}

static int
feed_fork(struct xdp_feed *f, const struct xdp_feed_cfg *cfg, struct ep_err *err)
{
	f->word = mmap(
		NULL, sizeof(*f->word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->word == MAP_FAILED) {
		f->word = NULL;
		return ep_err_set(err, -errno, "no memory for the feed: %s", strerror(errno));
	}
	f->pid = fork();
	if (f->pid == 0) {
		f->word->ret = feed_main(f, cfg);
		_exit(EXIT_SUCCESS);
	}
	if (f->pid < 0)
		return ep_err_set(err, -errno, "no process: %s", strerror(errno));
	return feed_await(f, err);
}

int
xdp_feed_start(const struct xdp_feed_cfg *cfg, struct xdp_feed **out, struct ep_err *err)
{
	struct xdp_feed *f = calloc(1, sizeof(*f));
	struct ep_range range;
	struct ep_sched space;
	int ret;

	if (f == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = probe_space(1, 1, &range, &space, err);
	if (ret == 0) {
		f->sweep_pkts = space.flow_count;
		f->frame_count = 2 * cfg->pairs * f->sweep_pkts;
		ret = feed_load(f, err);
	}
	if (ret == 0)
		ret = feed_fork(f, cfg, err);
	if (ret < 0) {
		xdp_feed_stop(f);
		return ret;
	}
	*out = f;
	return 0;
}

void
xdp_feed_stop(struct xdp_feed *f)
{
	if (f == NULL)
		return;
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	if (f->word != NULL)
		munmap(f->word, sizeof(*f->word));
	if (f->state != NULL)
		munmap(f->state, state_bytes());
	bpf_object__close(f->object);
	free(f);
}

void
xdp_feed_taken(struct xdp_feed *f, uint32_t count)
{
	__atomic_store_n(&f->state->limit, count + XDP_FEED_WINDOW, __ATOMIC_RELAXED);
}

uint32_t
xdp_feed_count(const struct xdp_feed *f)
{
	return f->frame_count;
}
