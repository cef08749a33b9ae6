/* Functions that do not compile in vitrine, each with what to use instead. Included by base.h
 * after the system headers that declare them, so that a call is an error and a header is not. */
#ifndef VT_BASE_BANNED_H
#define VT_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define VT_BANNED(name) vt_banned_function_##name

#undef strcpy
#define strcpy(...) VT_BANNED(strcpy) /* vt_buf_append, memcpy with a checked length */
#undef strcat
#define strcat(...) VT_BANNED(strcat)
#undef strncpy
#define strncpy(...) VT_BANNED(strncpy)
#undef strncat
#define strncat(...) VT_BANNED(strncat)
#undef stpcpy
#define stpcpy(...) VT_BANNED(stpcpy)
#undef sprintf
#define sprintf(...) VT_BANNED(sprintf) /* vt_buf_printf, snprintf with a checked result */
#undef vsprintf
#define vsprintf(...) VT_BANNED(vsprintf)
#undef gets
#define gets(...) VT_BANNED(gets)
#undef strtok
#define strtok(...) VT_BANNED(strtok) /* hidden global state: walk with memchr */
#undef strtok_r
#define strtok_r(...) VT_BANNED(strtok_r)
#undef atoi
#define atoi(...) VT_BANNED(atoi) /* vt_parse_u64, vt_parse_f64: end and range checked */
#undef atol
#define atol(...) VT_BANNED(atol)
#undef atoll
#define atoll(...) VT_BANNED(atoll)
#undef atof
#define atof(...) VT_BANNED(atof)
#undef alloca
#define alloca(...) VT_BANNED(alloca) /* a stack is not an allocator */
#undef gmtime
#define gmtime(...) VT_BANNED(gmtime) /* gmtime_r */
#undef localtime
#define localtime(...) VT_BANNED(localtime)
#undef ctime
#define ctime(...) VT_BANNED(ctime)
#undef asctime
#define asctime(...) VT_BANNED(asctime)
#undef system
#define system(...) VT_BANNED(system)

#endif
