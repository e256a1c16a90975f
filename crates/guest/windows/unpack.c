/* The source: a tar archive (POSIX.1-2001, with GNU's long names). A link is a file that says where it leads, as Git for Windows
 * writes it; who may not be called so on Windows was refused before. */
#include "till.h"

#define BLOCK 512

struct member {
    char *name;
    char *target;
    char kind;
    uint64_t size;
};

static uint64_t octal(const char *field, size_t size) {
    uint64_t number = 0;
    if (field[0] & (char)0x80) {
        for (size_t i = 1; i < size; i++) number = number << 8 | (unsigned char)field[i];
        return number;
    }
    for (size_t i = 0; i < size && field[i]; i++) {
        if (field[i] >= '0' && field[i] <= '7') number = number * 8 + (uint64_t)(field[i] - '0');
    }
    return number;
}

/* Members begin with a block. */
static bool skip_padding(FILE *tar, uint64_t size) {
    return _fseeki64(tar, (int64_t)((BLOCK - size % BLOCK) % BLOCK), SEEK_CUR) == 0;
}

/* What a member holds that is about the next one. */
static char *text_of(FILE *tar, uint64_t size) {
    if (size > MAX_LINE) return NULL;
    char *text = need(calloc(1, (size_t)size + 1));
    if (fread(text, 1, (size_t)size, tar) == size && skip_padding(tar, size)) return text;
    free(text);
    return NULL;
}

/* Records of POSIX.1-2001: `LENGTH NAME=VALUE\n`. */
static void take_records(char *text, uint64_t size, struct member *next) {
    for (char *record = text; record < text + size;) {
        char *space = strchr(record, ' ');
        uint64_t length = strtoull(record, NULL, 10);
        if (!space || length < 5 || length > (uint64_t)(text + size - record)) return;
        record[length - 1] = 0;
        char *value = strchr(space + 1, '=');
        if (value) {
            *value++ = 0;
            if (strcmp(space + 1, "path") == 0) {
                free(next->name);
                next->name = need(_strdup(value));
            } else if (strcmp(space + 1, "linkpath") == 0) {
                free(next->target);
                next->target = need(_strdup(value));
            }
        }
        record += length;
    }
}

static void take_header(const char *header, struct member *member) {
    char name[256 + 2] = "";
    if (memcmp(header + 257, "ustar\0", 6) == 0 && header[345]) snprintf(name, sizeof name, "%.155s/%.100s", header + 345, header);
    else snprintf(name, sizeof name, "%.100s", header);
    if (!member->name) member->name = need(_strdup(name));
    char target[101] = "";
    snprintf(target, sizeof target, "%.100s", header + 157);
    if (!member->target) member->target = need(_strdup(target));
    member->kind = header[156];
    member->size = octal(header + 124, 12);
}

/* The place of a member; NULL if it is outside. */
static wchar_t *place(const wchar_t *directory, const char *name) {
    while (name[0] == '.' && name[1] == '/') name += 2;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0)) return NULL;
    }
    if (name[0] == '/' || strchr(name, '\\') || strchr(name, ':')) return NULL;
    wchar_t *relative = wide(name);
    size_t size = wcslen(directory) + wcslen(relative) + 8;
    wchar_t *path = need(calloc(size, sizeof *path));
    /* So prefixed, a path may be longer than 260. */
    _snwprintf(path, size, L"\\\\?\\%ls\\%ls", directory, relative);
    free(relative);
    for (wchar_t *c = path; *c; c++) {
        if (*c == L'/') *c = L'\\';
    }
    size_t length = wcslen(path);
    while (length > 7 && path[length - 1] == L'\\') path[--length] = 0;
    return path;
}

bool make_directories(const wchar_t *path) {
    wchar_t *copy = need(_wcsdup(path));
    size_t from = wcsncmp(copy, L"\\\\?\\", 4) == 0 ? 7 : 3;
    for (wchar_t *c = wcslen(copy) > from ? copy + from : copy + wcslen(copy);; c++) {
        if (*c && *c != L'\\') continue;
        wchar_t was = *c;
        *c = 0;
        if (!CreateDirectoryW(copy, NULL) && GetLastError() != ERROR_ALREADY_EXISTS) {
            DWORD error = GetLastError();
            free(copy);
            SetLastError(error);
            return false;
        }
        *c = was;
        if (!was) break;
    }
    free(copy);
    return true;
}

static bool make_parent(wchar_t *path) {
    wchar_t *end = wcsrchr(path, L'\\');
    if (!end) return true;
    *end = 0;
    bool made = make_directories(path);
    *end = L'\\';
    return made;
}

static bool write_file(const wchar_t *path, FILE *tar, const char *text, uint64_t size) {
    static char bytes[1 << 16];
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) return false;
    bool good = true;
    DWORD error = 0;
    for (uint64_t left = size; left && good;) {
        size_t count = left > sizeof bytes ? sizeof bytes : (size_t)left;
        const char *from = text;
        if (tar) {
            from = bytes;
            if (fread(bytes, 1, count, tar) != count) {
                error = ERROR_HANDLE_EOF;
                good = false;
                break;
            }
        }
        DWORD written = 0;
        good = WriteFile(file, from, (DWORD)count, &written, NULL) && written == count;
        if (!good) error = GetLastError();
        left -= count;
        text += text ? count : 0;
    }
    CloseHandle(file);
    SetLastError(error);
    return good;
}

static bool write_member(FILE *tar, const struct member *member, wchar_t *path) {
    switch (member->kind) {
    case '5':
        return make_directories(path);
    case '1':
    case '2':
        return make_parent(path) && write_file(path, NULL, member->target, strlen(member->target));
    default:
        if (!make_parent(path) || !write_file(path, tar, NULL, member->size)) return false;
        return skip_padding(tar, member->size);
    }
}

static bool unpack_all(FILE *tar, const wchar_t *directory, char *why, size_t size) {
    char header[BLOCK];
    struct member member = { 0 };
    while (fread(header, 1, BLOCK, tar) == BLOCK && header[0]) {
        char kind = header[156];
        uint64_t length = octal(header + 124, 12);
        if (kind == 'x' || kind == 'g' || kind == 'L' || kind == 'K') {
            char *text = text_of(tar, length);
            if (!text) {
                snprintf(why, size, "its archive is damaged");
                return false;
            }
            if (kind == 'x') take_records(text, length, &member);
            if (kind == 'L') member.name = text;
            else if (kind == 'K') member.target = text;
            else free(text);
            continue;
        }
        take_header(header, &member);
        wchar_t *path = place(directory, member.name);
        bool good = path && write_member(tar, &member, path);
        if (!good) {
            char words[600] = "it is no place here";
            if (path) error_words(GetLastError(), words, sizeof words);
            snprintf(why, size, "cannot write `%s`: %s", member.name, words);
        }
        free(path);
        free(member.name);
        free(member.target);
        memset(&member, 0, sizeof member);
        if (!good) return false;
    }
    return true;
}

bool unpack(const wchar_t *archive, const wchar_t *directory, char *why, size_t size) {
    FILE *tar = _wfopen(archive, L"rb");
    if (!tar || !make_directories(directory)) {
        char words[600];
        error_words(GetLastError(), words, sizeof words);
        snprintf(why, size, "%s: %s", tar ? "cannot make its directory" : "cannot read its archive", words);
        if (tar) fclose(tar);
        return false;
    }
    bool good = unpack_all(tar, directory, why, size);
    fclose(tar);
    return good;
}
