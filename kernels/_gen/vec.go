package main

import "github.com/mmcloughlin/avo/build"

// vecFiles are the vector functions, one file of routines per entry.
var vecFiles = map[string]func(*build.Context){}
