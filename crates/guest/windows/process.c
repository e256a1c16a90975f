/* A command, and what it says. */
#include "till.h"

struct listening {
    HANDLE from;
    hearer hear;
    void *context;
};

static DWORD WINAPI listen_to(LPVOID given) {
    struct listening *listening = given;
    char bytes[4096];
    DWORD count;
    while (ReadFile(listening->from, bytes, sizeof bytes, &count, NULL) && count) {
        listening->hear(listening->context, bytes, count);
    }
    return 0;
}

void error_words(DWORD error, char *into, size_t size) {
    wchar_t text[512] = L"";
    FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error, 0, text, 512, NULL);
    text[wcscspn(text, L"\r\n")] = 0;
    char *utf8 = narrow(text);
    snprintf(into, size, "error %lu: %s", error, utf8);
    free(utf8);
}

/* A job that takes what is in it with it when it is closed. */
static HANDLE new_job(void) {
    HANDLE job = CreateJobObjectW(NULL, NULL);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = { 0 };
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (job) SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return job;
}

/* Asks a console program to end, as Ctrl-Break does. */
static void ask_to_end(DWORD process) { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, process); }

/* Waits for its end, or for `stop`. */
static DWORD wait_for(const PROCESS_INFORMATION *process, HANDLE stop) {
    HANDLE both[2] = { process->hProcess, stop };
    if (WaitForMultipleObjects(stop ? 2 : 1, both, FALSE, INFINITE) == WAIT_OBJECT_0 + 1) {
        ask_to_end(process->dwProcessId);
        if (WaitForSingleObject(process->hProcess, 10000) == WAIT_TIMEOUT) TerminateProcess(process->hProcess, 1);
    }
    DWORD code = 1;
    GetExitCodeProcess(process->hProcess, &code);
    return code;
}

/* Programs are looked for where this process's PATH says, and not the one that they get: so it has theirs for a moment. */
static BOOL start_it(const struct command *command, DWORD flags, STARTUPINFOW *start, PROCESS_INFORMATION *process) {
    static wchar_t own[32768];
    GetEnvironmentVariableW(L"PATH", own, 32768);
    for (const wchar_t *entry = command->environment; entry && *entry; entry += wcslen(entry) + 1) {
        if (_wcsnicmp(entry, L"PATH=", 5) == 0) SetEnvironmentVariableW(L"PATH", entry + 5);
    }
    wchar_t *line = need(_wcsdup(command->line));
    BOOL started = CreateProcessW(NULL, line, NULL, NULL, TRUE, flags, command->environment, command->directory, start, process);
    DWORD error = GetLastError();
    free(line);
    SetEnvironmentVariableW(L"PATH", own);
    SetLastError(error);
    return started;
}

bool process_run(const struct command *command, HANDLE stop, hearer hear, void *context, DWORD *code) {
    SECURITY_ATTRIBUTES inherit = { sizeof inherit, NULL, TRUE };
    HANDLE from = NULL, to = NULL;
    if (!CreatePipe(&from, &to, &inherit, 1 << 16)) return false;
    SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0);
    HANDLE nothing = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherit, OPEN_EXISTING, 0, NULL);
    STARTUPINFOW start = { .cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES };
    start.hStdInput = nothing;
    start.hStdOutput = start.hStdError = to;
    PROCESS_INFORMATION process = { 0 };
    HANDLE job = new_job();
    DWORD flags = CREATE_UNICODE_ENVIRONMENT | CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW;
    BOOL started = start_it(command, flags, &start, &process);
    DWORD error = GetLastError();
    CloseHandle(to);
    CloseHandle(nothing);
    if (started) {
        if (job) AssignProcessToJobObject(job, process.hProcess);
        struct listening listening = { from, hear, context };
        HANDLE thread = CreateThread(NULL, 0, listen_to, &listening, 0, NULL);
        ResumeThread(process.hThread);
        *code = wait_for(&process, stop);
        /* What it left running would keep the pipe open. */
        if (job) TerminateJobObject(job, 1);
        if (thread && WaitForSingleObject(thread, 10000) == WAIT_TIMEOUT) {
            CancelIoEx(from, NULL);
            CancelSynchronousIo(thread);
            WaitForSingleObject(thread, INFINITE);
        }
        if (thread) CloseHandle(thread);
        CloseHandle(process.hThread);
        CloseHandle(process.hProcess);
    }
    if (job) CloseHandle(job);
    CloseHandle(from);
    SetLastError(error);
    return started;
}
