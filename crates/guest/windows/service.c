/* A service of Windows that keeps a command running, as its `.service` says. It is started again when it ends badly; what it says is
 * in a log beside, and at the second serial port where somebody listens there. */
#include "till.h"

/* A log that is longer makes room for a new one. */
#define MOST_LOG (16 << 20)
/* A command that ran for so long had started. */
#define WELL 10000
#define LONGEST_PAUSE 30000

static SERVICE_STATUS_HANDLE handle;
static HANDLE stop;
static wchar_t name[256];

struct log {
    HANDLE file;
    wchar_t path[MAX_PATH];
};

static void say(DWORD state, DWORD code) {
    SERVICE_STATUS status = { .dwServiceType = SERVICE_WIN32_OWN_PROCESS, .dwCurrentState = state, .dwWaitHint = 20000 };
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    status.dwWin32ExitCode = code ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR;
    status.dwServiceSpecificExitCode = code;
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD what, DWORD kind, LPVOID data, LPVOID context) {
    (void)kind;
    (void)data;
    (void)context;
    if (what == SERVICE_CONTROL_STOP || what == SERVICE_CONTROL_SHUTDOWN) {
        say(SERVICE_STOP_PENDING, 0);
        SetEvent(stop);
    }
    return what == SERVICE_CONTROL_INTERROGATE || what == SERVICE_CONTROL_STOP || what == SERVICE_CONTROL_SHUTDOWN
               ? NO_ERROR
               : ERROR_CALL_NOT_IMPLEMENTED;
}

static void log_open(struct log *log) {
    log->file = CreateFileW(log->path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS, 0, NULL);
}

static void hear(void *context, const char *bytes, DWORD count) {
    struct log *log = context;
    LARGE_INTEGER size;
    if (GetFileSizeEx(log->file, &size) && size.QuadPart > MOST_LOG) {
        wchar_t older[MAX_PATH];
        _snwprintf(older, MAX_PATH, L"%ls.1", log->path);
        CloseHandle(log->file);
        MoveFileExW(log->path, older, MOVEFILE_REPLACE_EXISTING);
        log_open(log);
    }
    DWORD written;
    WriteFile(log->file, bytes, count, &written, NULL);
    /* Another service may hold the port for a moment. */
    for (int i = 0; i < 20 && !port_write(bytes, count) && GetLastError() != ERROR_FILE_NOT_FOUND; i++) Sleep(5);
}

/* What it is to run. */
static bool read_command(struct command *command) {
    wchar_t path[MAX_PATH], file_name[300];
    _snwprintf(file_name, 300, L"%ls.service", name);
    home(path, MAX_PATH, file_name);
    FILE *file = job_open(path);
    struct line line = { 0 };
    struct variables variables = { 0 };
    bool found = false;
    while (file && !found && job_next(file, &line)) {
        if (line.count == 3 && wcscmp(line.field[0], L"variable") == 0) variables_set(&variables, line.field[1], line.field[2]);
        if (line.count == 4 && wcscmp(line.field[0], L"run") == 0) {
            command->directory = need(_wcsdup(line.field[2]));
            command->line = need(_wcsdup(line.field[3]));
            command->environment = variables_block(&variables);
            found = true;
        }
        line_free(&line);
    }
    if (file) fclose(file);
    return found;
}

/* Keeps it running until it ends well, or is to stop. */
static DWORD keep(const struct command *command, struct log *log) {
    DWORD pause = 1000;
    for (;;) {
        DWORD code = 0;
        ULONGLONG began = GetTickCount64();
        char words[700];
        if (!process_run(command, stop, hear, log, &code)) {
            char why[600];
            error_words(GetLastError(), why, sizeof why);
            int count = snprintf(words, sizeof words, "till: cannot start it: %s\r\n", why);
            hear(log, words, (DWORD)count);
            code = 1;
        }
        if (WaitForSingleObject(stop, 0) == WAIT_OBJECT_0 || code == 0) return 0;
        if (GetTickCount64() - began > WELL) pause = 1000;
        int count = snprintf(words, sizeof words, "till: it ended with %lu, and is started again\r\n", code);
        hear(log, words, (DWORD)count);
        if (WaitForSingleObject(stop, pause) == WAIT_OBJECT_0) return 0;
        pause = pause * 2 > LONGEST_PAUSE ? LONGEST_PAUSE : pause * 2;
    }
}

static void WINAPI service_main(DWORD count, LPWSTR *arguments) {
    (void)count;
    (void)arguments;
    handle = RegisterServiceCtrlHandlerExW(name, control, NULL);
    stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    say(SERVICE_START_PENDING, 0);
    struct command command = { 0 };
    struct log log;
    wchar_t file_name[300];
    _snwprintf(file_name, 300, L"%ls.log", name);
    home(log.path, MAX_PATH, file_name);
    log_open(&log);
    if (!read_command(&command)) {
        const char words[] = "till: nothing says what the service runs\r\n";
        hear(&log, words, sizeof words - 1);
        say(SERVICE_STOPPED, 2);
        return;
    }
    say(SERVICE_RUNNING, 0);
    say(SERVICE_STOPPED, keep(&command, &log));
}

int service(const wchar_t *wanted) {
    wcsncpy(name, wanted, 255);
    /* Ctrl-Break is for the command. */
    SetConsoleCtrlHandler(NULL, TRUE);
    SERVICE_TABLE_ENTRYW table[] = { { name, service_main }, { NULL, NULL } };
    return StartServiceCtrlDispatcherW(table) ? 0 : (int)GetLastError();
}
