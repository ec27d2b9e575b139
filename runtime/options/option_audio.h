/*
 * -audiodev and -soundhw: functions that rows of options.def name.
 */
#ifndef RING3_OPTION_AUDIO_H
#define RING3_OPTION_AUDIO_H

#include "runtime/options/option_values.h"

SETTER(set_audiodev);
SETTER(set_soundhw);

#endif
