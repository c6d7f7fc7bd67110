// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's init: brings the guest to the point where tests can run, says so
 * on the console, then waits for SSH connections and reaps.
 *
 *   harness-init: ready              SSH is listening
 *   harness-init: failed: <why>      and the guest powers off
 *
 * Process 1 holds the listening socket itself and starts the SSH server for
 * each connection. So "ready" is true when it is said, and the way in survives
 * an out-of-memory kill or the death of the server: the next connection gets a
 * new one. SIGTERM, SIGUSR1 and SIGUSR2 (poweroff and halt of busybox) power
 * the guest off.
 *
 * Called as harness-shell it is root's login shell: see shell.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

static volatile sig_atomic_t told_to_stop;
static pid_t console_shell;

static void on_signal(int number)
{
	if (number != SIGCHLD)
		told_to_stop = 1;
}

/* Signals arrive only inside ppoll(), so none is lost between check and wait. */
static void catch_signals(sigset_t *while_waiting)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&blocked, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
}

/* A child with the signal state that programs expect; 0 in the child. */
static pid_t start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
	}
	return pid;
}

static void reap(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == console_shell)
			told_to_stop = 1; /* whoever leaves the console's shell is done */
}

static void serve(int listener, const sigset_t *while_waiting)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };

	while (!told_to_stop) {
		int ready = ppoll(&poll_fd, 1, NULL, while_waiting);

		if (ready > 0) {
			int connection = accept(listener, NULL, NULL);

			if (connection >= 0) {
				if (start() == 0)
					become_ssh_server(connection);
				close(connection);
			}
		}
		reap();
	}
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	bool has_keys, has_network;
	sigset_t while_waiting;
	int listener = -1;

	name = name ? name + 1 : argv[0];
	if (strcmp(name + (*name == '-'), "harness-shell") == 0)
		return session_shell(argv);
	if (getpid() != 1) {
		static const char text[] = "harness-init is process 1 of a guest\n";

		return write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1;
	}
	(void)argc;
	umask(022);
	setenv("PATH", SEARCH_PATH, 1);
	setenv("HOME", "/root", 1);

	mount_kernel_file_systems();
	report_open();
	configure_kernel();
	make_root_writable();
	mount_the_rest();
	link_disks();
	mount_payload();
	take_guest_facts();
	has_keys = take_keys();
	has_network = configure_network();
	if (has_keys && !has_network)
		fail("no network device (VIRTIO_NET in the kernel, a virtio-net device in QEMU?)");
	if (has_keys)
		listener = listen_for_ssh();

	catch_signals(&while_waiting);
	if (!has_keys || command_line_has("harness.shell=console")) {
		console_shell = start();
		if (console_shell == 0)
			become_console_shell();
	}
	report("ready");
	serve(listener, &while_waiting);
	power_off();
}
