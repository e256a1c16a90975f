/* Carries a job out: deed by deed, each told when it begins and how it ended. What is done is written down before the system
 * restarts, so that a job goes on where it was. */
#include "till.h"

/* A job that restarts the system more often goes round in a circle. */
#define MOST_RESTARTS 10

struct state {
    wchar_t nonce[80];
    int deed;
    int begun;
    int restarts;
};

struct job {
    wchar_t folder[MAX_PATH];
    struct state state;
    struct variables variables;
};

enum outcome { NEXT, RESTART, FAILED };

void home(wchar_t *into, size_t size, const wchar_t *name) {
    wchar_t programs[MAX_PATH] = L"C:\\Program Files";
    GetEnvironmentVariableW(L"ProgramFiles", programs, MAX_PATH);
    _snwprintf(into, size, L"%ls\\Tillage%ls%ls", programs, *name ? L"\\" : L"", name);
}

static void state_write(const struct state *state) {
    wchar_t path[MAX_PATH];
    home(path, MAX_PATH, L"state");
    FILE *file = _wfopen(path, L"wb");
    if (!file) return;
    char *nonce = narrow(state->nonce);
    fprintf(file, "%s\t%d\t%d\t%d\n", nonce, state->deed, state->begun, state->restarts);
    free(nonce);
    fflush(file);
    FlushFileBuffers((HANDLE)_get_osfhandle(_fileno(file)));
    fclose(file);
}

static void state_forget(void) {
    wchar_t path[MAX_PATH];
    home(path, MAX_PATH, L"state");
    DeleteFileW(path);
}

/* What is known of this job from before a restart. */
static void state_read(struct state *state) {
    wchar_t path[MAX_PATH];
    home(path, MAX_PATH, L"state");
    FILE *file = job_open(path);
    struct line line = { 0 };
    if (file && job_next(file, &line) && line.count == 4 && wcscmp(line.field[0], state->nonce) == 0) {
        state->deed = _wtoi(line.field[1]);
        state->begun = _wtoi(line.field[2]);
        state->restarts = _wtoi(line.field[3]);
    }
    line_free(&line);
    if (file) fclose(file);
}

static void hear(void *context, const char *bytes, DWORD count) {
    (void)context;
    port_write(bytes, count);
}

static enum outcome failed(const struct job *job, const char *why) {
    port_word(job->state.nonce, "failed %d %s", job->state.deed, why);
    return FAILED;
}

static enum outcome failed_by(const struct job *job, const char *what) {
    char words[600], why[900];
    error_words(GetLastError(), words, sizeof words);
    snprintf(why, sizeof why, "%s: %s", what, words);
    return failed(job, why);
}

/* Writes down that the system is to restart, and where the job goes on. */
static enum outcome restart(struct job *job, int next) {
    job->state.begun = 0;
    if (++job->state.restarts > MOST_RESTARTS) return failed(job, "it has restarted the system too often");
    port_word(job->state.nonce, "restart %d", job->state.deed);
    job->state.deed = next;
    state_write(&job->state);
    return RESTART;
}

/* unpack ARCHIVE DIRECTORY */
static enum outcome do_unpack(struct job *job, struct line *line) {
    wchar_t archive[MAX_PATH * 2];
    char why[1024];
    _snwprintf(archive, MAX_PATH * 2, L"%ls\\%ls", job->folder, line->field[1]);
    return unpack(archive, line->field[2], why, sizeof why) ? NEXT : failed(job, why);
}

/* run RESTARTS DIRECTORY LINE */
static enum outcome do_run(struct job *job, struct line *line) {
    bool may_restart = wcscmp(line->field[1], L"1") == 0;
    /* Nobody knows how far it was. */
    if (job->state.begun) return failed(job, "the system was restarted before it ended; exit code 3010 or 1003 asks for that");
    job->state.begun = 1;
    state_write(&job->state);
    wchar_t *directory = *line->field[2] ? line->field[2] : NULL;
    struct command command = { line->field[3], directory, variables_block(&job->variables) };
    DWORD code = 0;
    bool started = process_run(&command, NULL, hear, NULL, &code);
    free(command.environment);
    if (!started) return failed_by(job, "cannot start it");
    if (may_restart && code == EXIT_RESTART) return restart(job, job->state.deed);
    if (may_restart && (code == EXIT_INSTALLED || code == 1001)) {
        port_word(job->state.nonce, "ended %d 0", job->state.deed);
        return restart(job, job->state.deed + 1);
    }
    if (code == 0) return NEXT;
    port_word(job->state.nonce, "ended %d %lu", job->state.deed, code);
    return FAILED;
}

