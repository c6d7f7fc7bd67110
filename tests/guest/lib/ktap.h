/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KTAP test programs in C: the contract of ktap.sh, in one header.
 *
 *	// One line that says what this program tests.
 *	#include "../lib/ktap.h"
 *
 *	KTAP_CASE(bind_refuses_private_node)
 *	{
 *		ktap_expect_errno(EINVAL, mbind(...));
 *	}
 *
 *	KTAP_MAIN()
 *
 * `PROGRAM -l` lists the cases, one a line, without touching the system; `-t NAME` (repeatable) runs only those. Exit
 * status: 0 passed, 1 failed, 4 everything skipped, 2 wrong usage. `KTAP_CASE(name)` stands at the start of its line (the
 * harness lists cases by it). An optional KTAP_SETUP() { … } runs once before the first case, in the program itself: what it
 * skips or fails, every case does; what it leaves in variables, every case has.
 *
 * A case runs in a process of its own: a signal that kills it fails it, and so does exit(). What it prints becomes
 * diagnostics. Clean-ups (ktap_defer) run last in first out when it ends by its return, by a failure or by a skip, not
 * when a signal kills it. A case that leaves state behind fails. Environment: KTAP_PROGRAM, KTAP_KMSG.
 */
#ifndef HARNESS_KTAP_H
#define HARNESS_KTAP_H

#ifndef _GNU_SOURCE
#ifdef _FEATURES_H
#error "include ktap.h first, or define _GNU_SOURCE before the first #include"
#endif
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KTAP_UNUSED __attribute__((unused))
#define KTAP_PRINTF(n) __attribute__((format(printf, n, n + 1)))
#define KTAP_MAX_CASES 256
#define KTAP_MAX_DEFERRED 64

enum { KTAP_PASS = 0, KTAP_FAIL = 1, KTAP_SKIP = 4 };

struct ktap_case {
	const char *name;
	void (*run)(void);
};

/* What a case tells the program: in shared memory, so that no fork can lose it. */
struct ktap_report {
	volatile int failed, skipped, xfail, returned;
	char why_failed[1024], why_skipped[1024], why_xfail[1024];
};

struct ktap_deferred {
	int (*run)(void *);
	void *argument;
};

static struct ktap_case ktap_cases[KTAP_MAX_CASES];
static size_t ktap_case_count;
static struct ktap_report *ktap_report;
static struct ktap_deferred ktap_stack[KTAP_MAX_DEFERRED];
static size_t ktap_depth;
static void (*ktap_setup_function)(void);
static pid_t ktap_owner; /* the case's process; 0 outside of cases */
static jmp_buf ktap_setup_end;
static int ktap_out = STDOUT_FILENO;
static const char *ktap_current = "setup";
static char ktap_program[512];

static KTAP_UNUSED void ktap_register(const char *name, void (*run)(void))
{
	if (ktap_case_count == KTAP_MAX_CASES) {
		fprintf(stderr, "ktap: more than %d cases\n", KTAP_MAX_CASES);
		_exit(2);
	}
	ktap_cases[ktap_case_count++] = (struct ktap_case){ name, run };
}

#define KTAP_CASE(name)                                                                  \
	static void ktap_case_##name(void);                                              \
	__attribute__((constructor)) static void ktap_register_##name(void)              \
	{                                                                                \
		ktap_register(#name, ktap_case_##name);                                  \
	}                                                                                \
	static void ktap_case_##name(void)

#define KTAP_SETUP()                                                                     \
	static void ktap_setup(void);                                                    \
	__attribute__((constructor)) static void ktap_register_setup(void)               \
	{                                                                                \
		ktap_setup_function = ktap_setup;                                        \
	}                                                                                \
	static void ktap_setup(void)

#define KTAP_MAIN()                                                                      \
	int main(int argc, char **argv)                                                  \
	{                                                                                \
		return ktap_main(argc, argv);                                            \
	}

static void ktap_write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, text, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		text += done;
		length -= (size_t)done;
	}
}

/* Each line of text, behind "# ", in one write. */
static void ktap_comment(const char *text)
{
	size_t length = strlen(text), lines = 1, at = 0;
	char *out;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	out = malloc(length + lines * 2 + 2);
	if (!out)
		return;
	memcpy(out, "# ", 2);
	at = 2;
	for (size_t i = 0; i < length; i++) {
		out[at++] = text[i];
		if (text[i] == '\n' && i + 1 < length) {
			memcpy(out + at, "# ", 2);
			at += 2;
		}
	}
	if (out[at - 1] != '\n')
		out[at++] = '\n';
	ktap_write_all(ktap_out, out, at);
	free(out);
}

