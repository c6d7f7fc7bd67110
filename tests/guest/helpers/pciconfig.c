// SPDX-License-Identifier: GPL-2.0-only
/*
 * pciconfig: a register of a PCI device's configuration space, by itself or in a
 * capability (PCI Express Base Specification, chapter 7), through sysfs.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>

#include "arguments.h"

static const char usage_text[] =
"usage: pciconfig DEVICE CAPABILITY OFFSET[.w] [VALUE]\n"
"prints the register (32 bits, 16 with .w) in hex, or writes VALUE to it\n"
"  DEVICE is a folder of sysfs, CAPABILITY header (none), express (10h) or aer (extended 1)\n"
"Exit status: 0 done, 1 the device has no such capability, 2 usage or it cannot be accessed.\n";

enum { CAPABILITY_LIST = 0x34, EXPRESS = 0x10, EXTENDED = 0x100, AER = 1, SPACE = 0x1000 };

static int file;

static uint32_t get(unsigned int at, size_t size)
{
	uint32_t value = 0; /* x86 only: little-endian, as the space is */

	if (pread(file, &value, size, at) != (ssize_t)size)
		die_errno("config");
	return value;
}

/* Where a capability is, 0 if the device has none. */
static unsigned int find(unsigned int wanted)
{
	unsigned int at = get(CAPABILITY_LIST, 1) & ~3u;

	for (int tries = 0; at && tries < 48; tries++) {
		if (get(at, 1) == wanted)
			return at;
		at = get(at + 1, 1) & ~3u;
	}
	return 0;
}

static unsigned int find_extended(unsigned int wanted)
{
	unsigned int at = EXTENDED;

	for (int tries = 0; at >= EXTENDED && tries < (SPACE - EXTENDED) / 8; tries++) {
		const uint32_t header = get(at, 4);

		if (!header || header == ~0u)
			return 0;
		if ((header & 0xffff) == wanted)
			return at;
		at = header >> 20;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char path[4096], offset[32];
	unsigned int at = 0;
	size_t size = 4, length;

	if (argc < 4 || argc > 5 || argv[1][0] == '-') {
		const int shown = argc == 2 && !strcmp(argv[1], "-h");

		fputs(usage_text, shown ? stdout : stderr);
		return shown ? HELPER_DONE : HELPER_USAGE;
	}
	length = strlen(argv[3]);
	if (length >= sizeof(offset))
		die("not an offset: '%s'", argv[3]);
	strcpy(offset, argv[3]);
	if (length > 2 && !strcmp(offset + length - 2, ".w")) {
		size = 2;
		offset[length - 2] = '\0';
	}
	snprintf(path, sizeof(path), "%s/config", argv[1]);
	file = open(path, (argc == 5 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (file < 0)
		die_errno(path);
	if (!strcmp(argv[2], "express"))
		at = find(EXPRESS);
	else if (!strcmp(argv[2], "aer"))
		at = find_extended(AER);
	else if (strcmp(argv[2], "header"))
		die("not a capability: '%s'", argv[2]);
	if (!at && *argv[2] != 'h') {
		fprintf(stderr, "pciconfig: %s has no capability %s\n", argv[1], argv[2]);
		return HELPER_FAILED;
	}
	at += (unsigned int)parse_number(offset);
	if (argc == 5) {
		const uint32_t value = (uint32_t)parse_number(argv[4]);

		if (pwrite(file, &value, size, at) != (ssize_t)size)
			die_errno(path);
	} else {
		printf("%#x\n", get(at, size));
	}
	return HELPER_DONE;
}
