/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks that run in the kernel and report in KTAP, for test modules:
 *
 *	echo "NAME NUMBER…" >/sys/kernel/debug/MODULE/run	runs a check, in the context of the writer
 *	cat /sys/kernel/debug/MODULE/log			what came of the last one
 *
 * The module has a table of its checks, and checks_start(module, table) and checks_end() in its init and exit.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

enum { CHECK_ARGUMENTS = 4, CHECK_LOG = 256 << 10 };

struct check {
	const char *name;
	void (*run)(const unsigned long long *arguments, int count);
	int arguments;
};

static const struct check *checks;
static struct dentry *checks_folder;
static DEFINE_MUTEX(checks_mutex);
static char *check_log;
static size_t check_length;
static int check_results;

static __printf(1, 0) void check_vprint(const char *format, va_list arguments)
{
	check_length += vscnprintf(check_log + check_length, CHECK_LOG - check_length, format, arguments);
}

static __printf(1, 2) void check_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	check_vprint(format, arguments);
	va_end(arguments);
}

/* A line of the plan: what was asked, and whether the answer was right. */
static __printf(2, 3) void check_result(bool right, const char *format, ...)
{
	va_list arguments;

	check_print("%s %d ", right ? "ok" : "not ok", ++check_results);
	va_start(arguments, format);
	check_vprint(format, arguments);
	va_end(arguments);
	check_print("\n");
}

static ssize_t checks_run(struct file *file, const char __user *user, size_t length, loff_t *at)
{
	unsigned long long arguments[CHECK_ARGUMENTS] = { 0 };
	char text[128], *rest = text, *word;
	const struct check *check = checks;
	int count = 0;

	if (length >= sizeof(text) || copy_from_user(text, user, length))
		return -EINVAL;
	text[length] = '\0';
	word = strsep(&rest, " \n");
	while (check->name && strcmp(check->name, word))
		check++;
	if (!check->name)
		return -ENOENT;
	while ((word = strsep(&rest, " \n"))) {
		if (!*word)
			continue;
		if (count == CHECK_ARGUMENTS || kstrtoull(word, 0, &arguments[count++]))
			return -EINVAL;
	}
	if (count != check->arguments)
		return -EINVAL;
	mutex_lock(&checks_mutex);
	check_length = 0;
	check_results = 0;
	check->run(arguments, count);
	mutex_unlock(&checks_mutex);
	return length;
}

static const struct file_operations checks_run_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = checks_run,
};

static ssize_t checks_read(struct file *file, char __user *user, size_t length, loff_t *at)
{
	char head[64];
	const size_t head_length = scnprintf(head, sizeof(head), "KTAP version 1\n1..%d\n", check_results);
	ssize_t done;

	if (*at < (loff_t)head_length)
		return simple_read_from_buffer(user, length, at, head, head_length);
	*at -= head_length;
	done = simple_read_from_buffer(user, length, at, check_log, check_length);
	*at += head_length;
	return done;
}

static const struct file_operations checks_log_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = checks_read,
};

static int checks_start(const char *name, const struct check *table)
{
	checks = table;
	check_log = vzalloc(CHECK_LOG);
	if (!check_log)
		return -ENOMEM;
	checks_folder = debugfs_create_dir(name, NULL);
	if (IS_ERR(checks_folder)) {
		vfree(check_log);
		return PTR_ERR(checks_folder);
	}
	debugfs_create_file("run", 0200, checks_folder, NULL, &checks_run_operations);
	debugfs_create_file("log", 0400, checks_folder, NULL, &checks_log_operations);
	return 0;
}

static void checks_end(void)
{
	debugfs_remove(checks_folder);
	vfree(check_log);
}

#endif /* CHECKS_H */
