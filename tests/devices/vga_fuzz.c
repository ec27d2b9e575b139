/*
 * Noise on the VGA's ports and memory, drawn every now and then: nothing may leave its buffers
 * (the sanitizers watch), hang, or make a picture of an impossible size. The same noise each
 * run.
 */
#include "devices/vga.h"
#include "tests/devices/vga_rig.h"

static u32 noise(u32 *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void random_port(struct rig *r, u32 *state)
{
    static const u16 ports[] = {0x3b4, 0x3ba, 0x3c0, 0x3c2, 0x3c4, 0x3c6, 0x3ce,
                                0x3d4, 0x3da, 0x3c8, 0x1ce, 0x1cf, 0x1d0};
    u16 port = ports[noise(state) % ARRAY_SIZE(ports)];
    u32 val = noise(state), size = 1u << noise(state) % 3;

    if (noise(state) % 4 == 0)
        val &= 0x0f1f; /* indices that exist */
    if (noise(state) % 8)
        bus_out(r->m, port, size, val);
    else
        bus_in(r->m, port, size);
}

static void random_memory(struct rig *r, u32 *state)
{
    gpa_t gpa = 0xa0000 + noise(state) % 0x20000;
    u64 val = noise(state);

    if (noise(state) % 2)
        phys_write(r->m, gpa, &val, 1 + noise(state) % 8);
    else
        phys_read(r->m, gpa, &val, 1 + noise(state) % 8);
}

static void look(struct rig *r)
{
    struct frame f = vga_frame(r);
    struct text_screen t;

    CHECK(f.width > 0 && f.width <= 4608 && f.height > 0 && f.height <= 1600);
    CHECK(f.width * f.height <= 4608 * 1024);
    CHECK(f.top <= f.bottom && f.bottom <= f.height);
    if (vga_text(r->dev, &t)) {
        CHECK(t.columns <= 256 && t.rows <= 1024);
        CHECK(t.cursor_x < (int)t.columns && t.cursor_y < (int)t.rows);
    }
}

TEST(vga, survives_noise)
{
    struct rig *r = vga_rig(&vga_mode_03);
    u32 state = 12345;

    look(r);
    for (u32 i = 0; i < 60000; i++) {
        if (noise(&state) % 3)
            random_port(r, &state);
        else
            random_memory(r, &state);
        if (i % 400 == 0) {
            rig_in8(r, 0x3da); /* the palette is the screen's: else all is blank */
            rig_out8(r, 0x3c0, 0x20);
            rig_advance(r, noise(&state) * 4096ull);
            look(r);
        }
    }
}
