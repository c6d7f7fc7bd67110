// SPDX-License-Identifier: GPL-2.0-only
/*
 * pattern: memory that knows its own content. Fills pages with patterns,
 * pushes them out, reads them back and verifies every byte, as a list of
 * commands from the command line or, with "-", line by line from stdin.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "nodes.h"
#include "pages.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static const char usage_text[] =
"usage: pattern [options] COMMAND...\n"
"  -s SIZE    memory of each task (default 4M)\n"
"  -k KIND    random, compressible (default), same, zero or mixed\n"
"  -c PERCENT random part of a compressible page (default 25, about 4:1)\n"
"  -n NODES   mbind() it to NODES first (-p POLICY, default bind)\n"
"  -g CGROUP  join the cgroup first\n"
"  -f FILE    shared mapping of FILE (made SIZE long) or of a device instead of\n"
"             anonymous memory\n"
"  -T         allow transparent huge pages\n"
"  -w OWNER   number of the owner (default: pid), -S SEED (default 1)\n"
"  -i FIRST,STEP  number the pages FIRST, FIRST+STEP, .. (default 0,1)\n"
"  -j TASKS   run the commands in that many processes, owners OWNER, OWNER+1, ..\n"
"  -r ROUNDS  repeat the commands\n"
"commands, each answers one line:\n"
"  fill       write every page as its next generation\n"
"  verify     read every page, compare every byte; a bad one ends the program\n"
"  check      verify the pages that are resident, leave the others out\n"
"  assume     take for granted that the first generation was written before\n"
"  pageout    MADV_PAGEOUT all of it; half: only even pages\n"
"  churn N    N times: rewrite, verify or page out a run of pages (seeded)\n"
"  nodes      NODE=PAGES pairs, absent=PAGES\n"
"  resident   pages present, swapped and untouched, by pagemap\n"
"  drop       give the pages back (MADV_DONTNEED)\n"
"  lock, unlock, collapse   mlock(), munlock(), MADV_COLLAPSE\n"
"  fork COMMAND             run COMMAND in a child that shares the pages\n"
"  sleep MS, hold           wait; hold ends at SIGTERM or SIGINT, then goes on\n"
"  -          read further commands from stdin until it ends or says quit\n"
"Exit status: 0 done, 1 content or a system call was wrong, 2 usage.\n";

static struct {
	size_t length;
	struct page_identity identity;	/* page and generation filled in at use */
	const char *policy, *nodes, *file;
	unsigned long tasks, rounds, first, step;
	int huge_pages;
} options = {
	.length = 4 << 20, .policy = "bind", .tasks = 1, .rounds = 1, .step = 1,
	.identity = { .seed = 1, .kind = KIND_COMPRESSIBLE, .random_percent = 25 },
};

static uint64_t *memory;	/* the pages */
static uint32_t *generations;	/* by page; 0: never filled */
static size_t pages;
static uint64_t churn_state;
static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static uint64_t *page_at(size_t page)
{
	return memory + page * PAGE_WORDS;
}

static struct page_identity identity_of(size_t page)
{
	struct page_identity id = options.identity;

	id.page = options.first + page * options.step;
	id.generation = generations[page];
	return id;
}

static void fill_page(size_t page)
{
	struct page_identity id;

	generations[page]++;
	id = identity_of(page);
	page_make(page_at(page), &id);
}

/* Say what a wrong page holds instead: another's page, an old one, or neither. */
static void report_bad(size_t page, const uint64_t *want)
{
	const uint64_t *have = page_at(page);
	size_t word = 0, differ = 0;

	for (size_t i = PAGE_WORDS; i-- > 0;) {
		if (have[i] == want[i])
			continue;
		differ++;
		word = i;
	}
	fprintf(stderr,
		"pattern: owner %llu page %zu generation %u at %p: %zu of %d words differ, "
		"first at byte %zu: have %016llx, want %016llx",
		(unsigned long long)options.identity.owner, page, generations[page],
		(void *)page_at(page), differ, PAGE_WORDS, word * sizeof(*want),
		(unsigned long long)have[word], (unsigned long long)want[word]);
	if ((have[0] & ~UINT64_C(0xff)) == PAGE_MAGIC)
		fprintf(stderr, "; it holds owner %llu page %llu generation %llu",
			(unsigned long long)have[1], (unsigned long long)have[2],
			(unsigned long long)have[3]);
	fputc('\n', stderr);
}

