/* The way to who started the system: its second serial port. A system without one (in a cloud) says nothing there. */
#include "till.h"
#include <stdarg.h>

static HANDLE held = INVALID_HANDLE_VALUE;

static HANDLE open_port(void) {
    HANDLE port = CreateFileW(L"\\\\.\\COM2", GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (port == INVALID_HANDLE_VALUE) return port;
    DCB dcb = { .DCBlength = sizeof dcb };
    if (GetCommState(port, &dcb)) {
        dcb.BaudRate = CBR_115200;
        dcb.ByteSize = 8;
        dcb.Parity = NOPARITY;
        dcb.StopBits = ONESTOPBIT;
        dcb.fOutxCtsFlow = dcb.fOutxDsrFlow = dcb.fOutX = dcb.fInX = FALSE;
        SetCommState(port, &dcb);
    }
    return port;
}

void port_hold(void) {
    if (held == INVALID_HANDLE_VALUE) held = open_port();
}

void port_release(void) {
    if (held != INVALID_HANDLE_VALUE) CloseHandle(held);
    held = INVALID_HANDLE_VALUE;
}

bool port_write(const char *bytes, DWORD count) {
    HANDLE port = held != INVALID_HANDLE_VALUE ? held : open_port();
    if (port == INVALID_HANDLE_VALUE) return false;
    DWORD written = 0;
    while (count && WriteFile(port, bytes, count, &written, NULL) && written) {
        bytes += written;
        count -= written;
    }
    if (port != held) CloseHandle(port);
    return count == 0;
}

void port_word(const wchar_t *nonce, const char *format, ...) {
    char word[2048], line[2560];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    for (char *c = word; *c; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    char *own = narrow(nonce);
    /* What a command said before it may not have ended its line. */
    int count = snprintf(line, sizeof line, "\n#till %s %s\n", own, word);
    free(own);
    if (count > 0) port_write(line, (DWORD)count);
}