/* A diagnostic line, at once. */
static KTAP_UNUSED KTAP_PRINTF(1) void ktap_note(const char *format, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ktap_comment(text);
}

/* A line in the kernel log, which carries the case's begin and end to the console. A new descriptor each time: the rate
 * limit of /dev/kmsg counts by descriptor. */
static void ktap_mark(const char *what, const char *text)
{
	const char *path = getenv("KTAP_KMSG") ? getenv("KTAP_KMSG") : "/dev/kmsg";
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	char line[1500];
	int length;

	if (fd < 0)
		return;
	length = snprintf(line, sizeof(line), "<3>harness: case %s %s:%s%s%s\n", what, ktap_program, ktap_current,
			  *text ? " " : "", text);
	if (length > 0 && (size_t)length < sizeof(line))
		ktap_write_all(fd, line, (size_t)length);
	close(fd);
}

/* A case begins or ends; the mark says what the kernel is tainted with there. */
static void ktap_mark_with_taint(const char *what)
{
	const char *path = getenv("KTAP_TAINTED") ? getenv("KTAP_TAINTED") : "/proc/sys/kernel/tainted";
	FILE *file = fopen(path, "re");
	unsigned long value;
	char text[40] = "";

	if (file) {
		if (fscanf(file, "%lu", &value) == 1)
			snprintf(text, sizeof(text), "taint=%lu", value);
		fclose(file);
	}
	ktap_mark(what, text);
}

/* Announce a kernel splat that this case provokes: an extended regular expression on its title. */
static KTAP_UNUSED void ktap_expect_splat(const char *regex)
{
	ktap_note("expect-splat: %s", regex);
	ktap_mark("expects", regex);
}

/* Run function(argument) when the case ends, last in first out; it returns 0, or the clean-up failed. */
static KTAP_UNUSED void ktap_defer(int (*function)(void *), void *argument)
{
	if (ktap_depth == KTAP_MAX_DEFERRED) {
		ktap_comment("more than 64 clean-ups");
		abort();
	}
	ktap_stack[ktap_depth++] = (struct ktap_deferred){ function, argument };
}

/* Add to what a case says about itself; a '#' would begin a directive. */
static void ktap_say(char *why, size_t size, const char *format, va_list arguments)
{
	size_t at = strlen(why);

	if (at > 0 && at + 3 < size) {
		memcpy(why + at, "; ", 3);
		at += 2;
	}
	vsnprintf(why + at, size - at, format, arguments);
	for (char *c = why; *c; c++)
		if (*c == '#')
			*c = '%';
		else if (*c == '\n')
			*c = ' ';
}

static KTAP_PRINTF(1) void ktap_add_failure(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	ktap_say(ktap_report->why_failed, sizeof(ktap_report->why_failed), format, arguments);
	va_end(arguments);
	ktap_report->failed = 1;
}

static void ktap_clean_up(void)
{
	while (ktap_depth > 0) {
		struct ktap_deferred next = ktap_stack[--ktap_depth];
		int status = next.run(next.argument);

		if (status)
			ktap_add_failure("clean-up %zu failed with status %d (%s)", ktap_depth + 1, status, strerror(errno));
	}
}

/* Leave the case. A child that the case forked leaves without running the case's clean-ups. */
static void __attribute__((noreturn)) ktap_leave(void)
{
	static bool leaving;

	fflush(NULL);
	if (!ktap_owner)
		longjmp(ktap_setup_end, 1);
	if (getpid() != ktap_owner || leaving)
		_exit(KTAP_FAIL);
	leaving = true;
	ktap_clean_up();
	fflush(NULL);
	ktap_report->returned = 1;
	_exit(0);
}

/* End the case as failed. */
static KTAP_UNUSED KTAP_PRINTF(1) void __attribute__((noreturn)) ktap_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	ktap_say(ktap_report->why_failed, sizeof(ktap_report->why_failed), format, arguments);
	va_end(arguments);
	ktap_report->failed = 1;
	ktap_leave();
}

