/* chat.h - conversations to text, by a model's own chat template, as transformers' apply_chat_template() does.
 *
 * The template of a directory is chat_template.jinja, else chat_template of tokenizer_config.json (a string, or a list
 * of named ones: "tool_use" where a conversation has tools, "default" else), else chat_template of
 * chat_template.json.  Its variables are messages, tools, documents, add_generation_prompt and the special tokens of
 * tokenizer_config.json (bos_token ...).  The text is to be encoded with special tokens parsed and nothing added: the
 * template writes BOS itself.
 */
#ifndef LIBCOMMON_TEMPLATE_CHAT_H
#define LIBCOMMON_TEMPLATE_CHAT_H

#include <stdbool.h>

#include "libcommon/template/template.h"

struct chat; /* read-only: threads share it */

/* NULL on error: no template is there, or one is damaged.  chat_free(NULL) is fine. */
struct chat *chat_open(const char *dir, struct err *err);
void chat_free(struct chat *c);

/* row: an object with "messages" (a list) and, if wanted, "tools", "documents" and any more variables, which come
 * before the model's.  A generation prompt is added unless "add_generation_prompt" says otherwise. */
int chat_render(const struct chat *c, struct template_run *r, const struct json_value *row, const struct tm *now,
                struct template_result *out, struct err *err);

/* The same from bytes: a JSON object, or with plain what one user says. */
int chat_text(const struct chat *c, struct template_run *r, const char *s, size_t n, bool plain, const struct tm *now,
              struct template_result *out, struct err *err);

#endif
