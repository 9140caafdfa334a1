#define TILE 6

#include "winograd.h"
