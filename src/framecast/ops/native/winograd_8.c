#define TILE 8

#include "winograd.h"
