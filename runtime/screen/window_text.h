/*
 * Text over the guest's picture: a panel of lines in the middle of the window.
 */
#ifndef RING3_WINDOW_TEXT_H
#define RING3_WINDOW_TEXT_H

#include <SDL.h>

/* Draws the lines (separated by newlines; ASCII, small letters as capitals, what the font lacks as a
 * blank) with a frame around, as large as the surface allows. */
void window_text_draw(SDL_Surface *s, const char *text);

#endif
