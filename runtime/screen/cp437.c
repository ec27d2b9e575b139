/*
 * See cp437.h: the table, sixteen characters a line.
 */
#include "runtime/screen/cp437.h"

/* clang-format off */
const wchar_t cp437[257] =
    L" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼"
    L"►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
    L" !\"#$%&'()*+,-./"
    L"0123456789:;<=>?"
    L"@ABCDEFGHIJKLMNO"
    L"PQRSTUVWXYZ[\\]^_"
    L"`abcdefghijklmno"
    L"pqrstuvwxyz{|}~⌂"
    L"ÇüéâäàåçêëèïîìÄÅ"
    L"ÉæÆôöòûùÿÖÜ¢£¥₧ƒ"
    L"áíóúñÑªº¿⌐¬½¼¡«»"
    L"░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    L"└┴┬├─┼╞╟╚╔╩╦╠═╬╧"
    L"╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    L"αßΓπΣσµτΦΘΩδ∞φε∩"
    L"≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";
/* clang-format on */
