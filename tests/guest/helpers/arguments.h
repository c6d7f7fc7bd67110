/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every helper needs of its command line: sizes, numbers, the names of
 * errors, and how to stop with a message. Exit status of all helpers:
 * 0 done, 1 the system call or the check failed, 2 wrong usage or set-up.
 */
#ifndef HELPERS_ARGUMENTS_H
#define HELPERS_ARGUMENTS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum helper_status { HELPER_DONE = 0, HELPER_FAILED = 1, HELPER_USAGE = 2 };

/* Print "PROGRAM: MESSAGE" and exit with 2: nothing was tested. */
__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(HELPER_USAGE);
}

__attribute__((noreturn))
static inline void die_errno(const char *what)
{
	die("%s: %s", what, strerror(errno));
}

/* The symbol of an error number ("EINVAL"), as tests compare it. */
static inline const char *errno_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "EUNKNOWN";
}

static inline unsigned long parse_number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		die("not a number: '%s'", text);
	return value;
}

/* Bytes from "4096", "64K", "64M" or "1G", rounded up to whole pages. */
static inline size_t parse_size(const char *text)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *end;
	size_t value;
	int shift = 0;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *text == '-')
		die("not a size: '%s'", text);
	if (*end == 'K' || *end == 'k')
		shift = 10;
	else if (*end == 'M' || *end == 'm')
		shift = 20;
	else if (*end == 'G' || *end == 'g')
		shift = 30;
	if (end[shift != 0] != '\0' || value > (~(size_t)0 >> 1) >> shift)
		die("not a size: '%s'", text);
	value <<= shift;
	if (value == 0)
		die("a size of zero: '%s'", text);
	return (value + page - 1) / page * page;
}

/* Move this process into the cgroup v2 folder PATH. */
static inline void join_cgroup(const char *path)
{
	char file[4096];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die_errno(file);
	close(fd);
}

#endif /* HELPERS_ARGUMENTS_H */
