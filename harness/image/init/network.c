// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network of QEMU's user mode (slirp): a fixed address, no DHCP.
 * 10.0.2.15/24, the host as 10.0.2.2 (QEMU documentation, "Network emulation").
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define ADDRESS "10.0.2.15"
#define NETMASK "255.255.255.0"
#define GATEWAY "10.0.2.2"
#define SSH_PORT 22
#define BACKLOG 64

static void set_address(struct sockaddr *where, const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (text)
		inet_pton(AF_INET, text, &address.sin_addr);
	memcpy(where, &address, sizeof(address));
}

static bool bring_up(int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool give_address(int fd, const char *name)
{
	struct ifreq request = { 0 };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	set_address(&request.ifr_addr, ADDRESS);
	if (ioctl(fd, SIOCSIFADDR, &request) != 0)
		return false;
	set_address(&request.ifr_netmask, NETMASK);
	if (ioctl(fd, SIOCSIFNETMASK, &request) != 0 || !bring_up(fd, name))
		return false;
	set_address(&route.rt_dst, NULL);
	set_address(&route.rt_genmask, NULL);
	set_address(&route.rt_gateway, GATEWAY);
	if (ioctl(fd, SIOCADDRT, &route) != 0)
		report("no default route: %s", strerror(errno));
	return true;
}

/* The first interface with a device below it; dummies and tunnels have none. */
static bool find_card(char *name, size_t size)
{
	DIR *folder = opendir("/sys/class/net");
	struct dirent *entry;
	bool found = false;

	while (folder && !found && (entry = readdir(folder))) {
		char path[300];
		struct stat status;

		snprintf(path, sizeof(path), "/sys/class/net/%s/device", entry->d_name);
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < size && stat(path, &status) == 0) {
			snprintf(name, size, "%s", entry->d_name);
			found = true;
		}
	}
	if (folder)
		closedir(folder);
	return found;
}

/* False when there is no network at all; a network that cannot be set up is a failure. */
bool configure_network(void)
{
	char card[IFNAMSIZ];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	if (fd < 0)
		return false;
	bring_up(fd, "lo");
	found = find_card(card, sizeof(card));
	if (found && !give_address(fd, card))
		fail("cannot configure the network device %s: %s", card, strerror(errno));
	close(fd);
	return found;
}

int listen_for_ssh(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(SSH_PORT) };

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
		fail("cannot listen for SSH: %s", strerror(errno));
	return fd;
}
