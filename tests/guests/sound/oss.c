/*
 * A program for Linux that plays what sound.c plays, by the kernel's OSS devices and so by the
 * driver of whatever card is there: 441 Hz left, 1000 Hz right, 16 bits, 44100 Hz, 500 ms.
 * tests/suites/fetch-guests puts it into an initramfs.
 */
#include "tests/guests/sound/sine.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/soundcard.h>
#include <unistd.h>

enum { RATE = 44100, FRAMES = RATE / 2, QUIET = 16 }; /* cards amplify by up to 12 dB */

static void loud(int mixer)
{
    int left = 100, right = 100, volume = left | right << 8;

    ioctl(mixer, MIXER_WRITE(SOUND_MIXER_VOLUME), &volume);
    volume = left | right << 8;
    ioctl(mixer, MIXER_WRITE(SOUND_MIXER_PCM), &volume);
}

/* False: the driver has another idea. */
static int set(int dsp, unsigned long request, int want)
{
    int val = want;

    if (ioctl(dsp, request, &val) == 0 && val == want)
        return 1;
    printf("no %d: %d\n", want, val);
    return 0;
}

static short tone(unsigned frame, unsigned hz)
{
    return (short)(sine(frame * hz % RATE * 512 / RATE) / QUIET);
}

int main(void)
{
    static short samples[FRAMES][2];
    int dsp = open("/dev/dsp", O_WRONLY);

    if (dsp < 0) {
        printf("no /dev/dsp\n");
        return 1;
    }
    loud(open("/dev/mixer", O_RDWR));
    for (unsigned i = 0; i < FRAMES; i++) {
        samples[i][0] = tone(i, 441);
        samples[i][1] = tone(i, 1000);
    }
    if (!set(dsp, SNDCTL_DSP_SETFMT, AFMT_S16_LE) || !set(dsp, SNDCTL_DSP_CHANNELS, 2) ||
        !set(dsp, SNDCTL_DSP_SPEED, RATE))
        return 1;
    if (write(dsp, samples, sizeof(samples)) != sizeof(samples))
        printf("no room\n");
    ioctl(dsp, SNDCTL_DSP_SYNC, 0);
    close(dsp);
    printf("played\n");
    return 0;
}
