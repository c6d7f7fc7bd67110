// SPDX-License-Identifier: GPL-2.0-only
/*
 * pressure: have the kernel allocate memory of one kind, for a moment.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "nodes.h"

static const char usage_text[] =
"usage: pressure [options] KIND\n"
"  -s SIZE    of the kind's memory, about (default 48M)\n"
"  -g CGROUP  join the cgroup first\n"
"  -f FILE    what the kind file reads (default /dev/harness/swap)\n"
"  -t MS      hold it that long (default 100)\n"
"kinds: anon, huge, mlock, shm, file, slab, pagetables, pipes, vmalloc, forks,\n"
"threads. Exit status: 0 done, 1 a system call failed, 2 usage.\n";

enum { PAGE = 4096, HUGE = 2 << 20 };

static struct {
	size_t size;
	const char *group, *file;
	unsigned long hold;
} options = { .size = 48 << 20, .file = "/dev/harness/swap", .hold = 100 };

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

__attribute__((noreturn))
static void failed(const char *what)
{
	fprintf(stderr, "pressure: %s: %s\n", what, strerror(errno));
	exit(HELPER_FAILED);
}

static void nap(unsigned long milliseconds)
{
	const struct timespec time = { (time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

static void write_pages(char *start, size_t length)
{
	for (size_t at = 0; at < length; at += PAGE)
		*(volatile size_t *)(start + at) = at + 1;
}

static void press_anon(void)
{
	write_pages(map_memory(options.size), options.size);
}

static void press_huge(void)
{
	char *start = mmap(NULL, options.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		failed("mmap");
	madvise(start, options.size, MADV_HUGEPAGE);
	write_pages(start, options.size);
}

static void press_mlock(void)
{
	char *start = map_memory(options.size);

	if (mlock(start, options.size))
		failed("mlock");
}

static void press_shm(void)
{
	char *start = mmap(NULL, options.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		failed("mmap");
	write_pages(start, options.size);
}

static void press_file(void)
{
	static char buffer[1 << 20];
	int fd = open(options.file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		failed(options.file);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (size_t at = 0; at < options.size; at += sizeof(buffer))
		if (read(fd, buffer, sizeof(buffer)) <= 0)
			failed(options.file);
}

static void allow_files(rlim_t count)
{
	const struct rlimit limit = { count, count };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		failed("setrlimit");
}

/* Messages in the queues of sockets: each is an object of kmalloc-4k and one of the cache of socket buffers. */
static void press_slab(void)
{
	static char message[3500];
	size_t done = 0;

	allow_files(65536);
	while (done < options.size) {
		int pair[2], length = 1 << 20;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
			failed("socketpair");
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &length, sizeof(length));
		while (done < options.size && write(pair[0], message, sizeof(message)) > 0)
			done += 4096;
	}
}

/* One page mapped of each 2 MiB, the zero page: only page tables are allocated. */
static void press_pagetables(void)
{
	const size_t length = options.size / PAGE * HUGE;
	char *start = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		failed("mmap");
	madvise(start, length, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < length; at += HUGE)
		(void)*(volatile char *)(start + at);
}

static void press_pipes(void)
{
	static char buffer[1 << 20];

	allow_files(65536);
	for (size_t done = 0; done < options.size; done += sizeof(buffer)) {
		int pair[2];

		if (pipe2(pair, O_NONBLOCK) || fcntl(pair[1], F_SETPIPE_SZ, sizeof(buffer)) < 0)
			failed("pipe");
		if (write(pair[1], buffer, sizeof(buffer)) < 0)
			failed("writing to a pipe");
	}
}

/* Run WHAT in COUNT children that live until this process ends; wait until each has done it. */
static void in_children(size_t count, void (*what)(void))
{
	int pair[2];
	char byte = 0;

	if (pipe2(pair, O_CLOEXEC))
		failed("pipe");
	for (size_t i = 0; i < count; i++) {
		pid_t child = fork();

		if (child < 0)
			failed("fork");
		if (child)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		what();
		if (write(pair[1], &byte, 1) != 1)
			_exit(HELPER_FAILED);
		for (;;)
			pause();
	}
	close(pair[1]);
	for (size_t i = 0; i < count; i++)
		if (read(pair[0], &byte, 1) != 1)
			failed("a child");
}

/* A table of files for 1048576 of them is 8 MiB of vmalloc(). */
static void grow_file_table(void)
{
	if (dup2(0, (1 << 20) - 1) < 0)
		failed("dup2");
}

static void press_vmalloc(void)
{
	allow_files(1 << 20);
	in_children(options.size / (8 << 20), grow_file_table);
}

static void touch_little(void)
{
	press_anon();
}

static void press_forks(void)
{
	const size_t count = options.size / (256 << 10);

	options.size = 64 << 10; /* and the rest is the process itself */
	in_children(count, touch_little);
}

__attribute__((noreturn))
static int thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

/* A kernel stack of 16 KiB and a task each. */
static void press_threads(void)
{
	const size_t count = options.size / (32 << 10);
	char *stacks = map_memory(count * PAGE);

	for (size_t i = 1; i <= count; i++)
		if (clone(thread, stacks + i * PAGE, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			  CLONE_THREAD | CLONE_SYSVSEM, NULL) < 0)
			failed("clone");
}

static void (*kind_named(const char *name))(void)
{
	static const struct { const char *name; void (*press)(void); } kinds[] = {
		{ "anon", press_anon }, { "huge", press_huge }, { "mlock", press_mlock },
		{ "shm", press_shm }, { "file", press_file }, { "slab", press_slab },
		{ "pagetables", press_pagetables }, { "pipes", press_pipes },
		{ "vmalloc", press_vmalloc }, { "forks", press_forks }, { "threads", press_threads },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return kinds[i].press;
	usage(HELPER_USAGE);
}

/* The first to go if memory runs out: the test fails, the guest lives. */
static void be_the_victim(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (file) {
		fputs("1000", file);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	void (*press)(void);
	int option;

	while ((option = getopt(argc, argv, "s:g:f:t:h")) != -1) {
		switch (option) {
		case 's': options.size = parse_size(optarg); break;
		case 'g': options.group = optarg; break;
		case 'f': options.file = optarg; break;
		case 't': options.hold = parse_number(optarg); break;
		default: usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
		}
	}
	if (argc - optind != 1)
		usage(HELPER_USAGE);
	press = kind_named(argv[optind]);
	be_the_victim();
	if (options.group)
		join_cgroup(options.group);
	press();
	nap(options.hold);
	return HELPER_DONE;
}