/* A line as `job_next` reads it. */
static void write_line(FILE *file, const wchar_t *const *fields, int count) {
    for (int i = 0; i < count; i++) {
        char *text = narrow(fields[i]);
        if (i) fputc('\t', file);
        for (const char *c = text; *c; c++) {
            if (strchr("%\t\r\n", *c)) fprintf(file, "%%%02X", (unsigned char)*c);
            else fputc(*c, file);
        }
        free(text);
    }
    fputc('\n', file);
}

/* Writes what `service NAME` reads. */
static bool write_service(const struct job *job, const struct line *line, const wchar_t *path) {
    FILE *file = _wfopen(path, L"wb");
    if (!file) return false;
    for (int i = 0; i < job->variables.count; i++) {
        const wchar_t *fields[] = { L"variable", job->variables.name[i], job->variables.value[i] };
        write_line(file, fields, 3);
    }
    const wchar_t *fields[] = { L"run", L"0", line->field[3], line->field[4] };
    write_line(file, fields, 4);
    return fclose(file) == 0;
}

/* A service that starts with the system; one of that name is changed. */
static bool register_service(const wchar_t *name, const wchar_t *title, const wchar_t *line) {
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    if (!manager) return false;
    SC_HANDLE made = CreateServiceW(manager, name, title, SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                                    SERVICE_ERROR_NORMAL, line, NULL, NULL, NULL, NULL, NULL);
    DWORD error = GetLastError();
    if (!made && error == ERROR_SERVICE_EXISTS) {
        made = OpenServiceW(manager, name, SERVICE_ALL_ACCESS);
        if (made && !ChangeServiceConfigW(made, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, line, NULL,
                                          NULL, NULL, NULL, NULL, title)) {
            error = GetLastError();
            CloseServiceHandle(made);
            made = NULL;
        }
    }
    if (made) {
        /* The program starts its command again by itself; this is for the program. */
        SC_ACTION again = { SC_ACTION_RESTART, 5000 };
        SERVICE_FAILURE_ACTIONSW actions = { .dwResetPeriod = 86400, .cActions = 1, .lpsaActions = &again };
        ChangeServiceConfig2W(made, SERVICE_CONFIG_FAILURE_ACTIONS, &actions);
        CloseServiceHandle(made);
    }
    CloseServiceHandle(manager);
    SetLastError(error);
    return made != NULL;
}

/* service NAME TITLE DIRECTORY LINE */
static enum outcome do_service(struct job *job, struct line *line) {
    wchar_t path[MAX_PATH], file_name[200], program[MAX_PATH], own[2 * MAX_PATH];
    _snwprintf(file_name, 200, L"%ls.service", line->field[1]);
    home(path, MAX_PATH, file_name);
    if (!write_service(job, line, path)) return failed_by(job, "cannot write down its service");
    home(program, MAX_PATH, L"till.exe");
    _snwprintf(own, 2 * MAX_PATH, L"\"%ls\" service %ls", program, line->field[1]);
    return register_service(line->field[1], line->field[2], own) ? NEXT : failed_by(job, "cannot register its service");
}

static void ignore(void *context, const char *bytes, DWORD count) {
    (void)context;
    (void)bytes;
    (void)count;
}

/* open TRANSPORT PORT TITLE */
static enum outcome do_open(struct job *job, struct line *line) {
    wchar_t text[600];
    _snwprintf(text, 600,
               L"netsh.exe advfirewall firewall add rule name=\"%ls\" dir=in action=allow protocol=%ls localport=%ls",
               line->field[3], line->field[1], line->field[2]);
    struct command command = { text, NULL, NULL };
    DWORD code = 0;
    if (!process_run(&command, NULL, ignore, NULL, &code) || code != 0) {
        char *port = narrow(line->field[2]);
        port_word(job->state.nonce, "note the firewall could not be told to open port %s (netsh: %lu)", port, code);
        free(port);
    }
    return NEXT;
}