/* 1 if the page is as it was written; others are reported, the first few. */
static int verify_page(size_t page)
{
	static uint64_t want[PAGE_WORDS];
	static unsigned int reported;
	const struct page_identity id = identity_of(page);

	if (generations[page])
		page_make(want, &id);
	else
		memset(want, 0, sizeof(want));
	if (!memcmp(want, page_at(page), sizeof(want)))
		return 1;
	if (reported++ < 8)
		report_bad(page, want);
	return 0;
}

/* Pages present, swapped and neither, from /proc/self/pagemap bits 63 and 62. */
static void read_pagemap(size_t counts[3], unsigned char *present)
{
	static uint64_t entries[4096];
	const size_t first = (uintptr_t)memory / (PAGE_WORDS * sizeof(*memory));
	const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die_errno("/proc/self/pagemap");
	for (size_t done = 0; done < pages;) {
		size_t want = pages - done < 4096 ? pages - done : 4096;
		ssize_t got = pread(fd, entries, want * 8, (off_t)((first + done) * 8));

		if (got < 8)
			die_errno("/proc/self/pagemap");
		for (size_t i = 0; i < (size_t)got / 8; i++) {
			const int state = entries[i] >> 63 ? 0 : entries[i] >> 62 & 1 ? 1 : 2;

			counts[state]++;
			if (present)
				present[done + i] = state == 0;
		}
		done += (size_t)got / 8;
	}
	close(fd);
}

static int do_verify(int resident_only)
{
	unsigned char *present = NULL;
	size_t counts[3] = { 0 }, good = 0, bad = 0;

	if (resident_only) {
		present = malloc(pages);
		if (!present)
			die_errno("malloc");
		read_pagemap(counts, present);
	}
	for (size_t i = 0; i < pages; i++) {
		if (present && !present[i])
			continue;
		if (verify_page(i))
			good++;
		else
			bad++;
	}
	free(present);
	printf("%s good=%zu bad=%zu\n", resident_only ? "check" : "verify", good, bad);
	return bad == 0;
}

static int advise(const char *name, void *start, size_t length, int advice)
{
	if (!madvise(start, length, advice))
		return 1;
	fprintf(stderr, "pattern: %s: %s\n", name, strerror(errno));
	printf("%s %s\n", name, errno_name(errno));
	return 0;
}

static int pageout_run(size_t page, size_t count)
{
	return advise("pageout", page_at(page), count * PAGE_WORDS * sizeof(*memory),
		      MADV_PAGEOUT);
}

static int do_half(void)
{
	for (size_t i = 0; i < pages; i += 2)
		if (!pageout_run(i, 1))
			return 0;
	puts("half done");
	return 1;
}

static int do_churn(unsigned long steps)
{
	size_t bad = 0;

	for (unsigned long step = 0; step < steps && !stopped; step++) {
		const uint64_t draw = page_random(&churn_state);
		const size_t first = draw % pages;
		size_t count = 1 + (draw >> 32) % 64;

		if (count > pages - first)
			count = pages - first;
		if ((draw >> 60) % 3 == 2 && !pageout_run(first, count))
			return 0;
		for (size_t i = first; i < first + count && (draw >> 60) % 3 < 2; i++) {
			bad += !verify_page(i);
			if ((draw >> 60) % 3 == 0)
				fill_page(i);
		}
	}
	printf("churn steps=%lu bad=%zu\n", steps, bad);
	return bad == 0;
}

static int do_nodes(void)
{
	struct node_counts *counts = calloc(1, sizeof(*counts));

	if (!counts || count_nodes(0, (unsigned long)memory, options.length, counts))
		die_errno("move_pages");
	fputs("nodes ", stdout);
	print_counts(counts);
	putchar('\n');
	free(counts);
	return 1;
}

static int do_resident(void)
{
	size_t counts[3] = { 0 };

	read_pagemap(counts, NULL);
	printf("resident present=%zu swapped=%zu untouched=%zu\n", counts[0], counts[1], counts[2]);
	return 1;
}

static int do_lock(int lock)
{
	if (lock ? mlock(memory, options.length) : munlock(memory, options.length)) {
		printf("%s %s\n", lock ? "lock" : "unlock", errno_name(errno));
		return 0;
	}
	puts(lock ? "lock done" : "unlock done");
	return 1;
}

