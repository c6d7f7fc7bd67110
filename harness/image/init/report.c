// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host reads on the console. Through the kernel log, since the kernel
 * writes a whole line at a time there: a line of ours never ends up in the
 * middle of one of the kernel's. At level "alert", which is shown whatever the
 * log level is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "init.h"

static int log_fd = -1;
static bool is_kernel_log;

void report_open(void)
{
	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	is_kernel_log = log_fd >= 0;
	if (log_fd < 0)
		log_fd = open("/dev/console", O_WRONLY | O_CLOEXEC | O_NOCTTY);
}

static void say(const char *before, const char *format, va_list arguments)
{
	char text[400], line[480];
	int length;

	vsnprintf(text, sizeof(text), format, arguments);
	length = snprintf(line, sizeof(line), "%sharness-init: %s%s\n", is_kernel_log ? "<1>" : "", before, text);
	if (write(log_fd >= 0 ? log_fd : STDERR_FILENO, line, length) < 0)
		return; /* there is nobody left to tell */
}

void report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("", format, arguments);
	va_end(arguments);
}

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("failed: ", format, arguments);
	va_end(arguments);
	power_off();
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT); /* a kernel that cannot power off: QEMU runs with -no-reboot */
	for (;;)
		pause();
}
