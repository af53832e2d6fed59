/* nfc.h - Unicode normalisation forms, by the tables of Unicode 9.0, as HF tokenizers do it: marks
 * assigned later have combining class 0, compositions assigned later do not happen.  Text is valid UTF-8.
 */
#ifndef LIBCOMMON_TEXT_NFC_H
#define LIBCOMMON_TEXT_NFC_H

#include <stddef.h>
#include <stdint.h>

/* Where normalisation must begin: an offset before which the text stays as it is, whatever follows; n when
 * all of it does.  Text below U+0300 always does, and passes fastest. */
size_t nfc_check(const char *text, size_t n);

/* The normal form of the text into *out, which holds *cap bytes and grows; its length.  Linear in n. */
size_t nfc_normalise(const char *text, size_t n, char **out, size_t *cap);

/* The other forms. */
enum nfc_form { NFC_C, NFC_D, NFC_KC, NFC_KD };
size_t nfc_form(enum nfc_form form, const char *text, size_t n, char **out, size_t *cap);

struct nfc_decomposition;

/* By the same tables: the canonical decomposition of one step, NULL where there is none (or of Hangul); the
 * character that two compose to, or 0; the combining class. */
const struct nfc_decomposition *nfc_decomposition(uint32_t cp);
uint32_t nfc_composition(uint32_t a, uint32_t b);
uint8_t nfc_class(uint32_t cp);

#endif