static int do_fill(void)
{
	for (size_t i = 0; i < pages; i++)
		fill_page(i);
	printf("fill pages=%zu generation=%u\n", pages, generations[0]);
	return 1;
}

static int do_assume(void)
{
	for (size_t i = 0; i < pages; i++)
		generations[i] = 1;
	puts("assume done");
	return 1;
}

static int do_drop(void)
{
	if (!advise("drop", memory, options.length, options.file ? MADV_REMOVE : MADV_DONTNEED))
		return 0;
	memset(generations, 0, pages * sizeof(*generations));
	puts("drop done");
	return 1;
}

/* EAGAIN asks for another try, madvise(2): one of the pages was locked or isolated, by reclaim for example. */
static int do_collapse(void)
{
	for (int tries = 0; tries < 500; tries++) {
		if (!madvise(memory, options.length, MADV_COLLAPSE))
			return puts("collapse done") >= 0;
		if (errno != EAGAIN)
			break;
		usleep(20000);
	}
	fprintf(stderr, "pattern: collapse: %s\n", strerror(errno));
	printf("collapse %s\n", errno_name(errno));
	return 0;
}

static void pause_for(const char *milliseconds)
{
	if (milliseconds) {
		const unsigned long ms = parse_number(milliseconds);
		const struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

		nanosleep(&time, NULL);
		puts("sleep done");
		return;
	}
	puts("holding");
	fflush(stdout);
	while (!stopped)
		usleep(20000);	/* a signal between check and pause() would be lost */
	stopped = 0;
}

static size_t run_command(char **words);

static int do_fork(char **words)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		die_errno("fork");
	if (child == 0) {
		run_command(words);
		fflush(NULL);
		_exit(HELPER_DONE);
	}
	if (waitpid(child, &status, 0) < 0)
		die_errno("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == HELPER_DONE;
}

static int takes_argument(const char *word)
{
	return !strcmp(word, "churn") || !strcmp(word, "sleep") || !strcmp(word, "fork");
}

/* Run the command at *words; ends the program when it fails. Returns words used. */
static size_t run_command(char **words)
{
	const char *word = words[0], *argument = takes_argument(word) ? words[1] : NULL;
	int good = 1;

	if (takes_argument(word) && !argument)
		die("%s wants an argument", word);
	if (!strcmp(word, "fill"))
		good = do_fill();
	else if (!strcmp(word, "verify") || !strcmp(word, "check"))
		good = do_verify(*word == 'c');
	else if (!strcmp(word, "assume"))
		good = do_assume();
	else if (!strcmp(word, "pageout"))
		good = pageout_run(0, pages) && puts("pageout done") >= 0;
	else if (!strcmp(word, "half"))
		good = do_half();
	else if (!strcmp(word, "churn"))
		good = do_churn(parse_number(argument));
	else if (!strcmp(word, "nodes"))
		good = do_nodes();
	else if (!strcmp(word, "resident"))
		good = do_resident();
	else if (!strcmp(word, "drop"))
		good = do_drop();
	else if (!strcmp(word, "lock") || !strcmp(word, "unlock"))
		good = do_lock(*word == 'l');
	else if (!strcmp(word, "collapse"))
		good = do_collapse();
	else if (!strcmp(word, "fork"))
		good = do_fork(words + 1);
	else if (!strcmp(word, "sleep") || !strcmp(word, "hold"))
		pause_for(argument);
	else
		die("not a command: '%s'", word);
	fflush(stdout);
	if (!good)
		exit(HELPER_FAILED);
	return argument ? 2 : 1;
}

static void run_stdin(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		char *words[4] = { NULL }, *rest = NULL;

		for (size_t i = 0; i < 3; i++) {
			words[i] = strtok_r(i ? NULL : line, " \t\n", &rest);
			if (!words[i])
				break;
		}
		if (words[0] && !strcmp(words[0], "quit"))
			return;
		if (words[0])
			run_command(words);
	}
}

