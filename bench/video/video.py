"""The screen, ports and disks as programs of DOS use them: video.S has the rows."""
import real


def video(o):
    real.compare(o, "video", "Video memory, ports and disks in real mode")
