/*
 * Functions of libraries that most runs have no use for: SDL2, libnbd, LibVNCServer, xkbcommon,
 * Capstone, AdPlug. To load them all
 * takes longer than many a 16-bit system takes to boot. So each is loaded when one of its functions
 * is called first (libraries.c), and need not be installed before.
 *
 * A function is a jump to where its slot leads. A library's table is its soname, then a name and a
 * slot for each function, then 0. The build defines the sonames.
 */
        .macro  library name, soname
        .section .rodata.libraries, "a"
8:      .asciz  "\soname"
        .section .data.rel.libraries, "aw"
        .balign 8
        .globl  library_\name
library_\name:
5:      .quad   8b
        .endm

        .macro  function name
        .section .rodata.libraries, "a"
8:      .asciz  "\name"
        .section .data.rel.libraries, "aw"
        .quad   8b
7:      .quad   0
        .text
        .globl  \name
        .type   \name, @function
\name:
        mov     7b(%rip), %r11
        test    %r11, %r11
        jnz     6f
        lea     5b(%rip), %r11
        call    load
        mov     7b(%rip), %r11
6:      jmp     *%r11
        .size   \name, . - \name
        .endm

        .macro  end_of_library
        .section .data.rel.libraries, "aw"
        .quad   0
        .endm

/* r11: a library's table. Keeps what holds a caller's arguments (System V ABI, 3.2.3). */
        .text
load:   push    %rbp
        mov     %rsp, %rbp
        .irp    reg, rax, rdi, rsi, rdx, rcx, r8, r9, r10
        push    %\reg
        .endr
        sub     $128, %rsp
        and     $-16, %rsp
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        movups  %xmm\n, 16*\n(%rsp)
        .endr
        mov     %r11, %rdi
        call    library_load
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        movups  16*\n(%rsp), %xmm\n
        .endr
        lea     -64(%rbp), %rsp
        .irp    reg, r10, r9, r8, rcx, rdx, rsi, rdi, rax
        pop     %\reg
        .endr
        pop     %rbp
        ret

        library sdl, SDL2_SONAME
        function SDL_AudioInit
        function SDL_CloseAudioDevice
        function SDL_ConvertPixels
        function SDL_CreateWindow
        function SDL_EnableScreenSaver
        function SDL_FillRect
        function SDL_GetCurrentAudioDriver
        function SDL_GetDisplayUsableBounds
        function SDL_GetError
        function SDL_GetWindowDisplayIndex
        function SDL_GetWindowFlags
        function SDL_GetWindowPosition
        function SDL_GetWindowSurface
        function SDL_Init
        function SDL_LockSurface
        function SDL_MapRGB
        function SDL_OpenAudioDevice
        function SDL_PauseAudioDevice
        function SDL_PollEvent
        function SDL_Quit
        function SDL_RestoreWindow
        function SDL_SetHint
        function SDL_SetMainReady
        function SDL_SetRelativeMouseMode
        function SDL_ShowCursor
        function SDL_SetWindowFullscreen
        function SDL_SetWindowGrab
        function SDL_SetWindowMinimumSize
        function SDL_SetWindowPosition
        function SDL_SetWindowSize
        function SDL_SetWindowTitle
        function SDL_StopTextInput
        function SDL_TLSCleanup
        function SDL_UnlockSurface
        function SDL_UpdateWindowSurface
        function SDL_UpdateWindowSurfaceRects
        function SDL_free
        end_of_library

        library nbd, NBD_SONAME
        function nbd_aio_flush
        function nbd_aio_get_direction
        function nbd_aio_is_closed
        function nbd_aio_is_dead
        function nbd_aio_pread
        function nbd_aio_pwrite
        function nbd_close
        function nbd_connect_socket
        function nbd_create
        function nbd_get_errno
        function nbd_get_size
        function nbd_poll
        function nbd_shutdown
        end_of_library

        library vncserver, VNCSERVER_SONAME
        function rfbClientIteratorNext
        function rfbCloseClient
        function rfbEncryptBytes
        function rfbGetClientIterator
        function rfbGetScreen
        function rfbInitServerWithPthreadsAndZRLE
        function rfbLogEnable
        function rfbMarkRectAsModified
        function rfbNewClientConnection
        function rfbNewFramebuffer
        function rfbProcessEvents
        function rfbReadExact
        function rfbRegisterProtocolExtension
        function rfbReleaseClientIterator
        function rfbScreenCleanup
        function rfbWriteExact
        end_of_library

        library xkbcommon, XKBCOMMON_SONAME
        function xkb_context_new
        function xkb_context_unref
        function xkb_keymap_key_get_syms_by_level
        function xkb_keymap_new_from_names
        function xkb_keymap_unref
        function xkb_keysym_to_utf32
        end_of_library

        library capstone, CAPSTONE_SONAME
        function cs_close
        function cs_disasm
        function cs_disasm_iter
        function cs_free
        function cs_malloc
        function cs_open
        end_of_library

#ifdef ADPLUG_SONAME
        library adplug, ADPLUG_SONAME
        function OPL3_Generate
        function OPL3_Reset
        function OPL3_WriteReg
        end_of_library
#endif

        .section .note.GNU-stack, "", @progbits
