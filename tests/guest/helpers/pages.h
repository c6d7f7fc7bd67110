/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages whose whole content follows from who owns them, which page of the
 * owner's they are and how often they were written, so that a page that was
 * lost, swapped with another, torn or out of date is told apart.
 */
#ifndef HELPERS_PAGES_H
#define HELPERS_PAGES_H

#include <stdint.h>
#include <string.h>

enum page_kind {
	KIND_RANDOM,		/* no compressor gains anything */
	KIND_COMPRESSIBLE,	/* random in the first part, repeating after it */
	KIND_SAME,		/* one non-zero word, repeated */
	KIND_ZERO,
	KIND_MIXED,		/* one of those above, by page */
};

struct page_identity {
	uint64_t seed;
	uint64_t owner;
	uint64_t page;
	uint64_t generation;
	enum page_kind kind;
	unsigned int random_percent;	/* of a compressible page */
};

enum { PAGE_WORDS = 512, PAGE_HEADER_WORDS = 4 };

#define PAGE_MAGIC UINT64_C(0x4e50414745000000)	/* "NPAGE" */

/* splitmix64 by Sebastiano Vigna, public domain: one step. */
static inline uint64_t page_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t page_hash(const struct page_identity *id)
{
	uint64_t state = id->seed, hash;

	hash = page_random(&state) ^ id->owner;
	hash = page_random(&hash) ^ id->page;
	hash = page_random(&hash) ^ id->generation;
	return page_random(&hash);
}

static inline enum page_kind page_kind_of(const struct page_identity *id)
{
	uint64_t state = id->seed ^ id->page;

	return id->kind == KIND_MIXED ? (enum page_kind)(page_random(&state) % KIND_MIXED)
				      : id->kind;
}

/* Write the page's content to words[PAGE_WORDS]. */
static inline void page_make(uint64_t *words, const struct page_identity *id)
{
	const enum page_kind kind = page_kind_of(id);
	uint64_t state = page_hash(id);
	size_t random = PAGE_WORDS;

	if (kind == KIND_ZERO) {
		memset(words, 0, PAGE_WORDS * sizeof(*words));
		return;
	}
	if (kind == KIND_SAME) {
		const uint64_t word = state | 1;

		for (size_t i = 0; i < PAGE_WORDS; i++)
			words[i] = word;
		return;
	}
	words[0] = PAGE_MAGIC | kind;
	words[1] = id->owner;
	words[2] = id->page;
	words[3] = id->generation;
	if (kind == KIND_COMPRESSIBLE)
		random = PAGE_HEADER_WORDS + 4 +
			 (PAGE_WORDS - PAGE_HEADER_WORDS - 4) * id->random_percent / 100;
	for (size_t i = PAGE_HEADER_WORDS; i < random; i++)
		words[i] = page_random(&state);
	for (size_t i = random; i < PAGE_WORDS; i++)
		words[i] = words[PAGE_HEADER_WORDS + i % 4];
}

#endif /* HELPERS_PAGES_H */
