/*
 * What the options with structured arguments do: rows of options.def name them; for drives see
 * option_drives.h. Each gets the option as typed, for messages, and its argument.
 */
#ifndef RING3_OPTION_VALUES_H
#define RING3_OPTION_VALUES_H

#include "runtime/machine/options.h"

#define SETTER(name) void name(struct options *o, const char *option, const char *arg)

SETTER(set_memory);
SETTER(set_cpu);
SETTER(set_rtc);
SETTER(set_name);
SETTER(set_machine);
SETTER(set_accel);
SETTER(set_smp);
SETTER(set_boot);
SETTER(set_smbios);
SETTER(set_display);
SETTER(set_vnc);
SETTER(set_keyboard_layout);
SETTER(set_vga);
SETTER(set_serial);
SETTER(set_chardev);
SETTER(set_monitor);
SETTER(set_debugcon);
SETTER(set_qmp);
SETTER(set_mon);
SETTER(set_parallel);
SETTER(set_firmware_path);
SETTER(set_option_rom);
SETTER(set_fw_cfg);
SETTER(set_localtime);
SETTER(set_no_acpi);
SETTER(set_curses);
SETTER(set_escape);
SETTER(set_gdb);
SETTER(set_gdb_port); /* without an argument */
SETTER(set_engine);
SETTER(set_user);
SETTER(set_host_model);
SETTER(set_trace);
SETTER(set_debuglog);
SETTER(set_debuglog_file);
SETTER(set_tc_size);
SETTER(set_tc_reuse);
SETTER(set_stats_interval);
SETTER(set_dump_tc);
SETTER(set_perf_map);
SETTER(set_gdb_jit);

/* After the last option: names of chardevs become targets, defaults are filled in. */
void options_finish(struct options *o);

#endif
