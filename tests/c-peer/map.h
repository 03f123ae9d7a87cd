/* Maps and counters, written from docs/map-layout.md alone. */

#ifndef INTERPROC_MAP_H
#define INTERPROC_MAP_H

#include "segment.h"

struct value {
    uint32_t kind; /* 1 bytes, 2 text, 3 a number; 0: there is none */
    uint64_t length;
    uint8_t *bytes; /* malloc */
};

/* What the map of that name or ticket has for the key. Takes no lock. */
struct value map_get(const char *place, const char *key);
/* Stores bytes of that kind; a map without room ends the program, which evicts nothing. */
void map_set(const char *place, const char *key, struct value value);
/* Whether there was such an entry. */
bool map_delete(const char *place, const char *key);
/* Sets and deletes entries, whose texts are as long as they say, until it is killed. */
void map_churn(const char *place);
/* Adds to the counter of that name, which must be there, and gives the sum. */
int64_t counter_add(const char *name, int64_t by);

#endif
