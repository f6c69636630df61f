/* Runs the exchange of the proof from a program without Rust's runtime. */
#include <stdint.h>

uint16_t antiphon_no_std_exchange(void);

int main(void) { return antiphon_no_std_exchange() == 200 ? 0 : 1; }
