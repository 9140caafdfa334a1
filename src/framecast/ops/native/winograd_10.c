#define TILE 10

#include "winograd.h"
