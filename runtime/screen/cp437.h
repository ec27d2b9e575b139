/*
 * The PC's character set as Unicode: what each byte of text memory looks like in the font of
 * the VGA BIOS, control characters included (Unicode consortium, CP437.TXT and IBMGRAPH.TXT).
 */
#ifndef RING3_CP437_H
#define RING3_CP437_H

#include <wchar.h>

/* 256 characters; index 0 and 255 are blanks. */
extern const wchar_t cp437[257];

#endif