static bool may_shut_down(void) {
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token)) return false;
    TOKEN_PRIVILEGES wanted = { .PrivilegeCount = 1 };
    LookupPrivilegeValueW(NULL, L"SeShutdownPrivilege", &wanted.Privileges[0].Luid);
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    bool may = AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL) && GetLastError() == ERROR_SUCCESS;
    CloseHandle(token);
    return may;
}

/* off */
static enum outcome do_off(struct job *job, struct line *line) {
    (void)line;
    state_forget();
    port_word(job->state.nonce, "done");
    may_shut_down();
    /* Who started the system presses its power button if this is of no use. */
    wchar_t why[] = L"prepared";
    InitiateSystemShutdownExW(NULL, why, 0, TRUE, FALSE, SHTDN_REASON_FLAG_PLANNED);
    return NEXT;
}

static const struct {
    const wchar_t *name;
    int fields;
    enum outcome (*act)(struct job *, struct line *);
} deeds[] = {
    { L"unpack", 3, do_unpack }, { L"run", 4, do_run }, { L"service", 5, do_service }, { L"open", 4, do_open }, { L"off", 1, do_off },
};

/* variable NAME VALUE, lend NAME FILE: of the next command. A file that is lent is on the drive. */
static void take_variable(struct job *job, const struct line *line) {
    wchar_t path[MAX_PATH * 2];
    if (line->count != 3) return;
    if (wcscmp(line->field[0], L"variable") == 0) variables_set(&job->variables, line->field[1], line->field[2]);
    if (wcscmp(line->field[0], L"lend") == 0) {
        _snwprintf(path, MAX_PATH * 2, L"%ls\\%ls", job->folder, line->field[2]);
        variables_set(&job->variables, line->field[1], path);
    }
}

static enum outcome carry_out(struct job *job, FILE *file, struct line *line) {
    int number = 0;
    while (job_next(file, line)) {
        take_variable(job, line);
        for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
            if (line->count != deeds[i].fields || wcscmp(line->field[0], deeds[i].name) != 0) continue;
            if (number++ >= job->state.deed) {
                if (!job->state.begun) port_word(job->state.nonce, "began %d", job->state.deed);
                enum outcome outcome = deeds[i].act(job, line);
                if (outcome != NEXT) return outcome;
                port_word(job->state.nonce, "ended %d 0", job->state.deed);
                job->state.begun = 0;
                job->state.deed++;
            }
            variables_clear(&job->variables);
        }
        line_free(line);
    }
    return NEXT;
}

/* This program outlives the drive that it came with. */
static bool settle(void) {
    wchar_t own[MAX_PATH], folder[MAX_PATH], program[MAX_PATH], older[MAX_PATH];
    home(folder, MAX_PATH, L"");
    home(program, MAX_PATH, L"till.exe");
    GetModuleFileNameW(NULL, own, MAX_PATH);
    if (!make_directories(folder)) return false;
    if (_wcsicmp(own, program) == 0 || CopyFileW(own, program, FALSE)) return true;
    /* One that runs cannot be written to, but it can be called otherwise. */
    home(older, MAX_PATH, L"till.old");
    return MoveFileExW(program, older, MOVEFILE_REPLACE_EXISTING) && CopyFileW(own, program, FALSE);
}

int prepare(const wchar_t *path) {
    static struct job job;
    struct line line = { 0 };
    FILE *file = job_open(path);
    if (!file || !job_next(file, &line) || line.count != 2 || wcscmp(line.field[0], L"nonce") != 0) {
        fputs("till: there is no job\n", stderr);
        return 2;
    }
    wcsncpy(job.state.nonce, line.field[1], 79);
    line_free(&line);
    wcsncpy(job.folder, path, MAX_PATH - 1);
    wchar_t *end = wcsrchr(job.folder, L'\\');
    if (end) *end = 0;
    port_hold();
    enum outcome outcome = FAILED;
    if (settle()) {
        state_read(&job.state);
        outcome = carry_out(&job, file, &line);
    } else {
        failed_by(&job, "cannot keep this program");
    }
    line_free(&line);
    fclose(file);
    if (outcome == FAILED) state_forget();
    port_release();
    return outcome == NEXT ? 0 : outcome == RESTART ? EXIT_RESTART : 1;
}