/* End the case as skipped. */
static KTAP_UNUSED KTAP_PRINTF(1) void __attribute__((noreturn)) ktap_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	ktap_say(ktap_report->why_skipped, sizeof(ktap_report->why_skipped), format, arguments);
	va_end(arguments);
	ktap_report->skipped = 1;
	ktap_leave();
}

/* From here on a failure is expected (XFAIL), and a pass is not (XPASS). */
static KTAP_UNUSED KTAP_PRINTF(1) void ktap_xfail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	ktap_say(ktap_report->why_xfail, sizeof(ktap_report->why_xfail), format, arguments);
	va_end(arguments);
	ktap_report->xfail = 1;
}

static KTAP_UNUSED void ktap_need_file(const char *path)
{
	if (access(path, F_OK))
		ktap_skip("%s is not there", path);
}

/* ktap_expect(condition): fail with its text; ktap_expect_zero(call): fail with errno in words. */
#define ktap_expect(condition)                                                           \
	do {                                                                             \
		if (!(condition))                                                        \
			ktap_fail("line %d: expected %s", __LINE__, #condition);         \
	} while (0)

#define ktap_expect_op(a, op, b)                                                         \
	do {                                                                             \
		long long ktap_a = (long long)(a), ktap_b = (long long)(b);              \
		if (!(ktap_a op ktap_b))                                                 \
			ktap_fail("line %d: %s is %lld, expected %s %lld (%s)", __LINE__, #a, ktap_a, #op, ktap_b, #b); \
	} while (0)

#define ktap_expect_eq(a, b) ktap_expect_op(a, ==, b)
#define ktap_expect_ne(a, b) ktap_expect_op(a, !=, b)
#define ktap_expect_lt(a, b) ktap_expect_op(a, <, b)
#define ktap_expect_le(a, b) ktap_expect_op(a, <=, b)
#define ktap_expect_gt(a, b) ktap_expect_op(a, >, b)
#define ktap_expect_ge(a, b) ktap_expect_op(a, >=, b)

/* The call returns something other than -1 (or a null pointer cast to long). */
#define ktap_expect_success(call)                                                        \
	do {                                                                             \
		errno = 0;                                                               \
		if ((long)(call) == -1)                                                  \
			ktap_fail("line %d: %s failed: %s", __LINE__, #call, strerror(errno)); \
	} while (0)

/* The call returns -1 with this errno. */
#define ktap_expect_errno(number, call)                                                  \
	do {                                                                             \
		errno = 0;                                                               \
		if ((long)(call) != -1)                                                  \
			ktap_fail("line %d: %s succeeded, expected %s", __LINE__, #call, #number); \
		if (errno != (number))                                                   \
			ktap_fail("line %d: %s failed with %s, expected %s", __LINE__, #call, strerror(errno), #number); \
	} while (0)

/* Contents of everything that matches a pattern. */
static void ktap_add_files(FILE *out, const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *in = fopen(found.gl_pathv[i], "re");
		char line[1024];

		while (in && fgets(line, sizeof(line), in))
			fprintf(out, "%s:%s", found.gl_pathv[i], line);
		if (in)
			fclose(in);
	}
	globfree(&found);
}

static void ktap_add_names(FILE *out, const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		fprintf(out, "%s\n", found.gl_pathv[i]);
	globfree(&found);
}

static void ktap_add_swaps(FILE *out)
{
	FILE *in = fopen("/proc/swaps", "re");
	char line[1024], name[512], kind[64], size[32];

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "%511s %63s %31s", name, kind, size) == 3)
			fprintf(out, "swap %s %s %s\n", name, kind, size);
	if (in)
		fclose(in);
}

/* What a case must leave as it found it: the list of ktap.sh. Define ktap_state_extra to add to it. */
static void (*ktap_state_extra)(FILE *out) KTAP_UNUSED;

static char *ktap_snapshot(void)
{
	static const char *const contents[] = {
		"/proc/mounts", "/sys/devices/system/node/online", "/sys/devices/system/node/has_*",
		"/sys/devices/system/memory/memory*/state", "/sys/devices/system/cpu/online",
		"/sys/bus/cxl/devices/decoder*/dpa_size",
		"/sys/module/zswap/parameters/*", "/sys/kernel/mm/numa/demotion_enabled",
		"/sys/kernel/mm/transparent_hugepage/enabled", "/proc/sys/kernel/numa_balancing",
		"/proc/sys/vm/nr_hugepages", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/swappiness",
	};
	static const char *const names[] = { "/sys/bus/cxl/devices/region*", "/sys/bus/dax/devices/*",
					     "/sys/fs/cgroup/*/", "/sys/fs/cgroup/*/*/" };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ktap_add_names(out, names[i]);
	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++)
		ktap_add_files(out, contents[i]);
	ktap_add_swaps(out);
	if (ktap_state_extra)
		ktap_state_extra(out);
	fclose(out);
	return text;
}

/* The lines of a that b lacks, as diagnostics. */
static void ktap_show_missing(const char *mark, const char *a, const char *b)
{
	char *copy = strdup(a), *rest = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		size_t length = strlen(line);
		const char *found = b;
		bool there = false;

		while (!there && (found = strstr(found, line))) {
			there = (found == b || found[-1] == '\n') && (found[length] == '\n' || !found[length]);
			found += length;
		}
		if (!there)
			ktap_note("%s %s", mark, line);
	}
	free(copy);
}

