/* What a job says: lines of fields between tabs, in UTF-8. `%XX` is the byte of that number: `%`, tab and line ends are written so. */
#include "till.h"

void *need(void *memory) {
    if (!memory) {
        fputs("till: no memory\n", stderr);
        ExitProcess(ERROR_NOT_ENOUGH_MEMORY);
    }
    return memory;
}

wchar_t *wide(const char *utf8) {
    int size = MultiByteToWideChar(CP_UTF8, 0, utf8, -1, NULL, 0);
    wchar_t *text = need(calloc((size_t)size + 1, sizeof *text));
    MultiByteToWideChar(CP_UTF8, 0, utf8, -1, text, size);
    return text;
}

char *narrow(const wchar_t *text) {
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *utf8 = need(calloc((size_t)size + 1, 1));
    WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, size, NULL, NULL);
    return utf8;
}

FILE *job_open(const wchar_t *path) { return _wfopen(path, L"rb"); }

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (from[0] == '%' && digit(from[1]) >= 0 && digit(from[2]) >= 0) {
            *to++ = (char)(digit(from[1]) * 16 + digit(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
}

bool job_next(FILE *job, struct line *line) {
    static char text[MAX_LINE];
    line->count = 0;
    if (!fgets(text, sizeof text, job)) return false;
    text[strcspn(text, "\r\n")] = 0;
    for (char *field = text; field && line->count < MAX_FIELDS;) {
        char *tab = strchr(field, '\t');
        if (tab) *tab = 0;
        unescape(field);
        line->field[line->count++] = wide(field);
        field = tab ? tab + 1 : NULL;
    }
    return true;
}

void line_free(struct line *line) {
    for (int i = 0; i < line->count; i++) free(line->field[i]);
    line->count = 0;
}

static bool is_path(const wchar_t *name) { return _wcsicmp(name, L"PATH") == 0; }

void variables_set(struct variables *variables, const wchar_t *name, const wchar_t *value) {
    wchar_t *held = NULL;
    if (is_path(name)) {
        /* What a base says of PATH is said beside what the system says. */
        DWORD size = ExpandEnvironmentStringsW(value, NULL, 0);
        held = need(calloc((size_t)size + 1, sizeof *held));
        ExpandEnvironmentStringsW(value, held, size);
    } else {
        held = need(_wcsdup(value));
    }
    for (int i = 0; i < variables->count; i++) {
        if (_wcsicmp(variables->name[i], name) == 0) {
            free(variables->value[i]);
            variables->value[i] = held;
            return;
        }
    }
    size_t count = (size_t)variables->count + 1;
    variables->name = need(realloc(variables->name, count * sizeof *variables->name));
    variables->value = need(realloc(variables->value, count * sizeof *variables->value));
    variables->name[variables->count] = need(_wcsdup(name));
    variables->value[variables->count++] = held;
}

void variables_clear(struct variables *variables) {
    for (int i = 0; i < variables->count; i++) {
        free(variables->name[i]);
        free(variables->value[i]);
    }
    variables->count = 0;
}

struct entry {
    wchar_t *text;
};

static int by_name(const void *a, const void *b) {
    return _wcsicmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

static bool is_set(const struct variables *variables, const wchar_t *entry) {
    for (int i = 0; i < variables->count; i++) {
        size_t length = wcslen(variables->name[i]);
        if (_wcsnicmp(entry, variables->name[i], length) == 0 && entry[length] == L'=') return true;
    }
    return false;
}

wchar_t *variables_block(const struct variables *variables) {
    wchar_t *own = GetEnvironmentStringsW();
    size_t most = (size_t)variables->count, count = 0, size = 1;
    for (wchar_t *entry = own; *entry; entry += wcslen(entry) + 1) most++;
    struct entry *entries = need(calloc(most + 1, sizeof *entries));
    for (wchar_t *entry = own; *entry; entry += wcslen(entry) + 1) {
        if (!is_set(variables, entry)) entries[count++].text = need(_wcsdup(entry));
    }
    for (int i = 0; i < variables->count; i++) {
        size_t length = wcslen(variables->name[i]) + wcslen(variables->value[i]) + 2;
        wchar_t *text = need(calloc(length, sizeof *text));
        _snwprintf(text, length, L"%ls=%ls", variables->name[i], variables->value[i]);
        entries[count++].text = text;
    }
    FreeEnvironmentStringsW(own);
    qsort(entries, count, sizeof *entries, by_name);
    for (size_t i = 0; i < count; i++) size += wcslen(entries[i].text) + 1;
    wchar_t *block = need(calloc(size + 1, sizeof *block)), *to = block;
    for (size_t i = 0; i < count; i++) {
        wcscpy(to, entries[i].text);
        to += wcslen(to) + 1;
        free(entries[i].text);
    }
    free(entries);
    return block;
}
