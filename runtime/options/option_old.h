/*
 * Spellings of QEMU's that later ones have replaced, and short ones for what others say at
 * length: see option_old.c.
 */
#ifndef RING3_OPTION_OLD_H
#define RING3_OPTION_OLD_H

#include "runtime/options/option_values.h"

SETTER(set_uuid);
SETTER(set_pflash);
SETTER(set_hdachs);
SETTER(set_action);
SETTER(set_audio);
SETTER(set_redir);
SETTER(set_tftp);
SETTER(set_bootp);
SETTER(set_sdl); /* without an argument, as the two below */
SETTER(set_std_vga);
SETTER(set_cirrusvga);

#endif
