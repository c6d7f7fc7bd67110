/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HARNESS_INIT_H
#define HARNESS_INIT_H

#include <stdbool.h>
#include <stddef.h>

#define KEYS "/root/.ssh/authorized_keys"
#define HOST_KEY "/run/harness/host_key"
#define GUEST_FACTS "/run/harness/topology"
#define SEARCH_PATH \
	"/opt/harness/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* report.c: what the host reads on the console */
void report_open(void);
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void power_off(void) __attribute__((noreturn));

/* mounts.c */
void mount_kernel_file_systems(void);
void make_root_writable(void);
void mount_the_rest(void);
void link_disks(void);
void mount_payload(void);

/* host.c: what the host handed over */
bool take_keys(void);
void take_guest_facts(void);
bool command_line_has(const char *word);
bool write_file(const char *path, const char *text);
void configure_kernel(void);

/* network.c */
bool configure_network(void);
int listen_for_ssh(void);

/* shell.c */
int session_shell(char **argv);
void become_console_shell(void) __attribute__((noreturn));
void become_ssh_server(int connection) __attribute__((noreturn));

#endif
