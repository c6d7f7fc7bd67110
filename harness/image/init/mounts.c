// SPDX-License-Identifier: GPL-2.0-only
/*
 * File systems: the read-only root below an overlay in memory, the kernel's own
 * file systems, links to the disks by serial number, the payload.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

void mount_kernel_file_systems(void)
{
	struct stat status;

	/* the kernel has mounted devtmpfs where DEVTMPFS_MOUNT is set */
	if (stat("/dev/null", &status) != 0 && mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") != 0)
		fail("cannot mount /dev: %s (DEVTMPFS?)", strerror(errno));
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		fail("cannot mount /proc: %s (PROC_FS?)", strerror(errno));
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		fail("cannot mount /sys: %s (SYSFS?)", strerror(errno));
}

static void move(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_MOVE, NULL) != 0)
		fail("cannot move %s: %s", from, strerror(errno));
}

/* An overlay over / becomes the root; what is written lives in a tmpfs. */
void make_root_writable(void)
{
	if (mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") != 0)
		fail("cannot mount a tmpfs: %s (TMPFS?)", strerror(errno));
	if (mkdir("/mnt/upper", 0755) != 0 || mkdir("/mnt/work", 0755) != 0 || mkdir("/mnt/root", 0755) != 0)
		fail("cannot make folders in a tmpfs: %s", strerror(errno));
	if (mount("overlay", "/mnt/root", "overlay", 0, "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work") != 0)
		fail("cannot mount the overlay: %s (OVERLAY_FS?)", strerror(errno));
	move("/dev", "/mnt/root/dev");
	move("/proc", "/mnt/root/proc");
	move("/sys", "/mnt/root/sys");
	/* pivot_root(2): with "." for both, the old root ends up on top of the new one, from where it is detached */
	if (chdir("/mnt/root") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
	    chdir("/") != 0)
		fail("cannot change to the overlay: %s", strerror(errno));
}

/* A file system that a kernel may lack: tests that need it say so themselves. */
static void mount_if_there(const char *type, const char *path, unsigned long flags, const char *options)
{
	mkdir(path, 0755);
	if (mount(type, path, type, flags, options) != 0 && errno != ENODEV && errno != ENOENT)
		report("cannot mount %s: %s", path, strerror(errno));
}

void mount_the_rest(void)
{
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_if_there("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5");
	mount_if_there("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_if_there("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	mount_if_there("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_if_there("debugfs", "/sys/kernel/debug", plain, "mode=0700");
	mount_if_there("tracefs", "/sys/kernel/tracing", plain, "mode=0700");
	mount_if_there("cgroup2", "/sys/fs/cgroup", plain, NULL);
	mkdir("/run/harness", 0755);
	if (symlink("/proc/self/fd", "/dev/fd") == 0 && symlink("fd/0", "/dev/stdin") == 0 &&
	    symlink("fd/1", "/dev/stdout") == 0 && symlink("fd/2", "/dev/stderr") == 0)
		return;
}

/* /dev/harness/<serial> → /dev/<disk>, for each disk that has a serial number. */
void link_disks(void)
{
	DIR *folder = opendir("/sys/block");
	struct dirent *disk;

	if (!folder)
		return;
	mkdir("/dev/harness", 0755);
	while ((disk = readdir(folder))) {
		char path[PATH_MAX], serial[64], target[300];
		ssize_t length;
		int fd;

		snprintf(path, sizeof(path), "/sys/block/%s/serial", disk->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		length = read(fd, serial, sizeof(serial) - 1);
		close(fd);
		if (length <= 0)
			continue;
		serial[length] = '\0';
		serial[strcspn(serial, "\n")] = '\0';
		if (!*serial || strchr(serial, '/') || *serial == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/harness/%s", serial);
		snprintf(target, sizeof(target), "../%s", disk->d_name);
		if (symlink(target, path) != 0)
			report("cannot link %s: %s", path, strerror(errno));
	}
	closedir(folder);
}

void mount_payload(void)
{
	struct stat status;

	if (stat("/dev/harness/payload", &status) != 0)
		return; /* booted without tests */
	if (mount("/dev/harness/payload", "/opt/harness", "erofs", MS_RDONLY | MS_NODEV, NULL) != 0)
		fail("cannot mount the payload: %s", strerror(errno));
}
