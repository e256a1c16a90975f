/* What runs inside Windows systems: it carries out a job that a drive brings, and is what starts the system's services.
 *
 *   job.c      what a job says, line by line
 *   prepare.c  carries one out, over restarts of the system
 *   unpack.c   the source
 *   process.c  a command, and what it says
 *   service.c  a service: keeps a command running
 *   port.c     the way to who started the system: its second serial port
 *
 * No library but Windows' own; every text is UTF-16 inside and UTF-8 outside. Errors of Windows are told by number and words.
 */
#ifndef TILL_H
#define TILL_H

#ifndef UNICODE
#define UNICODE
#endif
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601
#include <windows.h>
#include <io.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* What a user-data script ends with, by cloudbase-init: the system restarts, and runs it again. */
#define EXIT_RESTART 1003
/* What installers end with when the system has to be restarted (ERROR_SUCCESS_REBOOT_REQUIRED). */
#define EXIT_INSTALLED 3010
/* The longest line of a job, in bytes. */
#define MAX_LINE (256 << 10)
/* How many fields a line may have. */
#define MAX_FIELDS 16

/* A job's line: its fields, without what they were escaped with. */
struct line {
    int count;
    wchar_t *field[MAX_FIELDS];
};

/* A command and all that it is started with. */
struct command {
    wchar_t *line;
    wchar_t *directory;
    wchar_t *environment; /* as CreateProcess wants it */
};

/* What becomes of the bytes that a command says. */
typedef void (*hearer)(void *context, const char *bytes, DWORD count);

/* job.c */
FILE *job_open(const wchar_t *path);
bool job_next(FILE *job, struct line *line);
void line_free(struct line *line);
wchar_t *wide(const char *utf8);
char *narrow(const wchar_t *text);
void *need(void *memory);
/* An environment that grows: what is set last holds, whatever its letters' case. */
struct variables {
    int count;
    wchar_t **name;
    wchar_t **value;
};
void variables_set(struct variables *variables, const wchar_t *name, const wchar_t *value);
void variables_clear(struct variables *variables);
/* This process's environment with them, to be freed. */
wchar_t *variables_block(const struct variables *variables);

/* port.c */
/* Writes all of it, if there is a port and nobody else holds it. Answers whether it did. */
bool port_write(const char *bytes, DWORD count);
/* Holds the port, so that each write need not open it. */
void port_hold(void);
void port_release(void);
/* A word to who started the system. */
void port_word(const wchar_t *nonce, const char *format, ...);

/* process.c */
/* Runs it to its end, and whatever it started with it. Answers false with GetLastError() when it cannot be started. */
bool process_run(const struct command *command, HANDLE stop, hearer hear, void *context, DWORD *code);
/* What Windows says of an error, on one line. */
void error_words(DWORD error, char *into, size_t size);

/* unpack.c */
/* Unpacks a tar archive. Answers false with a sentence in `why`. */
bool unpack(const wchar_t *archive, const wchar_t *directory, char *why, size_t size);
bool make_directories(const wchar_t *path);

/* prepare.c, service.c */
int prepare(const wchar_t *job);
int service(const wchar_t *name);
/* Where this program and what it knows of services are kept. */
void home(wchar_t *into, size_t size, const wchar_t *name);

#endif
