// SPDX-License-Identifier: GPL-2.0-only
/*
 * swapstress: tasks that do to their memory all that can happen to pages which
 * are swapped out, in an order that follows from a seed: write, read, page out,
 * drop, move, lock, share by fork, hand over to a child, exit. Every page knows
 * what it must hold; the first one that does not ends the program.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "arguments.h"
#include "pages.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static const char usage_text[] =
"usage: swapstress [options]\n"
"  -s SIZE     memory of all tasks together (default 64M)\n"
"  -j TASKS    default 4; every fourth has shared memory, the others private\n"
"  -t SECONDS  how long (default 10)\n"
"  -n STEPS    of each task at least, however long they take (default 0)\n"
"  -S SEED     default 1\n"
"  -g CGROUP   join the cgroup first\n"
"  -B          write a wrong word before the last verification, to see it found\n"
"Ends with a verification of every page and one line:\n"
"  stress seed=N steps=N pages=VERIFIED pageouts=N forks=N exits=N bad=N\n"
"Exit status: 0 all pages were right, 1 one was not or a task died, 2 usage.\n";

enum { TASKS = 64, RUN = 128, ENDED = 0, WRONG = 1, HANDED_OVER = 3, AGAIN = 4 };

/* What all processes see. */
struct board {
	int time_over, stop;
	unsigned long steps, verified, pageouts, forks, exits, bad;
};

static struct board *board;
static struct {
	size_t length;
	unsigned long tasks, seconds, steps, seed;
	int spoil;
} options = { .length = 64 << 20, .tasks = 4, .seconds = 10, .seed = 1 };

static uint64_t *memory;	/* the task's pages */
static size_t pages;
static uint32_t *generations;	/* by page; 0: never written, or dropped */
static uint8_t *kinds;		/* by page */
static uint64_t state, owner;
static unsigned long steps;	/* of this task, through its successors */
static int shared;
static pid_t child;		/* one that still looks at its copy */
static int child_killed;

