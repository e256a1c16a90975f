/* till.exe prepare JOB, till.exe service NAME. */
#include "till.h"

int wmain(int count, wchar_t **arguments) {
    if (count == 3 && wcscmp(arguments[1], L"prepare") == 0) return prepare(arguments[2]);
    if (count == 3 && wcscmp(arguments[1], L"service") == 0) return service(arguments[2]);
    fputs("usage: till prepare JOB\n       till service NAME\n", stderr);
    return 2;
}
