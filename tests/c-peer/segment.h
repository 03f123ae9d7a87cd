/* Segments, written from docs/segment-layout.md alone: opening one that is there, taking part, leaving. */

#ifndef INTERPROC_SEGMENT_H
#define INTERPROC_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind { KIND_BUFFER = 1, KIND_QUEUE = 2, KIND_MAP = 4, KIND_COUNTERS = 5 };

struct participant {
    uint32_t slot;
    uint32_t generation;
};

struct segment {
    int fd;
    char path[192];
    uint8_t *memory; /* all of the file */
    uint64_t total_len;
    uint8_t *data;
    uint64_t data_len;
    uint64_t id_high; /* upper half of the id */
    bool persistent;
    struct participant own;
};

/* Repairs what a dead participant left, under its lock. */
typedef void recover_fn(void *context, struct participant dead);

/* Opens the segment of that name or ticket, or of a file: "file:PATH". Ends the program with a message where that cannot be. Whoever joins must be ready to
 * repair, so `recover` is needed before `join`. */
void segment_open(struct segment *segment, const char *place, enum kind kind);
void segment_join(struct segment *segment, recover_fn *recover, void *context);
/* Repairs what the dead left: their number. */
int segment_recover_dead(struct segment *segment, recover_fn *recover, void *context);
bool segment_is_alive(const struct segment *segment, struct participant other);
/* True: we were the last, and it is gone. */
bool segment_leave(struct segment *segment);

/* The words at an offset of the data, which was checked to lie inside. */
_Atomic uint64_t *word64(const struct segment *segment, uint64_t offset);
_Atomic uint32_t *word32(const struct segment *segment, uint64_t offset);

void fail(const char *what);
uint64_t fnv64(const void *bytes, size_t len);

#endif