/* A file is made as long as the memory; a device is as long as it is. */
static int open_file(void)
{
	const int fd = open(options.file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		die_errno(options.file);
	if (S_ISREG(status.st_mode) && ftruncate(fd, (off_t)options.length))
		die_errno(options.file);
	return fd;
}

static void set_up(void)
{
	const int fd = options.file ? open_file() : -1;

	pages = options.length / (PAGE_WORDS * sizeof(*memory));
	memory = mmap(NULL, options.length, PROT_READ | PROT_WRITE, MAP_NORESERVE |
		      (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd, 0);
	generations = calloc(pages, sizeof(*generations));
	if (memory == MAP_FAILED || !generations)
		die_errno("mmap");
	if (!options.file)	/* a dax device wants huge ones, shared memory has its own rule */
		madvise(memory, options.length, options.huge_pages ? MADV_HUGEPAGE
									   : MADV_NOHUGEPAGE);
	if (options.nodes) {
		const struct policy policy = {
			.mode = policy_parse(options.policy), .nodes = nodes_parse(options.nodes),
		};

		if (sys_mbind(memory, options.length, &policy, 0)) {
			puts(errno_name(errno));
			exit(HELPER_FAILED);
		}
	}
	churn_state = options.identity.seed ^ options.identity.owner << 32;
}

__attribute__((noreturn))
static void run_task(char **words)
{
	set_up();
	for (unsigned long round = 0; round < options.rounds; round++) {
		for (char **at = words; *at;) {
			if (!strcmp(*at, "-")) {
				run_stdin();
				at++;
			} else {
				at += run_command(at);
			}
		}
	}
	exit(HELPER_DONE);
}

static int run_tasks(char **words)
{
	int result = HELPER_DONE;

	for (unsigned long task = 0; task < options.tasks; task++) {
		const pid_t child = fork();

		if (child < 0)
			die_errno("fork");
		if (child == 0) {
			options.identity.owner += task;
			run_task(words);
		}
	}
	for (int status; wait(&status) > 0;) {
		if (WIFSIGNALED(status))
			fprintf(stderr, "pattern: a task was killed by signal %d (%s)\n",
				WTERMSIG(status), strsignal(WTERMSIG(status)));
		if (!WIFEXITED(status))
			result = HELPER_FAILED;
		else if (WEXITSTATUS(status) != HELPER_DONE && result == HELPER_DONE)
			result = WEXITSTATUS(status);
	}
	return result;
}

static enum page_kind parse_kind(const char *text)
{
	static const char *const kinds[] = { "random", "compressible", "same", "zero", "mixed" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i], text))
			return (enum page_kind)i;
	die("not a kind of content: '%s'", text);
}

static unsigned int parse_percent(const char *text)
{
	const unsigned long percent = parse_number(text);

	if (percent > 100)
		die("not a percentage: '%s'", text);
	return (unsigned int)percent;
}

static void parse_numbering(char *text)
{
	char *comma = strchr(text, ',');

	if (!comma)
		die("not FIRST,STEP: '%s'", text);
	*comma = '\0';
	options.first = parse_number(text);
	options.step = parse_number(comma + 1);
}

static void parse_options(int argc, char **argv)
{
	int option;

	options.identity.owner = (uint64_t)getpid();
	while ((option = getopt(argc, argv, "+s:k:c:n:p:g:f:Tw:S:i:j:r:h")) != -1) {
		switch (option) {
		case 's': options.length = parse_size(optarg); break;
		case 'k': options.identity.kind = parse_kind(optarg); break;
		case 'c': options.identity.random_percent = parse_percent(optarg); break;
		case 'n': options.nodes = optarg; break;
		case 'p': options.policy = optarg; break;
		case 'g': join_cgroup(optarg); break;
		case 'f': options.file = optarg; break;
		case 'T': options.huge_pages = 1; break;
		case 'w': options.identity.owner = parse_number(optarg); break;
		case 'S': options.identity.seed = parse_number(optarg); break;
		case 'i': parse_numbering(optarg); break;
		case 'j': options.tasks = parse_number(optarg); break;
		case 'r': options.rounds = parse_number(optarg); break;
		default: usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
		}
	}
	if (optind == argc)
		usage(HELPER_USAGE);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };

	parse_options(argc, argv);
	if (sysconf(_SC_PAGESIZE) != PAGE_WORDS * (long)sizeof(*memory))
		die("pages of %ld bytes are not supported", sysconf(_SC_PAGESIZE));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (options.tasks > 1)
		return run_tasks(argv + optind);
	run_task(argv + optind);
}
