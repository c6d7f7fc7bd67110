// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host handed over: files in QEMU's fw_cfg device (kernel option
 * FW_CFG_SYSFS, Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg) and words
 * on the command line; and the few kernel settings that the harness relies on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define FW_CFG "/sys/firmware/qemu_fw_cfg/by_name/opt/org.n-private/"

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return written;
}

/* Copies a fw_cfg file; false when the host gave none. A half copy is a failure. */
static bool take(const char *name, const char *path, mode_t mode)
{
	char source[160], chunk[4096];
	ssize_t length;
	int from, to;

	snprintf(source, sizeof(source), FW_CFG "%s/raw", name);
	from = open(source, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return false;
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (to < 0)
		fail("cannot write %s: %s", path, strerror(errno));
	while ((length = read(from, chunk, sizeof(chunk))) > 0)
		if (write(to, chunk, length) != length)
			fail("cannot write %s: %s", path, strerror(errno));
	if (length < 0)
		fail("cannot read %s from fw_cfg: %s", name, strerror(errno));
	close(from);
	close(to);
	return true;
}

bool take_keys(void)
{
	mkdir("/root/.ssh", 0700);
	if (!take("authorized_keys", KEYS, 0600))
		return false;
	if (!take("host_key", HOST_KEY, 0600))
		fail("the host gave authorized_keys but no host_key");
	return true;
}

void take_guest_facts(void)
{
	take("topology", GUEST_FACTS, 0644);
}

bool command_line_has(const char *word)
{
	static char line[4096];
	size_t wanted = strlen(word);

	if (!*line) {
		int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
		ssize_t length = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;

		line[length > 0 ? length : 0] = '\0';
		if (fd >= 0)
			close(fd);
	}
	for (const char *at = line; (at = strstr(at, word)); at += wanted) {
		bool begins = at == line || at[-1] == ' ';
		char after = at[wanted];

		/* "loglevel=" stands for any value of it */
		if (begins && (word[wanted - 1] == '=' || after == '\0' || after == ' ' || after == '\n'))
			return true;
	}
	return false;
}

void configure_kernel(void)
{
	if (sethostname("guest", strlen("guest")) != 0)
		report("no host name: %s", strerror(errno));
	/* the begin and end marks of cases are not to be rate-limited away */
	write_file("/proc/sys/kernel/printk_devkmsg", "on");
	/* warnings and worse on the console, unless the command line says otherwise */
	if (!command_line_has("loglevel=") && !command_line_has("debug") && !command_line_has("ignore_loglevel") &&
	    !command_line_has("quiet"))
		write_file("/proc/sys/kernel/printk", "5");
	write_file("/proc/sys/kernel/core_pattern", "/tmp/core.%e.%p");
}
