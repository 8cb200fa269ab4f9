/* What the ready-made binary of Jazzer.js takes from glibc 2.38 and libstdc++ 13, for systems that have older ones. */

long strtol(const char *text, char **end, int base);
unsigned long strtoul(const char *text, char **end, int base);

long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }
void _ZSt21ios_base_library_initv(void) {}
