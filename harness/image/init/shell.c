// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways in: the SSH server of one connection, the shell on the console, and the
 * login shell of root, which gives each session the same environment (the SSH
 * server would set a PATH of its own) and then becomes the real shell.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "init.h"

#define SERVER_LOG "/run/harness/sshd.log"

int session_shell(char **argv)
{
	/* bash is for people: a command needs no dynamic linking to start its shell */
	const char *shell = !argv[1] && access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
	static char login_name[] = "-sh", name[] = "sh";

	setenv("PATH", SEARCH_PATH, 1);
	write_file("/proc/self/oom_score_adj", "0");
	argv[0] = argv[0][0] == '-' ? login_name : name;
	execv(shell, argv);
	dprintf(STDERR_FILENO, "harness-shell: %s: %s\n", shell, strerror(errno));
	return 127;
}

void become_ssh_server(int connection)
{
	int log = open(SERVER_LOG, O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(connection, STDIN_FILENO);
	dup2(connection, STDOUT_FILENO);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	close(connection);
	/* the way in is killed last; a session's commands go back to 0 in session_shell() */
	write_file("/proc/self/oom_score_adj", "-900");
	/* -i: this one connection; -E: log to standard error; -s: no passwords; -r: the host's key only */
	execl("/usr/sbin/dropbear", "dropbear", "-i", "-E", "-s", "-r", HOST_KEY, NULL);
	report("cannot start the SSH server: %s", strerror(errno));
	_exit(127);
}

/* The last console= of the command line is the one that /dev/console is; it is the only one we can own. */
static void console_device(char *path, size_t size)
{
	char names[128] = "", *last;
	int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, names, sizeof(names) - 1) : 0;

	names[length > 0 ? length : 0] = '\0';
	names[strcspn(names, "\n")] = '\0';
	last = strrchr(names, ' ');
	snprintf(path, size, "/dev/%s", last ? last + 1 : *names ? names : "ttyS0");
	if (fd >= 0)
		close(fd);
}

void become_console_shell(void)
{
	char path[160];
	int fd;

	console_device(path, sizeof(path));
	fd = open(path, O_RDWR);
	if (fd < 0) {
		report("no shell on %s: %s", path, strerror(errno));
		_exit(1);
	}
	ioctl(fd, TIOCSCTTY, 1);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	setenv("TERM", "vt102", 0);
	if (chdir("/root") != 0)
		report("/root: %s", strerror(errno));
	execl("/sbin/harness-init", "-harness-shell", NULL);
	report("no shell: %s", strerror(errno));
	_exit(127);
}
