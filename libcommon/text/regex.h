/* regex.h - regular expressions as tokenizers use them: Oniguruma's syntax (Ruby's), leftmost match,
 * first alternative first, by backtracking.
 *
 *   a|b (?:x) (x) (?<name>x)     alternatives, groups; (?>x) atomic
 *   x* x+ x? x{m,n} x{m,} x{,n} x{n}   greedy; ...? lazy; *+ ++ ?+ possessive.  As in Oniguruma x{n}+ is
 *                                (?:x{n})+ and x{n}? is (?:x{n})?
 *   . [abc] [^a-z] [a[bc]] [a&&[^b]] [[:alpha:]] [[:^digit:]]
 *   \d \w \s \h (hexadecimal digit) and \D \W \S \H, \p{Name} \P{Name} \p{^Name} (unicode.h), \R, \N, \O
 *   (?i:x) (?i) (?m:x) (. takes newlines) (?x:x) (?-i:x)   case: full folding of strings, so that
 *                                (?i:ss) takes U+00DF and (?i:s) U+017F; one for one in [ ]
 *   ^ $ (at every line) \A \z \Z \G \b \B, (?=x) (?!x) (?<=x) (?<!x): look-behind of at most 255 characters
 *   \1..\99, \t \n \r \f \v \a \e \0oo \xHH \x{H..} \uHHHH \cX, (?#comment)
 *
 * A group that may take nothing, in x{m,n}, takes part m to n times (Oniguruma stops at the first time it takes
 * nothing).  What Oniguruma has beyond that (\X \K \k \g, conditions, absent groups) is an error, with its place.
 * A struct regex is read-only and shared by threads.  Time and memory are bounded: a search that takes
 * more than REGEX_STEPS steps and REGEX_STEPS_BYTE for each byte of the text, or a backtracking stack of
 * REGEX_STACK entries (24 bytes each), is an error.  Matching does not recurse.
 */
#ifndef LIBCOMMON_TEXT_REGEX_H
#define LIBCOMMON_TEXT_REGEX_H

#include <stddef.h>

#include "libcommon/base/err.h"

#define REGEX_STEPS 2000000
#define REGEX_STEPS_BYTE 64
#define REGEX_STACK (1 << 20)

struct regex;

/* pattern: n bytes of UTF-8, not kept.  NULL: "pattern: byte 7: what is wrong". */
struct regex *regex_new(const char *pattern, size_t n, struct err *err);
/* The same where tiktoken's fancy-regex differs: ^ and $ are the ends of the text, but with (?m); (?s) is what (?m) is above; x{m,n}+
 * is possessive, x{n}? lazy; [a--b] is a difference, ~~ an error; [[:alpha:]] and its like are of ASCII; case is folded one for one;
 * \w and \b have U+200C and U+200D, and not U+00B2 and its like. */
struct regex *regex_new_rust(const char *pattern, size_t n, struct err *err);
void regex_free(struct regex *re);

/* The leftmost match that begins at or after `at` <= n, in text[0..n) of valid UTF-8; look-behind, ^ and
 * \b see what is before `at`, \G holds there.  1: [*begin, *end), maybe empty; 0: none; -1: an error. */
int regex_search(const struct regex *re, const char *text, size_t n, size_t at, size_t *begin, size_t *end,
                 struct err *err);

/* All matches one after the other, as `find_iter` of the onig crate gives them: an empty match at the end
 * of the one before is passed over.  Start with a zeroed scan; the same text every time. */
struct regex_scan {
    size_t at, last;
    int matched;
};
int regex_next(const struct regex *re, struct regex_scan *scan, const char *text, size_t n, size_t *begin, size_t *end,
               struct err *err);

#endif
