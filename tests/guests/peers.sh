#!/bin/bash
# The system-level test kernel under other virtual machines, for comparison: Bochs 2.7 agrees with
# every test; QEMU's TCG has no VME, RF or I/O breakpoints and stops at what it cannot do.
#
#   tests/guests/peers.sh [bochs|qemu]…      after a build, from the repository's top
#
# Packages: bochs bochs-x bochsbios vgabios xvfb; qemu-system-x86.
image=$PWD/build/tests/guests/sys.img
kernel=$PWD/build/tests/guests/sys.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run_bochs() {
    cat >"$work/bochsrc" <<EOF
display_library: x
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=bx_generic, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
cpuid: level=6, simd=sse2, x86_64=0, sep=1, apic=legacy, mmx=1
megs: 64
floppya: 1_44=$image, status=inserted
boot: floppy
port_e9_hack: enabled=1
log: $work/log
panic: action=fatal
EOF
    { echo c && sleep 60; } | timeout 60 xvfb-run -a bochs -q -f "$work/bochsrc" >"$work/out" 2>&1
    tr -d '\r' <"$work/out" | grep -aE '^(FAIL|[0-9]+ passed)'
}

run_qemu() {
    timeout 60 qemu-system-i386 -display none -kernel "$kernel" -no-reboot \
        -debugcon "file:$work/out" -global isa-debugcon.iobase=0xe9 \
        -device isa-debug-exit,iobase=0xf4,iosize=4
    grep -aE '^(FAIL|[0-9]+ passed)' "$work/out"
}

for peer in "${@:-bochs}"; do
    echo "== $peer"
    "run_$peer"
done
