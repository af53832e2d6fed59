/* template.h - chat templates: the part of Jinja2 that models' templates are written in, rendered as transformers'
 * apply_chat_template() does.
 *
 * Semantics of Jinja2 3.1.6's ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks and loopcontrols, no
 * autoescape, and of what transformers adds: {% generation %}, tojson as json.dumps, raise_exception,
 * strftime_now.  Left out: template inheritance, include and import, {% autoescape %}, the filters urlize,
 * urlencode, xmlattr, striptags, wordwrap, truncate, filesizeformat, pprint and random, lipsum(), cycler(),
 * joiner(), \N{} in strings.  A tag that is left out is an error of template_new(), a filter or function an error
 * where it is called.  Integers have 64 bits: an overflow is an error.
 *
 * Templates and variables are untrusted: nothing is called but the rows of our own tables, values cannot be
 * changed (but a namespace's members), and steps, memory and depth are bounded.
 *
 *     struct template *t = template_new(text, n, "chat_template.jinja", &err);     once
 *     struct template_run *r = template_run_new();                                  one a thread
 *     template_render(t, r, &input, &result, &err);                                 as often as wanted
 */
#ifndef LIBCOMMON_TEMPLATE_TEMPLATE_H
#define LIBCOMMON_TEMPLATE_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "libcommon/base/err.h"
#include "libcommon/format/json.h"

struct template;     /* read-only once made: threads share it */
struct template_run; /* values and text of a rendering; its memory is kept for the next one */

/* The text need not outlive the call.  NULL on error, "NAME:LINE: what".  template_free(NULL) is fine. */
struct template *template_new(const char *text, size_t n, const char *name, struct err *err);
void template_free(struct template *t);

struct template_run *template_run_new(void);
void template_run_free(struct template_run *r);

struct template_input {
    const struct json_value *const *vars; /* objects whose members are the variables: of equals, the first's */
    int n_vars;
    struct tm now;  /* what strftime_now() shows: local time, without a zone */
    size_t memory;  /* bytes at most; 0: 256 MiB */
    uint64_t steps; /* 0: 100 million, some seconds */
};

/* Bytes of the text that stem from a {% generation %} block. */
struct template_span {
    size_t start, end;
};

/* Borrowed from the run until its next rendering. */
struct template_result {
    const char *text; /* valid UTF-8; not NUL-ended */
    size_t n;
    const struct template_span *spans; /* ascending, but where one block is in a macro: there as transformers has them */
    size_t n_spans;
};

/* -1: "NAME:LINE: what"; also what the template itself refuses with raise_exception(). */
int template_render(const struct template *t, struct template_run *r, const struct template_input *in,
                    struct template_result *out, struct err *err);

#endif