static void ktap_check_state(char **before)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	char *now = NULL;

	for (int attempt = 0; attempt < 5; attempt++) {
		if (attempt)
			nanosleep(&pause, NULL);
		free(now);
		now = ktap_snapshot();
		if (*before && now && !strcmp(*before, now)) {
			free(now);
			return;
		}
	}
	if (*before && now) {
		ktap_note("left behind (< before, > after):");
		ktap_show_missing("<", *before, now);
		ktap_show_missing(">", now, *before);
	}
	ktap_add_failure("the case left state behind");
	free(*before);
	*before = now;
}

/* What the case printed, as diagnostics; the last 64 KiB of it. */
static void ktap_show_output(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END), from = size > 65536 ? size - 65536 : 0;
	char *text = size > 0 ? malloc((size_t)(size - from) + 1) : NULL;
	ssize_t got = text ? pread(fd, text, (size_t)(size - from), from) : 0;

	if (got > 0) {
		for (ssize_t i = 0; i < got; i++)
			if (!text[i])
				text[i] = '?';
		text[got] = 0;
		ktap_comment(text);
	}
	free(text);
	if (ftruncate(fd, 0))
		ktap_comment("cannot empty the output file");
}

static int ktap_report_case(size_t number)
{
	const char *name = ktap_current;
	char line[1600];
	int result = KTAP_PASS;

	if (ktap_report->failed && ktap_report->xfail) {
		ktap_note("failed as expected: %s", ktap_report->why_failed);
		snprintf(line, sizeof(line), "ok %zu %s # XFAIL %s\n", number, name, ktap_report->why_xfail);
	} else if (ktap_report->failed) {
		ktap_note("%s", ktap_report->why_failed);
		snprintf(line, sizeof(line), "not ok %zu %s\n", number, name);
		result = KTAP_FAIL;
	} else if (ktap_report->skipped) {
		snprintf(line, sizeof(line), "ok %zu %s # SKIP %s\n", number, name, ktap_report->why_skipped);
		result = KTAP_SKIP;
	} else if (ktap_report->xfail) {
		snprintf(line, sizeof(line), "not ok %zu %s # XPASS expected to fail: %s\n", number, name, ktap_report->why_xfail);
		result = KTAP_FAIL;
	} else {
		snprintf(line, sizeof(line), "ok %zu %s\n", number, name);
	}
	ktap_write_all(ktap_out, line, strlen(line));
	return result;
}

/* Run one function in a process of its own; what became of it is in ktap_report. */
static void ktap_run(void (*function)(void))
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ktap_owner = getpid();
		ktap_depth = 0; /* those of setup are the program's */
		function();
		ktap_leave();
	}
	if (child < 0) {
		ktap_add_failure("cannot fork: %s", strerror(errno));
		return;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		ktap_note("spoilt: clean-ups of a case that died");
		ktap_add_failure("the case died of signal %d (%s), its clean-ups did not run", WTERMSIG(status),
				 strsignal(WTERMSIG(status)));
	} else if (!ktap_report->returned) {
		ktap_add_failure("the case called exit");
	}
}

static int ktap_run_case(const struct ktap_case *which, size_t number, int output, char **before)
{
	int result;

	memset(ktap_report, 0, sizeof(*ktap_report));
	ktap_current = which->name;
	ktap_mark_with_taint("begin");
	ktap_run(which->run);
	ktap_show_output(output);
	ktap_check_state(before);
	ktap_mark_with_taint("end");
	result = ktap_report_case(number);
	return result;
}