static void count(unsigned long *counter, unsigned long by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static int stopping(void)
{
	return __atomic_load_n(&board->stop, __ATOMIC_RELAXED);
}

static int time_over(void)
{
	return __atomic_load_n(&board->time_over, __ATOMIC_RELAXED);
}

static void on_stop(int number)
{
	__atomic_store_n(number == SIGALRM ? &board->time_over : &board->stop, 1, __ATOMIC_RELAXED);
}

static uint64_t draw(uint64_t limit)
{
	return page_random(&state) % limit;
}

static uint64_t *page_at(size_t page)
{
	return memory + page * PAGE_WORDS;
}

static struct page_identity identity_of(size_t page)
{
	return (struct page_identity){
		.seed = options.seed, .owner = owner, .page = page, .generation = generations[page],
		.kind = (enum page_kind)kinds[page], .random_percent = 25,
	};
}

/* Most compress, some do not, some are a word repeated, some are nothing at all. */
static void write_page(size_t page)
{
	static const uint8_t choice[] = {
		KIND_COMPRESSIBLE, KIND_COMPRESSIBLE, KIND_COMPRESSIBLE, KIND_COMPRESSIBLE,
		KIND_COMPRESSIBLE, KIND_RANDOM, KIND_RANDOM, KIND_SAME, KIND_ZERO,
	};
	struct page_identity id;

	generations[page]++;
	kinds[page] = choice[draw(sizeof(choice))];
	id = identity_of(page);
	page_make(page_at(page), &id);
}

__attribute__((noreturn))
static void wrong(size_t page, const uint64_t *want)
{
	const uint64_t *have = page_at(page);
	size_t first = 0, differ = 0;

	for (size_t i = PAGE_WORDS; i-- > 0;) {
		if (have[i] == want[i])
			continue;
		differ++;
		first = i;
	}
	fprintf(stderr, "swapstress: owner %llu page %zu generation %u kind %u at %p, pid %d, step %lu: "
		"%zu of %d words differ, first at byte %zu: have %016llx, want %016llx",
		(unsigned long long)owner, page, generations[page], kinds[page], (const void *)have,
		(int)getpid(), steps, differ, PAGE_WORDS, first * sizeof(*want),
		(unsigned long long)have[first], (unsigned long long)want[first]);
	if ((have[0] & ~UINT64_C(0xff)) == PAGE_MAGIC)
		fprintf(stderr, "; it holds owner %llu page %llu generation %llu",
			(unsigned long long)have[1], (unsigned long long)have[2],
			(unsigned long long)have[3]);
	fputc('\n', stderr);
	count(&board->bad, 1);
	on_stop(0);
	_exit(WRONG);
}

static void verify(size_t first, size_t number)
{
	static uint64_t want[PAGE_WORDS];

	for (size_t page = first; page < first + number; page++) {
		const struct page_identity id = identity_of(page);

		if (id.generation)
			page_make(want, &id);
		else
			memset(want, 0, sizeof(want));
		if (memcmp(want, page_at(page), sizeof(want)))
			wrong(page, want);
	}
	count(&board->verified, number);
}

static void advise(size_t first, size_t number, int advice)
{
	if (madvise(page_at(first), number * PAGE_WORDS * sizeof(*memory), advice) && errno != EAGAIN)
		die_errno("madvise");
}

static void page_out(size_t first, size_t number)
{
	advise(first, number, MADV_PAGEOUT);
	count(&board->pageouts, number);
}

static void drop(size_t first, size_t number)
{
	advise(first, number, shared ? MADV_REMOVE : MADV_DONTNEED);
	memset(generations + first, 0, number * sizeof(*generations));
}

/* To another address: the entries of swapped pages move with the page tables. */
static void move(void)
{
	const size_t bytes = pages * PAGE_WORDS * sizeof(*memory);
	void *place = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (place == MAP_FAILED)
		die_errno("mmap");
	place = mremap(memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (place == MAP_FAILED)
		die_errno("mremap");
	memory = place;
}

static void lock(size_t first, size_t number)
{
	const size_t bytes = number * PAGE_WORDS * sizeof(*memory);

	if (mlock(page_at(first), bytes))	/* beyond a limit: not what this is about */
		return;
	verify(first, number);
	munlock(page_at(first), bytes);
}

static void reap(int wait_for_it)
{
	int status;

	if (!child || waitpid(child, &status, wait_for_it ? 0 : WNOHANG) != child)
		return;
	if (!child_killed && !(WIFEXITED(status) && WEXITSTATUS(status) == ENDED)) {
		fprintf(stderr, "swapstress: a child ended with status %#x\n", (unsigned int)status);
		on_stop(0);
		_exit(WRONG);
	}
	child = 0;
}

/* A child with a copy that it reads and changes while the parent goes on; shared memory it only reads. */
static void fork_child(size_t first, size_t number)
{
	reap(0);
	if (child) {
		if (draw(4) == 0) {
			child_killed = 1;
			kill(child, SIGKILL);
		}
		reap(1);
	}
	fflush(NULL);
	child_killed = 0;
	child = fork();
	if (child < 0)
		die_errno("fork");
	if (child == 0) {
		state ^= UINT64_C(0xf0f0);
		verify(first, number);
		for (size_t page = first; !shared && page < first + number; page++)
			write_page(page);
		page_out(first, number);
		verify(first, number);
		_exit(ENDED);
	}
	count(&board->forks, 1);
	if (shared)
		reap(1);
}

/* A child goes on in this process's place. */
static void hand_over(void)
{
	pid_t heir;

	reap(1);
	fflush(NULL);
	heir = fork();
	if (heir < 0)
		die_errno("fork");
	if (heir > 0)
		_exit(HANDED_OVER);
	count(&board->forks, 1);
}

static void step(void)
{
	const uint64_t what = draw(200);
	const size_t first = draw(pages), most = pages - first;
	size_t number = 1 + draw(RUN);

	if (number > most)
		number = most;
	if (what < 60) {
		verify(first, number);
		for (size_t page = first; page < first + number; page++)
			write_page(page);
	} else if (what < 110) {
		verify(first, number);
	} else if (what < 176) {
		page_out(first, number * 4 < most ? number * 4 : most);
	} else if (what < 186) {
		drop(first, number);
	} else if (what < 192) {
		fork_child(first, number);
	} else if (what < 194) {
		hand_over();
	} else if (what < 196) {
		move();
	} else if (what < 198) {
		lock(first, number);
	} else if (what < 199) {
		page_out(0, pages);
	} else if (draw(8) == 0) {
		reap(1);
		count(&board->exits, 1);
		_exit(AGAIN);	/* with pages stored; another takes its number */
	}
}

__attribute__((noreturn))
static void run_task(unsigned long number, unsigned long round)
{
	const size_t bytes = options.length / options.tasks / 4096 * 4096;

	pages = bytes / (PAGE_WORDS * sizeof(*memory));
	owner = number + 1 + round * TASKS;
	shared = number % 4 == 3;
	state = options.seed ^ owner << 32;
	generations = calloc(pages, sizeof(*generations));
	kinds = calloc(pages, sizeof(*kinds));
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE |
		      (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (memory == MAP_FAILED || !generations || !kinds)
		die_errno("mmap");
	for (size_t page = 0; page < pages; page++)
		write_page(page);
	page_out(0, pages);
	for (; !stopping() && (!time_over() || steps < options.steps); steps++) {
		step();
		count(&board->steps, 1);
	}
	reap(1);
	if (options.spoil)
		page_at(pages / 2)[100] ^= 1;
	verify(0, pages);
	_exit(ENDED);
}

static void start_task(unsigned long number, unsigned long round)
{
	const pid_t task = fork();

	if (task < 0)
		die_errno("fork");
	if (task == 0)
		run_task(number, round);
}

/* Who succeeds whom is not known here, only how many there are; a new one gets a new number. */
static int supervise(void)
{
	unsigned long left = options.tasks, born = options.tasks;
	int result = HELPER_DONE;

	while (left) {
		int status;
		const pid_t ended = waitpid(-1, &status, 0);

		if (ended < 0 && errno == EINTR)
			continue;
		if (ended < 0)
			break;
		if (WIFEXITED(status) && WEXITSTATUS(status) == HANDED_OVER)
			continue;
		if (WIFEXITED(status) && WEXITSTATUS(status) == AGAIN && !stopping() && !time_over()) {
			start_task(born % options.tasks, born / options.tasks);
			born++;
			continue;
		}
		left--;
		if (WIFEXITED(status) && (WEXITSTATUS(status) == ENDED || WEXITSTATUS(status) == AGAIN))
			continue;
		if (WIFSIGNALED(status))
			fprintf(stderr, "swapstress: a task was killed by signal %d (%s)\n",
				WTERMSIG(status), strsignal(WTERMSIG(status)));
		result = HELPER_FAILED;
		on_stop(0);
	}
	return result;
}

static void parse_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:j:t:n:S:g:Bh")) != -1) {
		switch (option) {
		case 's': options.length = parse_size(optarg); break;
		case 'j': options.tasks = parse_number(optarg); break;
		case 't': options.seconds = parse_number(optarg); break;
		case 'n': options.steps = parse_number(optarg); break;
		case 'S': options.seed = parse_number(optarg); break;
		case 'g': join_cgroup(optarg); break;
		case 'B': options.spoil = 1; break;
		default:
			fputs(usage_text, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? HELPER_DONE : HELPER_USAGE);
		}
	}
	if (optind != argc || options.tasks < 1 || options.tasks > TASKS)
		die("wrong usage; -h shows it");
	if (options.length / options.tasks < 1 << 20)
		die("a task needs at least 1M");
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_stop };
	int result;

	parse_options(argc, argv);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1))
		die_errno("set-up");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	for (unsigned long task = 0; task < options.tasks; task++)
		start_task(task, 0);
	board->time_over = options.seconds == 0;
	alarm((unsigned int)options.seconds);
	result = supervise();
	printf("stress seed=%lu steps=%lu pages=%lu pageouts=%lu forks=%lu exits=%lu bad=%lu\n",
	       options.seed, board->steps, board->verified, board->pageouts, board->forks,
	       board->exits, board->bad);
	return result == HELPER_DONE && !board->bad ? HELPER_DONE : HELPER_FAILED;
}
