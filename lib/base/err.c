#include "ep_base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
ep_err_set(struct ep_err *err, int code, const char *fmt, ...)
{
	char text[sizeof(
		err->text)]; /* an argument may be err->text itself, to put words around it */
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->code = code;
	memcpy(err->text, text, sizeof(text));
	return code;
}