/* Setup runs in the program itself, so that its variables stay; what it fails or skips, every case does. */
static bool ktap_run_setup(const bool *wanted, int *result)
{
	volatile size_t number = 0;

	if (!ktap_setup_function)
		return true;
	if (!setjmp(ktap_setup_end)) {
		ktap_setup_function();
		return true;
	}
	for (size_t i = 0; i < ktap_case_count; i++) {
		if (!wanted[i])
			continue;
		ktap_current = ktap_cases[i].name;
		*result = ktap_report_case(++number);
	}
	return false;
}

/* The clean-ups of setup, after the last case. */
static int ktap_finish(int result, int output)
{
	memset(ktap_report, 0, sizeof(*ktap_report));
	ktap_clean_up();
	fflush(NULL);
	ktap_show_output(output);
	if (!ktap_report->failed)
		return result;
	ktap_note("the program failed: %s", ktap_report->why_failed);
	return KTAP_FAIL;
}

static void ktap_name_program(const char *path)
{
	const char *given = getenv("KTAP_PROGRAM"), *name, *suite;
	char full[4096];

	if (given) {
		snprintf(ktap_program, sizeof(ktap_program), "%s", given);
		return;
	}
	if (!realpath(path, full) || !(name = strrchr(full, '/'))) {
		snprintf(ktap_program, sizeof(ktap_program), "local/program");
		return;
	}
	for (suite = name; suite > full && suite[-1] != '/'; suite--)
		;
	snprintf(ktap_program, sizeof(ktap_program), "%.500s", suite);
}

static int ktap_usage(const char *program)
{
	fprintf(stderr, "usage: %s [-l] [-t CASE]...\n", program);
	return 2;
}

/* Which cases to run: true on success; otherwise *status is the exit status. */
static bool ktap_select(int argc, char **argv, bool *wanted, int *status)
{
	bool all = true;

	for (int i = 1; i < argc; i++) {
		size_t at = 0;

		if (!strcmp(argv[i], "-l")) {
			for (; at < ktap_case_count; at++)
				printf("%s\n", ktap_cases[at].name);
			*status = 0;
			return false;
		}
		if (strcmp(argv[i], "-t") || ++i == argc) {
			*status = ktap_usage(argv[0]);
			return false;
		}
		while (at < ktap_case_count && strcmp(ktap_cases[at].name, argv[i]))
			at++;
		if (at == ktap_case_count) {
			fprintf(stderr, "%s: no case '%s'; -l lists them\n", argv[0], argv[i]);
			*status = 2;
			return false;
		}
		wanted[at] = true;
		all = false;
	}
	for (size_t at = 0; all && at < ktap_case_count; at++)
		wanted[at] = true;
	return true;
}

static KTAP_UNUSED int ktap_main(int argc, char **argv)
{
	bool wanted[KTAP_MAX_CASES] = { false };
	size_t planned = 0, number = 0, skipped = 0;
	int status = 0, output, failed = 0;
	char *before;

	if (ktap_case_count == 0)
		return fprintf(stderr, "%s: defines no case\n", argv[0]), 2;
	if (!ktap_select(argc, argv, wanted, &status))
		return status;
	for (size_t i = 0; i < ktap_case_count; i++)
		planned += wanted[i];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%zu\n", planned);
	fflush(stdout);
	ktap_name_program(argv[0]);
	ktap_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	output = memfd_create("ktap-output", MFD_CLOEXEC);
	ktap_report = mmap(NULL, sizeof(*ktap_report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ktap_out < 0 || output < 0 || ktap_report == MAP_FAILED || fcntl(output, F_SETFL, O_APPEND)) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		return KTAP_FAIL;
	}
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (!ktap_run_setup(wanted, &status))
		return ktap_finish(status, output);
	fflush(NULL);
	ktap_show_output(output);
	before = ktap_snapshot();
	for (size_t i = 0; i < ktap_case_count; i++) {
		if (!wanted[i])
			continue;
		status = ktap_run_case(&ktap_cases[i], ++number, output, &before);
		failed += status == KTAP_FAIL;
		skipped += status == KTAP_SKIP;
	}
	free(before);
	return ktap_finish(failed ? KTAP_FAIL : skipped == planned ? KTAP_SKIP : KTAP_PASS, output);
}

#endif
